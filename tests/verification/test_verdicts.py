import pytest

from posology.errors import StoreError
from posology.records import Conversation, Finding, Message
from posology.store import write_jsonl
from posology.verification.verdicts import from_row, read_verdicts, to_row, verdict

CANDIDATE = Conversation("c1", (Message("user", "hello"),), "greeting", "synthetic")
FINDINGS = [
    Finding("faithful", "unscored", detail="no agent speaks in it"),
    Finding("leaked_near", "fail", 0.8123456789, 0.7, "nearly h7", "h7"),
]


def test_a_verdict_survives_its_row(tmp_path):
    made = verdict(
        CANDIDATE, FINDINGS, {"agreement": 0.5, "faithful": None}, topic="other", verifier=("data", "openai:m")
    )
    write_jsonl(tmp_path / "verdicts.jsonl", [to_row(made)])
    (read,) = read_verdicts(tmp_path / "verdicts.jsonl")
    assert to_row(read) == to_row(made)
    assert (read.passed, read.reasons, read.topic, read.composite) == (False, ("leaked_near",), "other", 0.5)
    assert read.findings[1].score == 0.812346


def test_the_row_has_the_documented_fields():
    row = to_row(verdict(CANDIDATE, FINDINGS, {}))
    assert list(row) == ["id", "passed", "composite", "scores", "checks", "reasons", "verifier", "topic"]
    assert row["checks"]["leaked_near"] == {
        "state": "fail", "score": 0.812346, "threshold": 0.7, "detail": "nearly h7", "other_id": "h7",
    }  # fmt: skip
    assert (row["composite"], row["topic"], row["verifier"]) == (None, "greeting", ["data"])


def test_what_could_not_be_judged_neither_helps_nor_harms():
    scores = {"a": 1.0, "b": 0.0, "c": None}
    assert verdict(CANDIDATE, [], scores).composite == 0.5
    assert verdict(CANDIDATE, [], scores, weights={"a": 3.0, "b": 1.0, "c": 9.0}).composite == 0.75
    assert verdict(CANDIDATE, [Finding("x", "unscored")], {"c": None}).passed


def test_a_low_composite_fails_only_where_there_is_one():
    assert verdict(CANDIDATE, [], {"a": 0.4}, min_composite=0.5).reasons == ("low_composite",)
    assert verdict(CANDIDATE, [], {"a": 0.6}, min_composite=0.5).passed
    assert verdict(CANDIDATE, [], {"a": None}, min_composite=0.5).passed


def test_a_check_stands_once():
    with pytest.raises(ValueError, match="twice"):
        verdict(CANDIDATE, [Finding("a", "pass"), Finding("a", "fail")], {})


@pytest.mark.parametrize("text", ["{", "[]\n", '{"id": "a"}\n', '{"id": 1, "checks": {"x": {"colour": 1}}}\n'])
def test_damaged_verdicts_are_an_error_with_a_remedy(tmp_path, text):
    (tmp_path / "v.jsonl").write_text(text)
    with pytest.raises(StoreError, match="damaged"):
        read_verdicts(tmp_path / "v.jsonl")
    with pytest.raises(StoreError, match="posology verify"):
        read_verdicts(tmp_path / "none.jsonl")
    with pytest.raises((KeyError, TypeError, AttributeError)):
        from_row({"id": "a"})
