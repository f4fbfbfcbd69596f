"""The examples for schedulers run as they stand, with a stand-in for `posology` that writes down how it was called."""

import os
import subprocess
from pathlib import Path

import pytest
import typer
import yaml

from posology.cli.main import app

EXAMPLES = Path(__file__).parents[2] / "examples" / "monitor"


@pytest.fixture
def called(tmp_path):
    """Runs a command line with the stand-in; gives exit code, stdout, and the arguments."""
    stub = tmp_path / "bin" / "posology"
    stub.parent.mkdir()
    stub.write_text('#!/bin/sh\nprintf "%s\\n" "$@" > "$ARGUMENTS"\necho "the result"\nexit "$CODE"\n')
    stub.chmod(0o755)

    def run(command, code, shell=("sh", "-c"), **variables):
        path = f"{stub.parent}:{os.environ['PATH']}"
        settings = {"PATH": path, "ARGUMENTS": str(tmp_path / "arguments"), "CODE": str(code), **variables}
        done = subprocess.run(
            [*shell, command], env=settings, cwd=tmp_path, capture_output=True, text=True, check=False
        )
        return done.returncode, done.stdout, (tmp_path / "arguments").read_text().splitlines()

    return run


def known_flags():
    verb = typer.main.get_command(app).commands["monitor"].commands["check"]
    return {name for option in verb.params for name in option.opts}


def check_call(arguments):
    assert arguments[:2] == ["monitor", "check"]
    flags = {word for word in arguments if word.startswith("--")}
    assert {"--run", "--traffic", "--date"} <= flags <= known_flags()


def cron_command():
    lines = (EXAMPLES / "crontab").read_text(encoding="utf-8").splitlines()
    (job,) = [line for line in lines if line and not line.startswith("#") and "=" not in line.split(maxsplit=1)[0]]
    return job.split(maxsplit=5)[5].replace("\\%", "%")


def test_cron_is_silent_in_a_healthy_week_and_speaks_on_drift(called, tmp_path):
    code, out, arguments = called(cron_command(), 0, BOT=str(tmp_path))
    assert code == 0 and out == ""
    check_call(arguments)
    traffic = arguments[arguments.index("--traffic") + 1]
    assert traffic.startswith("traffic/20") and "-W" in traffic and traffic.endswith(".jsonl")
    code, out, _ = called(cron_command(), 3, BOT=str(tmp_path))
    assert "the result" in out


def test_the_workflow_turns_red_on_drift_and_keeps_the_history():
    workflow = yaml.safe_load((EXAMPLES / "github-actions.yml").read_text(encoding="utf-8"))
    assert workflow[True]["schedule"][0]["cron"].endswith("1")  # YAML reads the key `on` as true
    steps = {step.get("name"): step for step in workflow["jobs"]["monitor"]["steps"]}
    assert all("cancelled" in steps[name]["if"] for name in ("keep the history", "pages"))
    assert "posology[monitor]" in steps["install"]["run"]


def test_the_step_of_the_workflow_runs(called):
    workflow = yaml.safe_load((EXAMPLES / "github-actions.yml").read_text(encoding="utf-8"))
    command = next(step["run"] for step in workflow["jobs"]["monitor"]["steps"] if step.get("name") == "check")
    for code in (0, 3):
        left, out, arguments = called(command, code, shell=("bash", "--noprofile", "--norc", "-eo", "pipefail", "-c"))
        assert left == code and "the result" in out
        check_call(arguments)
