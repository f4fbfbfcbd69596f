"""What is told of a panel: how each judge scored, what else its scores follow, whether they agree, and what to fear."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posology.verification.judging.agreement import agreement
from posology.verification.judging.bias import length_effect, order_effects, uninformative
from posology.verification.judging.panel import table
from posology.verification.judging.replies import Judgement

Panel = Mapping[str, Sequence[Judgement]]
WORTH_A_WARNING = 0.1
"""Share of judgements without scores."""


def about(
    name: str,
    panel: Panel,
    swapped: Sequence[Judgement],
    criteria: Sequence[str],
    lengths: NDArray[np.float64],
    signals: NDArray[np.float64],
) -> dict[str, Any]:
    """What is to be known of one judge.

    Args:
        name: The judge.
        panel: Judgements by judge, all of the same n candidates in the same order.
        swapped: The judge's judgements with the criteria in the opposite order.
        criteria: Names of all criteria.
        lengths: Characters of the candidates, shape (n,).
        signals: Scores of data checks, shape (n, k).
    """
    own = panel[name]
    scores = table(own, criteria)
    others = [mean_of_rows(table(judgements, criteria)) for other, judgements in panel.items() if other != name]
    length = length_effect(mean_of_rows(scores), lengths, np.column_stack([signals, *others]))
    states = [judgement.state for judgement in own]
    means = mean_of_rows(scores.T)
    return {
        "name": name,
        "states": {state: states.count(state) for state in sorted(set(states))},
        "means": {c: round(float(m), 4) for c, m in zip(criteria, means, strict=True) if not np.isnan(m)},
        "always": uninformative(own),
        "order": {c: asdict(e) | {"matters": e.matters} for c, e in order_effects(own, swapped).items()},
        "length": None if length is None else asdict(length) | {"matters": length.matters},
    }


def agreements(panel: Panel, criteria: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Krippendorff's alpha by criterion; empty with fewer than two judges."""
    if len(panel) < 2:
        return {}
    tables = np.stack([table(judgements, criteria) for judgements in panel.values()])
    found = {name: agreement(tables[:, :, place]) for place, name in enumerate(criteria)}
    return {name: asdict(one) | {"verdict": one.verdict} for name, one in found.items() if one.n}


def warnings(judges: Sequence[Mapping[str, Any]], agreed: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """What the user should beware of, a sentence each.

    Args:
        judges: `about` each.
        agreed: `agreements`.
    """
    found = []
    for judge in judges:
        name, states = judge["name"], judge["states"]
        if judge["always"] is not None:
            found.append(f"{name} gives everything a {judge['always']}: it is uninformative, its scores do not count.")
        bad = {state.replace("_", " "): n for state, n in states.items() if state != "scored"}
        if sum(bad.values()) > WORTH_A_WARNING * sum(states.values()):
            reasons = ", ".join(f"{state} {n}" for state, n in bad.items())
            found.append(f"{name} gave no scores for {sum(bad.values())} candidates ({reasons}).")
        if moved := [criterion for criterion, effect in judge["order"].items() if effect["matters"]]:
            found.append(f"{name} scores {', '.join(moved)} differently when the criteria are reordered.")
        if judge["length"] is not None and judge["length"]["matters"]:
            way = "longer" if judge["length"]["partial"] > 0 else "shorter"
            found.append(f"{name} prefers {way} conversations, beyond what other signals explain.")
    if weak := [name for name, one in agreed.items() if one["verdict"] == "unreliable"]:
        found.append(f"the judges do not agree on {', '.join(weak)}: Krippendorff's alpha may be below 0.667.")
    return found


def mean_of_rows(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean of each row over what is there, NaN where nothing is."""
    there = (~np.isnan(values)).sum(axis=1)
    return np.where(there > 0, np.nansum(values, axis=1) / np.maximum(there, 1), np.nan)
