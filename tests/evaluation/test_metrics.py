import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.stats import binomtest

from posology.evaluation.metrics import (
    confusion_changes,
    expected_calibration_error,
    item_weights,
    recall_by_topic,
    wilson,
)

TRUTH = np.array([0, 0, 0, 1, 1, 3])
CORRECT = np.array([[1, 1, 0, 1, 0, 1], [1, 0, 0, 1, 1, 0]], dtype=bool)


def test_recall_by_topic_keeps_leading_axes_and_marks_absent_topics():
    recall = recall_by_topic(CORRECT, TRUTH, 4)
    assert_allclose(recall, [[2 / 3, 0.5, np.nan, 1], [1 / 3, 1, np.nan, 0]])
    assert recall_by_topic(CORRECT[None, 0], TRUTH, 4).shape == (1, 4)
    assert recall_by_topic(CORRECT[0], TRUTH, 4).shape == (4,)


def test_item_weights_give_the_mean_of_recalls():
    weights = item_weights(TRUTH, np.ones(4, dtype=bool))
    assert weights.sum() == pytest.approx(1)
    assert_allclose(CORRECT @ weights, np.nanmean(recall_by_topic(CORRECT, TRUTH, 4), axis=1))
    tail = np.array([False, True, True, True])
    assert_allclose(CORRECT @ item_weights(TRUTH, tail), [0.75, 0.5])
    assert not item_weights(TRUTH, np.array([False, False, True, False])).any()


def test_calibration_error_of_a_hand_made_case():
    # Two bins of two: (0.6 + 0.7) / 2 stated, 1/2 right; (0.8 + 0.9) / 2 stated, all right.
    correct = np.array([[True, False, True, True]])
    probability = np.array([[0.6, 0.7, 0.8, 0.9]])
    assert expected_calibration_error(correct, probability, 2) == pytest.approx((2 * 0.15 + 2 * 0.15) / 4)


def test_calibration_error_of_perfect_and_of_empty_promises():
    assert expected_calibration_error(np.ones((1, 5), bool), np.ones((1, 5))) == 0
    assert expected_calibration_error(np.zeros((1, 5), bool), np.ones((1, 5))) == 1


def test_calibration_error_falls_with_calibration():
    rng = np.random.default_rng(0)
    stated = rng.uniform(0.3, 1, size=(1, 20_000))
    correct = rng.random(stated.shape) < stated
    assert expected_calibration_error(correct, stated) < 0.02
    assert expected_calibration_error(correct, np.minimum(stated + 0.2, 1)) > 0.1


@given(st.lists(st.tuples(st.booleans(), st.sampled_from([0.5, 0.75, 1.0])), min_size=1, max_size=40), st.randoms())
def test_calibration_error_ignores_the_order_even_among_ties(rows, random):
    shuffled = list(rows)
    random.shuffle(shuffled)

    def error(rows):
        return expected_calibration_error(np.array([[c for c, _ in rows]]), np.array([[p for _, p in rows]]), 4)

    assert error(rows) == pytest.approx(error(shuffled), abs=1e-12)


def test_confusion_changes_average_over_seeds_and_sort_by_size():
    truth = np.array([0, 0, 0, 1])
    before = np.array([[1, 1, 0, 1], [1, 0, 0, 1]])
    after = np.array([[0, 0, 0, 2]])
    rows = confusion_changes(before, after, truth, ["a", "b", "c"])
    assert [(r.topic, r.predicted, r.before, r.after) for r in rows] == [("a", "b", 1.5, 0.0), ("b", "c", 0.0, 1.0)]
    assert len(confusion_changes(before, after, truth, ["a", "b", "c"], limit=1)) == 1
    assert confusion_changes(before, before, truth, ["a", "b", "c"]) == []


@pytest.mark.parametrize(("right", "n"), [(0, 10), (10, 10), (7, 10), (190, 200)])
def test_wilson_agrees_with_scipy(right, n):
    expected = binomtest(right, n).proportion_ci(method="wilson")
    assert_allclose(wilson(right / n, n), (expected.low, expected.high), atol=1e-6)
