"""Is a new synthetic batch narrower or flatter than the accepted pool is: indicators of collapse, counted.

The generator that a run lives with may show some of them: its pool was accepted all the same. So a batch is an alarm
only if it shows more than parts of the pool do. Were it of the same kind, it would be as good as any part of its size
of the pool and itself together; those parts are drawn and diagnosed just like it (a permutation test, exact whatever
the diagnosis does). Once a part shows as much, no further one could make the batch an alarm, and none is drawn (Besag
and Clifford, "Sequential Monte Carlo p-values", 1991): a batch like the pool costs a few diagnoses.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from posology.collapse.bags import Rows
from posology.collapse.diagnosis import diagnose
from posology.collapse.sampling import SMALLEST
from posology.collapse.table import Table, make_table
from posology.collapsing import Embed
from posology.errors import InputError
from posology.records import Conversation, TextRule

MOST_DIAGNOSED = 300  # conversations of a batch that are looked at; twice as many real ones
MOST_POOL = 1_200  # of the pool, that parts are drawn from
MOST_PARTS = 99  # a rate below 1 % is not worth the time of more
QUICK = 19  # real-vs-real draws of one diagnosis, the fewest that bound its own false alarms at 5 %


@dataclass(frozen=True, slots=True)
class Narrowing:
    """What was found of a batch.

    Attributes:
        shown: The indicators by which it is narrower or flatter than real text.
        most: How many of them chance explains; more is an alarm.
        new: Those that few parts of the pool show.
    """

    shown: frozenset[str]
    most: int
    new: frozenset[str]


def narrowing(
    real: Sequence[Conversation],
    pool: Sequence[Conversation],
    batch: Sequence[Conversation],
    embed: Embed,
    rule: TextRule,
    *,
    rate: float,
    seed: int = 0,
) -> Narrowing:
    """Counts the indicators of collapse of a batch, and of parts of the pool.

    Args:
        real: Real training conversations, which both are held against.
        pool: The accepted synthetic ones; with fewer than 20 of them, real text alone is the measure, and any indicator
            an alarm (the diagnosis bounds its own false alarms at 5 %).
        batch: The new ones.
        embed: Text to unit vectors.
        rule: What their text is.
        rate: The chance that a batch like the pool is an alarm, at most; from 1 % on.
        seed: Decides every draw.

    Returns:
        What was found; nothing shown where there is too little to tell.
    """
    rng = np.random.default_rng(seed)
    alone = len(pool) < SMALLEST
    size = min(len(batch), MOST_DIAGNOSED, len(batch) if alone else len(pool))
    judged, held = _some(batch, size, rng), [] if alone else _some(pool, MOST_POOL, rng)
    kept = _some(real, 2 * MOST_DIAGNOSED, rng)
    try:
        table = make_table(kept, [*judged, *held], embed([*kept, *judged, *held]), rule)
        shown = _shown(table, table.synthetic[:size], seed)
    except InputError:  # too little text
        return Narrowing(frozenset(), 0, frozenset())
    if alone or not shown:
        return Narrowing(shown, 0, shown)
    parts = min(math.ceil(1 / rate) - 1, MOST_PARTS)  # it is beyond them all with a chance of 1 / (parts + 1)
    found: list[frozenset[str]] = []
    while len(found) < parts and all(len(part) < len(shown) for part in found):
        found.append(_shown(table, np.sort(rng.choice(table.synthetic, size, replace=False)), seed))
    often = Counter(name for part in found for name in part)
    new = frozenset(name for name in shown if often[name] < len(found) / 2)
    return Narrowing(shown, max(map(len, found)), new or shown)


def _some(rows: Sequence[Conversation], size: int, rng: np.random.Generator) -> list[Conversation]:
    """At most `size` of them, drawn at random, in their order."""
    if size >= len(rows):
        return list(rows)
    return [rows[i] for i in np.sort(rng.choice(len(rows), size, replace=False))]


def _shown(table: Table, rows: Rows, seed: int) -> frozenset[str]:
    """The indicators by which some rows are narrower or flatter than real text."""
    try:
        faults = diagnose(table, rows, seed=seed, draws=QUICK).faults
    except InputError:
        return frozenset()
    return frozenset(fault.indicator.name for fault in faults if fault.verdict in ("narrow", "flat"))
