"""Help texts, as people see them."""

import re
from collections.abc import Iterator

import pytest
import typer
from typer.testing import CliRunner

from posology.cli.main import app


def commands(command, path=()) -> Iterator[tuple]:
    children = getattr(command, "commands", {})
    if not children:
        yield path, command
    for name, child in children.items():
        yield from commands(child, (*path, name))


VERBS = list(commands(typer.main.get_command(app)))


@pytest.mark.parametrize(("path", "command"), VERBS, ids=[" ".join(path) for path, _ in VERBS])
def test_no_markup_eats_a_part_of_a_help_text(path, command, monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")
    monkeypatch.setenv("TERM", "dumb")
    shown = " ".join(CliRunner().invoke(app, [*path, "--help"], prog_name="posology").output.split())
    assert " ." not in re.sub(r" \.[\w/]", "", shown)
    for parameter in command.params:
        written = " ".join((getattr(parameter, "help", None) or "").split())
        assert written in shown, f"{parameter.name}: {written}"
