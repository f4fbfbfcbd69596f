import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from posology.evaluation import resampling
from posology.evaluation.resampling import draw_counts, resample

NO_TAIL = np.zeros(6, dtype=bool)


def holdout(n=120, arms=3, seeds=1, seed=0, accuracy=0.75, n_topics=6):
    rng = np.random.default_rng(seed)
    truth = rng.integers(n_topics, size=n)
    hard = rng.standard_normal(n)
    noise = rng.standard_normal((arms, seeds, n))
    return (hard + noise) / np.sqrt(2) < 0.67 if accuracy == 0.75 else noise < 2.0, truth


def test_points_are_the_plain_metrics():
    correct, truth = holdout(seeds=2)
    tail = np.array([True, False, True, False, False, False])
    scores = resample(correct, truth, np.arange(len(truth)), tail=tail, draws=50, seed=0)
    by_topic = np.stack([correct[..., truth == k].mean(axis=-1) for k in range(6)], axis=-1)
    assert_allclose(scores["accuracy"].per_seed, correct.mean(axis=-1))
    assert_allclose(scores["macro_recall"].per_seed, by_topic.mean(axis=-1))
    assert_allclose(scores["tail_recall"].per_seed, by_topic[..., tail].mean(axis=-1))
    for score in scores.values():
        assert_allclose(score.influence.sum(axis=0), score.mean)
        assert score.weights.sum() == pytest.approx(1)


def test_replicates_are_the_metrics_of_the_resampled_conversations():
    correct, truth = holdout(n=25, n_topics=6)
    groups = np.arange(25) // 2
    tail = np.array([True, True, False, False, False, False])
    scores = resample(correct, truth, groups, tail=tail, draws=40, seed=3)
    counts = draw_counts(np.random.default_rng([3, 0]), 13, 40)
    assert_array_equal(counts.sum(axis=1), 12)
    kept = 0
    for draw in counts:
        rows = np.repeat(np.arange(25), draw[groups].astype(int))
        drawn, topic = correct[:, 0, rows], truth[rows]
        recall = {k: drawn[:, topic == k].mean(axis=1) for k in np.unique(topic)}
        index = int(np.flatnonzero((counts == draw).all(axis=1))[0])
        assert_allclose(scores["accuracy"].items[index] + correct.mean(axis=(1, 2)), drawn.mean(axis=1))
        macro = scores["macro_recall"]
        assert_allclose(macro.items[index] + macro.mean, np.mean(list(recall.values()), axis=0))
        rare = [recall[k] for k in (0, 1) if k in recall]
        if rare:
            tail_scores = scores["tail_recall"]
            assert_allclose(tail_scores.items[kept] + tail_scores.mean, np.mean(rare, axis=0))
            kept += 1
    assert len(scores["tail_recall"].items) == kept


def test_tail_recall_is_absent_without_tail_topics():
    correct, truth = holdout()
    assert resample(correct, truth, truth * 0, tail=NO_TAIL, draws=10, seed=0)["tail_recall"] is None


def test_draws_without_any_tail_conversation_are_left_out():
    truth = np.array([0, *[1] * 30])
    scores = resample(np.ones((2, 1, 31), bool), truth, np.arange(31), tail=np.array([True, False]), draws=500, seed=0)
    assert 0.5 < len(scores["tail_recall"].items) / 500 < 0.75  # 1 - 1/e
    assert not np.isnan(scores["tail_recall"].items).any()


def test_standard_error_of_a_difference_is_the_analytic_one(scores_of, discordant):
    n, gained, lost = 200, 30, 14
    scores = scores_of(discordant(n, gained, lost), draws=8000)
    matrix = np.array([[-1.0, 1.0]])
    share, mean = (gained + lost) / n, (gained - lost) / n
    assert scores.variation(matrix).variance[0] == pytest.approx((share - mean**2) / (n - 1), rel=0.04)
    assert scores.pseudo_variance == pytest.approx(2 / n**2)
    assert scores.variation(matrix).freedom[0] == n - 1


def test_twins_in_one_group_carry_no_information(scores_of, discordant):
    single = discordant(100, 20, 5)
    twice = np.repeat(single, 2, axis=1)
    one, two = scores_of(single), scores_of(twice, groups=np.repeat(np.arange(100), 2))
    assert_allclose(one.items, two.items, atol=1e-12)
    assert one.pseudo_variance == pytest.approx(two.pseudo_variance)
    apart = scores_of(twice)
    matrix = np.array([[-1.0, 1.0]])
    assert apart.variation(matrix).variance < 0.6 * one.variation(matrix).variance


def test_seeds_that_agree_add_nothing():
    correct, truth = holdout(arms=2)
    one = resample(correct, truth, np.arange(120), tail=NO_TAIL, draws=300, seed=0)["accuracy"]
    five = resample(np.repeat(correct, 5, axis=1), truth, np.arange(120), tail=NO_TAIL, draws=300, seed=0)["accuracy"]
    assert not five.seed_variance.any()
    assert_allclose(one.items, five.items, atol=1e-12)
    assert not five.seeds.any()


