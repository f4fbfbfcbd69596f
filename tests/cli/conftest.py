"""The command line, run in this process."""

import json
import sys
from dataclasses import dataclass

import pytest

from posology.cli.main import main


@dataclass
class Outcome:
    code: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out)


@pytest.fixture
def posology(capsys, monkeypatch):
    """Runs `posology ARGS` and gives exit code, stdout and stderr; lines are not wrapped."""
    monkeypatch.setenv("COLUMNS", "400")

    def run(*args):
        monkeypatch.setattr(sys, "argv", ["posology", *map(str, args)])
        with pytest.raises(SystemExit) as left:
            main()
        captured = capsys.readouterr()
        code = left.value.code
        return Outcome(0 if code is None else code, captured.out, captured.err)

    return run
