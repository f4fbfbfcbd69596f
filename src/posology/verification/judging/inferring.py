"""Opinions on candidates that the panel did not see, learned from those that it did.

A learned score enters the composite and rejects nothing: its finding is `unscored`, with the typical error in words.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posology.records import Finding
from posology.verification.judging.panel import Limits, Opinion, scaled
from posology.verification.learning import Learned, learn


def inferred(
    opinions: Sequence[Opinion],
    applies: Mapping[int, Sequence[str]],
    vectors: NDArray[np.float32] | None,
    signals: NDArray[np.float64],
    limits: Limits,
    *,
    seed: int = 0,
) -> tuple[dict[int, Opinion], dict[str, dict[str, Any]]]:
    """What the panel would say of the rest.

    Args:
        opinions: One a candidate; without findings where there is none.
        applies: Places of the rest, and the criteria that apply to each.
        vectors: Of all candidates, shape (n, d); None: signals alone.
        signals: Scores of data checks, shape (n, k).
        limits: The floor, to be named in the findings.
        seed: Of folds and bootstrap.

    Returns:
        Opinions by place, and by criterion how well it could be learned.
    """
    learned: dict[str, Learned] = {}
    for name in dict.fromkeys(name for names in applies.values() for name in names):
        learned[name] = learn(vectors, signals, _given(opinions, f"judge_{name}"), seed=seed)
    found = {place: _opinion(place, names, learned, limits) for place, names in applies.items()}
    return found, {name: _facts(one) for name, one in learned.items()}


def _given(opinions: Sequence[Opinion], check: str) -> NDArray[np.float64]:
    """The panel's mean scores on one criterion, NaN where there is none that counts."""
    scores = np.full(len(opinions), np.nan)
    for place, opinion in enumerate(opinions):
        for finding in opinion.findings:
            if finding.check == check and finding.state != "unscored" and finding.score is not None:
                scores[place] = finding.score
    return scores


def _opinion(place: int, names: Sequence[str], learned: Mapping[str, Learned], limits: Limits) -> Opinion:
    findings: list[Finding] = []
    scores: dict[str, float | None] = {}
    for name in names:
        check, score = f"judge_{name}", float(learned[name].predicted[place])
        if math.isnan(score):
            findings.append(Finding(check, "unscored", threshold=limits.floor, detail="Not judged, not learnable."))
            scores[check] = None
        else:
            detail = f"Not judged but learned, with a typical error of {learned[name].rmse or 0:.2f} points."
            findings.append(Finding(check, "unscored", score, limits.floor, detail))
            scores[check] = scaled(score)
    return Opinion(tuple(findings), scores)


def _facts(one: Learned) -> dict[str, Any]:
    return {
        "learnable": one.learnable,
        "n": one.n,
        "r2": one.r2,
        "r2_ci95": one.r2_ci95,
        "rmse": one.rmse,
        "summary": one.summary,
    }
