"""What a run folder holds of verification: the counts of its manifest, and the best and worst candidates."""

from __future__ import annotations

import heapq
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from posology.report.results import Share

SHOWN = 4  # examples on either side
LONGEST_LINE = 1_000_000  # characters; a longer row is no example for a page

Count = Annotated[int, Field(ge=0)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class CheckCounts(_Part):
    """How many candidates a check passed, failed and could not judge."""

    passed: Count = Field(0, alias="pass")
    fail: Count = 0
    unscored: Count = 0


class Distribution(_Part):
    """Candidates in equal parts of [0, 1] by score."""

    passed: list[Count]
    rejected: list[Count]


class Privacy(_Part):
    """What of real customers was looked for, and how often it was found."""

    detector: str = ""
    n_protected: Count = 0
    span_words: Count = 0


class Judge(_Part):
    """One judge, and how its judgements by the rubric went."""

    name: str
    states: dict[str, Count] = {}
    always: int | None = None


class Agreed(_Part):
    """Krippendorff's alpha on one criterion."""

    alpha: float | None = None
    verdict: str = ""


class Question(_Part):
    """Candidates that data left in doubt, and what judges said of them."""

    in_doubt: Count = 0
    asked: Count = 0
    settled: dict[str, Count] = {}


class Questions(_Part):
    """What judges were asked beside the rubric."""

    topic: Question = Question()
    retells: Question = Question()


class Judging(_Part):
    """What judges did."""

    judges: list[Judge] = []
    agreement: dict[str, Agreed] = {}
    questions: Questions = Questions()


class Summary(_Part):
    """The parts of verify/manifest.json that the report shows."""

    n_candidates: Count
    n_passed: Count
    n_relabelled: Count = 0
    pass_rate: Share | None = None
    rejected: dict[str, Count] = {}
    checks: dict[str, CheckCounts] = {}
    distributions: dict[str, Distribution] = {}
    privacy: Privacy = Privacy()
    judging: Judging | None = None


@dataclass(frozen=True, slots=True)
class Verification:
    """What the section shows.

    Attributes:
        summary: Counts and distributions.
        best: Rows of passed candidates with the highest composite.
        worst: Rows of rejected ones with the lowest.
    """

    summary: Summary
    best: tuple[Mapping[str, Any], ...]
    worst: tuple[Mapping[str, Any], ...]

    @property
    def silent(self) -> list[str]:
        """Checks that could not judge a single candidate."""
        return [name for name, n in self.summary.checks.items() if n.unscored and not n.passed and not n.fail]


def verification(run: Path, manifest: Mapping[str, Any] | None) -> Verification | None:
    """Reads what verification left; None if there is no manifest, or one that is not its own."""
    if manifest is None:
        return None
    try:
        summary = Summary.model_validate(manifest)
    except ValidationError:
        return None
    best = heapq.nlargest(SHOWN, _ranked(run / "verify" / "passed.jsonl", missing=-1.0), key=lambda item: item[:2])
    worst = heapq.nsmallest(SHOWN, _ranked(run / "verify" / "rejected.jsonl", missing=2.0), key=lambda item: item[:2])
    return Verification(summary, tuple(row for *_, row in best), tuple(row for *_, row in worst))


def _ranked(path: Path, missing: float) -> Iterator[tuple[float, int, dict[str, Any]]]:
    """Composite, place and row of every readable line."""
    if not path.exists():
        return
    with path.open(encoding="utf-8", errors="replace") as lines:
        for place, line in enumerate(lines):
            try:
                row = json.loads(line) if len(line) <= LONGEST_LINE else None
            except ValueError:
                continue
            if isinstance(row, dict):
                composite = row.get("composite")
                score = float(composite) if isinstance(composite, int | float) else missing
                # Of equal scores the first row is shown, whichever end is looked at.
                yield score, -place if missing < 0 else place, row
