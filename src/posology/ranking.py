"""From a pool to a priority order: what is screened out, and whose turn it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from posology.conversations.faults import shown
from posology.gaps.allocation import Allocation, TopicStats, replacing_sequence, topic_sequence
from posology.matching.near import NearRule
from posology.records import Conversation, Design, Rejection, TextRule, topics_of
from posology.selection.likeness import real_likeness
from posology.selection.priority import prioritise
from posology.selection.screening import screen

POOL_COPY = NearRule(jaccard=0.85)  # looser, and rows would go because a real example is somewhat like them


def without_copies(
    pool: Sequence[Conversation], train: Sequence[Conversation], rule: TextRule
) -> tuple[list[Conversation], list[Rejection]]:
    """The rows of a pool that copy neither training data nor each other, and a rejection for each other one."""
    texts, real_texts = [rule.text(c) for c in pool], [rule.text(c) for c in train]
    kept, rejected = screen(pool, texts, train, real_texts, rule=POOL_COPY)
    return [pool[i] for i in kept], rejected


def ranked(
    pool: Sequence[Conversation],
    vectors: NDArray[np.float32],
    train: Sequence[Conversation],
    train_vectors: NDArray[np.float32],
    *,
    stats: Sequence[TopicStats],
    allocation: Allocation,
    design: Design,
) -> list[Conversation]:
    """The pool in priority order.

    Args:
        pool: Screened synthetic conversations.
        vectors: Shape (m, d).
        train: Real training conversations.
        train_vectors: Shape (n, d).
        stats: What is known of each topic.
        allocation: Says where the next example pays most.
        design: Under `replace` the order allows for the real examples that go.
    """
    topics = [c.label for c in pool]
    available = Counter(topics)
    if design == "replace":
        sequence = replacing_sequence(stats, len(train), available, allocation=allocation)
    else:
        sequence = topic_sequence(stats, len(pool), available, allocation=allocation)
    order = prioritise(
        topics,
        vectors,
        [c.label for c in train],
        train_vectors,
        sequence=sequence,
        quality=real_likeness(train_vectors, vectors),
    )
    return [pool[i] for i in order]


def pool_warnings(
    n_pool: int, usable: Sequence[Conversation], train: Sequence[Conversation], known_topics: Mapping[str, str]
) -> list[str]:
    """What the user should know about a pool."""
    warnings = []
    if not usable:
        warnings.append("the pool is empty: no dose above 0 can be reached.")
    elif len(usable) < n_pool / 2:
        warnings.append(f"only {len(usable)} of {n_pool} pool rows are usable; see select/rejected.jsonl.")
    if new := sorted(set(topics_of(usable)) - {*topics_of(train), *known_topics}):
        warnings.append(f"topics of the pool that neither real data nor docs know: {some(new)}; a spelling mistake?")
    return warnings


def some(names: Sequence[str], most: int = 3) -> str:
    """A few names for a message, and how many more there are; what does not look like a name is not repeated."""
    named = ", ".join(shown(name) for name in names[:most])
    return named + (f" and {len(names) - most} more" if len(names) > most else "")
