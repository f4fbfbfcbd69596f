"""Kinds of messages, across topics, on which the model is weaker than on others of the same topic, or that are rare."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from posology.gaps.proportions import Comparison, compare_within, holm, wilson
from posology.gaps.signs import dimensions
from posology.records import Conversation, TextRule

SMALLEST = 20  # scored rows, in the slice and outside, for a test
THIN_SHARE = 0.05
LEVEL = 0.05


@dataclass(frozen=True, slots=True)
class SliceGap:
    """One value of one dimension, and how the model does there.

    Attributes:
        slice: The dimension: `length`, `register`, `casing`, `typos`, `mood` or `turns`.
        value: The value.
        n: Training conversations with it.
        share: Of all training conversations, in [0, 1].
        recall: Share of right cross-validated answers, None if none was made.
        ci95: Its Wilson interval.
        difference: Recall here less recall elsewhere, compared within topics; None where they cannot be compared.
        difference_ci95: Its 95 % interval.
        p_adjusted: Two-sided p-value, Holm's correction over all slices that were tested; None if not tested.
        flag: A sentence if the slice is weaker than the rest beyond chance, else None.
        note: A sentence if the slice is rare or too small for a test, else the empty string.
    """

    slice: str
    value: str
    n: int
    share: float
    recall: float | None
    ci95: tuple[float, float] | None
    difference: float | None
    difference_ci95: tuple[float, float] | None
    p_adjusted: float | None
    flag: str | None
    note: str


def slices(
    train: Sequence[Conversation], predicted: Sequence[str | None], *, text_rule: TextRule | None = None
) -> list[SliceGap]:
    """Judges every slice.

    Slices are compared with the rest within topics, so a slice is not called weak because it is common in hard topics.

    Args:
        train: Real, labelled training conversations.
        predicted: For each, the topic that a model said which had not seen it; None where no model could.
        text_rule: Which turns count; by default the customer's.

    Returns:
        One entry a slice, in a fixed order; empty if there is no training data.

    Raises:
        ValueError: The two sequences differ in length, or a conversation has no topic.
    """
    if len(train) != len(predicted):
        raise ValueError(f"{len(train)} conversations but {len(predicted)} predictions")
    if not train:
        return []
    labels = [c.label for c in train]
    strata = np.unique(labels, return_inverse=True)[1].astype(np.intp)
    scored = np.array([said is not None for said in predicted])
    right = np.array([said == label for said, label in zip(predicted, labels, strict=True)])
    judged: list[SliceGap] = []
    compared: list[Comparison | None] = []
    for name, (values, possible) in dimensions(train, text_rule or TextRule()).items():
        found = np.array(values, dtype=object)
        for value in possible:
            inside = found == value
            judged.append(_counted(name, value, inside, scored, right))
            testable = min((inside & scored).sum(), (~inside & scored).sum()) >= SMALLEST
            compared.append(compare_within(right[scored], inside[scored], strata[scored]) if testable else None)
    adjusted = iter(holm([c.p for c in compared if c is not None]))
    return [
        slice_gap if comparison is None else _compared(slice_gap, comparison, next(adjusted))
        for slice_gap, comparison in zip(judged, compared, strict=True)
    ]


def _counted(
    name: str, value: str, inside: NDArray[np.bool_], scored: NDArray[np.bool_], right: NDArray[np.bool_]
) -> SliceGap:
    n, n_scored = int(inside.sum()), int((inside & scored).sum())
    share = n / len(inside)
    correct = int((inside & scored & right).sum())
    rare = f"thin: {share:.1%} of the training data" if share < THIN_SHARE else ""
    if n == 0:
        rare = "none in the training data"
    small = "too few for a test" if 0 < n_scored < SMALLEST else ""
    return SliceGap(
        slice=name,
        value=value,
        n=n,
        share=share,
        recall=correct / n_scored if n_scored else None,
        ci95=wilson(correct, n_scored) if n_scored else None,
        difference=None,
        difference_ci95=None,
        p_adjusted=None,
        flag=None,
        note="; ".join(part for part in (rare, small) if part),
    )


def _compared(gap: SliceGap, comparison: Comparison, p_adjusted: float) -> SliceGap:
    low, high = comparison.ci95
    flag = None
    if p_adjusted < LEVEL and comparison.difference < 0:
        flag = (
            f"weaker than the rest of the same topics: recall {comparison.difference:+.2f} [{low:+.2f}, {high:+.2f}], "
            f"p = {p_adjusted:.2g} after correction"
        )
    return replace(
        gap, difference=comparison.difference, difference_ci95=comparison.ci95, p_adjusted=p_adjusted, flag=flag
    )
