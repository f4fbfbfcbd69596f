"""From the judgements of several judges to scores and findings of each candidate."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from posology.records import CheckState, Finding
from posology.verification.judging.replies import Judgement
from posology.verification.judging.rubric import SCALE


@dataclass(frozen=True, slots=True)
class Limits:
    """When scores count, and when they fail a candidate.

    Attributes:
        floor: Mean score, from 1 to 5, below which a criterion fails.
        disagreement: Points between two judges beyond which a criterion counts as unscored.
    """

    floor: float = 3.0
    disagreement: float = 2.0


@dataclass(frozen=True, slots=True)
class Opinion:
    """What a panel says of one candidate.

    Attributes:
        findings: One a criterion that applied, named `judge_CRITERION`; the score is the mean from 1 to 5.
        scores: In [0, 1] by the same names; None where the panel could not judge.
        judges: Those whose scores count.
    """

    findings: tuple[Finding, ...] = ()
    scores: Mapping[str, float | None] | None = None
    judges: tuple[str, ...] = ()


def opinion(judgements: Sequence[Judgement], limits: Limits | None = None, *, ignored: Collection[str] = ()) -> Opinion:
    """Puts the judgements of one candidate together.

    Args:
        judgements: One a judge that was asked.
        limits: When scores count and fail.
        ignored: Names of judges whose scores say nothing, because they are always the same.
    """
    limits = limits or Limits()
    findings: list[Finding] = []
    scores: dict[str, float | None] = {}
    for name in dict.fromkeys(name for judgement in judgements for name in judgement.asked):
        given = [j.scores[name] for j in judgements if name in j.scores and j.judge not in ignored]
        finding = _finding(name, given, judgements, limits)
        findings.append(finding)
        scores[finding.check] = None if finding.state == "unscored" else scaled(float(np.mean(given)))
    if judgements and not findings:  # nothing was asked: it could not be shown to a judge
        findings.append(Finding("judge", "unscored", detail=_why(judgements)))
    judges = tuple(j.judge for j in judgements if j.scores and j.judge not in ignored)
    return Opinion(tuple(findings), scores, judges)


def scaled(score: float) -> float:
    """A score from 1 to 5 as one from 0 to 1."""
    return (score - SCALE[0]) / (SCALE[1] - SCALE[0])


def table(judgements: Sequence[Judgement | None], criteria: Sequence[str]) -> NDArray[np.float64]:
    """Scores of one judge, shape (candidates, criteria), NaN where there is none."""
    rows = [[np.nan if j is None else j.scores.get(name, np.nan) for name in criteria] for j in judgements]
    return np.array(rows, dtype=float).reshape(len(judgements), len(criteria))


def _finding(name: str, given: Sequence[int], judgements: Sequence[Judgement], limits: Limits) -> Finding:
    check = f"judge_{name}"
    if not given:
        return Finding(check, "unscored", threshold=limits.floor, detail=_why(judgements))
    mean, spread = float(np.mean(given)), max(given) - min(given)
    if spread > limits.disagreement:
        detail = f"The judges disagree: scores from {min(given)} to {max(given)}."
        return Finding(check, "unscored", mean, limits.floor, detail)
    who = "one judge" if len(given) == 1 else f"{len(given)} judges"
    state: CheckState = "fail" if mean < limits.floor else "pass"
    return Finding(check, state, mean, limits.floor, f"{mean:g} of {SCALE[1]} by {who}.")


def _why(judgements: Sequence[Judgement]) -> str:
    """Why there is no score."""
    states = sorted({j.state for j in judgements if not j.scores})
    if not states:
        return "No judge gave a score that counts."
    return f"No score: {', '.join(states).replace('_', ' ')}."
