"""posology monitor, from the command line."""

import json
import shutil

import pyarrow.parquet as pq
import pytest

from monitor_support import customers, swept, traffic_file


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    pytest.importorskip("great_expectations", reason="the extra `monitor` is not installed", exc_type=ImportError)
    from posology.monitor import baseline

    folder = tmp_path_factory.mktemp("watched")
    swept(folder / "run")
    traffic_file(folder / "reference.jsonl", customers(300, 100))
    traffic_file(folder / "week.jsonl", customers(60, 101))
    traffic_file(folder / "drift.jsonl", customers(60, 102, shares=(0.1, 0.1, 0.8)))
    draws, baseline.DRAWS = baseline.DRAWS, 500
    yield folder / "run"
    baseline.DRAWS = draws


def test_from_baseline_to_drift(posology, run):
    files = run.parent
    early = posology("monitor", "check", run, "--traffic", files / "week.jsonl")
    assert early.code == 2 and "monitor init" in early.err
    begun = posology("monitor", "init", run, "--traffic", files / "reference.jsonl", "--window", 60, "-q")
    assert begun.code == 0 and "The baseline stands" in begun.out
    well = posology("monitor", "check", "--run", run, "--traffic", files / "week.jsonl", "--date", "2026-03-02", "-q")
    assert well.code == 0 and "no drift" in well.out and "topic_psi" in well.out and not well.err
    ill = posology("monitor", "check", run, "--traffic", files / "drift.jsonl", "--date", "2026-03-16", "-q", "--json")
    assert ill.code == 3
    assert {"schema_version", "drifted", "checks", "data_docs"} <= ill.json.keys()
    assert ill.json["schema_version"] == 1 and ill.json["drifted"] is True
    assert {"name", "value", "threshold", "p_value", "verdict"} <= ill.json["checks"][0].keys()
    told = posology("monitor", "history", "--run", run)
    assert told.code == 0 and "no batch between 2026-03-02 and 2026-03-16" in told.out and "topic_share" in told.out
    assert [row["drifted"] for row in posology("monitor", "history", run, "--json").json["batches"]] == [False, True]
    assert pq.read_table(run / "monitor" / "history.parquet").num_rows > 20
    shutil.copytree(run, files / "copy")
    same = posology("monitor", "compare", run, files / "copy", "-q")
    assert same.code == 0 and "no drift" in same.out
    itself = posology("monitor", "compare", run, run / "..", "-q")
    assert itself.code == 2 and "no finished sweep" in itself.err
    itself = posology("monitor", "compare", run, run / ".." / "run", "-q")
    assert itself.code == 2 and "the same run" in itself.err


def test_too_little_traffic_is_unscored_and_the_reason_is_said_once(posology, run):
    few = traffic_file(run.parent / "few.jsonl", customers(5, 7))
    posology("monitor", "init", run, "--traffic", run.parent / "reference.jsonl", "--window", 60, "-q")
    for more in ((), ("-q",)):
        told = posology("monitor", "check", run, "--traffic", few, "--date", "2026-04-06", *more)
        assert told.code == 0 and (told.out + told.err).count("too few to judge") == 1
        assert "unscored" in told.out.splitlines() and "no drift" not in told.out
    result = posology("monitor", "check", run, "--traffic", few, "--date", "2026-04-06", "-q", "--json").json
    assert result["verdict"] == "unscored" and result["drifted"] is False
    (batch,) = (b for b in posology("monitor", "history", run, "--json").json["batches"] if b["day"] == "2026-04-06")
    assert batch["verdict"] == "unscored" and batch["drifted"] is False
    assert "unscored" in posology("monitor", "history", run).out
    page = (run / "monitor" / "index.html").read_text(encoding="utf-8")
    assert '<p class="status">Unscored</p>' in page and "<td>unscored</td><td></td>" in page
    assert page.count("too few to judge") == 1


def test_wrong_flags(posology, run, tmp_path):
    files = run.parent
    assert posology("monitor", "check", run).code == 2
    bad = posology("monitor", "check", run, "--traffic", files / "week.jsonl", "--date", "yesterday")
    assert bad.code == 2 and "2026-03-31" in bad.err
    bad = posology("monitor", "check", run, "--traffic", files / "week.jsonl", "--webhook", "nowhere")
    assert bad.code == 2 and "--webhook" in bad.err
    assert posology("monitor", "init", run, "--traffic", files / "none.jsonl").code == 2
    assert posology("monitor", "check", tmp_path / "typo", "--traffic", files / "week.jsonl").code == 2
    assert posology("monitor", "init", tmp_path / "typo").code == 2 and not (tmp_path / "typo").exists()
    nothing = posology("monitor", "history", tmp_path)
    assert nothing.code == 2 and "monitor init" in nothing.err
    nothing = posology("monitor", "compare", run, tmp_path)
    assert nothing.code == 2 and "posology sweep" in nothing.err
    two = posology("monitor", "check", run, "--run", tmp_path, "--traffic", files / "week.jsonl")
    assert two.code == 2 and "two folders" in two.err


def test_the_address_of_a_webhook_comes_from_the_environment_and_is_not_shown(posology, run, monkeypatch):
    monkeypatch.setenv("POSOLOGY_WEBHOOK", "http://127.0.0.1:9/secret")
    posology("monitor", "init", run, "--traffic", run.parent / "reference.jsonl", "--window", 60, "-q")
    told = posology("monitor", "check", run, "--traffic", run.parent / "week.jsonl", "--json")
    assert told.code == 0 and told.json["webhook"]["sent"] is False
    assert "was not told" in told.err and "secret" not in told.out + told.err
    assert "secret" not in json.dumps(told.json)
