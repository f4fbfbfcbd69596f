import numpy as np
import pytest

from posology.evaluation.paired import contrasts, difference_matrix
from posology.evaluation.power import smallest_resolvable_difference
from posology.evaluation.recommendation import prob_best, recommend

N = 400


@pytest.fixture
def verdict_of(scores_of):
    """The verdict on arms that are right on conversations up to a share, and wrong on `flipped` others."""

    def judge(shares, *, n=N, dosed=None, margin=0.02, resolvable=None, flipped=12):
        rng = np.random.default_rng(0)
        right = np.arange(n) < np.round(np.array(list(shares.values()))[:, None] * n)
        for row in right[1:]:
            yes, no = np.flatnonzero(row), np.flatnonzero(~row)
            row[rng.choice(yes, flipped // 2, replace=False)] = False
            row[rng.choice(no, flipped // 2, replace=False)] = True
        scores, size = scores_of(right, draws=1000), len(shares)
        family = contrasts(scores, difference_matrix([(i, 0) for i in range(1, size)], size))
        limit = smallest_resolvable_difference(scores, family) if resolvable is None else resolvable
        dosed = np.array([dose > 0 for dose in shares]) if dosed is None else np.array(dosed)
        return recommend(list(shares), scores, family, dosed=dosed, resolvable=limit, margin=margin)

    return judge


def test_a_clear_gain_is_better_and_the_numbers_are_said(verdict_of):
    verdict = verdict_of({0.0: 0.72, 0.3: 0.85, 0.5: 0.79, 1.0: 0.52})
    assert (verdict.dose, verdict.status) == (0.3, "better")
    assert "Dose 0.3 changes accuracy by +13.0 points" in verdict.reason
    assert "simultaneous 95 % interval +" in verdict.reason
    assert "adjusted p 0.0" in verdict.reason
    assert verdict.prob_best[0.3] > 0.99
    assert sum(verdict.prob_best.values()) == pytest.approx(1)
    assert verdict.to_json()["prob_best"].keys() == {"0", "0.3", "0.5", "1"}


def test_the_smallest_dose_within_one_standard_error_is_taken(verdict_of):
    verdict = verdict_of({0.0: 0.72, 0.1: 0.835, 0.3: 0.84, 0.5: 0.842})
    assert verdict.dose == 0.1
    assert "the smallest dose within one standard error of the most accurate, 0.5" in verdict.reason
    assert verdict_of({0.0: 0.72, 0.1: 0.79, 0.3: 0.84}).dose == 0.3


def test_real_data_is_not_thrown_away_for_the_last_point(verdict_of):
    assert verdict_of({0.0: 0.72, 0.3: 0.82, 1.0: 0.86}).dose == 0.3
    assert verdict_of({0.0: 0.72, 1.0: 0.86}).dose == 1.0  # nothing else was tried


def test_a_small_dose_near_the_best_must_be_better_itself(verdict_of):
    verdict = verdict_of({0.0: 0.72, 0.1: 0.74, 0.3: 0.80}, flipped=80)
    assert verdict.dose == 0.3


def test_a_gain_below_what_can_be_resolved_is_not_taken(verdict_of):
    shares = {0.0: 0.72, 0.3: 0.80}
    assert verdict_of(shares).status == "better"
    assert verdict_of(shares, resolvable=0.09).status != "better"


def test_noise_is_inconclusive_and_says_what_could_be_seen(verdict_of):
    verdict = verdict_of({0.0: 0.72, 0.3: 0.73, 0.5: 0.71}, n=100, flipped=20)
    assert (verdict.dose, verdict.status) == (0.0, "inconclusive")
    assert "the best, 0.3, changes accuracy by +1.0 points" in verdict.reason
    assert "a gain cannot be told from 0 on this holdout. Keep real data only." in verdict.reason


def test_no_worse_names_the_largest_dose_that_is_safe(verdict_of):
    verdict = verdict_of({0.0: 0.72, 0.1: 0.72, 0.3: 0.72, 1.0: 0.5}, n=4000, flipped=12)
    assert (verdict.dose, verdict.status) == (0.0, "no_worse")
    assert "0.3 is the largest dose for which a loss of 2.0 points is ruled out (simultaneous" in verdict.reason
    assert verdict_of({0.0: 0.72, 0.3: 0.72}, n=4000, margin=1e-6).status == "inconclusive"


def test_harm_is_said(verdict_of):
    verdict = verdict_of({0.0: 0.72, 0.3: 0.62, 0.5: 0.55})
    assert (verdict.dose, verdict.status) == (0.0, "harmful")
    assert "even the best, 0.3, changes accuracy by -10.0 points" in verdict.reason
    assert verdict_of({0.0: 0.72, 0.3: 0.72, 0.5: 0.55}).status != "harmful"


def test_without_synthetic_data_there_is_no_verdict(verdict_of):
    for verdict in (verdict_of({0.0: 0.72}), verdict_of({0.0: 0.5, 0.3: 0.9}, dosed=[False, False])):
        assert (verdict.dose, verdict.status) == (0.0, "inconclusive")
        assert "nothing to compare" in verdict.reason


def test_ties_for_the_best_go_to_the_smaller_dose(scores_of):
    right = np.random.default_rng(0).random((1, 50)) < 0.7
    assert prob_best([0.0, 0.1, 0.3], scores_of(np.repeat(right, 3, axis=0))) == {0.0: 1.0, 0.1: 0.0, 0.3: 0.0}


def test_chances_are_even_for_equal_arms(scores_of):
    rng = np.random.default_rng(0)
    total = np.zeros(3)
    for _ in range(40):
        total += list(prob_best([0.0, 0.1, 0.3], scores_of(rng.random((3, 100)) < 0.7, draws=200)).values())
    assert total / 40 == pytest.approx([1 / 3] * 3, abs=0.12)
