import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import binomtest, norm, t

from posology.evaluation.paired import contrasts, difference_matrix, majority, mcnemar_p


def versus_first(n_arms):
    return difference_matrix([(i, 0) for i in range(1, n_arms)], n_arms)


def test_difference_matrix():
    assert_array_equal(difference_matrix([(1, 0), (2, 1)], 3), [[-1, 1, 0], [0, -1, 1]])
    assert difference_matrix([], 3).shape == (0, 3)


def test_one_contrast_has_the_textbook_interval(scores_of, discordant):
    n, gained, lost = 200, 36, 10
    family = contrasts(scores_of(discordant(n, gained, lost), draws=8000), versus_first(2))
    mean = (gained - lost) / n
    se = np.sqrt(((gained + lost) / n - mean**2) / (n - 1) + 2 / n**2)
    assert family.mean[0] == pytest.approx(mean)
    assert family.se[0] == pytest.approx(se, rel=0.03)
    assert family.low[0] == pytest.approx(mean - t.isf(0.025, n - 1) * se, abs=0.004)
    assert family.p_adjusted[0] < 0.01
    assert family.significant()[0]


@pytest.mark.parametrize(("gained", "lost"), [(5, 0), (4, 0), (7, 1), (9, 2)])
def test_few_discordant_conversations_are_never_more_significant_than_mcnemar_says(scores_of, discordant, gained, lost):
    exact = binomtest(gained, gained + lost).pvalue
    assert exact > 0.05
    assert not contrasts(scores_of(discordant(200, gained, lost)), versus_first(2)).significant()[0]


@pytest.mark.parametrize(("gained", "lost"), [(8, 0), (14, 3), (30, 12)])
def test_clear_differences_are_as_significant_as_mcnemar_says(scores_of, discordant, gained, lost):
    family = contrasts(scores_of(discordant(200, gained, lost), draws=4000), versus_first(2))
    exact = binomtest(gained, gained + lost).pvalue
    assert family.significant()[0]
    assert exact / 4 < family.p_adjusted[0] < 4 * exact + 0.002


def test_p_below_the_level_means_an_interval_without_zero(scores_of):
    rng = np.random.default_rng(0)
    for seed in range(40):
        right = rng.random((4, 100)) < np.array([0.7, 0.75, 0.85, 0.6])[:, None]
        family = contrasts(scores_of(right, draws=400, seed=seed), versus_first(4))
        excludes = (family.low > 0) | (family.high < 0)
        assert not ((family.p_adjusted < 0.049) & ~excludes).any()


def test_more_arms_widen_the_intervals_no_more_than_sidak(scores_of):
    right = np.random.default_rng(1).random((9, 400)) < 0.75
    scores = scores_of(right, draws=4000)
    one, all_arms = contrasts(scores.take(np.array([0, 1])), versus_first(2)), contrasts(scores, versus_first(9))
    assert one.critical[0] == pytest.approx(t.isf(0.025, 399), rel=0.03)
    sidak = t.isf((1 - 0.95 ** (1 / 8)) / 2, 399)
    assert 2.4 < all_arms.critical[0] < sidak * 1.03
    assert all_arms.p_adjusted[0] >= one.p_adjusted[0]


def test_arms_that_agree_are_exactly_equal(scores_of):
    right = np.random.default_rng(2).random((1, 3, 150)) < 0.8
    right[:, 1:] = right[:, :1]
    family = contrasts(scores_of(np.repeat(right, 3, axis=0)), versus_first(3))
    assert_array_equal(family.mean, 0)
    assert_array_equal(family.p_adjusted, 1)
    # Not a width of 0: that nothing differs in 150 conversations does not mean that nothing ever does.
    assert_allclose(family.high, t.isf(0.025, 149) * np.sqrt(2) / 150, rtol=0.01)
    assert_allclose(family.low, -family.high)


def test_no_contrasts_are_fine(scores_of):
    family = contrasts(scores_of(np.ones((1, 20))), versus_first(1))
    assert family.mean.shape == family.p_adjusted.shape == (0,)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_a_holdout_of_a_few_proves_nothing(scores_of, n):
    family = contrasts(scores_of(np.stack([np.zeros(n), np.ones(n)]).astype(bool)), versus_first(2))
    assert not family.significant()[0]
    assert family.high[0] == 1


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.integers(0, 2))
def test_a_further_identical_arm_changes_nothing(scores_of, seed, twin):
    right = np.random.default_rng(seed).random((3, 60)) < np.array([0.6, 0.7, 0.8])[:, None]
    alone = contrasts(scores_of(right, draws=200), versus_first(3))
    joined = contrasts(scores_of(np.vstack([right, right[twin]]), draws=200), versus_first(4))
    for name in ("mean", "low", "high", "p_adjusted"):
        assert_allclose(getattr(joined, name)[:2], getattr(alone, name), atol=1e-9)
        if twin:
            assert_allclose(getattr(joined, name)[2], getattr(alone, name)[twin - 1], atol=1e-9)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000))
def test_swapping_two_arms_turns_the_sign(scores_of, seed):
    right = np.random.default_rng(seed).random((2, 60)) < np.array([0.6, 0.75])[:, None]
    there = contrasts(scores_of(right, draws=200), versus_first(2))
    back = contrasts(scores_of(right[::-1], draws=200), versus_first(2))
    assert_allclose(back.mean, -there.mean)
    assert_allclose((back.low, back.high), (-there.high, -there.low), atol=1e-12)
    assert_allclose(back.p_adjusted, there.p_adjusted)


def test_simultaneous_intervals_cover_all_true_differences(scores_of):
    rng = np.random.default_rng(3)
    gains = np.array([0, 0, 0.02, 0.05, 0.12])
    missed = 0
    for seed in range(200):
        latent = np.sqrt(0.8) * rng.standard_normal(150) + np.sqrt(0.2) * rng.standard_normal((5, 150))
        right = latent < norm.ppf(0.72 + gains)[:, None]
        family = contrasts(scores_of(right, draws=300, seed=seed), versus_first(5))
        missed += bool(((family.low > gains[1:]) | (family.high < gains[1:])).any())
    assert missed <= 18  # 10 expected


def test_two_seeds_that_differ_do_not_pass_for_a_gain(scores_of):
    # Each variant's true accuracy lies 4 points around its arm's: with two seeds a bootstrap of seeds alone would call
    # about a quarter of these equal arms different.
    rng = np.random.default_rng(4)
    false = 0
    for seed in range(150):
        accuracy = np.clip(0.75 + 0.04 * rng.standard_normal((5, 2, 1)), 0, 0.99)
        latent = np.sqrt(0.9) * rng.standard_normal(150) + np.sqrt(0.1) * rng.standard_normal((5, 2, 150))
        family = contrasts(scores_of(latent < norm.ppf(accuracy), draws=300, seed=seed), versus_first(5))
        false += bool((family.significant() & (family.low > 0)).any())
    assert false <= 12


def test_mcnemar_is_the_exact_binomial_test():
    first = np.array([True] * 10 + [False] * 30)
    second = np.array([True] * 8 + [False] * 2 + [True] * 12 + [False] * 18)
    assert mcnemar_p(first, second) == pytest.approx(binomtest(12, 14).pvalue)
    assert mcnemar_p(first, first) == 1


def test_majority_needs_more_than_half():
    votes = np.array([[True, True, False], [True, False, False]])
    assert_array_equal(majority(votes), [True, False, False])
    assert_array_equal(majority(np.vstack([votes, [[False, True, True]]])), [True, True, False])