def test_variance_of_crossed_data_is_close_to_the_truth():
    # Conversations, variants and their interaction all vary; the mean over sweeps of the estimated variance shall be
    # near the variance of the estimates, neither half of it nor twice.
    rng = np.random.default_rng(0)
    means, variances = [], []
    for _ in range(150):
        threshold = 0.67 + 0.15 * rng.standard_normal((1, 4, 1))
        latent = rng.standard_normal(150) * 0.8 + rng.standard_normal((1, 4, 150)) * 0.6
        correct = latent < threshold
        scores = resample(correct, np.zeros(150, int), np.arange(150), tail=NO_TAIL[:1], draws=200, seed=0)["accuracy"]
        means.append(scores.mean[0])
        variances.append(scores.variation(np.eye(1)).variance[0])
    assert 0.85 < np.mean(variances) / np.var(means) < 1.4


def test_interaction_is_not_counted_as_variation_of_seeds():
    rng = np.random.default_rng(1)
    correct = rng.random((8, 5, 400)) < 0.7  # variants err independently: nothing but interaction
    scores = resample(correct, np.zeros(400, int), np.arange(400), tail=NO_TAIL[:1], draws=200, seed=0)["accuracy"]
    assert scores.seed_variance.mean() < 0.8 * 0.21 / (400 * 5)


def test_an_unstable_arm_stays_unstable_and_lucky_agreement_is_not_believed():
    right = np.zeros((4, 2, 200), dtype=bool)
    for arm, (first, second) in enumerate([(150, 150), (150, 162), (150, 138), (150, 60)]):
        right[arm, 0, :first] = right[arm, 1, :second] = True
    right[0, 1, :10], right[0, 1, 150:160] = False, True  # as many right, other ones
    scores = resample(right, np.zeros(200, int), np.arange(200), tail=NO_TAIL[:1], draws=100, seed=0)["accuracy"]
    own = (0.45**2 / 2) / 2
    assert scores.seed_variance[3] == pytest.approx(own, rel=0.05)
    assert scores.seed_freedom[3] == 1
    assert scores.seed_variance[0] > 0
    assert scores.seed_freedom[0] == 5


def test_portions_do_not_change_the_result(monkeypatch):
    correct, truth = holdout(n=40)
    whole = resample(correct, truth, np.arange(40), tail=NO_TAIL, draws=64, seed=0)["accuracy"]
    monkeypatch.setattr(resampling, "CELLS_AT_ONCE", 40 * 16)
    assert_allclose(
        resample(correct, truth, np.arange(40), tail=NO_TAIL, draws=64, seed=0)["accuracy"].items, whole.items
    )


@pytest.mark.parametrize("n", [1, 2])
def test_tiny_holdouts_give_wide_intervals_not_errors(n):
    scores = resample(np.ones((2, 1, n), bool), np.zeros(n, int), np.zeros(n, int), tail=NO_TAIL[:1], draws=100, seed=0)
    estimate = scores["accuracy"].estimate(0)
    assert estimate.mean == estimate.high == 1
    assert estimate.low < 0.25


def test_interval_of_single_conversations_is_wilsons(scores_of):
    from scipy.stats import binomtest

    estimate = scores_of(np.arange(200)[None] < 150, draws=8000).estimate(0)
    expected = binomtest(150, 200).proportion_ci(method="wilson")
    assert (estimate.low, estimate.high) == pytest.approx((expected.low, expected.high), abs=0.003)


def test_intervals_of_recall_cover_the_truth():
    rng = np.random.default_rng(2)
    recall = rng.beta(3, 1.2, 30)
    tail = np.arange(30) < 10
    truths = {"accuracy": recall.mean(), "macro_recall": recall.mean(), "tail_recall": recall[tail].mean()}
    missed = dict.fromkeys(truths, 0)
    for _ in range(100):
        truth = rng.integers(30, size=150)
        correct = (rng.random(150) < recall[truth])[None, None]
        scores = resample(correct, truth, np.arange(150), tail=tail, draws=200, seed=0)
        for metric, value in truths.items():
            estimate = scores[metric].estimate(0)
            missed[metric] += not estimate.low <= value <= estimate.high
    assert max(missed.values()) <= 12


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_order_of_conversations_and_names_of_topics_do_not_matter(seed):
    rng = np.random.default_rng(seed)
    correct, truth = holdout(n=30, seed=seed)
    groups, tail = rng.integers(20, size=30), rng.random(6) < 0.5
    order, names = rng.permutation(30), rng.permutation(6)
    here = resample(correct, truth, groups, tail=tail, draws=50, seed=0)
    renamed = np.empty(6, bool)
    renamed[names] = tail
    there = resample(correct[..., order], names[truth[order]], groups[order], tail=renamed, draws=50, seed=0)
    for metric, scores in here.items():
        if scores is None:
            assert there[metric] is None
        else:
            assert_allclose(scores.items, there[metric].items, atol=1e-12)
