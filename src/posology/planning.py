"""The plan of a generation: drawn from what the gaps want and how real customers write, or read as a person left it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from posology.conversations.sniffing import near_names
from posology.errors import ConfigError, InputError, StoreError, UsageError
from posology.gaps.signs import dimensions
from posology.generation.habits import measured
from posology.generation.language import NAMES
from posology.generation.material import Material, gather
from posology.generation.personas import personas, read_personas
from posology.generation.plan import DIALOGUES, Choices, Mode, PlanRow, make_plan
from posology.generation.plan_file import read_plan, write_plan
from posology.generation.wanted import read_gaps, wanted
from posology.pipeline import Pipeline
from posology.records import topics_of
from posology.store import read_json, write_json

PLAN, NOTE = "plan.jsonl", "plan.json"
EXAMPLES: dict[Mode, int] = {"dialogue": 4, "turns": 4, "message": 4, "continuation": 12}
"""Most real examples a prompt; a list to be continued shows what it is by its length."""


class Planning:
    """Where the rows of a plan come from.

    A plan in the run folder that was edited by hand counts as long as the settings would draw the one that it was made
    from; it is never overwritten.

    Args:
        pipeline: Real training data, gaps, docs and catalog.
        mode: How conversations are written.
        gaps: A gaps.json to use instead of the pipeline's own.
        plan: A plan to use as it is.
    """

    def __init__(self, pipeline: Pipeline, mode: Mode, *, gaps: Path | None = None, plan: Path | None = None) -> None:
        self.mode = mode
        self.path = pipeline.folder.stage("generate").folder / PLAN
        self._pipeline = pipeline
        self._gaps, self._plan = gaps, plan
        if pipeline.config.generate.language not in NAMES:
            raise ConfigError(
                f"generate.language: unknown language {pipeline.config.generate.language!r}.",
                remedy=f"Known are {', '.join(NAMES)}.",
            )

    @cached_property
    def material(self) -> Material:
        """Examples of real training data, docs and products."""
        given = self._pipeline.material
        return gather(self._pipeline.parts.train, given.docs, given.catalog, dialogues=self.mode in DIALOGUES)

    @cached_property
    def topics(self) -> list[str]:
        """All topics that rows may have."""
        return sorted({*topics_of(self._pipeline.parts.train), *self._pipeline.material.known_topics})

    @cached_property
    def rows(self) -> list[PlanRow]:
        """The plan.

        Raises:
            InputError: A file is broken, or names what does not exist.
            UsageError: The plan in the run folder was edited, and the settings ask for another.
        """
        if self._plan is not None:
            return read_plan(self._plan, topics=self.topics, material=self.material)
        if not self._edited:
            return self._drawn
        if self._note.get("rows") != _digest(self._drawn):
            raise UsageError(
                f"{self.path} was edited by hand, and these settings ask for another plan.",
                remedy=f"Use it with --plan {self.path}, or remove it.",
            )
        self._pipeline.progress.note(f"{self.path} was edited by hand; it is used as it stands")
        return read_plan(self.path, topics=self.topics, material=self.material)

    @cached_property
    def digest(self) -> str:
        """Identity of the plan's content."""
        return _digest(self.rows)

    def save(self) -> None:
        """Writes the plan into the run folder, unless it stands there already."""
        if self._plan is not None and self._plan.resolve() == self.path.resolve():
            return
        if self._plan is None and self._edited:
            return
        write_plan(self.path, self.rows)
        write_json(self.path.with_name(NOTE), {"file": _sha256(self.path), "rows": self.digest})

    @property
    def _edited(self) -> bool:
        return self.path.is_file() and self._note.get("file") not in (None, _sha256(self.path))

    @property
    def _note(self) -> dict[str, Any]:
        try:
            note = read_json(self.path.with_name(NOTE))
        except StoreError:
            return {}
        return note if isinstance(note, dict) else {}

    @cached_property
    def _drawn(self) -> list[PlanRow]:
        pipeline, settings = self._pipeline, self._pipeline.config.generate
        train = pipeline.parts.train
        shares = wanted(read_gaps(self._gaps_file()), settings.count)
        if unknown := [topic for topic in shares if topic not in self.topics]:
            raise InputError(
                f"the topic {unknown[0]!r} is in neither real data nor docs.",
                file=self._gaps_file(),
                remedy=near_names(unknown[0], self.topics) or "Name it under data.topics, or in the docs.",
            )
        signs = {name: values for name, (values, _) in dimensions(train, pipeline.config.text.rule).items()}
        own = read_personas(settings.personas) if settings.personas else ()
        choices = Choices(
            measured(train, signs, dialogues=self.mode in DIALOGUES),
            personas(own, with_built_in=settings.built_in_personas),
            max_examples=EXAMPLES[self.mode],
        )
        topic_vectors, section_vectors = self._vectors(list(shares))
        return make_plan(
            shares,
            self.material,
            choices,
            mode=self.mode,
            seed=settings.seed,
            topic_vectors=topic_vectors,
            section_vectors=section_vectors,
        )

    def _gaps_file(self) -> Path:
        if self._gaps is not None:
            return self._gaps
        assert self._pipeline.gaps
        return self._pipeline.folder.stage("gaps").folder / "gaps.json"

    def _vectors(self, topics: Sequence[str]) -> tuple[dict[str, Any] | None, Any]:
        """Where topics without a section of their own lie, and where all sections do; None if all have one."""
        sections = self.material.sections.values()
        bare = [topic for topic in topics if topic not in {section.topic for section in sections}]
        if not sections or not bare:
            return None, None
        import numpy as np

        embedder, train = self._pipeline.embedder, self._pipeline.parts.train
        names = embedder.encode_texts([topic.replace("_", " ") for topic in bare])
        real = embedder.encode(train)
        vectors = {}
        for topic, vector in zip(bare, names, strict=True):
            own = real[[place for place, c in enumerate(train) if c.topic == topic]]
            # Real examples say more about a topic than its name.
            mean = own.mean(axis=0) if len(own) else vector
            vectors[topic] = mean / max(float(np.linalg.norm(mean)), 1e-9)
        return vectors, embedder.encode_texts([f"{section.heading}\n{section.text}" for section in sections])


def _digest(rows: Sequence[PlanRow]) -> str:
    found = hashlib.sha256()
    for row in rows:
        found.update(repr(row).encode("utf-8", "replace"))
    return found.hexdigest()


def _sha256(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
