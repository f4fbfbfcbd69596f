import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from posology.conversations import jsontext
from posology.conversations.faults import RowFault

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(VALUES, st.booleans())
@settings(database=None, deadline=None)
def test_values_come_back(value, ascii_only):
    assert jsontext.parse(f" {json.dumps(value, ensure_ascii=ascii_only)}\n") == value


@given(st.lists(VALUES, max_size=5), st.sampled_from([None, 0, 2]))
@settings(database=None, deadline=None)
def test_arrays_come_back(values, indent):
    assert list(jsontext.parse_array(json.dumps(values, indent=indent))) == values


def test_nan_and_infinity_are_nothing():
    assert jsontext.parse('{"a": NaN, "b": [Infinity, -Infinity, 1.5]}') == {"a": None, "b": [None, None, 1.5]}


def test_lone_surrogates_are_replaced_and_pairs_kept():
    value = jsontext.parse(r'{"cut \uD83D": ["\ud83d", "\ud83d\ude00", "\\ud83d"]}')
    assert value == {"cut \ufffd": ["\ufffd", "\U0001f600", "\\ud83d"]}
    json.dumps(value, ensure_ascii=False).encode()


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ('{"a": }', "column 7"),
        ('{"a": 1} {"b": 2}', "column 10: Something follows"),
        ("", "column 1"),
        ("{\n'a': 1}", "line 2, column 1"),
        ("[" * 200_000, "nested too deeply"),
        ("9" * 5000, "too many digits"),
    ],
)
def test_broken_values_say_where(text, cause):
    with pytest.raises(RowFault, match=cause):
        jsontext.parse(text)


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("[1,\n2", "line 2, column 2"),
        ("[1,\n]", "line 2, column 1: Expecting value after"),
        ("[1 2]", "column 4"),
        ("[1]\n[2]", "line 2, column 1: Something follows the array"),
        ("[", "column 2"),
    ],
)
def test_broken_arrays_say_where(text, cause):
    with pytest.raises(RowFault, match=cause):
        list(jsontext.parse_array(text))


def test_an_empty_array_has_no_elements():
    assert list(jsontext.parse_array(" [ ] ")) == []
