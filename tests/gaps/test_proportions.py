import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from posology.gaps.proportions import compare_within, holm, wilson


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"), [(1, 3, 0.0615, 0.7923), (0, 10, 0.0, 0.2775), (81, 263, 0.2553, 0.3662)]
)
def test_wilson_published_values(successes, trials, low, high):
    assert wilson(successes, trials) == pytest.approx((low, high), abs=1e-4)


@given(st.integers(1, 10_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_holds_the_estimate(pair):
    low, high = wilson(*pair)
    assert 0 <= low <= pair[0] / pair[1] <= high <= 1


@pytest.mark.parametrize("pair", [(0, 0), (-1, 3), (4, 3)])
def test_wilson_refuses_what_is_no_share(pair):
    with pytest.raises(ValueError, match="share"):
        wilson(*pair)


def table(cells):
    """Rows from (stratum, inside, right, count)."""
    columns = [np.repeat([c[i] for c in cells], [c[3] for c in cells]) for i in range(3)]
    return {"strata": columns[0].astype(np.intp), "inside": columns[1].astype(bool), "right": columns[2].astype(bool)}


def test_one_stratum_is_the_plain_difference():
    found = compare_within(**table([(0, 1, 1, 30), (0, 1, 0, 20), (0, 0, 1, 90), (0, 0, 0, 10)]))
    assert found.difference == pytest.approx(0.6 - 0.9)
    # The unpooled normal interval, to which Sato's variance comes down in one stratum.
    error = math.sqrt(0.6 * 0.4 / 50 + 0.9 * 0.1 / 100)
    assert found.ci95[1] - found.ci95[0] == pytest.approx(2 * 1.96 * error, rel=0.06)
    assert found.p < 1e-4


def test_known_mantel_haenszel_test():
    # UC Berkeley admissions of six departments, men against women: R's mantelhaen.test gives X2 = 1.4269, p = 0.2323
    # with continuity correction.
    admitted = [(512, 313, 89, 19), (353, 207, 17, 8), (120, 205, 202, 391), (138, 279, 131, 244), (53, 138, 94, 299)]
    admitted.append((22, 351, 24, 317))
    cells = [
        (s, inside, right, n)
        for s, row in enumerate(admitted)
        for (inside, right), n in zip([(1, 1), (1, 0), (0, 1), (0, 0)], row, strict=True)
    ]
    assert compare_within(**table(cells)).p == pytest.approx(0.2323, abs=2e-4)


def test_a_group_rich_in_hard_strata_is_not_weak():
    # Same recall inside and outside in each stratum, but most of the group is in the hard one.
    cells = [(0, 1, 1, 40), (0, 1, 0, 40), (0, 0, 1, 10), (0, 0, 0, 10), (1, 1, 1, 9), (1, 1, 0, 1)]
    cells += [(1, 0, 1, 90), (1, 0, 0, 10)]
    found = compare_within(**table(cells))
    assert found.difference == pytest.approx(0.0)
    assert found.p == 1.0


def test_intervals_cover_and_tests_hold_their_level_on_sparse_strata():
    rng = np.random.default_rng(1)
    strata = np.repeat(np.arange(60), 4)
    base = rng.uniform(0.5, 0.8, 60)[strata]
    covered, alarms = 0, 0
    for _ in range(300):
        inside = rng.random(len(strata)) < 0.4
        null = rng.random(len(strata)) < base
        shifted = rng.random(len(strata)) < base - 0.15 * inside
        alarms += compare_within(null, inside, strata).p < 0.05
        low, high = compare_within(shifted, inside, strata).ci95
        covered += low <= -0.15 <= high
    assert alarms <= 25
    assert covered >= 270


@pytest.mark.parametrize("inside", [[True, True], [False, False], [True, False]])
def test_no_stratum_with_both_sides_is_no_comparison(inside):
    strata = np.array([0, 1])
    assert compare_within(np.array([True, False]), np.array(inside), strata) is None


def test_all_right_is_no_difference():
    found = compare_within(np.ones(40, bool), np.arange(40) < 20, np.zeros(40, np.intp))
    assert (found.difference, found.ci95, found.p) == (0.0, (0.0, 0.0), 1.0)


def test_holm():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), max_size=20))
def test_holm_lies_between_raw_and_bonferroni(p_values):
    for raw, adjusted in zip(p_values, holm(p_values), strict=True):
        assert raw <= adjusted <= min(1.0, len(p_values) * raw)
