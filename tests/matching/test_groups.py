import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from posology.matching.groups import groups
from posology.matching.near import Match


def match(left, right):
    return Match(left, right, "near", 0.8, 0.7)


def test_chains_join_and_numbers_follow_first_members():
    found = groups(6, [match(4, 5), match(1, 3), match(3, 4)])
    assert found.tolist() == [0, 1, 2, 1, 1, 1]
    assert found.dtype == np.int32


def test_without_matches_everybody_stands_alone():
    assert groups(3, []).tolist() == [0, 1, 2]
    assert groups(0, []).tolist() == []


@pytest.mark.parametrize("pair", [(0, 3), (-1, 0)])
def test_a_match_outside_the_list_is_a_bug(pair):
    with pytest.raises(ValueError, match="outside the list of 3"):
        groups(3, [match(*pair)])


@given(st.integers(1, 12).flatmap(lambda n: st.tuples(st.just(n), st.lists(st.tuples(*[st.integers(0, n - 1)] * 2)))))
def test_groups_are_the_connected_components(case):
    n, edges = case
    found = groups(n, [match(*edge) for edge in edges])
    label = list(range(n))
    for _ in range(n):
        for a, b in edges:
            label[a] = label[b] = min(label[a], label[b])
    assert [found[: row + 1].tolist().index(found[row]) for row in range(n)] == label
    seen = list(dict.fromkeys(found.tolist()))
    assert seen == list(range(len(seen)))
