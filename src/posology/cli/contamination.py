"""posology contamination: does a judge favour what its own family wrote?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from posology.cli import options as o
from posology.cli.display import show
from posology.cli.settings import settings


def contamination(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder whose candidates two judges scored.")],
    own: Annotated[
        str | None,
        typer.Option("--judge", help="The judge in question, if it is not the only one of a generator's family."),
    ] = None,
    against: Annotated[str | None, typer.Option(help="The judge that it is compared with, likewise.")] = None,
    labels: Annotated[Path | None, typer.Option(help="Human labels: they hold quality constant.")] = None,
    seed: Annotated[int, typer.Option(help="Decides every draw.", min=0)] = 0,
    config: o.Config = None,
    json: o.Json = False,
) -> None:
    """Measure self-preference: does a judge score its own family's texts above others' of the same quality?

    Judge candidates of several generators with two judges first, one of them of a generator's family
    (verify.allow_same_family: true). Warns where the ranking of generators depends on the judge.
    """
    tree = settings(locals())
    from posology.favouring import favour

    found = favour(run, own, against, labels=labels, families=tree.verify.families, seed=seed)
    show(found, as_json=json, human="\n".join(_lines(found)))


def _lines(found: dict[str, Any]) -> list[str]:
    held = "human labels" if found["controlled"] == "quality" else "the other judge's scores"
    lines = [
        f"{found['judge']} against {found['against']}: {found['verdict']}.",
        f"{found['n_own']:,} texts of its own family, {found['n_other']:,} others; quality held constant by {held}.",
    ]
    if found["gap"] is not None:
        low, high = found["ci95"]
        lines.append(
            f"Its own family's texts get {found['gap']:+.2f} points [{low:+.2f}, {high:+.2f}] of 5 beyond others'."
        )
    for who, name in (("related", found["judge"]), ("other", found["against"])):
        lines.append(f"Ranking by {name}: {', '.join((found['rankings'] or {}).get(who, ()))}")
    return [*lines, *(f"warning: {warning}" for warning in found["warnings"])]
