"""The `posology` command: registers the verbs, and turns errors into exit codes.

Exit codes: 0 done, 1 a failure, 2 bad usage, input or configuration, 3 drift found, 4 budget reached, 130 interrupted.
"""

from __future__ import annotations

import gc
import sys
from typing import Annotated

import typer

from posology import __version__
from posology.cli import (
    ask,
    check,
    collapse,
    contamination,
    demo,
    export,
    gaps,
    generate,
    init,
    leakage,
    ledger,
    mix,
    models,
    monitor,
    recurse,
    report,
    run,
    select,
    split,
    sweep,
    verify,
    view,
)
from posology.cli.plain import PlainGroup
from posology.errors import PosologyError

INTERRUPTED = 130
OBJECTS_A_COLLECTION = 20_000

app = typer.Typer(
    name="posology",
    help="How much synthetic data, and which, makes a support bot better on real customers? Find the dose; prove it.",
    epilog="Start with `posology demo`, or with `posology init my-bot`. Exit codes: 0 done, 1 failure, 2 bad usage, "
    "input or settings, 3 drift found, 4 budget reached, 130 interrupted.",
    no_args_is_help=True,
    add_completion=False,
    cls=PlainGroup,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

START, STAGES, RESULTS = "Start here", "Stages, in the order of the flow", "Results"
for name, verb, panel in (
    ("demo", demo.demo, START),
    ("init", init.init, START),
    ("check", check.check, START),
    ("run", run.run, START),
    ("split", split.split, STAGES),
    ("gaps", gaps.gaps, STAGES),
    ("generate", generate.generate, STAGES),
    ("verify", verify.verify, STAGES),
    ("select", select.select, STAGES),
    ("mix", mix.mix, STAGES),
    ("sweep", sweep.sweep, STAGES),
    ("collapse", collapse.collapse, STAGES),
    ("recurse", recurse.recurse, STAGES),
    ("view", view.view, RESULTS),
    ("report", report.report, RESULTS),
    ("export", export.export, RESULTS),
    ("leakage", leakage.leakage, RESULTS),
    ("contamination", contamination.contamination, RESULTS),
    ("ask", ask.ask, RESULTS),
):
    app.command(name, rich_help_panel=panel)(verb)
app.add_typer(monitor.app, name="monitor", rich_help_panel=RESULTS)
app.add_typer(ledger.app, name="ledger", rich_help_panel="Calls and bundled weights")
app.add_typer(models.app, name="models", rich_help_panel="Calls and bundled weights")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"posology {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and leave.")
    ] = False,
) -> None:
    """Holds the flags that stand before a verb."""


def main() -> None:
    """Runs the command line and leaves with the documented exit code."""
    # Imports and rows make hardly any reference cycles; by default, a tenth of the time goes into looking for them.
    gc.set_threshold(OBJECTS_A_COLLECTION, 10, 10)
    try:
        app()
    except PosologyError as error:
        _complain(error.message, error.remedy)
        sys.exit(error.exit_code)
    except OSError as error:
        _complain(f"{error.filename or 'system'}: {error.strerror or error}.", "Check path and permissions.")
        sys.exit(1)
    except SystemExit as leaving:
        if leaving.code == INTERRUPTED:
            _complain("interrupted.", "Everything finished is kept; the same command goes on where it was.")
        raise


def _complain(cause: str, remedy: str) -> None:
    typer.secho(f"error: {cause}", fg="red", err=True)
    if remedy:
        typer.echo(f"       {remedy}", err=True)


if __name__ == "__main__":
    main()
