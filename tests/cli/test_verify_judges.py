"""`posology verify` with judges and human labels, on the command line."""

import io
import json
from pathlib import Path

import pytest

from chat_server import ChatServer
from verification_replies import scored, write_pool


@pytest.fixture
def server():
    server = ChatServer()
    server.answer = scored
    yield server
    server.close()


@pytest.fixture
def files(tmp_path, monkeypatch):
    """A small shop's data; the lexical encoder needs no weights."""
    monkeypatch.chdir(tmp_path)
    return write_pool()


def test_judges_their_family_and_their_budget(posology, files, server):
    refused = posology("verify", *files, "--judge", "anthropic:claude-opus-4-1")
    assert refused.code == 2 and "one family, claude" in refused.err and "--allow-same-family" in refused.err
    judges = ["--judge", "openai:gpt-test", "--judge-url", server.url]
    done = posology("verify", *files, *judges, "--json")
    assert done.code == 0, done.err
    (judge,) = done.json["judging"]["judges"]
    assert judge["states"] == {"scored": done.json["judging"]["n_judged"]} and server.answered
    rows = [json.loads(line) for line in Path("run/verify/verdicts.jsonl").read_text().splitlines()]
    assert any(row["verifier"] == ["data", "openai:gpt-test"] and "judge_on_topic" in row["scores"] for row in rows)
    unpriced = posology("verify", *files, *judges, "--budget", "1", "--out", "other")
    assert unpriced.code == 2 and "price" in unpriced.err


def test_labels_by_keyboard_and_what_they_say(posology, files, server, monkeypatch):
    judges = ["--judge", "openai:gpt-test", "--judge-url", server.url]

    def label(keys, n):
        monkeypatch.setattr("sys.stdin", io.StringIO(keys))
        return posology("verify", *files, *judges, "--label", n, "--json")

    assert label("y\nn\nq", 12).json["n"] == 2
    assert label("yn" * 10, 12).json == {"n": 12, "n_good": 6, "wanted": 12, "labels": "run/labels.jsonl"}
    found = posology("verify", *files, *judges, "--calibrate", "run/labels.jsonl", "--precision", "0.9", "--json")
    assert found.code == 0, found.err
    assert found.json["n"] == 12 and found.json["threshold"]["needed"] == 44
    shown = posology("verify", *files, *judges, "--calibrate", "run/labels.jsonl")
    assert "Against 12 labels" in shown.out and "posology.yaml" in shown.out


def test_bad_labels_and_flags(posology, files):
    nowhere = posology("verify", *files, "--calibrate", "nowhere.jsonl")
    assert nowhere.code == 2 and "no such file" in nowhere.err
    rows = '{"id": "synthetic.jsonl-900", "good": true}\n{"id": "stranger", "good": false}\n'
    Path("labels.jsonl").write_text(rows)
    unknown = posology("verify", *files, "--calibrate", "labels.jsonl")
    assert unknown.code == 2 and "line 2" in unknown.err and "stranger" in unknown.err
    assert posology("verify", *files, "--calibrate", "labels.jsonl", "--precision", "95").code == 2
    assert posology("verify", *files, "--calibrate", "labels.jsonl", "--label", "5").code == 2


def test_an_override_is_said_everywhere(posology, files, server):
    judges = ["--judge", "openai:claude-like", "--judge-url", server.url, "--allow-same-family"]
    assert posology("verify", *files, *judges).code == 0
    said = "The check of independence was overridden"
    assert said in json.loads(Path("run/verify/manifest.json").read_text())["warnings"][0]
    Path("posology.yaml").write_text(
        f"verify: {{judges: ['openai:claude-like'], base_url: '{server.url}', allow_same_family: true}}\n"
    )
    mixed = posology("mix", *files, "--dose", "0.2", "--run", "run", "--out", "set")
    assert mixed.code == 0, mixed.err
    assert said in Path("set/README.md").read_text()


def test_who_is_refused_leaves_the_last_good_result(posology, files, server, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    assert posology("verify", *files).code == 0
    kept = [Path("run/config.json"), Path("run/verify/manifest.json"), Path("run/verify/verdicts.jsonl")]
    before = [path.read_bytes() for path in kept]
    Path("mine").mkdir()
    Path("mine/judge.md.j2").write_text("{{ nobody_knows_this }}")
    Path("templates.yaml").write_text("verify: {templates: mine}\n")
    local = ("--judge", "openai:gpt-test", "--judge-url", server.url)
    for more, why in (
        (("--judge", "anthropic:claude-opus-4-1"), "one family"),
        (("--judge", "openai:gpt-test"), "OPENAI_API_KEY is not set"),
        ((*local, "--budget", "1"), "price"),
        ((*local, "--config", "templates.yaml"), "mine"),
        (("--judge", "scripted:anything:at_all", "--batch"), ""),
        (("--batch",), "batches need a judge"),
    ):
        refused = posology("verify", *files, *more)
        assert refused.code == 2 and why in refused.err, refused.err
        assert [path.read_bytes() for path in kept] == before
    assert not server.answered
    chosen = posology("select", "--run", "run", "-q", "--near", "1", "--semantic", "1")
    assert "candidates" in chosen.out + chosen.err and "damaged" not in chosen.err and "missing" not in chosen.err


def test_the_terminal_tells_of_judges(posology, files, server):
    server.answer = lambda body: scored(body, score=lambda name, number: 5, number=0)
    with Path("synthetic.jsonl").open("a") as pool:
        for k in range(40):
            text = (
                f"my parcel {'abcdefghij'[k % 10]}{k} is late again, please look where my {'qrst'[k % 4] * 3} parcel is"
            )
            turn = {"role": "user", "content": text}
            row = {"id": f"more-{k}", "messages": [turn], "topic": "delivery", "generator": "claude-sonnet-4"}
            pool.write(json.dumps(row) + "\n")
    loud = [flag for flag in files if flag != "-q"]
    judges = ["--judge", "openai:gpt-test", "--judge-url", server.url]
    told, again = posology("verify", *loud, *judges), posology("verify", *loud, *judges)
    for found in (told, again):
        assert found.code == 0 and "openai:gpt-test: " in found.out and "calls, price not known; scored" in found.out
        assert "gives everything a 5: uninformative" in found.out
        assert "warning: openai:gpt-test gives everything a 5" in found.err
