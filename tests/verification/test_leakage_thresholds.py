"""Limits that real rows set."""

import numpy as np
import pytest

from posology.verification.leakage.thresholds import threshold


def test_the_stated_share_of_rows_lies_above_and_the_interval_covers_the_truth():
    rng = np.random.default_rng(0)
    truth, covered = 1.6448536, 0  # the 95 % quantile of the normal distribution
    for _ in range(300):
        limit = threshold(rng.normal(size=400), rate=0.05, floor=-9)
        covered += limit.low <= truth <= limit.high
    assert covered / 300 > 0.92
    scores = rng.normal(size=1000)
    limit = threshold(scores, rate=0.05, floor=-9)
    assert (scores > limit.value).mean() <= 0.05 < (scores >= limit.value).mean() + 0.002


@pytest.mark.parametrize(
    ("n", "rate", "enough"), [(71, 0.05, False), (72, 0.05, True), (0, 0.05, False), (182, 0.02, False)]
)
def test_too_few_rows_set_no_limit(n, rate, enough):
    assert (threshold(np.zeros(n), rate=rate, floor=0.0) is not None) is enough


def test_the_floor_holds_where_real_rows_are_far_away():
    limit = threshold(np.full(100, 0.1), rate=0.05, floor=0.6)
    assert (limit.low, limit.value, limit.high) == (0.6, 0.6, 0.6)
