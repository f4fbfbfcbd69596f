"""Judging a part: which, and what can be learned of the rest."""

from collections import Counter

import numpy as np
import pytest

from posology.verification.composite import composite
from posology.verification.learning import learn
from posology.verification.sampling import spread, to_label

X = np.nan


def test_the_composite_is_a_mean_over_what_was_scored():
    assert composite({"a": 1.0, "b": 0.0, "c": None}) == 0.5
    assert composite({"a": 1.0, "b": 0.0, "c": 0.7}, {"a": 3.0, "b": 1.0}) == 0.75
    assert composite({"a": None}) is None and composite({}) is None and composite({"a": 1.0}, {"b": 1.0}) is None


def test_each_topic_has_its_share_and_scores_are_spread():
    rng = np.random.default_rng(0)
    topics = ["big"] * 600 + ["mid"] * 300 + ["small"] * 100
    score = rng.random(1000)
    places = spread(topics, score, 100, seed=3)
    assert Counter(topics[place] for place in places) == {"big": 60, "mid": 30, "small": 10}
    assert len(set(places)) == 100 and (np.diff(places) > 0).all()
    big = np.sort(score[places[places < 600]])
    assert np.abs(big - np.linspace(0, 1, 60)).max() < 0.1
    assert (spread(topics, score, 100, seed=3) == places).all()


def test_every_candidate_has_the_same_chance():
    topics = ["a"] * 7 + [None] * 3
    counts = Counter(int(p) for seed in range(2000) for p in spread(topics, np.full(10, X), 3, seed=seed))
    assert max(counts.values()) - min(counts.values()) < 180 and len(counts) == 10


@pytest.mark.parametrize("size", [0, 1, 10])
def test_samples_of_any_size(size):
    assert len(spread(["a"] * 10, np.zeros(10), size)) == size
    with pytest.raises(ValueError):
        spread(["a"], np.zeros(1), 2)


def test_labels_go_where_the_outcome_is_uncertain():
    rng = np.random.default_rng(0)
    score, failed = (
        np.r_[rng.uniform(0.9, 1, 700), rng.uniform(0.3, 0.7, 200), [X] * 20, rng.random(80)],
        np.zeros(1000, bool),
    )
    failed[920:] = True
    drawn = to_label(["t"] * 1000, score, 50, failed=failed)
    assert len({one.place for one in drawn}) == 50
    strata = Counter(one.stratum for one in drawn)
    assert strata[5] == 5 and strata[0] > strata[4] >= 3
    assert not any(900 <= one.place < 920 for one in drawn), "nothing to draw those by"
    sizes = {one.stratum: one.of for one in drawn}
    assert sizes[5] == 80 and sum(sizes[s] for s in range(5)) == 900


@pytest.mark.parametrize(("n", "wanted"), [(3, 50), (0, 5), (40, 2), (40, 1)])
def test_labels_of_small_pools(n, wanted):
    assert len(to_label(["t"] * n, np.linspace(0, 1, n), wanted)) == min(n, wanted)


def unit(rng, n, d=48):
    vectors = rng.normal(size=(n, d))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def test_scores_are_learned_from_vectors_and_signals():
    rng = np.random.default_rng(0)
    vectors, signals = unit(rng, 600), rng.random((600, 2))
    signals[::7, 1] = X
    truth = 3 + 4 * vectors[:, 0] + signals[:, 0] + 0.2 * rng.normal(size=600)
    given = np.where(np.arange(600) < 250, truth, X)
    found = learn(vectors, signals, given)
    assert found.learnable and found.r2 > 0.8 and found.n == 250
    error = np.sqrt(np.mean((found.predicted[250:] - truth[250:]) ** 2))
    assert error == pytest.approx(found.rmse, rel=0.25), "the stated error is the true one"


def test_noise_is_not_learnable():
    rng = np.random.default_rng(1)
    claimed = 0
    for seed in range(8):
        given = np.where(np.arange(200) < 100, rng.integers(1, 6, 200).astype(float), X)
        found = learn(unit(rng, 200), rng.random((200, 2)), given, seed=seed)
        claimed += found.learnable
        assert found.learnable or np.isnan(found.predicted).all()
    assert claimed == 0 and found.summary.startswith("not learnable: R2")


def test_too_little_to_learn_from():
    signals = np.zeros((100, 0))
    for given in (np.full(100, 5.0), np.r_[np.arange(30) % 5, np.full(70, X)], np.full(100, X)):
        found = learn(None, signals, np.asarray(given, dtype=float))
        assert not found.learnable and found.r2 is None and "too few" in found.summary
    assert not learn(None, signals, np.arange(100) % 5 + 1.0).learnable, "nothing to predict from"
