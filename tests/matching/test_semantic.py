import numpy as np
import pytest

from posology.matching import semantic
from posology.matching.semantic import cosine_pairs


def vectors(n, width=16, seed=0):
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(n // 4, width))
    spread = centres[rng.integers(len(centres), size=n)] + 0.15 * rng.normal(size=(n, width))
    return (spread / np.linalg.norm(spread, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture
def approximate(monkeypatch):
    monkeypatch.setattr(semantic, "EXACT_UP_TO", 100)


def full(left, right, threshold):
    return set(zip(*(axis.tolist() for axis in np.nonzero(left @ right.T >= threshold)), strict=True))


def found(pairs):
    return set(zip(pairs[0].tolist(), pairs[1].tolist(), strict=True))


def test_search_equals_a_full_comparison():
    left, right = vectors(300), vectors(200, seed=0)
    assert found(cosine_pairs(left, right, 0.9)) == full(left, right, 0.9) != set()


def test_each_pair_once_within_a_list():
    own = vectors(300)
    truth = {(i, j) for i, j in full(own, own, 0.9) if i > j}
    i, j, score = cosine_pairs(own, None, 0.9)
    assert found((i, j)) == truth
    assert len(i) == len(truth)
    np.testing.assert_allclose(score, (own[i] * own[j]).sum(axis=1), atol=1e-5)


@pytest.mark.usefixtures("approximate")
def test_the_inverted_file_finds_nearly_all():
    left, right = vectors(400), vectors(3000, seed=0)
    truth = full(left, right, 0.9)
    seen = found(cosine_pairs(left, right, 0.9))
    assert seen <= truth
    assert len(seen) >= 0.98 * len(truth) > 0


def test_cosine_never_exceeds_one_and_zero_is_near_nothing():
    own = np.zeros((4, 3), np.float32)
    own[2:] = np.float32(1 / np.sqrt(3))
    i, j, score = cosine_pairs(own, None, 0.5)
    assert found((i, j)) == {(3, 2)}
    assert score.max() <= 1


def test_empty_sides():
    empty = np.zeros((0, 3), np.float32)
    for left, right in ((empty, None), (empty, vectors(8, 3)), (vectors(8, 3), empty)):
        assert found(cosine_pairs(left, right, 0.5)) == set()


def test_equal_vectors_stay_linear():
    own = np.tile(vectors(4)[:1], (500, 1))
    i, _, _ = cosine_pairs(own, None, 0.99)
    assert 0 < len(i) <= 500 * 65
