"""Reads what the configuration names: conversations, docs, catalog."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from posology.config import Data
from posology.conversations.docs import read_catalog, read_docs
from posology.conversations.reading import BadRow, Columns, Reading, read
from posology.errors import InputError, UsageError
from posology.progress import Progress
from posology.records import Conversation, DocSection, Source, topics_of

SOURCE_OF: dict[str, Source] = {"real": "real", "holdout": "real", "traffic": "real", "synthetic": "synthetic"}


@dataclass(frozen=True, slots=True)
class Material:
    """Everything that was read.

    Attributes:
        readings: By name (`real`, `synthetic`, `holdout`, `traffic`), what each file gave.
        docs: Sections of the support documentation.
        catalog: Rows of the product catalog.
        extra_topics: Topics that the configuration names beside those of the data and the docs.
    """

    readings: dict[str, Reading]
    docs: tuple[DocSection, ...] = ()
    catalog: tuple[dict[str, str], ...] = ()
    extra_topics: tuple[str, ...] = field(default=())

    def conversations(self, name: str) -> Sequence[Conversation]:
        """The conversations of one file; empty if it was not given."""
        return self.readings[name].conversations if name in self.readings else ()

    @property
    def bad_rows(self) -> list[BadRow]:
        """Every row that was skipped, of all files."""
        return [row for reading in self.readings.values() for row in reading.bad_rows]

    @property
    def warnings(self) -> list[str]:
        """One sentence a file of which rows were skipped."""
        return [
            f"{name}: {len(bad)} bad row{'s were' if len(bad) > 1 else ' was'} skipped, the first on line "
            f"{bad[0].line} ({bad[0].reason})."
            for name, reading in self.readings.items()
            if (bad := reading.bad_rows)
        ]

    @property
    def known_topics(self) -> dict[str, str]:
        """Topics that docs or configuration name, each with where it stands; sorted."""
        named = {topic: "the list of topics" for topic in self.extra_topics}
        named |= {section.topic: f"docs {section.file}" for section in reversed(self.docs) if section.topic}
        return dict(sorted(named.items()))


def required(path: Path | None, flag: str) -> Path:
    """The path, if it was given.

    Raises:
        UsageError: It was not.
    """
    if path is None:
        raise UsageError(f"no --{flag} was given.", remedy=f"Name the file with --{flag}, or in posology.yaml.")
    return path


def load(data: Data, names: Sequence[str], progress: Progress) -> Material:
    """Reads the named files, and docs and catalog where they are given.

    Args:
        data: The data section of the configuration.
        names: Which of `real`, `synthetic`, `holdout`, `traffic` to read; those that are not configured are left out.
        progress: Told what was understood.

    Raises:
        InputError: A file is missing or broken; real data has fewer than two topics; two files are one.
    """
    readings = {}
    for name in names:
        path: Path | None = getattr(data, name)
        if path is None:
            continue
        readings[name] = reading = read(
            path,
            columns=Columns(**data.columns.model_dump()),
            format=data.format,
            source=SOURCE_OF[name],
            on_error=data.on_error,
            require_topic=name != "traffic",
        )
        progress.note(f"{name}: {path}: {'; '.join(reading.understood.lines)}")
    _check(data, readings)
    material = Material(
        readings,
        tuple(read_docs(data.docs)) if data.docs else (),
        tuple(read_catalog(data.catalog)) if data.catalog else (),
        tuple(data.topics),
    )
    for warning in material.warnings:
        progress.warn(warning)
    return material


def _check(data: Data, readings: dict[str, Reading]) -> None:
    real = readings.get("real")
    if real is not None and len(topics := topics_of(real.conversations)) < 2:
        raise InputError(
            f"all conversations have one topic, {topics[0]!r}; there is nothing to tell apart.",
            file=data.real,
            remedy="Give data with at least two topics, or name the right column with --topic-column.",
        )
    by_hash: dict[str, str] = {}
    for name, reading in readings.items():
        if (other := by_hash.setdefault(reading.sha256, name)) != name:
            raise InputError(
                f"--{name} and --{other} are the same file.",
                file=getattr(data, name),
                remedy="A holdout must be kept out of training: leave --holdout away and one is split off."
                if name == "holdout" and other == "real"
                else "Give each its own.",
            )
