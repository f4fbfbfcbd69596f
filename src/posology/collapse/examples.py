"""What is missing and what is over-produced, row by row: ids for result files, phrases for reports alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from posology.collapse import semantic
from posology.collapse.bags import Bags, Rows
from posology.collapse.table import Table

Kind = Literal["topic", "region", "outlier", "copies", "opening", "template", "name", "foreign"]
EACH = 4  # finds of one kind
SHOWN = 4  # rows of one find
MOST = 3000  # rows a side that are compared pair by pair
EXCESS = 0.01  # share of synthetic rows above that of real ones, from which a phrase is over-used


@dataclass(frozen=True, slots=True)
class Find:
    """Something that synthetic text lacks, or has too much of.

    Attributes:
        kind: Missing are `topic`, `region`, `outlier`; over-produced `copies`, `opening`, `template`, `name`; `foreign`
            are synthetic rows far from every real one.
        count: How many rows it is about.
        ids: Some of them: real rows where something is missing, else synthetic ones.
        topics: Their topics, most frequent first.
        phrase: The words that are over-used; conversation text, so it stands in no result file.
    """

    kind: Kind
    count: int
    ids: tuple[str, ...]
    topics: tuple[str, ...]
    phrase: str = ""

    def to_json(self) -> dict[str, Any]:
        """Without the phrase."""
        return {"kind": self.kind, "count": self.count, "ids": list(self.ids), "topics": list(self.topics)}


def missing(table: Table, real: Rows, synthetic: Rows, *, seed: int = 0) -> list[Find]:
    """Topics, regions and outliers of real text that no synthetic row is near, the largest first."""
    rng = np.random.default_rng(seed)
    found = list(_topics(table, real, synthetic))
    real, synthetic = _some(real, rng), _some(synthetic, rng)
    real, synthetic = real[table.n_words[real] > 0], synthetic[table.n_words[synthetic] > 0]
    gap, radius = _gaps(table.vectors[real], table.vectors[synthetic])
    n_regions = max(2, min(len(real) // 20, 40))
    regions = semantic.regions_of(table, real, seed, n_regions)[real]
    bare = gap > radius
    sizes = np.bincount(regions[bare], minlength=n_regions)
    for region in np.argsort(-sizes, kind="stable")[:EACH]:
        inside = np.flatnonzero(bare & (regions == region))
        if len(inside) > 1:
            order = inside[np.argsort(radius[inside] - gap[inside], kind="stable")]
            found.append(_find(table, "region", real[order]))
    outlying = np.flatnonzero(bare & (radius >= np.quantile(radius, 1 - semantic.OUTLYING)))
    if len(outlying):
        found.append(_find(table, "outlier", real[outlying[np.argsort(-gap[outlying], kind="stable")]]))
    return found


def over_produced(table: Table, real: Rows, synthetic: Rows, *, seed: int = 0) -> list[Find]:
    """What stands more often in synthetic text (copies, openings, templates, names), and rows like no real one."""
    found = [*_copies(table, synthetic)]
    openings = Bags(table.openings, np.arange(len(table.texts) + 1), len(table.opening_names))
    for kind, bags, names in (
        ("opening", openings, table.opening_names),
        ("template", table.templates, table.template_list),
        ("name", table.names, table.name_list),
    ):
        found += _phrases(table, kind, bags, names, real, synthetic)
    rng = np.random.default_rng(seed)
    real, some = _some(real, rng), _some(synthetic, rng)
    gap, radius = _gaps(table.vectors[real], table.vectors[some], other_way=True)
    foreign = np.flatnonzero(gap > np.quantile(radius, 0.99))
    if len(foreign) > len(some) * 2 * EXCESS:
        found.append(_find(table, "foreign", some[foreign[np.argsort(-gap[foreign], kind="stable")]]))
    return found


def _some(rows: Rows, rng: np.random.Generator) -> Rows:
    return rows if len(rows) <= MOST else np.sort(rng.choice(rows, MOST, replace=False))


def _gaps(
    real: semantic.Floats, synthetic: semantic.Floats, *, other_way: bool = False
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """How far each real row's nearest synthetic one is (or the other way round), and the reach of each real row."""
    k = min(semantic.NEAREST, len(real) - 1)
    own = 1 - real @ real.T
    np.fill_diagonal(own, np.inf)
    across = 1 - real @ synthetic.T
    return across.min(axis=0 if other_way else 1), np.partition(own, k - 1, axis=1)[:, k - 1]


def _find(table: Table, kind: Kind, rows: Rows, phrase: str = "", count: int | None = None) -> Find:
    topics = table.topics[rows]
    kinds, times = np.unique(topics[topics >= 0], return_counts=True)
    names = [table.topic_names[kinds[i]] for i in np.argsort(-times, kind="stable")[:SHOWN]]
    ids = tuple(table.conversations[row].id for row in rows[:SHOWN])
    return Find(kind, len(rows) if count is None else count, ids, tuple(names), phrase)


def _topics(table: Table, real: Rows, synthetic: Rows) -> Iterator[Find]:
    covered = {-1, *table.topics[synthetic].tolist()}
    absent = [(int((table.topics[real] == t).sum()), t) for t in set(table.topics[real].tolist()) - covered]
    for _, topic in sorted(absent, key=lambda pair: (-pair[0], pair[1])):
        yield _find(table, "topic", real[table.topics[real] == topic])


def _copies(table: Table, synthetic: Rows) -> Iterator[Find]:
    groups, times = np.unique(table.twins[synthetic], return_counts=True)
    for place in np.argsort(-times, kind="stable")[:EACH]:
        if times[place] > 2:
            yield _find(table, "copies", synthetic[table.twins[synthetic] == groups[place]])


def _phrases(table: Table, kind: str, bags: Bags, names: Sequence[str], real: Rows, synthetic: Rows) -> Iterator[Find]:
    if not bags.n_kinds:
        return
    here, there = (np.bincount(bags.of(rows), minlength=bags.n_kinds) / max(len(rows), 1) for rows in (synthetic, real))
    for number in np.argsort(there - here, kind="stable")[:EACH]:
        if here[number] - there[number] < EXCESS or here[number] * len(synthetic) < 3:
            return
        holders = np.unique(bags.owners()[bags.ids == number])
        yield _find(table, kind, np.intersect1d(holders, synthetic), names[number])  # type: ignore[arg-type]
