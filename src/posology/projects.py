"""Project folders: a posology.yaml to fill in, or the sample shop to look at."""

from __future__ import annotations

import shutil
from importlib.resources import files
from pathlib import Path

from posology.errors import StoreError

PLACES = ("data", "docs")


def examples() -> Path:
    """The folder of sample data: inside the installed package, or beside it in a checkout."""
    package = Path(str(files("posology")))
    inside = package / "examples"
    return inside if inside.is_dir() else package.parent.parent / "examples"


def make_project(folder: Path, *, example: bool) -> list[Path]:
    """Makes a project folder.

    Args:
        folder: Where; made if missing.
        example: Copy the sample shop into it instead of leaving places to fill.

    Returns:
        The files and folders that were made.

    Raises:
        StoreError: There is a posology.yaml already, or the folder cannot be written.
    """
    settings = folder / "posology.yaml"
    if settings.exists():
        raise StoreError(f"{settings} exists already.", remedy="Choose another folder, or delete the file first.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        made = _copy_shop(folder) if example else _make_places(folder)
        template = Path(str(files("posology"))) / "templates" / "posology.yaml"
        settings.write_text(_filled(template.read_text(encoding="utf-8"), example=example), encoding="utf-8")
    except OSError as error:
        raise StoreError(f"cannot make {folder}: {error.strerror}.", remedy="Check the path.") from error
    return [settings, *made]


def _make_places(folder: Path) -> list[Path]:
    places = [folder / place for place in PLACES]
    for place in places:
        place.mkdir(exist_ok=True)
    return places


def _copy_shop(folder: Path) -> list[Path]:
    shop = examples() / "larkfell"
    copies = {source: folder / "data" / source.name for source in sorted(shop.glob("*.jsonl"))}
    copies |= {source: folder / "docs" / source.name for source in sorted((shop / "docs").glob("*.md"))}
    copies[shop / "catalog.csv"] = folder / "catalog.csv"
    for target in copies.values():
        if target.exists():
            raise StoreError(f"{target} exists already.", remedy="Choose another folder; nothing was overwritten.")
    _make_places(folder)
    return [Path(shutil.copyfile(source, target)) for source, target in copies.items()]


def _filled(template: str, *, example: bool) -> str:
    """The example has a holdout, docs and a catalog; a new project has not yet."""
    if example:
        for name in ("holdout", "docs", "catalog"):
            template = template.replace(f"  # {name}: ", f"  {name}: ")
    return template
