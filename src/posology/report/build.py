"""One self-contained HTML file from the result files of a run: no script, no font, no image, nothing from a network.

Reads stored results only and computes nothing that decides anything: what the report says is in the files. Same files,
same bytes; no date is written.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from posology import store
from posology.report import costs, dose_plot, label_plot, marks, results, sources, wording
from posology.report import formatting as fmt
from posology.report.pages import REPORT, link_pages
from posology.report.results import Arm, DoseResponse, TopicRow
from posology.report.sources import Example, Rejected, SliceRow, Sources

TITLE = "Dose-response report"
OPEN_ROWS = 12  # of a long table; the rest is folded
MOST_ROWS = 400  # of any table, so that the file stays small; the result files hold all of them
MOST_WARNINGS = 40
NAME_LENGTH = 120  # characters of a topic's name
VALUE_LENGTH = 400  # characters of a value of the identity
MOST_ENTRIES = 40  # of a list or object of the identity; a longer one is counted
ELSEWHERE = frozenset(  # of a manifest
    "schema_version stage files timings warnings removed rejected checks distributions pass_rate".split()
)


@dataclass(frozen=True, slots=True)
class DoseGroup:
    """The arms of one dose, selected first."""

    dose: float
    arms: tuple[Arm, ...]
    prob_best: float | None
    recommended: bool


@dataclass(frozen=True, slots=True)
class ReasonRow:
    """One reason for which rows were rejected."""

    code: str
    words: str
    count: int
    share: float
    examples: tuple[Example, ...]


def build(run: Path, *, title: str | None = None) -> str:
    """The report of a run as HTML.

    Args:
        run: The run folder; `sweep/dose_response.json` is required, everything else optional.
        title: Heading of the page.

    Returns:
        The whole document.

    Raises:
        StoreError: The sweep's result is missing or damaged.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    result = results.load(run)
    found = sources.collect(run)
    environment = Environment(
        loader=PackageLoader("posology.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"name": _name, "reason": wording.reason_in_words}
    environment.globals |= {"fmt": fmt, "marks": marks, "wording": wording}
    page = environment.get_template("report.html.j2").render(_view(result, found, title or TITLE))
    # JSON can hold half of a surrogate pair (a cut emoji); UTF-8 cannot.
    return page.encode("utf-8", "replace").decode("utf-8")


def write_report(run: Path, *, title: str | None = None) -> Path:
    """Writes `report/report.html` into the run folder, and links it and the other pages to each other.

    Args:
        run: The run folder.
        title: Heading of the page.

    Returns:
        The file.

    Raises:
        StoreError: The sweep's result is missing or damaged, or the file cannot be written.
    """
    page = build(run, title=title)
    path = run / REPORT
    with store.writing(path) as handle:
        handle.write(page)
    link_pages(run)
    return path


def _view(result: DoseResponse, found: Sources, title: str) -> dict[str, Any]:
    """Everything the template names, in the order of the page."""
    deltas = [arm.delta_vs_real_only for arm in result.arms]
    resolvable = result.holdout.smallest_resolvable_difference
    paid = costs.rows(found.manifests)
    gaps = sorted(found.gaps.topics, key=lambda row: (-row.want, row.topic)) if found.gaps else []
    return {
        "title": title,
        "result": result,
        "found": found,
        "warnings": _warnings(result, found),
        "dose_figure": dose_plot.figure(result),
        "has_tail": dose_plot.has_tail(result),
        "axis": dose_plot.axis_range(result),
        "groups": _groups(result),
        "scale": marks.scale(deltas, resolvable),
        "resolvable": resolvable,
        "topics": _by_change(result.topics.rows)[:MOST_ROWS] if result.topics else [],
        "confusion_scale": max((n for row in result.confusions or () for n in (row.before, row.after)), default=0) or 1,
        "verified": found.verified,
        "best": [sources.example(row) for row in found.verified.best] if found.verified else [],
        "worst": [sources.example(row) for row in found.verified.worst] if found.verified else [],
        "rejected": _reasons(result.rejected, found.rejected),
        "set_aside": _reasons({}, found.set_aside),
        "costs": paid,
        "cost": costs.total(paid),
        "currency": result.labels.currency if result.labels else "$",
        "generated": costs.generated(found.manifests),
        "label_figure": label_plot.figure(result),
        "gaps": gaps[:MOST_ROWS],
        "slices": _slices(found),
        "counts": _counts(found.manifests),
        "identity": list(_flat(result.identity)),
        "stages": {stage: list(_flat(_facts(manifest))) for stage, manifest in found.manifests.items()},
        "timings": _timings(found.manifests),
        "open_rows": OPEN_ROWS,
    }


def _name(topic: str) -> str:
    return fmt.clip(topic, NAME_LENGTH)


def _warnings(result: DoseResponse, found: Sources) -> list[str]:
    """Distinct warnings, overrides first: they qualify everything below."""
    distinct = dict.fromkeys([*result.warnings, *found.warnings])
    ordered = sorted(distinct, key=lambda text: "overrid" not in text.lower())
    return [fmt.clip(text, 2 * VALUE_LENGTH) for text in ordered[:MOST_WARNINGS]]


def _groups(result: DoseResponse) -> list[DoseGroup]:
    groups = []
    for dose in sorted({arm.dose for arm in result.arms}):
        arms = tuple(arm for arm in [*result.selected, *result.controls] if arm.dose == dose)
        chance = result.probability_best(dose)
        groups.append(DoseGroup(dose, arms, chance, recommended=dose == result.recommendation.dose))
    return groups


def _by_change(rows: list[TopicRow]) -> list[TopicRow]:
    """Largest change first, in either direction; topics that were not measured last."""
    return sorted(rows, key=lambda row: (row.change is None, -abs(row.change or 0.0), row.topic))


def _reasons(counted: Mapping[str, int], read: Rejected | None) -> list[ReasonRow]:
    """Counts of the sweep's result, completed from the rejected rows; most frequent first."""
    counts = (dict(read.counts) if read else {}) | dict(counted)
    most = max(counts.values(), default=0)
    examples = read.examples if read else {}
    return [
        ReasonRow(code, wording.reason_in_words(code), n, n / most if most else 0.0, tuple(examples.get(code, ())))
        for code, n in sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:MOST_ENTRIES]
    ]


def _slices(found: Sources) -> list[SliceRow]:
    """Flagged slices first, then by how weak they are; slices without a conversation are left out."""
    rows = [row for row in found.gaps.slices if row.n] if found.gaps else []
    return sorted(rows, key=lambda row: (row.flag is None, row.difference or 0.0))[:MOST_ROWS]


def _text(value: object) -> str:
    """A value of unknown kind for people."""
    if value is None:
        return fmt.DASH
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.4g}"
    if isinstance(value, list):
        return fmt.clip(", ".join(_text(item) for item in value), VALUE_LENGTH)
    return fmt.clip(str(value), VALUE_LENGTH)


