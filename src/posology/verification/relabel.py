"""The check of label agreement, and what it does about a good example of another topic: relabel, not reject."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from posology.embedding.embedder import Embedder
from posology.records import Conversation, Finding, topics_of
from posology.verification.agreement import FALSE_REJECTION, Agreement, agreement

CHECK = "label_agreement"
LEAST = 0.5  # as good an example of the other topic as the middle one of the real rows is of its own


class LabelAgreement:
    """The check.

    Args:
        train: Real training conversations.
        embedder: Text to vectors.
        false_rejection: Share of right rows that may be rejected, in (0, 1).
        seed: Of the folds.

    Attributes:
        relabelled: After a call: the better topic of each candidate that was relabelled, by id.
    """

    def __init__(
        self,
        train: Sequence[Conversation],
        embedder: Embedder,
        *,
        false_rejection: float = FALSE_REJECTION,
        seed: int = 0,
    ) -> None:
        self._train, self._embedder = train, embedder
        self._false_rejection, self._seed = false_rejection, seed
        self.relabelled: dict[str, str] = {}

    def __call__(self, candidates: Sequence[Conversation]) -> list[Finding]:
        """One finding a candidate; its score lies in [0, 1], its detail names the nearest other topic."""
        self.relabelled = {}
        if not candidates:
            return []
        found = self._agreement(candidates)
        better = relabelled(found)
        self.relabelled = {candidates[row].id: topic for row, topic in better.items()}
        return [_finding(found, row, candidate.label, better.get(row)) for row, candidate in enumerate(candidates)]

    def _agreement(self, candidates: Sequence[Conversation]) -> Agreement:
        topics = topics_of([*self._train, *candidates])
        return agreement(
            [c.label for c in candidates],
            self._embedder.encode(candidates),
            [c.label for c in self._train],
            self._embedder.encode(self._train),
            names=dict(zip(topics, self._embedder.encode_topics(topics), strict=True)),
            false_rejection=self._false_rejection,
            seed=self._seed,
        )


def relabelled(found: Agreement, least: float = LEAST) -> dict[int, str]:
    """Positions of candidates that disagree with their own topic, each with the topic that it is a good example of.

    With 10 % of a pool's topics exchanged, a quarter of those rows reach the default, all of them with the topic that
    they came from, and one clean row in a thousand.

    Args:
        found: What cross-fitted heads say of the candidates.
        least: The least share of real rows that agree less with their own topic than the candidate does with the other.
    """
    good = (found.own < found.threshold) & (found.as_other >= least)
    return {int(row): found.other[row] for row in np.flatnonzero(good)}


def _finding(found: Agreement, row: int, topic: str, better: str | None) -> Finding:
    own, other = float(found.own[row]), found.other[row]
    if np.isnan(own):
        return Finding(CHECK, "unscored", detail="nothing but the row itself tells what its topic sounds like")
    if better is not None:
        said = f"filed under {topic}, but a better example of {better}: relabelled"
        return Finding(CHECK, "pass", float(found.as_other[row]), found.threshold, said)
    said = f"the nearest other topic is {other}; {own:.1%} of real rows agree less with their own"
    return Finding(CHECK, "fail" if own < found.threshold else "pass", own, found.threshold, said)
