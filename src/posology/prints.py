"""The fingerprints of the stages, each holding that of the stage before it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property

from posology import fingerprint
from posology.config import Config
from posology.inputs import Material


@dataclass(frozen=True)
class Prints:
    """What identifies each stage of one run.

    Attributes:
        config: The settings.
        material: The inputs; read only as far as a stage needs them.
        encoder: Identity of the embedder.
        trainer: Identity of the trainer before it is prepared.
        judging: Identity of the judges and of what they are asked.
    """

    config: Config
    material: Material
    encoder: str
    trainer: str
    judging: str = "none"

    @cached_property
    def split(self) -> str:
        """Files, how they are read, and how the holdout is drawn if none is given."""
        data, holdout = self.config.data, self.material.sha256("holdout")
        return fingerprint.of(
            "split",
            real=self.material.sha256("real"),
            holdout=holdout,
            read_how={"format": data.format, "columns": data.columns.model_dump(), "on_error": data.on_error},
            # Twins are looked for by vectors too when a holdout is drawn.
            drawn=None if holdout else {**self.config.split.model_dump(), "encoder": self.encoder},
            text=self.config.text.rule.identity,
        )

    @cached_property
    def probe(self) -> str:
        """Training data and encoder: what cross-validation of the default trainer rests on."""
        return fingerprint.of("probe", before=self.split, encoder=self.encoder)

    @cached_property
    def gaps(self) -> str:
        """The probe, traffic, known topics, and what is asked for."""
        return fingerprint.of(
            "gaps",
            before=self.probe,
            traffic=self.material.sha256("traffic"),
            known=self.material.known_topics,
            budget=self.config.gaps.budget,
            weights=self.config.gaps.weights,
        )

    @cached_property
    def verify(self) -> str:
        """The split, the candidates, what their figures are held against, and who judges; not the pace of calls."""
        settings = self.config.verify
        return fingerprint.of(
            "verify",
            before=self.split,
            encoder=self.encoder,
            pool=self.material.sha256("synthetic"),
            docs=[asdict(section) for section in self.material.docs],
            catalog=list(self.material.catalog),
            settings=settings.model_dump(include={"skip", "detector", "weights", "min_composite", "seed"}),
            judging=self.judging,
        )

    @cached_property
    def select(self) -> str:
        """The probe, the pool, how it is selected from, and what decides whose turn it is."""
        return fingerprint.of(
            "select",
            before=self.probe,
            pool=self.material.sha256("synthetic"),
            verified=self.verify if self.config.verify.enabled and self.material.sha256("synthetic") else None,
            known=self.material.known_topics,
            weights=self.config.gaps.weights,
            design=self.config.mix.design,
            how=self.config.select.model_dump(),
        )

    @cached_property
    def sweep(self) -> str:
        """The selection, doses, trainer, seeds, statistics and the price of a label; not the number of jobs."""
        return fingerprint.of(
            "sweep",
            before=self.select,
            mix=self.config.mix.model_dump(),
            sweep=self.config.sweep.model_dump(exclude={"jobs"}),
            tail=self.config.gaps.tail_max_real,
            trainer=self.trainer,
            report=self.config.report.model_dump(exclude={"title"}),
        )
