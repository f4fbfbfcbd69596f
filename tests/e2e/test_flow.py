"""The whole flow on the sample shop, with the bundled encoder, through the installed command."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

COMMAND = [sys.executable, "-m", "posology"]


def run(*args, check=True, **more):
    done = subprocess.run([*COMMAND, *map(str, args)], capture_output=True, text=True, check=False, **more)
    if check:
        assert done.returncode == 0, done.stderr
    return done


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project folder made by `posology init --example`."""
    folder = tmp_path_factory.mktemp("project") / "shop"
    run("init", folder, "--example")
    return folder


@pytest.fixture(scope="module")
def finished(project, posology_home):
    """The project after `posology run`."""
    if not (posology_home / "models" / "minilm").exists():
        pytest.skip("the bundled encoder is not here: posology models pull minilm")
    done = run("run", "--json", cwd=project)
    return project, json.loads(done.stdout), done


@pytest.mark.models
def test_run_writes_every_file_of_the_contract(finished):
    project, result, done = finished
    assert result["schema_version"] == 1 and result["design"] == "augment" and result["seeds"] == [0, 1, 2, 3, 4]
    assert result["holdout"]["n"] == 360
    assert {a["kind"] for a in result["arms"]} == {"selected", "random"}
    assert result["recommendation"]["status"] in {"better", "no_worse", "inconclusive", "harmful"}
    for file in (
        "split/manifest.json",
        "gaps/gaps.json",
        "select/selected.jsonl",
        "select/rejected.jsonl",
        "sweep/dose_response.json",
        "sweep/predictions.parquet",
        "report/report.html",
    ):
        assert (project / "run" / file).is_file(), file
    assert "Traceback" not in done.stderr


@pytest.mark.models
def test_the_price_match_topic_that_only_the_docs_know_is_a_gap(finished):
    project, _, _ = finished
    topics = {row["topic"]: row for row in json.loads((project / "run/gaps/gaps.json").read_text())["topics"]}
    row = topics["price_match"]
    assert row["n_real"] == 0 and row["recall"] is None and row["want"] > 0 and "docs" in row["reason"]


@pytest.mark.models
def test_predictions_agree_with_the_result(finished):
    import pyarrow.parquet as pq

    project, result, _ = finished
    table = pq.read_table(project / "run/sweep/predictions.parquet").to_pydict()
    assert list(table) == ["id", "topic", "dose", "kind", "seed", "predicted", "probability"]
    right = [
        t == p
        for t, p, d, k in zip(table["topic"], table["predicted"], table["dose"], table["kind"], strict=True)
        if (d, k) == (0.3, "selected")
    ]
    arm = next(a for a in result["arms"] if (a["dose"], a["kind"]) == (0.3, "selected"))
    assert sum(right) / len(right) == pytest.approx(arm["accuracy"]["mean"], abs=1e-6)


@pytest.mark.models
def test_a_second_run_trains_nothing_and_a_fresh_one_gives_the_same_bytes(finished, tmp_path):
    project, _, _ = finished
    before = (project / "run/sweep/dose_response.json").read_bytes()
    assert "nothing changed" in run("run", cwd=project).stderr
    run("run", "--out", tmp_path / "again", "--jobs", "1", cwd=project)
    assert (tmp_path / "again/sweep/dose_response.json").read_bytes() == before
    assert (tmp_path / "again/report/report.html").stat().st_size < 3_000_000


@pytest.mark.models
def test_view_report_export_mix_and_ask(finished, tmp_path):
    project, result, _ = finished
    assert json.loads(run("view", project / "run", "--json").stdout) == {
        k: v for k, v in result.items() if k not in ("report", "generated")
    }
    assert Path(run("report", project / "run").stdout.strip()).is_file()
    facts = json.loads(run("export", project / "run", "--dose", "0.3", "--out", tmp_path / "set", "--json").stdout)
    assert facts["n_real"] == 400 and facts["n_synthetic"] == 171 and not facts["n_pool_short"]
    card = (tmp_path / "set/README.md").read_text()
    assert "171 synthetic" in card and "sample-writer: 171" in card
    rows = [json.loads(line) for line in (tmp_path / "set/train.jsonl").read_text().splitlines()]
    assert sum(row["source"] == "synthetic" for row in rows) == 171
    mixed = run(
        "mix", "--dose", "30%", "--format", "csv", "--run", "run", "--out", tmp_path / "mix", "--json", cwd=project
    )
    assert json.loads(mixed.stdout)["content"] == facts["content"]
    answer = json.loads(
        run("ask", "--variant", project / "run", "--docs", project / "docs", "--json", "do you hire out tents?").stdout
    )
    assert 0 < answer["probability"] <= 1 and answer["section"]["heading"]


@pytest.mark.models
def test_check_says_what_was_understood(finished):
    project, _, _ = finished
    assert "400 conversations, 16 topics" in run("check", cwd=project).stdout


@pytest.mark.models
def test_a_killed_sweep_goes_on_where_it_was(finished, tmp_path):
    project, _, _ = finished
    out = tmp_path / "killed"
    process = subprocess.Popen([*COMMAND, "run", "--out", str(out), "--quiet"], cwd=project, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 240
    while not list(out.glob("sweep/variants/*/predictions.npz")) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = {p: p.stat().st_mtime_ns for p in out.glob("sweep/variants/*/predictions.npz")}
    assert kept
    run("run", "--out", out, "--quiet", cwd=project)
    assert all(path.stat().st_mtime_ns == time_ for path, time_ in kept.items())
    assert (out / "sweep/dose_response.json").read_bytes() == (project / "run/sweep/dose_response.json").read_bytes()


@pytest.mark.models
def test_ctrl_c_leaves_with_130_and_says_how_to_go_on(finished, tmp_path):
    project, _, _ = finished
    out = tmp_path / "interrupted"
    process = subprocess.Popen(
        [*COMMAND, "run", "--out", str(out), "--quiet"], cwd=project, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 240
    while not list(out.glob("sweep/variants/*/predictions.npz")) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "same command goes on" in said and "Traceback" not in said


def test_init_makes_a_project_and_overwrites_nothing(tmp_path):
    run("init", tmp_path / "new")
    assert (tmp_path / "new/posology.yaml").is_file() and (tmp_path / "new/data").is_dir()
    again = run("init", tmp_path / "new", check=False)
    assert again.returncode == 1 and "exists already" in again.stderr


def test_init_leaves_a_project_that_check_understands(tmp_path):
    run("init", tmp_path / "new")
    done = run("check", cwd=tmp_path / "new", check=False)
    assert done.returncode == 2 and "real.jsonl" in done.stderr


@pytest.mark.models
def test_demo_on_the_sample(finished, tmp_path):
    environment = {k: v for k, v in os.environ.items() if k != "POSOLOGY_DATA"}
    done = run("demo", "--sample", "--out", "d", cwd=tmp_path, env=environment)
    assert "fictional" in done.stdout and (tmp_path / "d/report/report.html").is_file()
