import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from posology.records import Conversation, Message
from posology.selection.choice import Candidates, Real, choose
from posology.selection.priority import coverage_order, prioritise
from posology.verification.likeness import real_likeness


def unit(rng, n, d=8):
    vectors = rng.normal(size=(n, d)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def naive_order(candidates, covered_by, quality):
    """Greedy facility location, written down without laziness."""
    similarity = np.clip(candidates @ candidates.T, 0, 1)
    covered = np.clip(covered_by @ candidates.T, 0, 1).max(axis=0) if len(covered_by) else np.zeros(len(candidates))
    rest, order = list(range(len(candidates))), []
    while rest:
        gains = [np.maximum(similarity[r] - covered, 0).sum() * quality[r] for r in rest]
        if max(gains) <= 1e-9:
            return order + sorted(rest, key=lambda r: (-quality[r], r))
        order.append(rest.pop(int(np.argmax(gains))))
        covered = np.maximum(covered, similarity[order[-1]])
    return order


@given(st.integers(0, 50), st.integers(1, 12), st.integers(0, 5))
def test_the_lazy_greedy_is_the_greedy(seed, m, n):
    rng = np.random.default_rng(seed)
    candidates, real, quality = unit(rng, m), unit(rng, n), rng.uniform(0.1, 1, m)
    assert coverage_order(candidates, real, quality) == naive_order(candidates, real, quality)


def test_what_real_examples_cover_already_comes_last():
    candidates = np.eye(3, dtype=np.float32)
    order = coverage_order(candidates, candidates[[0]], np.array([1.0, 0.9, 0.8]))
    assert order == [1, 2, 0]


def test_a_pool_is_ordered_by_whose_turn_it_is():
    rng = np.random.default_rng(0)
    topics = ["a", "b", "a", "b"]
    order = prioritise(topics, unit(rng, 4), [], unit(rng, 0), sequence=["b", "a", "b", "a"], worth=np.ones(4))
    assert [topics[i] for i in order] == ["b", "a", "b", "a"] and sorted(order) == [0, 1, 2, 3]


def test_a_sequence_that_leaves_rows_out_is_a_bug():
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="places 1 of 2"):
        prioritise(["a", "b"], unit(rng, 2), [], unit(rng, 0), sequence=["a", "c"], worth=np.ones(2))


def test_real_likeness_tells_near_from_far():
    rng = np.random.default_rng(1)
    centre = np.zeros(8)
    centre[0] = 1.0
    real = rng.normal(centre, 0.3, (80, 8)).astype(np.float32)
    like_real = rng.normal(centre, 0.3, (40, 8)).astype(np.float32)
    unlike = rng.normal(-centre, 0.3, (40, 8)).astype(np.float32)
    score = real_likeness(real, np.vstack([like_real, unlike]))
    assert score[:40].mean() > score[40:].mean() + 0.2
    assert np.all((score > 0) & (score < 1))


def test_real_likeness_of_too_few_rows_says_nothing():
    assert real_likeness(np.zeros((3, 2), np.float32), np.zeros((50, 2), np.float32)).tolist() == [0.5] * 50


def talk(id, text, source):
    return Conversation(id, (Message("user", text),), "a", source)


def test_the_keep_rate_is_a_share_of_each_topic():
    """One floor for all would leave the topic nothing that nobody is sure of."""
    quality = np.r_[np.linspace(0.9, 0.99, 6), np.linspace(0.1, 0.19, 6)]
    vectors = np.eye(12, dtype=np.float32)
    candidates = Candidates(["sure"] * 6 + ["unsure"] * 6, vectors, quality, np.full(12, 0.5))
    real = Real(["sure"], np.full((1, 12), 12**-0.5, dtype=np.float32))
    chosen = choose(candidates, real, sequence=list, strategy="coverage", keep_rate=0.5)
    assert sorted(chosen.order) == [3, 4, 5, 9, 10, 11]
    assert chosen.below == [0, 1, 2, 6, 7, 8]
    top = choose(candidates, real, sequence=list, strategy="top", keep_rate=0.5)
    assert sorted(top.order) == list(range(6))
    few = choose(candidates, real, sequence=list, strategy="coverage", keep_rate=0.01)
    assert sorted(few.order) == [5, 11]
