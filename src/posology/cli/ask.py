"""posology ask: the FAQ bot that a sweep has trained."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from posology.cli import options as o
from posology.cli.display import show


def ask(
    message: Annotated[str, typer.Argument(help="What a customer writes.")],
    variant: Annotated[
        Path, typer.Option(help="A run folder (its recommended dose answers) or one folder of RUN/sweep/variants.")
    ] = Path("run"),
    docs: o.Docs = None,
    top: Annotated[int, typer.Option(help="How many topics to show.", min=1)] = 3,
    json: o.Json = False,
) -> None:
    """Let a trained variant answer, with the section of the docs.

    Shows the most probable topics and the section that belongs to the best one, or else the nearest section.
    """
    from rich.console import Group
    from rich.markup import escape

    from posology.bot import Bot

    answer = Bot.open(variant, docs).answer(message, top=top)
    lines = [f"[bold]{escape(topic)}[/]  {probability:.0%}" for topic, probability in answer.topics]
    if answer.section is not None:
        lines += ["", f"[bold]{escape(answer.section.heading)}[/] ({escape(answer.section.file)})"]
        lines.append(escape(answer.section.text))
    show(answer.to_json(), as_json=json, human=Group(*lines))
