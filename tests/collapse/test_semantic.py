import numpy as np
import pytest

from posology.collapse import lexical, semantic
from posology.collapse.table import leading


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_vendi_counts_different_texts():
    axes = np.eye(5, dtype=np.float32)
    assert semantic.vendi(axes) == pytest.approx(5)
    assert semantic.vendi(np.vstack([axes[:2]] * 4)) == pytest.approx(2)
    assert semantic.vendi(axes[:1]) == pytest.approx(1)


def test_vendi_in_covariance_form_is_that_of_the_kernel(rng):
    rows = unit(rng.standard_normal((30, 8)))
    values = np.linalg.eigvalsh(rows.astype(float) @ rows.T.astype(float) / 30)
    values = values[values > 1e-9]
    assert semantic.vendi(rows) == pytest.approx(np.exp(-(values * np.log(values)).sum()), rel=1e-5)


def test_spread_within_topics_is_the_mean_over_pairs(rng):
    rows, topics = unit(rng.standard_normal((12, 6))), np.array([0, 1, 2] * 4)
    pairs = [1 - rows[i] @ rows[j] for i in range(12) for j in range(i) if topics[i] == topics[j]]
    assert semantic.topic_spread(rows, topics) == pytest.approx(np.mean(pairs), rel=1e-5)


def test_neighbours_of_the_same_cloud_and_of_a_narrow_one(rng):
    real, same = unit(rng.standard_normal((300, 6))), unit(rng.standard_normal((300, 6)))
    narrow = unit(same * 0.02 + real[0])
    wide, small = semantic.neighbours(same, real), semantic.neighbours(narrow, real)
    assert wide["coverage"] > 0.9
    assert wide["density"] == pytest.approx(1, abs=0.15)
    assert wide["far_out"] == pytest.approx(0.1, abs=0.06)
    assert small["coverage"] < 0.3
    assert small["outliers_covered"] <= wide["outliers_covered"]


def test_detectability_is_chance_for_one_cloud_and_high_for_two(rng):
    one, other = rng.standard_normal((200, 5)), rng.standard_normal((200, 5))
    assert semantic.detectability(one, other, 1.0) == pytest.approx(0.5, abs=0.12)
    assert semantic.detectability(one + 2, other, 1.0) > 0.95
    assert semantic.detectability(np.ones((20, 3)), np.ones((20, 3)), 1.0) == pytest.approx(0.5)


def test_leading_directions_keep_zero_vectors_and_unit_length(rng):
    rows = unit(rng.standard_normal((100, 80)))
    rows[3] = 0
    kept = leading(rows, 64)
    norms = np.linalg.norm(kept, axis=1)
    assert kept.shape == (100, 64)
    assert norms[3] == 0
    assert np.delete(norms, 3) == pytest.approx(1, abs=1e-5)
    assert np.array_equal(kept, leading(rows, 64))


def test_collision_is_the_chance_that_two_agree():
    assert lexical.collision(np.array([1, 1, 2, 3])) == pytest.approx(1 / 6)
    assert lexical.collision(np.array([1])) == 0


def test_vocabulary_growth_is_one_where_every_word_is_new():
    assert lexical.vocabulary_growth(np.arange(400)) == pytest.approx(1)
    assert lexical.vocabulary_growth(np.zeros(400, int)) == 0
    assert lexical.vocabulary_growth(np.zeros(1, int)) == 0
