"""What real conversations do is no defect: thresholds that next to no real conversation passes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

ENOUGH = 200  # values, from where on the top 0.5 % can be told


def highest_usual(values: Sequence[float], *, at_least: float, share: float = 0.005) -> float:
    """The value that at most a share of real conversations exceeds, and no less than a floor.

    Args:
        values: What was measured on real conversations.
        at_least: What is usual whatever the data says; the answer where there are fewer than `ENOUGH` values.
        share: The share of real conversations that may lie above.
    """
    if len(values) < ENOUGH:
        return at_least
    return max(at_least, float(np.quantile(np.asarray(values, dtype=np.float64), 1 - share, method="higher")))
