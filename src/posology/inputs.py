"""Reads what the configuration names: conversations, docs, catalog; each only when somebody needs it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from posology.config import Config, Data
from posology.conversations.docs import read_catalog, read_docs
from posology.conversations.faults import shown
from posology.conversations.reading import BadRow, Columns, Reading, read
from posology.errors import InputError, UsageError
from posology.progress import Progress, Silent
from posology.records import Conversation, DocSection, Source, topics_of

CANDIDATES = "candidates.jsonl"  # of the stage `generate`: the pool, where no other is given
SOURCE_OF: dict[str, Source] = {"real": "real", "holdout": "real", "traffic": "real", "synthetic": "synthetic"}


def required(path: Path | None, flag: str) -> Path:
    """The path, if it was given.

    Raises:
        UsageError: It was not.
    """
    if path is None:
        raise UsageError(
            f"no {flag} conversations were given.",
            remedy=f"Name a file: with --{flag}, as the argument `{flag}`, or in posology.yaml.",
        )
    return path


def something_to_begin_with(config: Config) -> None:
    """Refuses a run folder that is not there where no data is named either: a slip of the pen must not make one.

    Raises:
        UsageError: It is so.
    """
    if config.data.real is None and not config.out.is_dir():
        raise UsageError(
            f"there is no run folder {config.out}, and no real conversations to begin one with.",
            remedy="Name the folder of an earlier run, or real conversations (--real).",
        )


class Material:
    """The inputs of a run.

    Args:
        data: The data section of the configuration.
        progress: Told how each file was understood, and of skipped rows.
        generated: Candidates of the run itself: the pool, where none is configured and these are there.
    """

    def __init__(self, data: Data, progress: Progress | None = None, generated: Path | None = None) -> None:
        self.data = data
        self._progress = progress or Silent()
        self._generated = generated
        self.readings: dict[str, Reading] = {}

    def path(self, name: str) -> Path | None:
        """Where one of `real`, `synthetic`, `holdout`, `traffic` is; None if there is none."""
        path: Path | None = getattr(self.data, name)
        own = self._generated
        if name == "synthetic" and path is None and own is not None and own.is_file() and own.stat().st_size:
            return own
        return path

    def reading(self, name: str) -> Reading | None:
        """What one of `real`, `synthetic`, `holdout`, `traffic` gave; None if it is not configured.

        Raises:
            InputError: It is missing, broken, the same file as another, or of the wrong source.
        """
        path = self.path(name)
        if path is None or name in self.readings:
            return self.readings.get(name)
        reading = read(
            path,
            columns=Columns(**self.data.columns.model_dump()),
            format=self.data.format,
            source=SOURCE_OF[name],
            on_error=self.data.on_error,
            require_topic=name != "traffic",
        )
        self._progress.note(f"{name}: {path}: {'; '.join(reading.understood.lines)}")
        _check_alone(name, path, reading)
        self._check_beside(name, path, reading)
        self.readings[name] = reading
        if path == self._generated and not path.with_name("manifest.json").is_file():
            self._progress.warn(f"{path}: this generation has not ended; `posology generate` goes on with it.")
        if reading.bad_rows:
            self._progress.warn(_skipped(name, reading))
        return reading

    def conversations(self, name: str) -> Sequence[Conversation]:
        """The conversations of one file; empty if it is not configured.

        Those of the pool are synthetic whatever their rows say, and keep apart from real ones by their ids.
        """
        reading = self.reading(name)
        if reading is None:
            return ()
        return self._pool if name == "synthetic" else reading.conversations

    def sha256(self, name: str) -> str | None:
        """Hash of one file; None if it is not configured."""
        reading = self.reading(name)
        return None if reading is None else reading.sha256

    @property
    def hashes(self) -> dict[str, str]:
        """The hash of every file that is configured."""
        return {name: sha for name in SOURCE_OF if (sha := self.sha256(name)) is not None}

    @cached_property
    def _pool(self) -> Sequence[Conversation]:
        reading = self.reading("synthetic")
        taken = {c.id for name in ("real", "holdout") for c in self.conversations(name)}
        pool = () if reading is None else reading.conversations
        return [
            replace(c, source="synthetic", id=f"synthetic-{c.id}" if c.id in taken else c.id)
            if c.source != "synthetic" or c.id in taken
            else c
            for c in pool
        ]

    @cached_property
    def docs(self) -> Sequence[DocSection]:
        """Sections of the support documentation; empty if it is not configured."""
        return read_docs(self.data.docs) if self.data.docs else ()

    @cached_property
    def catalog(self) -> Sequence[dict[str, str]]:
        """Rows of the product catalog; empty if it is not configured."""
        return read_catalog(self.data.catalog) if self.data.catalog else ()

    @cached_property
    def known_topics(self) -> dict[str, str]:
        """Topics that docs or configuration name, each with where it stands; sorted."""
        named = {topic: "the list of topics" for topic in self.data.topics}
        named |= {section.topic: f"docs {section.file}" for section in reversed(self.docs) if section.topic}
        return dict(sorted(named.items()))

    def bad_rows(self, *names: str) -> list[BadRow]:
        """The skipped rows of the named files."""
        return [row for name in names if (reading := self.reading(name)) is not None for row in reading.bad_rows]

    @property
    def warnings(self) -> list[str]:
        """One sentence a file, of those read so far, of which rows were skipped."""
        return [_skipped(name, reading) for name, reading in self.readings.items() if reading.bad_rows]

    def _check_beside(self, name: str, path: Path, reading: Reading) -> None:
        for other, known in self.readings.items():
            if known.sha256 == reading.sha256:
                raise InputError(
                    f"--{name} and --{other} are the same file.",
                    file=path,
                    remedy="A holdout must be kept out of training: leave --holdout away and one is split off."
                    if {name, other} == {"real", "holdout"}
                    else "Give each its own.",
                )


def _check_alone(name: str, path: Path, reading: Reading) -> None:
    if name == "real" and len(topics := topics_of(reading.conversations)) < 2:
        raise InputError(
            f"all conversations have one topic, {shown(topics[0])}; there is nothing to tell apart.",
            file=path,
            remedy="Give data with at least two topics, or name the right column with --topic-column.",
        )
    made_up = [c.id for c in reading.conversations if c.source == "synthetic"]
    if name != "synthetic" and made_up:
        raise InputError(
            f"{len(made_up)} rows say that they are synthetic, the first is {shown(made_up[0])}.",
            file=path,
            remedy=f"--{name} is for real customers: take these rows out, or correct their field `source`.",
        )


def _skipped(name: str, reading: Reading) -> str:
    bad = reading.bad_rows
    counted = f"{len(bad)} bad row{'s were' if len(bad) > 1 else ' was'} skipped"
    return f"{name}: {counted}, the first on line {bad[0].line} ({bad[0].reason})."
