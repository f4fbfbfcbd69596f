"""The collapse diagnosis as one self-contained HTML file: no script, no font, nothing from a network.

It shows what the result files hold, and the conversations that they name by id; nothing is computed here that decides
anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from posology import store
from posology.report import collapse_plots as plots
from posology.report import formatting as fmt

WORDS = {"ok": "ok", "narrow": "narrow", "flat": "flat", "shifted": "shifted"}
KINDS = {
    "topic": "A topic without a single synthetic text",
    "region": "Real texts of one kind that nothing synthetic is near",
    "outlier": "Unusual real texts that nothing synthetic is near",
    "copies": "One text over and over",
    "opening": "The same opening",
    "template": "The same sentence with other words in it",
    "name": "The same name",
    "foreign": "Texts that are like no real one",
}
TEXT = 240  # characters of an example
MAX_WARNINGS = 20


@dataclass(frozen=True, slots=True)
class FamilyCard:
    """One field of the score card."""

    name: str
    total: int
    faults: tuple[str, ...]


def build(
    result: Mapping[str, Any],
    picture: Mapping[str, Any],
    texts: Mapping[str, str],
    phrases: Mapping[tuple[str, int], str],
    *,
    title: str | None = None,
) -> str:
    """The page.

    Args:
        result: The content of `collapse/collapse.json`.
        picture: The content of `collapse/picture.json`.
        texts: By id, the texts of the conversations that the result names.
        phrases: By `missing` or `over_produced` and place in it, the words that are over-used.
        title: Heading of the page.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("posology.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.globals |= {"fmt": fmt, "plots": plots, "KINDS": KINDS, "TEXT": TEXT}
    view = {
        "title": title or "Collapse",
        "result": result,
        "headline": headline(result),
        "cards": cards(result["indicators"]),
        "families": by_family(result["indicators"]),
        "warnings": result["warnings"][:MAX_WARNINGS],
        "map_figure": plots.map_figure(picture["map"]),
        "distribution_figure": plots.distribution_figure(picture["distributions"])
        if picture["distributions"]
        else None,
        "texts": texts,
        "phrases": phrases,
    }
    html = environment.get_template("collapse.html.j2").render(view)
    return html.encode("utf-8", "replace").decode("utf-8")


def write_page(path: Path, html: str) -> None:
    """Writes the page, whole or not at all.

    Raises:
        StoreError: The file cannot be written.
    """
    with store.writing(path) as handle:
        handle.write(html)


def headline(result: Mapping[str, Any]) -> str:
    """The verdict in one sentence."""
    found = [row for row in result["indicators"] if row["verdict"] != "ok"]
    if not found:
        return "Synthetic text strays no further from real text than real text does from itself."
    how = [verdict for verdict in ("narrow", "flat", "shifted") if any(row["verdict"] == verdict for row in found)]
    words = {"narrow": "narrower", "flat": "flatter", "shifted": "different in kind"}
    first = fmt.listing([row["title"] for row in sorted(found, key=lambda row: -abs(row["deviation"]))[:3]])
    said = f"Synthetic text is {fmt.listing([words[verdict] for verdict in how])}"
    return f"{said}: {fmt.plural(len(found), 'indicator')} of {len(result['indicators'])} moved, {first} most."


def cards(indicators: Sequence[Mapping[str, Any]]) -> list[FamilyCard]:
    """The score card, a field a family."""
    return [
        FamilyCard(family, len(rows), tuple(row["verdict"] for row in rows if row["verdict"] != "ok"))
        for family, rows in by_family(indicators).items()
    ]


def by_family(indicators: Sequence[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    """The indicators by family, in the order in which they stand."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for row in indicators:
        found.setdefault(row["family"], []).append(row)
    return found
