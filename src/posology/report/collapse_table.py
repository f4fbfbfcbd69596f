"""A collapse diagnosis for the terminal: verdict, score card, every indicator, and what to change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from posology.report import formatting as fmt
from posology.report.collapse_page import cards, headline

COLOURS = {"ok": "green", "narrow": "red", "flat": "red", "shifted": "yellow"}


def render(result: Mapping[str, Any]) -> RenderableType:
    """What a console prints for the content of `collapse/collapse.json`."""
    parts: list[RenderableType] = [Text(headline(result), style="bold"), _score_card(result), _indicators(result)]
    for number, advice in enumerate(result["advice"], 1):
        parts.append(Text(f"{number}. {advice['change']} ({fmt.listing(advice['because'])})"))
    for kind in ("missing", "over_produced"):
        for find in result[kind][:3]:
            ids = ", ".join(find["ids"][:3])
            parts.append(
                Text(
                    f"{kind.replace('_', '-')}: {find['kind']}, {fmt.plural(find['count'], 'text')}: {ids}", style="dim"
                )
            )
    return Group(*parts)


def _score_card(result: Mapping[str, Any]) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for head in ("family", "moved", "how"):
        table.add_column(head, justify="right" if head == "moved" else "left")
    for card in cards(result["indicators"]):
        how = fmt.listing(list(dict.fromkeys(card.faults))) or "ok"
        style = COLOURS[card.faults[0] if card.faults else "ok"]
        table.add_row(card.name, f"{len(card.faults)} of {card.total}", Text(how, style=style))
    return table


def _indicators(result: Mapping[str, Any]) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for head in ("indicator", "synthetic", "real", "range of real text", "verdict"):
        table.add_column(head, justify="left" if head in ("indicator", "verdict") else "right", overflow="fold")
    family = None
    for row in result["indicators"]:
        if row["family"] != family:
            family = row["family"]
            table.add_row(Text(family, style="bold"))
        low, high = row["null_ci95"]
        verdict = Text(row["verdict"], style=COLOURS[row["verdict"]])
        table.add_row(
            f"  {row['title']}", f"{row['value']:.3g}", f"{row['null_mean']:.3g}", f"{low:.3g} .. {high:.3g}", verdict
        )
    return table
