"""From a verified pool to a priority order: duplicates go, quality is weighed, gaps say whose turn it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from posology.conversations.faults import shown
from posology.gaps.allocation import Allocation, TopicStats, replacing_sequence, topic_sequence
from posology.records import Conversation, Design, Rejection, Verdict, topics_of
from posology.selection.choice import Candidates, Choice, Real, Strategy, choose
from posology.selection.duplicates import Twins, duplicates, rejections
from posology.verification.likeness import real_likeness

LIKENESS = "real_likeness"  # weighs coverage, so it does not count as quality


@dataclass(frozen=True, slots=True)
class Ranking:
    """Says whose turn it is, and in which order candidates are used.

    Attributes:
        stats: What is known of each topic.
        allocation: Where the next example pays most.
        design: Under `replace` the order allows for the real examples that go.
        n_real: Real training conversations.
    """

    stats: Sequence[TopicStats]
    allocation: Allocation
    design: Design
    n_real: int

    def sequence(self, topics: Sequence[str]) -> list[str]:
        """Whose turn it is until all candidates of these topics are used."""
        available = Counter(topics)
        if self.design == "replace":
            return replacing_sequence(self.stats, self.n_real, available, allocation=self.allocation)
        return topic_sequence(self.stats, len(topics), available, allocation=self.allocation)

    def choose(
        self,
        candidates: Candidates,
        real: Real,
        *,
        strategy: Strategy,
        keep_rate: float,
        count: int | None = None,
        seed: int = 0,
    ) -> Choice:
        """See `posology.selection.choice.choose`."""
        return choose(
            candidates,
            real,
            sequence=self.sequence,
            strategy=strategy,
            keep_rate=keep_rate,
            count=count,
            seed=seed,
        )


def described(
    pool: Sequence[Conversation],
    vectors: NDArray[np.float32],
    real_vectors: NDArray[np.float32],
    verdicts: Mapping[str, Verdict],
) -> Candidates:
    """What selection is told of a pool.

    Args:
        pool: Candidates that passed.
        vectors: Their vectors, shape (m, d).
        real_vectors: Vectors of real training rows, shape (n, d).
        verdicts: By id; none for a pool that was not verified: all are as good then.
    """
    quality = np.array([quality_of(verdicts.get(c.id)) for c in pool], dtype=np.float64)
    return Candidates([c.label for c in pool], vectors, quality, real_likeness(real_vectors, vectors))


def quality_of(verdict: Verdict | None) -> float:
    """The mean score of a candidate, real-likeness apart; 0.5 where nothing was scored."""
    scores = [] if verdict is None else [s for name, s in verdict.scores.items() if s is not None and name != LIKENESS]
    return float(np.mean(scores)) if scores else 0.5


def without_copies(
    pool: Sequence[Conversation],
    real: Sequence[Conversation],
    twins: Twins,
    quality: NDArray[np.float64],
    *,
    near: float,
    semantic: float,
) -> tuple[list[int], list[Rejection]]:
    """Positions of the rows of a pool that copy neither real data nor better rows; a rejection for each other one."""
    found = duplicates(twins, quality, near=near, semantic=semantic)
    rejected = rejections(twins, found, pool, real, near=near, semantic=semantic)
    return [row for row in range(len(pool)) if row not in rejected], [rejected[row] for row in sorted(rejected)]


def left_out(
    pool: Sequence[Conversation], candidates: Candidates, choice: Choice, *, strategy: Strategy, wanted: int
) -> list[Rejection]:
    """A rejection for each candidate that selection did not keep."""
    drawn = strategy == "random"
    reason, why = (
        ("not_drawn", "the draw left it out")
        if drawn
        else ("below_floor", "others are better, and the keep rate is full")
    )
    beyond = f"{wanted:,} were wanted, and it comes later in the order"
    return [
        *(
            Rejection(pool[row].id, reason, why, score=None if drawn else round(float(candidates.quality[row]), 4))
            for row in choice.below
        ),
        *(Rejection(pool[row].id, "beyond_count", beyond) for row in choice.beyond),
    ]


def pool_warnings(
    n_pool: int, n_usable: int, usable: Sequence[Conversation], train: Sequence[Conversation], known: Mapping[str, str]
) -> list[str]:
    """What the user should know about a pool.

    Args:
        n_pool: Its rows.
        n_usable: Those that are right and no copies, whether selected or not.
        usable: Those that were selected.
        train: Real training conversations.
        known: Topics that docs or configuration name.
    """
    warnings = []
    if not usable:
        warnings.append("the pool is empty: no dose above 0 can be reached.")
    elif n_usable < n_pool / 2:
        warnings.append(f"only {n_usable} of {n_pool} pool rows are usable; see select/rejected.jsonl.")
    if new := sorted(set(topics_of(usable)) - {*topics_of(train), *known}):
        warnings.append(f"topics of the pool that neither real data nor docs know: {some(new)}; a spelling mistake?")
    return warnings


def some(names: Sequence[str], most: int = 3) -> str:
    """A few names for a message, and how many more there are; what does not look like a name is not repeated."""
    named = ", ".join(shown(name) for name in names[:most])
    return named + (f" and {len(names) - most} more" if len(names) > most else "")
