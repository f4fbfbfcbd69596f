import numpy as np

from posology.collapse.bags import distinct, grams, pack


def test_rows_are_gathered_in_the_order_asked_for():
    bags, names = pack([["a", "b"], [], ["b", "c", "b"]])
    assert names == ["a", "b", "c"]
    assert bags.of(np.array([2, 0])).tolist() == [1, 2, 1, 0, 1]
    assert bags.of(np.array([1])).tolist() == []
    assert bags.of(np.array([], int)).tolist() == []
    assert bags.sizes.tolist() == [2, 0, 3]


def test_n_grams_never_span_two_rows():
    rows = [["a", "b", "c"], ["a"], ["a", "b"], [], ["c", "a", "b", "c"]]
    words, _ = pack(rows)
    for n, bags in enumerate(grams(words, 4), 1):
        want = [[tuple(row[i : i + n]) for i in range(len(row) - n + 1)] for row in rows]
        assert bags.sizes.tolist() == [len(row) for row in want]
        flat = [gram for row in want for gram in row]
        # Equal numbers for equal n-grams, and only for these.
        assert len(set(zip(flat, bags.ids.tolist(), strict=True))) == len(set(flat)) == len(set(bags.ids.tolist()))


def test_nothing_at_all_is_no_fault():
    words, _ = pack([[], []])
    assert all(bags.sizes.tolist() == [0, 0] for bags in grams(words, 3))
    assert distinct(words).sizes.tolist() == [0, 0]


def test_distinct_keeps_each_thing_of_a_row_once():
    bags, _ = pack([["a", "a", "b"], ["b", "b"]])
    assert distinct(bags).sizes.tolist() == [2, 1]
