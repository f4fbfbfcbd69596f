"""Questions on what data leaves in doubt: which of two topics it is, and whether a held-out conversation is retold.

Like the rubric, a question shows conversations and documents and nothing of how a candidate was made. Which of two
topics is named first changes from candidate to candidate, so that a judge that prefers a place favours neither side. A
held-out conversation is masked together with the candidate: an order number that both hold is still one number in both.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from posology.conversations.masking import mask_together
from posology.llm.contract import ModelCallError, Reply
from posology.llm.quoting import fenced
from posology.records import Conversation, DocSection
from posology.verification.judging.replies import State, Unread, one_line, read_object
from posology.verification.judging.rubric import (
    LONGEST_CONVERSATION,
    LONGEST_DOCUMENTS,
    Asked,
    TooLong,
    document,
    topic_name,
    transcript,
)
from posology.verification.judging.wording import Prompt, Wording

Kind = Literal["topic", "retells"]
TOPIC_IS: Mapping[str, str] = {"own": "own", "other": "other", "both": "own", "neither": "neither"}
"""What an answer comes to: a candidate that fits both topics stays where it is filed."""
_VARIABLES: Mapping[Kind, frozenset[str]] = {
    "topic": frozenset({"first", "second", "first_documents", "second_documents", "conversation", "remark"}),
    "retells": frozenset({"first", "second", "remark"}),
}
_ANSWER = {"type": "object", "properties": {"answer": {"type": "string"}}, "required": ["answer"]}


@dataclass(frozen=True, slots=True)
class Ruling:
    """What one judge answers to one question. Without an answer, `state` says why.

    Attributes:
        id: The candidate.
        judge: The judge's name.
        question: `topic` or `retells`.
        about: The other topic, or the id of the held-out conversation.
        state: `answered`, or what went wrong.
        answer: `own`, `other`, `both`, `neither`; or `yes`, `no`, `unclear`.
        said: The judge's own word for it: of topics, `first` or `second` as they were shown.
        reason: Why, one line; it may quote the conversation.
        detail: What went wrong, one sentence.
        attempts: How often the judge was asked.
    """

    id: str
    judge: str
    question: Kind
    about: str
    state: State
    answer: str | None = None
    said: str = ""
    reason: str = ""
    detail: str = ""
    attempts: int = 1

    def to_json(self) -> dict[str, Any]:
        """A row of `rulings.jsonl`."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Question:
    """A question about one candidate, ready to be put to judges.

    Attributes:
        kind: What is asked.
        id: The candidate.
        about: The other topic, or the id of the held-out conversation.
        prompt: The wording.
        shown: What the wording is filled with.
        meaning: What a judge may say, and what that means.
        too_long: Why it cannot be asked; empty if it can.
    """

    kind: Kind
    id: str
    about: str
    prompt: Prompt
    shown: Mapping[str, Any]
    meaning: Mapping[str, str]
    too_long: str = ""

    def asked(self, remark: str = "") -> Asked:
        """What a judge is asked.

        Args:
            remark: What was wrong with an earlier reply.

        Raises:
            TooLong: A conversation cannot be shown whole.
        """
        if self.too_long:
            raise TooLong(self.too_long)
        schema = {
            "type": "object",
            "properties": {"reason": {"type": "string"}, "answer": {"type": "string", "enum": list(self.meaning)}},
            "required": ["reason", "answer"],
            "additionalProperties": False,
        }
        return Asked(self.prompt.messages({**self.shown, "remark": remark}), (self.kind,), schema)

    def heard(self, judge: str, answer: Reply | ModelCallError, asked: Asked, attempts: int) -> Ruling:
        """What a judge answers.

        Args:
            judge: Its name.
            answer: Its reply, or why there is none.
            asked: What it was asked.
            attempts: How often.
        """
        found = read_object(answer, _ANSWER)
        if isinstance(found, Unread):
            return self._without(judge, found.state, found.detail, attempts)
        said = str(found["answer"]).strip().lower()
        if said not in self.meaning:
            return self._without(judge, "malformed", "The reply holds none of the answers.", attempts)
        reason = one_line(str(found.get("reason", "")))
        meant = self.meaning[said]
        return Ruling(self.id, judge, self.kind, self.about, "answered", meant, said, reason, attempts=attempts)

    def unheard(self, judge: str, state: State, detail: str) -> Ruling:
        """What stands for the answer where it was not asked."""
        return self._without(judge, state, detail, 0)

    def _without(self, judge: str, state: State, detail: str, attempts: int) -> Ruling:
        return Ruling(self.id, judge, self.kind, self.about, state, detail=detail, attempts=attempts)


