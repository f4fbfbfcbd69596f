"""posology init: a project folder to fill in."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from posology.cli import options as o
from posology.cli.display import show


def init(
    folder: Annotated[Path, typer.Argument(help="The new project folder.")] = Path("posology-project"),
    example: Annotated[bool, typer.Option("--example", help="Fill it with the fictional sample shop.")] = False,
    json: o.Json = False,
) -> None:
    """Make a project folder: posology.yaml, and places for data and docs.

    The posology.yaml explains every setting. Nothing that is already there is overwritten.
    """
    from posology.projects import make_project

    written = make_project(folder, example=example)
    lines = [f"{folder} is ready:", *(f"  {path}" for path in written), ""]
    lines.append(f"Next: cd {folder}, put your files in, then `posology check` and `posology run`.")
    show({"folder": str(folder), "files": [str(path) for path in written]}, as_json=json, human="\n".join(lines))
