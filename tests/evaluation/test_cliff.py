import numpy as np

from posology.evaluation.cliff import find_cliff
from posology.evaluation.paired import contrasts, difference_matrix


def arms(*shares, n=300):
    return np.arange(n) < np.array(shares)[:, None] * n


def test_the_largest_proven_fall_is_named_by_its_higher_dose(scores_of):
    cliff = find_cliff([0.0, 0.3, 0.5, 1.0], scores_of(arms(0.72, 0.85, 0.79, 0.52)))
    assert cliff.dose == 1.0
    assert round(cliff.drop.mean, 6) == 0.27
    assert 0.15 < cliff.drop.low < 0.27 < cliff.drop.high < 0.4
    assert cliff.to_json() == {
        "detected": True,
        "dose": 1.0,
        "drop": 0.27,
        "ci95": [round(cliff.drop.low, 6), round(cliff.drop.high, 6)],
    }


def test_its_interval_is_simultaneous_over_the_neighbours(scores_of):
    scores = scores_of(arms(0.72, 0.85, 0.79, 0.52))
    alone = contrasts(scores, difference_matrix([(2, 3)], 4))
    assert find_cliff([0.0, 0.3, 0.5, 1.0], scores).drop.low < alone.low[0]


def test_rises_and_small_falls_are_no_cliff(scores_of):
    nothing = {"detected": False, "dose": None, "drop": None, "ci95": None}
    for shares in ((0.6, 0.7, 0.9), (0.7, 0.69, 0.68), (0.7, 0.7, 0.7)):
        assert find_cliff([0.0, 0.3, 0.5], scores_of(arms(*shares))).to_json() == nothing
    assert find_cliff([0.0], scores_of(arms(0.7))).to_json() == nothing


def test_equal_neighbours_fall_rarely_by_chance(scores_of):
    rng = np.random.default_rng(0)
    found = 0
    for seed in range(150):
        latent = 0.9 * rng.standard_normal(150) + 0.44 * rng.standard_normal((5, 150))
        found += find_cliff([0, 0.1, 0.3, 0.5, 1], scores_of(latent < 0.6, draws=300, seed=seed)).dose is not None
    assert found <= 12
