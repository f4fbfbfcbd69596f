"""The identity of a stage: a hash over everything that shapes its output.

In: the stage's name and this module's version, the content of the inputs (never their paths, names or times), every
setting that changes a result, the identity of the encoder and the trainer.
Out, on purpose: the paths, the number of jobs, progress and output flags, the machine, the tool's own version. A change
to an algorithm must raise `VERSION`, or results of two algorithms would be mixed in one run folder.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable

from posology.records import Conversation

VERSION = 2


def of(stage: str, **parts: object) -> str:
    """The fingerprint of a stage.

    Args:
        stage: Its name.
        **parts: JSON-like inputs and settings; input files enter as the hash of what was read from them.

    Returns:
        64 hexadecimal digits.
    """
    whole = {"version": VERSION, "stage": stage, "parts": parts}
    return hashlib.sha256(json.dumps(whole, sort_keys=True, ensure_ascii=True, default=str).encode()).hexdigest()


def of_conversation(conversation: Conversation) -> str:
    """Hash of what a model can learn from: id, turns and topic; `meta` is left out."""
    turns = [[m.role, m.content] for m in conversation.messages]
    payload = json.dumps([conversation.id, turns, conversation.topic], ensure_ascii=True)
    return hashlib.sha256(payload.encode()).hexdigest()


def of_conversations(conversations: Iterable[Conversation]) -> str:
    """Hash of conversations in their order."""
    digest = hashlib.sha256()
    for conversation in conversations:
        digest.update(of_conversation(conversation).encode())
    return digest.hexdigest()
