"""What else a run folder holds that the report shows: gaps, manifests, rejected rows. All of it optional.

A file that is missing or damaged costs its section and no more; `Note` says which and why, so that nothing is left out
silently.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from posology import store
from posology.errors import StoreError
from posology.report import formatting as fmt
from posology.report.results import Bounds
from posology.report.verification import Verification, verification

EXAMPLES = 3  # kept for each reason
TURNS = 4  # shown of an example
TURN_LENGTH = 280  # characters


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class GapRow(_Part):
    """One topic and how many examples it wants."""

    topic: str
    n_real: int
    recall: float | None = None
    recall_ci95: Bounds | None = None
    want: int
    reason: str = ""


class SliceRow(_Part):
    """A kind of message across topics, and how the model does there."""

    slice: str
    value: str
    n: int
    share: float
    recall: float | None = None
    ci95: Bounds | None = None
    difference: float | None = None
    difference_ci95: Bounds | None = None
    p_adjusted: float | None = None
    flag: str | None = None
    note: str = ""


class Excerpt(_Part):
    """The beginning of a conversation."""

    id: str
    text: str


class Cluster(_Part):
    """Production traffic that resembles itself and nothing in the training data."""

    size: int
    share: float
    nearest_topic: str
    similarity: float
    words: list[str] = []
    examples: list[Excerpt] = []


class Traffic(_Part):
    """What production traffic shows that training data lacks."""

    n: int
    n_far: int
    far_quantile: float | None = None
    n_noise: int = 0
    clusters: list[Cluster] = []


class Gaps(_Part):
    """The parts of gaps/gaps.json that the report shows."""

    topics: list[GapRow]
    slices: list[SliceRow] = []
    traffic: Traffic | None = None


@dataclass(frozen=True, slots=True)
class Example:
    """A rejected conversation, cut to what a page needs.

    Attributes:
        id: Its id.
        topic: Its label, or the empty string.
        turns: Role and text of the first turns.
        detail: Why, in a sentence.
        reason: The code of the reason, or the empty string.
    """

    id: str
    topic: str
    turns: tuple[tuple[str, str], ...]
    detail: str
    reason: str = ""


@dataclass(slots=True)
class Rejected:
    """The rows that a stage set aside.

    Attributes:
        counts: Rows by reason.
        examples: The first few rows of each reason.
        unreadable: Lines that were no JSON object.
    """

    counts: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[Example]] = field(default_factory=dict)
    unreadable: int = 0


@dataclass(frozen=True, slots=True)
class Sources:
    """Everything optional of a run folder; None where a file is missing or damaged, with a line in `notes`.

    Attributes:
        gaps: gaps/gaps.json.
        manifests: The manifest of each stage that has one, in the order of the pipeline.
        verified: What verification found.
        rejected: Candidates set aside by selection.
        set_aside: Real conversations set aside by the split.
        notes: File and what is the matter with it.
    """

    gaps: Gaps | None
    manifests: Mapping[str, Mapping[str, Any]]
    verified: Verification | None
    rejected: Rejected | None
    set_aside: Rejected | None
    notes: Mapping[str, str]

    @property
    def warnings(self) -> list[str]:
        """The warnings of every stage's manifest, in order; the self-consuming loop tells its own on its page."""
        found = []
        for stage, manifest in self.manifests.items():
            value = manifest.get("warnings") if stage != "recurse" else None
            found += [str(item) for item in value] if isinstance(value, list) else []
        return found


def collect(run: Path) -> Sources:
    """Reads what there is."""
    notes: dict[str, str] = {}
    manifests = {}
    for stage in store.STAGES:
        if stage != "report":
            value = _json(run, f"{stage}/manifest.json", notes)
            if isinstance(value, dict):
                manifests[stage] = value
    return Sources(
        gaps=_gaps(run, notes),
        manifests=manifests,
        verified=verification(run, manifests.get("verify")),
        rejected=_rejected(run, "select/rejected.jsonl", notes),
        set_aside=_rejected(run, "split/rejected.jsonl", notes),
        notes=notes,
    )


def _json(run: Path, name: str, notes: dict[str, str]) -> Any:  # noqa: ANN401 - checked by the caller
    if not (run / name).exists():
        notes[name] = "is missing"
        return None
    try:
        return store.read_json(run / name)
    except StoreError:
        notes[name] = "is damaged"
        return None


def _gaps(run: Path, notes: dict[str, str]) -> Gaps | None:
    name = "gaps/gaps.json"
    value = _json(run, name, notes)
    if value is None:
        return None
    try:
        return Gaps.model_validate(value)
    except ValidationError:
        notes[name] = "is damaged"
        return None


def _rejected(run: Path, name: str, notes: dict[str, str]) -> Rejected | None:
    """Counts a file of any length, keeping a few examples of each reason."""
    path = run / name
    if not path.exists():
        notes[name] = "is missing"
        return None
    found = Rejected()
    try:
        with path.open(encoding="utf-8", errors="replace") as lines:
            for row in _rows(lines, found):
                reason = str(row.get("reason") or "no reason given")
                found.counts[reason] += 1
                kept = found.examples.setdefault(reason, [])
                if len(kept) < EXAMPLES:
                    kept.append(example(row))
    except OSError:
        notes[name] = "cannot be read"
        return None
    return found


def _rows(lines: Iterator[str], found: Rejected) -> Iterator[dict[str, Any]]:
    for line in lines:
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError:
            row = None
        if isinstance(row, dict):
            yield row
        else:
            found.unreadable += 1


def example(row: Mapping[str, Any]) -> Example:
    """A row of a rejected or passed conversation, cut to what a page needs."""
    messages = row.get("messages")
    turns = [turn for turn in messages if isinstance(turn, dict)] if isinstance(messages, list) else []
    return Example(
        id=str(row.get("id", "")),
        topic=str(row.get("topic") or ""),
        turns=tuple((str(turn.get("role", "")), fmt.clip(_said(turn), TURN_LENGTH)) for turn in turns[:TURNS]),
        detail=fmt.clip(str(row.get("detail") or ""), TURN_LENGTH),
        reason=str(row.get("reason") or ""),
    )


def _said(turn: Mapping[str, Any]) -> str:
    """The text of a turn; content given as parts is joined."""
    content = turn.get("content")
    if isinstance(content, list):
        content = " ".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return str(content or "")
