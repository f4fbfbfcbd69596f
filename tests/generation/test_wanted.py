import json

import pytest

from posology.errors import InputError, UsageError
from posology.generation.wanted import read_gaps, wanted
from posology.records import Gap


def gaps(*wants):
    return [Gap(f"t{n}", 1, None, None, want, "") for n, want in enumerate(wants)]


@pytest.mark.parametrize(
    ("wants", "count", "expected"),
    [
        ((5, 0, 3), None, {"t0": 5, "t2": 3}),
        ((5, 0, 3), 16, {"t0": 10, "t2": 6}),
        ((1, 1, 1), 4, {"t0": 2, "t1": 1, "t2": 1}),
        ((0, 0), 3, {"t0": 2, "t1": 1}),
        ((100, 1), 2, {"t0": 2}),
    ],
)
def test_counts_are_shared_out_in_proportion(wants, count, expected):
    assert wanted(gaps(*wants), count) == expected


@pytest.mark.parametrize(("wants", "count"), [((), None), ((0, 0), None), ((1,), 0), ((1,), -3)])
def test_nothing_to_do_is_an_error(wants, count):
    with pytest.raises(UsageError):
        wanted(gaps(*wants), count)


def test_gaps_are_read(tmp_path):
    path = tmp_path / "gaps.json"
    rows = [{"topic": "a", "n_real": 3, "recall": 0.5, "recall_ci95": [0.1, 0.9], "want": 4, "reason": "thin"}]
    path.write_text(json.dumps({"schema_version": 1, "topics": rows}))
    assert read_gaps(path) == [Gap("a", 3, 0.5, (0.1, 0.9), 4, "thin")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "no JSON"),
        ("[]", "no list of topics"),
        ('{"topics": []}', "no list of topics"),
        ('{"topics": [{"want": 3}]}', "topic 1 has no name"),
        ('{"topics": [{"topic": "a", "want": 3}, {"topic": "b", "want": -1}]}', "topic 2 needs a whole number"),
        ('{"topics": [{"topic": "a", "want": true}]}', "topic 1 needs a whole number"),
        ('{"topics": ["a"]}', "topic 1 has no name"),
    ],
)
def test_mistakes_in_gaps_are_named(tmp_path, text, message):
    path = tmp_path / "gaps.json"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        read_gaps(path)
    with pytest.raises(InputError, match="cannot be read"):
        read_gaps(tmp_path / "none.json")
