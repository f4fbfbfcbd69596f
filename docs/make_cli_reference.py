"""Writes docs/cli.md from the command line's own help; `--check` only says whether it is up to date."""

import os
import sys
from pathlib import Path

os.environ.update(COLUMNS="100", TERM="dumb", NO_COLOR="1", _TYPER_STANDARD_TRACEBACK="1")

import typer
from typer.testing import CliRunner

from posology.cli.main import app

TARGET = Path(__file__).parent / "cli.md"


def help_of(*path: str) -> str:
    """The help text of a verb, without trailing white space."""
    text = CliRunner().invoke(app, [*path, "--help"], prog_name="posology").output
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


def reference() -> str:
    """All verbs, in the order of the command line."""
    parts = [
        "# Command line",
        "Made by `make docs` from the command line's own help; a test holds it in step.",
        f"```text\n{help_of()}\n```",
    ]
    group = typer.main.get_command(app)
    for name, command in group.commands.items():
        parts += [f"## posology {name}", f"```text\n{help_of(name)}\n```"]
        for sub in getattr(command, "commands", {}):
            parts += [f"### posology {name} {sub}", f"```text\n{help_of(name, sub)}\n```"]
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    text = reference()
    if "--check" in sys.argv:
        sys.exit(0 if TARGET.read_text(encoding="utf-8") == text else "docs/cli.md is stale: run `make docs`")
    TARGET.write_text(text, encoding="utf-8")
