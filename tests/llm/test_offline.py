import json

import pytest

from posology.errors import InputError, StoreError
from posology.llm.contract import ChatRequest, ModelCallError, Reply, Usage
from posology.llm.offline import export_requests, import_replies

PROVIDER = "openai https://far.example/v1"


def asks(n):
    return [ChatRequest("m", (("user", f"question {i} é"),), temperature=0.5, seed=i) for i in range(n)]


def by_key(requests):
    return {request.key(PROVIDER): request for request in requests}


def answer(key, text="yes", finish="stop", status=200):
    body = {
        "model": "m-1",
        "choices": [{"message": {"role": "assistant", "content": text}, "finish_reason": finish}],
        "usage": {"prompt_tokens": 7, "completion_tokens": 3},
    }
    return {"id": "x", "custom_id": key, "response": {"status_code": status, "body": body}, "error": None}


def write(path, *values):
    path.write_text("".join(v if isinstance(v, str) else json.dumps(v) + "\n" for v in values), encoding="utf-8")
    return path


def test_there_and_back(tmp_path):
    requests = asks(3)
    assert export_requests(tmp_path / "out.jsonl", [*requests, requests[0]], PROVIDER) == 3
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()]
    assert rows[1]["method"] == "POST" and rows[1]["url"] == "/v1/chat/completions"
    assert rows[1]["body"]["messages"] == [{"role": "user", "content": "question 1 é"}]
    assert all(len(row["custom_id"]) <= 64 for row in rows)
    file = write(tmp_path / "in.jsonl", *(answer(row["custom_id"], f"reply {i}") for i, row in enumerate(rows)))
    imported = import_replies(file, by_key(requests))
    assert [imported.outcomes[r.key(PROVIDER)].text for r in requests] == ["reply 0", "reply 1", "reply 2"]
    first = imported.outcomes[requests[0].key(PROVIDER)]
    assert (first.usage, first.finish, first.model) == (Usage(7, 3, 0), "stop", "m-1")
    assert imported.unknown == ()


def test_written_by_hand_with_a_mark_and_empty_lines(tmp_path):
    (key,) = by_key(asks(1))
    file = write(tmp_path / "f", "\ufeff\n", "\n", {"custom_id": key, "reply": "typed by hand"}, "  \r\n")
    reply = import_replies(file, by_key(asks(1))).outcomes[key]
    assert isinstance(reply, Reply) and reply.text == "typed by hand" and reply.usage.output_tokens > 0


def test_cut_and_refused_replies_keep_their_finish(tmp_path):
    one, two = by_key(asks(2))
    file = write(tmp_path / "f", answer(one, finish="length"), answer(two, finish="content_filter"))
    outcomes = import_replies(file, by_key(asks(2))).outcomes
    assert (outcomes[one].finish, outcomes[two].finish) == ("length", "refused")


def test_failures_have_a_kind_and_no_text(tmp_path):
    keys = list(by_key(asks(4)))
    secret = {"error": {"message": "you sent: my secret", "code": "context_length_exceeded"}}
    lines = [
        {"custom_id": keys[0], "response": {"status_code": 400, "body": secret}, "error": None},
        {"custom_id": keys[1], "response": {"status_code": 429, "body": {}}, "error": None},
        {"custom_id": keys[2], "response": None, "error": {"code": "batch_expired", "message": "too late"}},
        {"custom_id": keys[3], "response": {"status_code": 200, "body": "<html>"}, "error": None},
    ]
    outcomes = import_replies(write(tmp_path / "f", *lines), by_key(asks(4))).outcomes
    assert [outcomes[key].kind for key in keys] == ["context_too_long", "rate_limited", "overloaded", "malformed"]
    assert all(isinstance(o, ModelCallError) and "secret" not in str(o) for o in outcomes.values())


def test_a_reply_goes_before_a_failure_and_the_first_before_the_second(tmp_path):
    (key,) = by_key(asks(1))
    failed = {"custom_id": key, "response": {"status_code": 500, "body": {}}}
    file = write(tmp_path / "f", failed, answer(key, "one"), answer(key, "two"), failed)
    assert import_replies(file, by_key(asks(1))).outcomes[key].text == "one"


def test_unknown_keys_are_counted_and_nothing_but_those_is_an_error(tmp_path):
    (key,) = by_key(asks(1))
    imported = import_replies(write(tmp_path / "f", answer("other"), answer(key)), by_key(asks(1)))
    assert imported.unknown == ("other",)
    with pytest.raises(InputError, match="none of its 1 lines"):
        import_replies(write(tmp_path / "g", answer("other")), by_key(asks(1)))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{not json}\n", "not a JSON object"),
        ("[1, 2]\n", "not a JSON object"),
        ('{"reply": "x"}\n', "no custom_id"),
        ('{"custom_id": KEY}\n', "neither a response nor a reply"),
        ('{"custom_id": KEY, "reply": 3}\n', "neither a response nor a reply"),
        ("[" * 100_000 + "\n", "not a JSON object"),
    ],
)
def test_broken_lines_are_named(tmp_path, line, said):
    (key,) = by_key(asks(1))
    file = write(tmp_path / "replies.jsonl", answer(key), line.replace("KEY", json.dumps(key)))
    with pytest.raises(InputError, match=said) as error:
        import_replies(file, by_key(asks(1)))
    assert (error.value.line, error.value.file) == (2, str(file))


def test_other_bad_files(tmp_path):
    requests = by_key(asks(1))
    with pytest.raises(InputError, match="cannot be read"):
        import_replies(tmp_path / "missing", requests)
    with pytest.raises(InputError, match="no lines"):
        import_replies(write(tmp_path / "empty"), requests)
    (tmp_path / "latin").write_bytes('{"custom_id": "é"}'.encode("latin-1"))
    with pytest.raises(InputError, match="not UTF-8"):
        import_replies(tmp_path / "latin", requests)
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError):
        export_requests(tmp_path / "file" / "out", asks(1), PROVIDER)
