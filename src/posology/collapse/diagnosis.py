"""The diagnosis: every indicator of synthetic text with its interval, the range of real text, and a verdict."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posology.collapse import calibration, semantic
from posology.collapse.bags import Rows
from posology.collapse.calibration import Null
from posology.collapse.indicators import INDICATORS, Indicator, VerdictName
from posology.collapse.measuring import STYLE, Pair, Reference, measure
from posology.collapse.sampling import SMALLEST, Match, matches
from posology.collapse.table import Table
from posology.errors import InputError
from posology.threads import single_threaded

SCHEMA_VERSION = 1
DRAWS = 59  # the second largest maximum of 59 is passed by one fresh set in thirty
OBSERVED = 6  # draws of the synthetic side that are averaged
HALVES = 12  # half samples from which the interval of a figure is read
TAIL = 0.5  # share of topics, from the rarest, that count as rare
REGION = 10  # rows a region
MOST_REGIONS = 50
WEAK = 100  # rows a side, below which only gross faults are found


@dataclass(frozen=True, slots=True)
class Reading:
    """One indicator of one synthetic set.

    Attributes:
        indicator: What was measured.
        value: What the synthetic set gives.
        ci95: Its 95 % interval.
        null_mean: What real text gives.
        null_ci95: The range of real text of the same size, simultaneous over all indicators: outside it, and in a
            direction that does harm, is a fault.
        deviation: How many standard deviations the value lies from real text.
        verdict: `ok`, `narrow`, `flat` or `shifted`.
    """

    indicator: Indicator
    value: float
    ci95: tuple[float, float]
    null_mean: float
    null_ci95: tuple[float, float]
    deviation: float
    verdict: VerdictName

    @property
    def note(self) -> str:
        """The reading in words."""
        low, high = self.null_ci95
        way = "lower than" if self.deviation < 0 else "higher than"
        said = f"{self.indicator.title}: {self.value:.3g}; real text of the same size gives {low:.3g} to {high:.3g}"
        return said if self.verdict == "ok" else f"{said}, so this is {way} chance allows"

    def to_json(self) -> dict[str, Any]:
        """One entry of `indicators` in the result file."""
        return {
            "name": self.indicator.name,
            "family": self.indicator.family,
            "title": self.indicator.title,
            "value": _digits(self.value),
            "ci95": [_digits(end) for end in self.ci95],
            "null_mean": _digits(self.null_mean),
            "null_ci95": [_digits(end) for end in self.null_ci95],
            "deviation": round(self.deviation, 2),
            "verdict": self.verdict,
            "note": self.note,
        }


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """How far a synthetic set is from real text.

    Attributes:
        n_real: Real conversations.
        n_synthetic: Synthetic ones.
        compared: Rows a side of one draw, by way of matching.
        limit: Standard deviations beyond which a figure is no chance.
        readings: One an indicator that could be measured, in the order of `INDICATORS`.
        unscored: Names of the indicators that could not be.
        warnings: What the reader must know.
    """

    n_real: int
    n_synthetic: int
    compared: Mapping[str, int]
    limit: float
    readings: tuple[Reading, ...]
    unscored: tuple[str, ...]
    warnings: tuple[str, ...] = ()

    @property
    def faults(self) -> list[Reading]:
        """The readings that are not ok, the farthest out first."""
        return sorted((r for r in self.readings if r.verdict != "ok"), key=lambda r: -abs(r.deviation))

    @property
    def collapsed(self) -> bool:
        """Whether synthetic text is measurably narrower or flatter than real text; a shift alone is no collapse."""
        return any(reading.verdict in ("narrow", "flat") for reading in self.readings)

    def verdict_of(self, name: str) -> VerdictName | None:
        """The verdict of one indicator, None if it was not measured."""
        return next((r.verdict for r in self.readings if r.indicator.name == name), None)

    def to_json(self) -> dict[str, Any]:
        """The result file, without examples and advice."""
        return {
            "schema_version": SCHEMA_VERSION,
            "n_real": self.n_real,
            "n_synthetic": self.n_synthetic,
            "compared": dict(self.compared),
            "limit": round(self.limit, 3),
            "indicators": [reading.to_json() for reading in self.readings],
            "unscored": list(self.unscored),
            "collapsed": self.collapsed,
            "first_to_move": [reading.indicator.name for reading in self.faults],
            "warnings": list(self.warnings),
        }


def diagnose(
    table: Table,
    synthetic: Rows | None = None,
    *,
    real: Rows | None = None,
    planned: Collection[str] | None = None,
    seed: int = 0,
    draws: int = DRAWS,
) -> Diagnosis:
    """Judges synthetic rows against real ones.

    Args:
        table: All rows; its real ones are the measure.
        synthetic: The rows to judge; None for all synthetic ones. Several arms of one pool can share a table.
        real: The rows to judge by; None for all real ones.
        planned: The topics that were to be covered; None for all topics of real data.
        seed: Decides every draw.
        draws: Real-vs-real draws; fewer than 59 miss what the limit aims at.

    Raises:
        InputError: Fewer than 20 texts with words on either side.
    """
    given = table.real if real is None else real, table.synthetic if synthetic is None else synthetic
    real, rows = _with_words(table, given[0], "real"), _with_words(table, given[1], "synthetic")
    how, said = matches(table.topics, table.n_words, real, rows)
    rng = np.random.default_rng(seed)
    pairs = [{name: match.real_pair(rng) for name, match in how.items()} for _ in range(draws)]
    judged = [{name: match.synthetic_sample(rng) for name, match in how.items()} for _ in range(OBSERVED)]
    with single_threaded():
        reference = _reference(
            table,
            real,
            rows,
            how["full"],
            planned,
            seed,
            [*(p["full"][0] for p in pairs), *(j["full"] for j in judged)],
        )
        null = _null(reference, how, pairs)
        beside = [
            {name: (sample[name], pair[name][1]) for name in how} for sample, pair in zip(judged, pairs, strict=False)
        ]
        values = np.array([measure(reference, draw) for draw in beside])
        halves = np.array([measure(reference, _half(beside[i % OBSERVED], rng)) for i in range(HALVES)])
    readings, unscored = _read(null, values, halves)
    return Diagnosis(
        n_real=len(given[0]),
        n_synthetic=len(given[1]),
        compared={name: match.size for name, match in how.items()},
        limit=null.limit,
        readings=readings,
        unscored=unscored,
        warnings=(*said, *_weak(how["full"].size)),
    )


def _with_words(table: Table, rows: Rows, side: str) -> Rows:
    spoken = rows[table.n_words[rows] > 0]
    if len(spoken) < SMALLEST:
        raise InputError(
            f"{len(spoken)} {side} conversations have words in the turns that are read; {SMALLEST} are needed.",
            remedy="Too little to tell narrow from chance: give more, or name the roles to be read with --roles.",
        )
    return spoken


def _weak(size: int) -> list[str]:
    if size >= WEAK:
        return []
    return [f"only {size} texts a side could be compared: smaller faults than gross ones stay unseen."]


def _reference(
    table: Table,
    real: Rows,
    synthetic: Rows,
    full: Match,
    planned: Collection[str] | None,
    seed: int,
    samples: list[Rows],
) -> Reference:
    topics = table.topics[real]
    count = np.bincount(topics[topics >= 0], minlength=len(table.topic_names)).astype(np.float64)
    if planned is not None:
        count *= np.isin(table.topic_names, sorted(planned))
    tail = np.zeros(len(count), bool)
    if (present := np.flatnonzero(count)).size:
        tail[present[np.argsort(count[present], kind="stable")][: int(len(present) * TAIL)]] = True
    both = table.features[np.r_[real, synthetic]][:, STYLE]
    scale = both.std(axis=0)
    style = (table.features[:, STYLE] - both.mean(axis=0)) / np.where(scale > 0, scale, 1.0)
    n_regions = int(np.clip(full.size // REGION, 2, min(MOST_REGIONS, len(real) // 2)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # fewer distinct texts than regions
        regions = semantic.regions_of(table, real, seed, n_regions)
    budget = min(int(table.n_words[rows].sum()) for rows in samples)
    return Reference(table, full.cells, regions, np.clip(style, -5, 5), count, tail, budget)


def _null(reference: Reference, how: Mapping[str, Match], pairs: list[dict[str, Pair]]) -> Null:
    figures = np.array([measure(reference, pair) for pair in pairs])
    special = {"tail_missing": int(reference.tail.sum()), "outliers_covered": how["full"].size * semantic.OUTLYING}
    sizes = np.array([max(special.get(i.name, how[i.match].size), 1) for i in INDICATORS], np.float64)
    widening = np.array([1.0 if i.paired else how[i.match].widening for i in INDICATORS])
    return calibration.calibrate(figures, sizes, widening)


def _half(draw: Mapping[str, Pair], rng: np.random.Generator) -> dict[str, Pair]:
    """The draw with a random half of the sample, which varies around the whole as the whole does around its source."""
    return {name: (rng.permutation(rows)[: max(len(rows) // 2, 1)], other) for name, (rows, other) in draw.items()}


def _read(
    null: Null, values: NDArray[np.float64], halves: NDArray[np.float64]
) -> tuple[tuple[Reading, ...], tuple[str, ...]]:
    scaled = calibration.to_scale(values, null.sizes).mean(axis=0)
    value = calibration.from_scale(scaled, null.sizes)
    error = calibration.to_scale(halves, null.sizes).std(axis=0, ddof=1)
    low, high = (calibration.from_scale(scaled + way * 1.96 * error, null.sizes) for way in (-1, 1))
    null_low, null_high = null.interval
    deviations = null.deviations(value)
    faulty = np.abs(calibration.harmful(deviations)) > null.limit
    readings, unscored = [], []
    for k, indicator in enumerate(INDICATORS):
        if not np.isfinite([value[k], null.centre[k], null.spread[k]]).all():
            unscored.append(indicator.name)
            continue
        away = float(deviations[k])
        verdict = (indicator.low if away < 0 else indicator.high) if faulty[k] else "ok"
        readings.append(
            Reading(
                indicator,
                float(value[k]),
                (float(low[k]), float(high[k])),
                float(null.mean[k]),
                (float(null_low[k]), float(null_high[k])),
                away,
                verdict or "ok",
            )
        )
    return tuple(readings), tuple(unscored)


def _digits(value: float) -> float:
    return float(f"{value:.5g}") if abs(value) > 1e-12 else 0.0
