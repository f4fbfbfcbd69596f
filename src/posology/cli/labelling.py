"""Keyboard and screen of `posology verify --label`, and the tables of `--calibrate`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Group

    from posology.labelling import Shown

NAMES = {"user": "customer", "assistant": "agent"}
SHOWN = 40


def screen() -> Callable[[Shown], None]:
    """Shows candidates on stderr, so that stdout holds the result alone."""
    from rich.console import Console
    from rich.markup import escape
    from rich.rule import Rule

    from posology.labelling import KEYS

    console = Console(stderr=True)
    keys = "  ".join(f"[bold]{key}[/] {meaning}" for key, meaning in KEYS.items())

    def show(one: Shown) -> None:
        console.print(Rule(f"{one.done + 1} of {one.wanted}"))
        for section in one.sections:
            console.print(f"[dim]docs: {escape(section.heading)}\n{escape(section.text)}[/]\n")
        console.print(f"topic: [bold]{escape(one.conversation.topic or '-')}[/]\n")
        for message in one.conversation.messages:
            name = NAMES.get(message.role, message.role)
            console.print(f"[bold]{escape(name)}[/]: {escape(message.content)}", highlight=False)
        console.print(f"\nShould a bot learn from this?  {keys}")

    return show


def keyboard() -> str:
    """One key; from a pipe, the next letter that is no blank. The empty string at the end, or on Ctrl-C and Ctrl-D."""
    if not sys.stdin.isatty():
        while (letter := sys.stdin.read(1)).isspace():
            pass
        return letter
    import termios
    import tty

    before = termios.tcgetattr(sys.stdin)
    try:
        tty.setcbreak(sys.stdin)
        letter = sys.stdin.read(1)
    except KeyboardInterrupt:
        return ""
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)
    return "" if letter == "\x04" else letter


def calibration(result: dict[str, Any], path: str) -> Group:
    """What labels say of scores, checks and judges, for people."""
    from rich.console import Group
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=f"Against {result['n']} labels, {result['n_good']} of them good", title_justify="left")
    for name in ("score", "labels", "precision", "recall", "kappa", "ECE", "AUC"):
        table.add_column(name, justify="left" if name == "score" else "right", overflow="fold")
    for row in [result["whole"], *result["measures"], *result["further"]][:SHOWN]:
        shares = [_figure(row[key], "{:.0%}") for key in ("precision", "recall")]
        others = [_figure(row[key], "{:.2f}") for key in ("kappa", "ece", "auc")]
        table.add_row(escape(row["name"]), str(row["n"]), *shares, *others)
    loss = result["loss"]
    how = "fitted weights predict labels better" if result["fitted"] else "fitted weights are no better, so these stand"
    lines: list[Any] = [
        table,
        f"{how}: log loss {loss['fitted']:.3f} against {loss['configured']:.3f}, cross-validated; "
        f"{loss['base_rate']:.3f} knowing nothing",
    ]
    if result["threshold"] is not None:
        lines.append(f"threshold: {result['threshold']['summary']}")
    chosen = result["settings"]
    weights = ", ".join(f"{name}: {weight:g}" for name, weight in chosen["weights"].items())
    lines += ["to use this, put into posology.yaml:", "  verify:", f"    weights: {{{escape(weights)}}}"]
    if "min_composite" in chosen:
        lines.append(f"    min_composite: {chosen['min_composite']:g}")
    return Group(*lines, f"written to {escape(path)}")


def _figure(value: float | None, form: str) -> str:
    return "-" if value is None else form.format(value)
