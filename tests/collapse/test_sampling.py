import numpy as np
import pytest

from posology.collapse.sampling import match, matches


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_both_sides_give_the_same_number_of_each_cell(rng):
    cells = np.array([0] * 40 + [1] * 10 + [2] + [0] * 3 + [1] * 30 + [3] * 5)
    real, synthetic = np.arange(51), np.arange(51, len(cells))
    found = match(real, synthetic, cells)
    assert found.take.tolist() == [3, 5, 0, 0]
    first, second = found.real_pair(rng)
    made = found.synthetic_sample(rng)
    for rows in (first, second, made):
        assert np.bincount(cells[rows], minlength=4).tolist() == [3, 5, 0, 0]
    assert not set(first) & set(second)
    assert set(first) | set(second) <= set(real)
    assert set(made) <= set(synthetic)


def test_a_large_sample_shrinks_cell_by_cell(rng):
    cells = np.repeat([0, 1, 2], [600, 300, 100])
    found = match(np.arange(0, 1000, 2), np.arange(1, 1000, 2), cells, largest=100)
    assert found.size == 100
    assert found.take.tolist() == [60, 30, 10]


def test_the_widening_makes_parts_vary_like_fresh_samples(rng):
    values = rng.standard_normal(300)
    found = match(np.arange(300), np.arange(100), np.zeros(300, int))
    parts = np.array([values[found.real_pair(rng)[0]].mean() for _ in range(4000)])
    spread = parts.std() * found.widening
    assert spread == pytest.approx(values.std() * np.sqrt(1 / found.size + 1 / 300), rel=0.05)


def test_topics_that_no_side_shares_are_not_asked_for():
    topics = np.repeat([0, 1], [100, 60])
    lengths = np.full(160, 5)
    how, said = matches(topics, lengths, np.arange(100), np.arange(100, 160))
    assert how["full"].size == 50
    assert "too few topics" in said[0]


def test_lengths_that_do_not_overlap_are_compared_all_the_same():
    lengths = np.repeat([3, 4, 5, 60], [40, 40, 40, 60])
    rng = np.random.default_rng(1)
    lengths[:120] = rng.permutation(lengths[:120])
    how, said = matches(np.zeros(180, int), lengths, np.arange(120), np.arange(120, 180))
    assert how["full"].size == how["topic"].size or how["full"].size >= 20
    assert all("length" in text for text in said)


def test_data_without_topics_is_one_cell():
    how, said = matches(np.full(100, -1), np.arange(100) % 7 + 1, np.arange(60), np.arange(60, 100))
    assert how["topic"].size == 30
    assert not said
