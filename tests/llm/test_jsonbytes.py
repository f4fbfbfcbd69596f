import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from posology.llm.jsonbytes import decoded, encoded

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(VALUES)
@settings(max_examples=200, deadline=None)
def test_what_goes_out_is_what_the_standard_library_reads(value):
    assert json.loads(encoded(value)) == value
    assert decoded(json.dumps(value).encode()) == value


def test_lone_surrogates_become_question_marks_and_are_read():
    assert json.loads(encoded({"a": "x\ud83dy"})) == {"a": "x?y"}
    assert decoded(rb'{"a": "x\ud83dy"}') == {"a": "x\ud83dy"}


def test_deep_nesting_is_read():
    deep = b"[" * 300 + b"]" * 300
    assert decoded(deep) == json.loads(deep)


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"a": ', b"\xff\xfe"])
def test_what_is_no_json_is_refused(body):
    with pytest.raises(ValueError):
        decoded(body)
