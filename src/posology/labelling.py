"""Labelling in the terminal: a person says of candidates whether they are good; every answer is safe at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from posology.records import Conversation, DocSection, Verdict
from posology.store import write_jsonl
from posology.verification.labels import Label, read_labels
from posology.verification.sampling import Drawn, to_label

KEYS: Mapping[str, str] = {"y": "good", "n": "not good", "u": "undo", "s": "skip", "q": "quit"}


@dataclass(frozen=True, slots=True)
class Shown:
    """A candidate as a person sees it: without scores, which would tell what to answer.

    Attributes:
        conversation: The candidate.
        sections: The documentation of its topic.
        done: How many labels there are.
        wanted: How many there shall be.
    """

    conversation: Conversation
    sections: tuple[DocSection, ...]
    done: int
    wanted: int


class Labelling:
    """A session; run again, it goes on where it ended.

    Args:
        candidates: The pool.
        verdicts: What verification says of each, in the same order: decides what is worth a label.
        path: The file of labels; made with the first one.
        wanted: How many labels there shall be in all.
        docs: Sections of the support documentation.
        seed: Of the draw.

    Raises:
        InputError: There are labels already, and they are broken or of another pool.
    """

    def __init__(
        self,
        candidates: Sequence[Conversation],
        verdicts: Sequence[Verdict],
        path: Path,
        wanted: int,
        *,
        docs: Sequence[DocSection] = (),
        seed: int = 0,
    ) -> None:
        self.path = path
        self.labels = read_labels(path, {c.id for c in candidates}, started=True)
        self._candidates, self._docs = candidates, docs
        labelled = {label.id for label in self.labels}
        drawn = _drawn(candidates, verdicts, wanted, seed)
        self._queue = [one for one in drawn if candidates[one.place].id not in labelled]
        self._queue = self._queue[: max(0, wanted - len(self.labels))]
        self.wanted = len(self.labels) + len(self._queue)

    def run(self, show: Callable[[Shown], None], key: Callable[[], str]) -> dict[str, Any]:
        """Asks until all is labelled or the person has had enough.

        Args:
            show: Shows a candidate.
            key: Waits for a key of `KEYS`; anything else is passed over, the empty string ends the session.

        Returns:
            How many labels there are, of which kind, and where.
        """
        place, answered = 0, list[int]()
        while place < len(self._queue):
            show(self._shown(self._queue[place]))
            pressed = self._key(key)
            if pressed == "q":
                break
            if pressed == "u":
                if answered:
                    place = answered.pop()
                    self._save(self.labels[:-1])
                continue
            if pressed in "yn":
                answered.append(place)
                self._save([*self.labels, self._label(self._queue[place], good=pressed == "y")])
            place += 1
        good = sum(label.good for label in self.labels)
        return {"n": len(self.labels), "n_good": good, "wanted": self.wanted, "labels": str(self.path)}

    def _key(self, key: Callable[[], str]) -> str:
        while True:
            pressed = key().lower()
            if not pressed:
                return "q"
            if pressed in KEYS:
                return pressed

    def _label(self, one: Drawn, *, good: bool) -> Label:
        return Label(self._candidates[one.place].id, good, one.stratum, one.of)

    def _save(self, labels: list[Label]) -> None:
        write_jsonl(self.path, (label.to_json() for label in labels))
        self.labels = labels

    def _shown(self, one: Drawn) -> Shown:
        conversation = self._candidates[one.place]
        sections = tuple(section for section in self._docs if section.topic == conversation.topic)
        return Shown(conversation, sections, len(self.labels), self.wanted)


def _drawn(candidates: Sequence[Conversation], verdicts: Sequence[Verdict], wanted: int, seed: int) -> list[Drawn]:
    composite = np.array([np.nan if v.composite is None else v.composite for v in verdicts], dtype=float)
    if np.isnan(composite).all():
        composite = np.full(len(verdicts), 0.5)  # no scores at all: every candidate is as good as another
    failed = np.array([not v.passed for v in verdicts], dtype=bool)
    return to_label([c.topic for c in candidates], composite, wanted, failed=failed, seed=seed)