def _flat(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Names and values of a nested object; what is long is counted instead."""
    for key, item in itertools.islice(value.items(), MOST_ENTRIES):
        name = f"{prefix}{fmt.clip(key, NAME_LENGTH)}"
        if isinstance(item, dict | list) and len(item) > MOST_ENTRIES:
            yield name, f"{fmt.count(len(item))} entries"
        elif isinstance(item, dict):
            yield from _flat(item, f"{name} \u203a ")
        else:
            yield name, _text(item)


def _facts(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """A manifest without what stands elsewhere on the page."""
    return {key: value for key, value in manifest.items() if key not in ELSEWHERE and not key.startswith("n_")}


def _counts(manifests: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, str]]:
    """What the stages before the sweep counted, as stage and words."""
    rows = []
    for stage, manifest in manifests.items():
        counted = [(key[2:], value) for key, value in manifest.items() if key.startswith("n_")]
        said = [f"{name.replace('_', ' ')} {fmt.count(value)}" for name, value in counted if isinstance(value, int)]
        if said and stage != "sweep":
            rows.append((stage, ", ".join(said)))
    return rows


def _timings(manifests: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Stage and the seconds of its steps."""
    rows = []
    for stage, manifest in manifests.items():
        timings = manifest.get("timings")
        steps = timings.items() if isinstance(timings, dict) else ()
        said = [f"{step} {fmt.seconds(s)}" for step, s in steps if isinstance(s, int | float) and math.isfinite(s)]
        if said:
            rows.append((stage, ", ".join(said)))
    return rows
