"""Whether a set as a whole leans towards the holdout."""

import numpy as np
import pytest

from posology.errors import InputError
from posology.verification.leakage.sets import Labelled, set_test

TOPICS = [f"topic {k}" for k in range(12)]
WIDTH = 48


def drawn(rng, n, centres):
    """Rows around the centres of their topics."""
    topics = rng.integers(len(TOPICS), size=n)
    return unit(centres[topics] + 0.5 * rng.normal(size=(n, WIDTH)) / WIDTH**0.5), [TOPICS[k] for k in topics]


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def sides(seed, planted=0, n=300, noise=0.1):
    rng = np.random.default_rng(seed)
    centres = unit(rng.normal(size=(len(TOPICS), WIDTH)))
    (holdout, held), (real, known), (own, topics) = (drawn(rng, size, centres) for size in (200, 400, n))
    if planted:
        source = rng.choice(200, planted, replace=False)
        own[:planted] = unit(holdout[source] + noise * rng.normal(size=(planted, WIDTH)) / WIDTH**0.5)
        topics[:planted] = [held[k] for k in source]
    return Labelled(own, topics), Labelled(holdout, held), Labelled(real, known)


def test_clean_sets_raise_few_alarms():
    alarms = [set_test(*sides(seed), rng=np.random.default_rng(seed)).leans for seed in range(40)]
    assert sum(alarms) <= 6  # 2 expected; more than 6 has a chance of 0.3 %


def test_a_tenth_of_near_copies_is_seen():
    for seed in range(5):
        found = set_test(*sides(seed, planted=30), rng=np.random.default_rng(0))
        assert found.leans and found.z > 3
        assert found.nearest_held_out > found.expected and found.holdout_met > found.real_met


def test_rows_that_copy_training_data_do_not_alarm():
    _, holdout, real = sides(3)
    copied = Labelled(real.vectors[:300], real.topics[:300])
    assert set_test(copied, holdout, real, rng=np.random.default_rng(0)).p_value > 0.5


def test_nearer_says_who_is_nearer():
    own, holdout, real = sides(4)
    alike = set_test(own, holdout, real, rng=np.random.default_rng(0))
    assert alike.nearer_ci95[0] < 0.5 < alike.nearer_ci95[1]
    copies = set_test(Labelled(holdout.vectors, holdout.topics), holdout, real, rng=np.random.default_rng(0))
    assert copies.nearer > 0.99 and copies.nearest_held_out == 1


def test_topics_may_be_missing_or_not_in_common():
    own, holdout, real = sides(5)
    none = Labelled(own.vectors, [None] * 300)
    assert set_test(none, holdout, real, rng=np.random.default_rng(0)).n_topics == 1
    other = Labelled(own.vectors, ["elsewhere"] * 300)
    assert set_test(other, holdout, real, rng=np.random.default_rng(0)) is None


def test_a_holdout_of_one_row_and_equal_results_of_equal_seeds():
    own, holdout, real = sides(6)
    one = Labelled(holdout.vectors[:1], holdout.topics[:1])
    found = set_test(own, one, real, rng=np.random.default_rng(0))
    assert found.n_topics == 1 and 0 < found.p_value <= 1 and 0 <= found.nearer_ci95[0] <= found.nearer_ci95[1] <= 1
    assert found == set_test(own, one, real, rng=np.random.default_rng(0))


def test_vectors_of_another_encoder_are_refused():
    own, holdout, real = sides(7)
    with pytest.raises(InputError, match="one encoder"):
        set_test(own, Labelled(holdout.vectors[:, :7], holdout.topics), real, rng=np.random.default_rng(0))
