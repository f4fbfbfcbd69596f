import numpy as np
import pytest

from posology.collapse.calibration import calibrate, from_scale, harmful, to_scale
from posology.collapse.indicators import INDICATORS

K = len(INDICATORS)
SIZES = np.full(K, 200.0)


def draws(n, seed, share=0.1):
    rng = np.random.default_rng(seed)
    values = np.empty((n, K))
    for k, indicator in enumerate(INDICATORS):
        values[:, k] = (
            rng.binomial(200, share, n) / 200 if indicator.scale == "share" else np.exp(rng.normal(0, 0.1, n))
        )
    return values


def test_scales_can_be_undone():
    values = draws(5, 0)
    assert from_scale(to_scale(values, SIZES), SIZES) == pytest.approx(values)


def test_fresh_real_sets_raise_an_alarm_in_one_of_twenty():
    alarms = []
    for seed in range(150):
        null = calibrate(draws(59, seed), SIZES, np.ones(K))
        fresh = draws(4, 10_000 + seed)
        alarms += (np.abs(harmful(null.deviations(fresh))).max(axis=1) > null.limit).tolist()
    assert 0.02 <= np.mean(alarms) <= 0.08  # 600 sets


def test_a_figure_that_never_varies_lets_one_odd_row_pass_but_not_ten():
    constant = draws(59, 0)
    k = next(i for i, indicator in enumerate(INDICATORS) if indicator.name == "near_copies")
    constant[:, k] = 0
    null = calibrate(constant, SIZES, np.ones(K))
    odd = np.tile(constant.mean(axis=0), (2, 1))
    odd[0, k], odd[1, k] = 1 / 200, 20 / 200
    away = null.deviations(odd)[:, k]
    assert abs(away[0]) < null.limit < away[1]


def test_more_variety_than_real_text_does_no_harm_where_it_says_so():
    away = np.zeros(K)
    k = next(i for i, indicator in enumerate(INDICATORS) if indicator.name == "near_copies")
    away[k] = -9
    assert not harmful(away).any()
    assert harmful(-away)[k] == 9


def test_an_indicator_without_values_is_left_out_of_the_limit():
    values = draws(59, 0)
    values[:, 3] = np.nan
    assert np.isfinite(calibrate(values, SIZES, np.ones(K)).limit)