class Questions:
    """The wording of all questions.

    Args:
        folder: A user's own templates, `topic.md.j2` and `retells.md.j2`; None for the package's.

    Raises:
        ConfigError: The folder is missing, or a template in it is broken.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._wording = Wording(folder)
        self._prompts = {kind: self._wording.prompt(f"{kind}.md.j2", names) for kind, names in _VARIABLES.items()}

    @cached_property
    def version(self) -> str:
        """Identity of the wording, for provenance: `questions-0a1b2c3d`."""
        sources = [self._wording.source(f"{kind}.md.j2") for kind in _VARIABLES]
        return f"questions-{hashlib.sha256(chr(0).join(sources).encode()).hexdigest()[:8]}"

    def topic(
        self,
        candidate: Conversation,
        other: str,
        own_sections: Sequence[DocSection] = (),
        other_sections: Sequence[DocSection] = (),
    ) -> Question:
        """Whether a candidate is an example of its own topic or of another one.

        Args:
            candidate: The candidate.
            other: The other topic.
            own_sections: The documentation of its own topic.
            other_sections: That of the other one. Where both do not fit whole, neither is shown.
        """
        own = topic_name(candidate.topic), [document(section) for section in own_sections]
        rival = topic_name(other), [document(section) for section in other_sections]
        own_first = _even(candidate.id, other)
        (first, documents), (second, others) = (own, rival) if own_first else (rival, own)
        fits = sum(map(len, (*documents, *others))) <= LONGEST_DOCUMENTS
        text = transcript(candidate)
        shown = {
            "first": first,
            "second": second,
            "first_documents": [fenced("DOCUMENT", text) for text in documents] if fits else [],
            "second_documents": [fenced("DOCUMENT", text) for text in others] if fits else [],
            "conversation": fenced("CONVERSATION", text),
        }
        sides = ("own", "other") if own_first else ("other", "own")
        meaning = {"first": sides[0], "second": sides[1], "both": "both", "neither": "neither"}
        return Question("topic", candidate.id, other, self._prompts["topic"], shown, meaning, _too_long(text))

    def retells(self, candidate: Conversation, held: Conversation) -> Question:
        """Whether a candidate tells the story of a held-out conversation. Personal data in both is masked here.

        Args:
            candidate: The candidate.
            held: The held-out conversation.
        """
        seed = int.from_bytes(_digest(held.id)[:4])
        masked, _ = mask_together([candidate, held], seed)
        texts = [transcript(conversation) for conversation in masked]
        shown = {name: fenced("CONVERSATION", text) for name, text in zip(("first", "second"), texts, strict=True)}
        meaning = {answer: answer for answer in ("yes", "no", "unclear")}
        return Question("retells", candidate.id, held.id, self._prompts["retells"], shown, meaning, _too_long(*texts))


@dataclass(frozen=True, slots=True)
class Settled:
    """What a panel makes of one question.

    Attributes:
        answer: `own`, `other` or `neither`; or `yes` or `no`: what more than half of the judges that decide say. None
            if there is no such answer: what data said stands.
        judges: Those that gave it.
    """

    answer: str | None = None
    judges: tuple[str, ...] = ()


def settled(rulings: Sequence[Ruling], ignored: Collection[str] = ()) -> Settled:
    """Puts the rulings on one question together.

    Args:
        rulings: One a judge that was asked.
        ignored: Names of judges whose answers say nothing.
    """
    votes = {r.judge: r.answer for r in rulings if r.answer not in (None, "unclear") and r.judge not in ignored}
    meant = {judge: TOPIC_IS.get(str(answer), str(answer)) for judge, answer in votes.items()}
    if not meant:
        return Settled()
    answer, n = Counter(meant.values()).most_common(1)[0]
    if 2 * n <= len(meant):
        return Settled()
    return Settled(answer, tuple(judge for judge, said in meant.items() if said == answer))


def _too_long(*texts: str) -> str:
    longest = max(map(len, texts))
    if longest <= LONGEST_CONVERSATION:
        return ""
    return f"{longest:,} characters are more than a judge is shown ({LONGEST_CONVERSATION:,})."


def _even(*names: str) -> bool:
    return _digest(chr(0).join(names))[0] % 2 == 0


def _digest(name: str) -> bytes:
    return hashlib.sha256(name.encode("utf-8", "replace")).digest()
