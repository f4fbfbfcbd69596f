import numpy as np
import pytest
from scipy.stats import chi2_contingency, ks_2samp
from sklearn.metrics import roc_auc_score

from posology.monitor import statistics as st


def test_equal_mixes_have_no_distance_and_either_side_may_lack_a_category():
    same = np.array([60.0, 30, 10])
    assert st.psi(same, same) == pytest.approx(0)
    assert st.chi_square(same, 10 * same) == pytest.approx(0)
    assert np.isfinite(st.psi(np.array([10.0, 0, 0]), np.array([0.0, 5, 5])))
    assert st.psi(np.array([10.0, 90, 0]), same) > 0.25


def test_chi_square_is_that_of_the_table():
    window, reference = np.array([12.0, 30, 8, 0]), np.array([100.0, 180, 120, 0])
    expected = chi2_contingency(np.array([window[:3], reference[:3]]), correction=False).statistic
    assert st.chi_square(window, reference) == pytest.approx(expected)


def test_a_change_is_the_signed_root_of_the_likelihood_ratio():
    table = np.array([[30, 170], [300, 3700]])
    expected = chi2_contingency(table, correction=False, lambda_="log-likelihood").statistic
    change = st.changes(np.array([30.0, 0]), np.array([300.0, 0]), 200, 4000)
    assert change == pytest.approx([np.sqrt(expected), 0])
    shrunk = st.changes(np.array([2.0]), np.array([300.0]), 200, 4000)
    assert shrunk[0] < 0
    assert st.largest_growth(np.array([30.0, 2]), np.array([300.0, 300]), 200, 4000) == pytest.approx(change[0])


def test_shifts_of_means_ignore_what_never_varies():
    spread = np.array([2.0, 0.0])
    moved = st.shifts(np.array([100.0, 5]), np.array([0.0, 50]), 100, 1000, spread)
    assert moved == pytest.approx([1 / (2 * np.sqrt(1 / 100 + 1 / 1000)), 0])
    assert st.largest_shift(np.zeros((3, 0)), np.zeros((3, 0)), 10, 10, np.zeros(0)).tolist() == [0, 0, 0]


def test_the_step_is_kolmogorov_and_smirnovs():
    rng = np.random.default_rng(0)
    first, second = rng.integers(0, 30, 80), rng.integers(5, 40, 300)
    cuts = np.unique(np.r_[first, second])
    counts = [(side[:, None] <= cuts).sum(axis=0) for side in (first, second)]
    assert st.largest_step(*counts, 80, 300) == pytest.approx(ks_2samp(first, second).statistic)


def test_many_areas_at_once():
    rng = np.random.default_rng(0)
    scores, inside = rng.standard_normal((50, 4)), rng.random((50, 4)) < 0.3
    expected = [roc_auc_score(inside[:, i], scores[:, i]) for i in range(4)]
    assert st.auc(scores, inside) == pytest.approx(expected)
