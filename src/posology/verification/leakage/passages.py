"""What of a conversation is held against the holdout: its whole text, and each turn that is long enough to identify."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from posology.matching.normalise import normalise
from posology.records import Conversation, TextRule

LONG_TURN = 6  # words; a shorter turn ("thank you so much") is nobody's own


@dataclass(frozen=True, slots=True)
class Passages:
    """Normalised texts to compare.

    Attributes:
        texts: Whole texts and long turns of the conversations, in their order; empty texts are left out.
        rows: The position of each passage's conversation, ascending, shape (k,).
        whole: Whether each passage is a whole text, shape (k,).
    """

    texts: list[str]
    rows: NDArray[np.int64]
    whole: NDArray[np.bool_]

    @property
    def wholes(self) -> Passages:
        """The whole texts alone."""
        kept = [text for text, whole in zip(self.texts, self.whole.tolist(), strict=True) if whole]
        return Passages(kept, self.rows[self.whole], self.whole[self.whole])


def passages(conversations: Sequence[Conversation], rule: TextRule) -> Passages:
    """The passages of conversations: the text under the rule, and, if it has several turns, its long ones."""
    texts: list[str] = []
    rows: list[int] = []
    whole: list[bool] = []
    for row, conversation in enumerate(conversations):
        text = normalise(rule.text(conversation))
        turns = [m.content for m in conversation.messages if m.role in rule.roles][: rule.max_turns]
        normal = [normalise(turn) for turn in turns] if len(turns) > 1 else []
        found = [text, *(turn for turn in normal if len(turn.split()) >= LONG_TURN)] if text else []
        texts += found
        rows += [row] * len(found)
        whole += [place == 0 for place in range(len(found))]
    return Passages(texts, np.array(rows, np.int64), np.array(whole, bool))
