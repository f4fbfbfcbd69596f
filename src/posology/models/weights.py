"""The weights on this machine: where they lie, and whether they are whole."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from posology.errors import ModelError
from posology.models import catalogue
from posology.models.catalogue import Model, ModelFile, get
from posology.models.home import home

State = Literal["ready", "missing", "damaged"]


class FileCheck(NamedTuple):
    """What a check says of one file: its name, whether it is right, and what is wrong with it."""

    file: str
    ok: bool
    detail: str


@dataclass(frozen=True, slots=True)
class Row:
    """One line of `posology models list`.

    Attributes:
        name: The model.
        purpose: What it is for.
        licence: Its terms.
        size: Bytes on disk once pulled.
        state: `ready` (all files there, sizes right), `missing` (at least one is not there) or `damaged`.
    """

    name: str
    purpose: str
    licence: str
    size: int
    state: State


def folder(name: str) -> Path:
    """Where the files of a bundled model belong; copying this folder to another machine is a way to pull it there."""
    return home() / "models" / name


def sha256_of(path: Path) -> str:
    """The hash of a file's content, 64 hexadecimal digits, read in pieces."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def check(path: Path, file: ModelFile) -> FileCheck:
    """Compares a file with its record, by size first, then by hash."""
    try:
        size = path.stat().st_size
        if size != file.size:
            return FileCheck(file.file, False, f"{size} bytes instead of {file.size}")
        if sha256_of(path) != file.sha256:
            return FileCheck(file.file, False, "its content is not what it should be (sha256 differs)")
    except FileNotFoundError:
        return FileCheck(file.file, False, "missing")
    except OSError as error:
        return FileCheck(file.file, False, f"cannot be read: {error.strerror or type(error).__name__}")
    return FileCheck(file.file, True, "")


def path(name: str) -> dict[str, Path]:
    """The files of a pulled model, by name. Sizes are looked at, hashes are not (`verify` does that).

    Raises:
        UsageError: There is no such model.
        ModelError: It was not pulled, or a file is cut short.
    """
    model = get(name)
    state = _state(model)
    if state != "ready":
        raise ModelError(
            f"the weights of {name!r} are {state} in {folder(name)}.", remedy=f"Run: posology models pull {name}."
        )
    return {file.file: folder(name) / file.file for file in model.files}


def checked_path(name: str) -> dict[str, Path]:
    """Like `path`, but every byte is checked: what is loaded is then exactly what the catalogue names.

    Raises:
        UsageError: There is no such model.
        ModelError: A file is missing or damaged.
    """
    files = path(name)
    for result in verify(name):
        if not result.ok:
            raise ModelError(
                f"{files[result.file]} is damaged: {result.detail}.", remedy=f"Run: posology models pull {name}."
            )
    return files


def verify(name: str) -> list[FileCheck]:
    """Hashes every file of a model anew.

    Raises:
        UsageError: There is no such model.
    """
    return [check(folder(name) / file.file, file) for file in get(name).files]


def listing() -> list[Row]:
    """All bundled models and their state here, judged by file sizes."""
    return [Row(m.name, m.purpose, m.licence, m.size, _state(m)) for m in catalogue.MODELS.values()]


def _state(model: Model) -> State:
    sizes: list[int | None] = []
    for file in model.files:
        try:
            sizes.append((folder(model.name) / file.file).stat().st_size)
        except OSError:
            sizes.append(None)
    if None in sizes:
        return "missing"
    return "ready" if sizes == [file.size for file in model.files] else "damaged"
