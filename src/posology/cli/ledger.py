"""posology ledger: the calls that were paid for."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from posology.cli import options as o
from posology.cli.display import show

if TYPE_CHECKING:
    from posology.llm.ledger import Ledger

app = typer.Typer(help="Count, write out and tidy the calls that were paid for.", no_args_is_help=True)

File = Annotated[Path, typer.Argument(help="A ledger, or a run folder that holds one.")]


def _opened(path: Path) -> Ledger:
    """The ledger at a path; it is never made here.

    Raises:
        InputError: There is none.
    """
    from posology.errors import InputError
    from posology.llm.ledger import Ledger

    file = path / "ledger.sqlite" if path.is_dir() else path
    if not file.is_file():
        raise InputError("there is no ledger.", file=file, remedy="`posology generate` makes one in its run folder.")
    return Ledger(file)


@app.command()
def stats(file: File = Path("run"), json: o.Json = False) -> None:
    """Count calls, tokens and money by stage and model."""
    from rich.table import Table

    with _opened(file) as ledger:
        rows = ledger.stats()
    table = Table("stage", "model", "answered", "failed", "sent", "tokens in", "tokens out", "cost")
    for row in rows:
        numbers = (row.answered, row.failed, row.attempts, row.input_tokens, row.output_tokens)
        cost = "not known" if row.answered and row.unpriced == row.answered else f"{row.cost:.4f}"
        table.add_row(row.stage, row.model, *(f"{number:,}" for number in numbers), cost)
    show({"calls": [asdict(row) for row in rows]}, as_json=json, human=table)


@app.command()
def export(
    target: Annotated[Path, typer.Argument(help="The JSONL file to write.")],
    file: Annotated[Path, typer.Option("--ledger", help="A ledger, or a run folder that holds one.")] = Path("run"),
    json: o.Json = False,
) -> None:
    """Write every call, with its request and reply, as a line of JSON."""
    with _opened(file) as ledger:
        n = ledger.export(target)
    show({"rows": n, "file": str(target)}, as_json=json, human=f"{n:,} calls in {target}")


@app.command()
def gc(
    file: File = Path("run"),
    keep_failed: Annotated[bool, typer.Option("--keep-failed", help="Keep failures of calls without a reply.")] = False,
    json: o.Json = False,
) -> None:
    """Remove failed attempts, and give their room back to the disk; replies stay."""
    with _opened(file) as ledger:
        n = ledger.gc(keep_failed=keep_failed)
    show({"removed": n}, as_json=json, human=f"{n:,} failed attempts removed")
