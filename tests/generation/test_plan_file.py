import json

import pytest

from posology.errors import InputError
from posology.generation.personas import built_in
from posology.generation.plan import Choices, make_plan
from posology.generation.plan_file import read_plan, write_plan


@pytest.fixture
def path(tmp_path, material, habits):
    rows = make_plan({"refund": 3, "return": 2}, material, Choices(habits, built_in()), mode="dialogue")
    write_plan(tmp_path / "plan.jsonl", rows)
    return tmp_path / "plan.jsonl"


def edit(path, line, **changes):
    rows = [json.loads(text) for text in path.read_text(encoding="utf-8").splitlines()]
    rows[line - 1] = {key: value for key, value in {**rows[line - 1], **changes}.items() if value is not ...}
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")


def test_a_plan_survives_its_file(path, material, habits):
    rows = make_plan({"refund": 3, "return": 2}, material, Choices(habits, built_in()), mode="dialogue")
    assert read_plan(path, topics=["refund", "return"], material=material) == rows


def test_edits_are_taken_over_and_empty_lines_passed_over(path, material):
    persona = {"name": "me", "about": "Me."}
    edit(path, 2, topic="refund", mood="", examples=..., docs=["delivery.md#Costs"], persona=persona)
    path.write_text("\ufeff\n" + path.read_text(encoding="utf-8") + "\n\n", encoding="utf-8")
    row = read_plan(path, topics=["refund", "return"], material=material)[1]
    assert (row.topic, row.mood, row.examples, row.persona.name) == ("refund", "", (), "me")
    assert row.docs == ("delivery.md#Costs",)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"topic": "refunds"}, "unknown topic 'refunds'. Did you mean refund"),
        ({"topic": ...}, "needs a text as 'topic'"),
        ({"topic": 3}, "needs a text as 'topic'"),
        ({"docs": ["returns.md#Refund time"]}, "unknown section .* Did you mean returns.md#Refund times"),
        ({"docs": "returns.md"}, "needs a list as 'docs'"),
        ({"docs": [["x"]]}, "unknown section something that is no text"),
        ({"catalog": ["Trail boot"]}, "unknown product 'Trail boot'. Did you mean Trail boots"),
        ({"turns": 0}, "whole number of at least 1 as 'turns'"),
        ({"turns": True}, "whole number of at least 1 as 'turns'"),
        ({"seed": ...}, "whole number of at least 0 as 'seed'"),
        ({"outcome": "happy"}, "unknown outcome. Known are resolved"),
        ({"moood": "x"}, "unknown field 'moood'. Did you mean mood"),
        ({"persona": "nurse"}, "needs 'name' and 'about'"),
        ({"examples": [{"id": "r1"}]}, "needs 'id' and 'text'"),
        ({"id": "syn0-1"}, "the id stands on line 1 already"),
        ({"id": " "}, "needs a text as 'id'"),
    ],
)
def test_mistakes_are_named_with_their_line(path, material, changes, message):
    edit(path, 3, **changes)
    with pytest.raises(InputError, match=f"line 3: .*{message}"):
        read_plan(path, topics=["refund", "return"], material=material)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"id": "a",', "line 1: is broken JSON"),
        (b"[1]", "line 1: is no JSON object"),
        (b"\n\n", "has no rows"),
        (b"\xff\xfe", "is not UTF-8"),
    ],
)
def test_files_that_are_no_plan_are_named(path, material, content, message):
    path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_plan(path, topics=["refund"], material=material)


def test_a_missing_file_is_named(tmp_path, material):
    with pytest.raises(InputError, match="cannot be read"):
        read_plan(tmp_path / "none.jsonl", topics=["refund"], material=material)


def test_equal_parts_are_shared(path, material):
    rows = read_plan(path, topics=["refund", "return"], material=material)
    docs = [row.docs for row in rows if row.topic == "refund"]
    assert docs[0] is docs[1]
