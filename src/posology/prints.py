"""The fingerprints of the stages, each holding that of the stage before it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from posology import fingerprint
from posology.config import Config


@dataclass(frozen=True)
class Prints:
    """What identifies each stage of one run.

    Attributes:
        config: The settings.
        hashes: sha256 of each input, by name.
        known_topics: Topics that docs or configuration name, and where.
        encoder: Identity of the embedder.
        trainer: Identity of a trainer given as an object; None for a configured one.
    """

    config: Config
    hashes: Mapping[str, str]
    known_topics: Mapping[str, str]
    encoder: str
    trainer: str | None

    @cached_property
    def split(self) -> str:
        """Files, how they are read, and how the holdout is drawn if none is given."""
        data = self.config.data
        files = {name: self.hashes[name] for name in ("real", "holdout") if name in self.hashes}
        return fingerprint.of(
            "split",
            files=files,
            read_how={"format": data.format, "columns": data.columns.model_dump(), "on_error": data.on_error},
            split=None if "holdout" in files else self.config.split.model_dump(),
            text=self.config.text.rule.identity,
        )

    @cached_property
    def gaps(self) -> str:
        """The split, traffic, known topics, allocation and encoder."""
        return fingerprint.of(
            "gaps",
            before=self.split,
            traffic=self.hashes.get("traffic"),
            known=dict(self.known_topics),
            settings=self.config.gaps.model_dump(),
            encoder=self.encoder,
        )

    @cached_property
    def select(self) -> str:
        """The gaps, the pool, and the design, which decides whose turn it is."""
        design = self.config.mix.design
        return fingerprint.of("select", before=self.gaps, pool=self.hashes.get("synthetic"), design=design)

    @cached_property
    def sweep(self) -> str:
        """The selection, doses, trainer, seeds, statistics and the price of a label; not the number of jobs."""
        return fingerprint.of(
            "sweep",
            before=self.select,
            mix=self.config.mix.model_dump(),
            sweep=self.config.sweep.model_dump(exclude={"jobs"}),
            trainer=self.trainer,
            report=self.config.report.model_dump(exclude={"title"}),
        )
