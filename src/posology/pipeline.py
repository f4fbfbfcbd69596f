"""Wires the stages together, with `sweeping` for the sweep itself.

Each stage has a fingerprint of its inputs and settings; a stage whose manifest names the same one is read, not run. The
fingerprints chain: a stage's own enters those of the stages after it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self

from posology import __version__, fingerprint
from posology.apart import Parts, clusters, set_apart
from posology.config import Config
from posology.conversations.reading import read
from posology.conversations.writing import write
from posology.embedding.cache import VectorCache
from posology.embedding.embedder import Embedder
from posology.embedding.encoders import make_encoder
from posology.errors import StoreError
from posology.gaps.allocation import WaterFilling
from posology.gaps.result import gaps_result
from posology.gaps.slices import slices
from posology.gaps.topics import topic_gaps, topic_stats
from posology.gaps.traffic import TrafficGaps, traffic_clusters
from posology.inputs import CANDIDATES, Material, required, something_to_begin_with
from posology.judging import Judging, notice_of
from posology.mixture.arms import mixture
from posology.mixture.export import write_training_set
from posology.outcomes import VERDICTS, nothing_left, write_verified
from posology.prints import Prints
from posology.progress import Progress, Silent
from posology.records import ArmKind, Conversation, Rejection, Verdict
from posology.selecting import TWINS, Selecting, controls, kept_weight, with_reasons
from posology.store import SCHEMA_VERSION, Record, RunFolder, read_json, write_json, write_jsonl
from posology.sweeping import INDEX, PREDICTIONS, Sweep, unseen_topics
from posology.swept import keep_split
from posology.training.contract import Trainer, make_trainer
from posology.training.head import CrossValidation, HeadTrainer
from posology.verification.verdicts import read_verdicts
from posology.verifying import Verification

PROBE, WEIGHT = "probe.json", "weight.json"


class Pipeline:
    """One run: a configuration, a folder, and the stages between them. As a context manager it locks the folder.

    Args:
        config: The validated settings.
        progress: Told what happens.
        trainer: A trainer of your own, instead of the configured one.
    """

    def __init__(self, config: Config, progress: Progress | None = None, trainer: Trainer | None = None) -> None:
        if trainer is not None:
            spec = f"{type(trainer).__module__}:{type(trainer).__qualname__}"
            config = config.model_copy(update={"sweep": config.sweep.model_copy(update={"trainer": spec})})
        self.config = config
        self.progress = progress or Silent()
        self.folder = RunFolder(config.out)
        self.may_split_again = False  # under a finished sweep; for who splits on purpose, or sweeps next
        self._own_trainer = trainer

    def __enter__(self) -> Self:
        """Locks the folder; a UsageError, if it does not exist and there is nothing to begin it with."""
        something_to_begin_with(self.config)
        self.folder.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self.folder.__exit__(*error)

    @cached_property
    def material(self) -> Material:
        """The inputs, each read when it is needed."""
        required(self.config.data.real, "real")
        return Material(self.config.data, self.progress, self.folder.stage("generate").folder / CANDIDATES)

    @cached_property
    def embedder(self) -> Embedder:
        """Text to vectors, shared by all stages."""
        settings = self.config.embedding
        encoder = make_encoder(settings.encoder, base_url=settings.base_url, api_key_env=settings.api_key_env)
        return Embedder(encoder, rule=self.config.text.rule, cache=VectorCache() if settings.cache else None)

    @cached_property
    def _trainer(self) -> Trainer:
        """The trainer of the sweep, not yet prepared."""
        return self._own_trainer or make_trainer(self.config.sweep.trainer, self.embedder, self.config.sweep.jobs)

    @cached_property
    def validation(self) -> CrossValidation:
        """What cross-validation of the default trainer tells of real training data, whatever is trained later.

        It is kept beside the gaps, which rest on it, so that no later run pays for it again.
        """
        place = self.folder.stage("gaps").folder / PROBE
        try:
            kept = read_json(place)
            if kept["fingerprint"] == self._prints.probe:
                return CrossValidation.from_json(kept)
        except (StoreError, KeyError, TypeError, ValueError):
            pass  # missing, of an older version, or half-written: it is made anew
        head = HeadTrainer(self.embedder, self.config.sweep.jobs)
        self._embed(self.parts.train)
        self.progress.note("cross-validating the default model on real training data")
        head.prepare(self.parts.train)
        assert head.cross_validation is not None
        write_json(place, {"fingerprint": self._prints.probe, **head.cross_validation.to_json()})
        return head.cross_validation

    @cached_property
    def trainer(self) -> Trainer:
        """The trainer of the sweep, prepared."""
        if type(self._trainer) is HeadTrainer:
            self._trainer.restore(self.validation)
        else:
            self._trainer.prepare(self.parts.train)
        return self._trainer

    # -- split ---------------------------------------------------------------------------------------------------------

    @cached_property
    def parts(self) -> Parts:
        """Sets the holdout apart, or keeps training rows apart from a given one."""
        stage = self.folder.stage("split")
        if stage.is_done(self._prints.split):
            facts = stage.manifest or {}
            train = read(stage.folder / "train.jsonl").conversations
            holdout = read(stage.folder / "holdout.jsonl").conversations
            removed = tuple(Rejection(**row) for row in facts["removed"])
            return Parts(train, holdout, removed, tuple(facts["warnings"]))
        if not self.may_split_again:
            keep_split(self.folder.path)
        given = self.material.conversations("holdout")
        with self._running("split", self._prints.split) as record:
            parts = set_apart(self.config, self.material.conversations("real"), given, self._embed)
            write(parts.train, stage.folder / "train.jsonl")
            write(parts.holdout, stage.folder / "holdout.jsonl")
            write(with_reasons(self.material.conversations("real"), parts.removed), stage.folder / "rejected.jsonl")
            write_jsonl(stage.folder / "bad_rows.jsonl", map(asdict, self.material.bad_rows("real", "holdout")))
            record.files += ["train.jsonl", "holdout.jsonl", "rejected.jsonl", "bad_rows.jsonl"]
            record.facts |= {
                "given": bool(given),
                "n_train": len(parts.train),
                "n_holdout": len(parts.holdout),
                "holdout": {c.id: fingerprint.of_conversation(c)[:16] for c in parts.holdout},
                "removed": [asdict(rejection) for rejection in parts.removed],
                "warnings": list(parts.warnings),
            }
        for warning in parts.warnings:
            self.progress.warn(warning)
        return parts

    # -- gaps ----------------------------------------------------------------------------------------------------------

    @cached_property
    def gaps(self) -> dict[str, Any]:
        """Finds what real training data lacks; the content of `gaps/gaps.json`."""
        stage = self.folder.stage("gaps")
        if stage.is_done(self._prints.gaps):
            found: dict[str, Any] = read_json(stage.folder / "gaps.json")
            return found
        with self._running("gaps", self._prints.gaps) as record:
            train, validation = self.parts.train, self.validation
            budget, rule, known = self.config.gaps.budget, self.config.text.rule, self.material.known_topics
            found = gaps_result(
                topic_gaps(train, validation.predicted, known_topics=known, budget=budget, allocation=self._allocation),
                topic_stats(train, validation.predicted, known_topics=known),
                budget=budget,
                slices=slices(train, validation.predicted, text_rule=rule),
                traffic=self._traffic(),
                allocation=self._allocation,
            )
            found["model"] = {"C": validation.strength, "accuracy": round(validation.accuracy, 6)}
            write_json(stage.folder / "gaps.json", found)
            record.files += ["gaps.json"]
            record.facts |= {"probe": self._prints.probe, "warnings": found["warnings"]}
        return found

    def _traffic(self) -> TrafficGaps | None:
        train, traffic = self.parts.train, self.material.conversations("traffic")
        if not traffic:
            return None
        return traffic_clusters(
            train, self._embed(train), traffic, self._embed(traffic), text_rule=self.config.text.rule
        )

    @property
    def _allocation(self) -> WaterFilling:
        return WaterFilling(weights=self.config.gaps.weights)

    # -- verify --------------------------------------------------------------------------------------------------------

    @cached_property
    def judging(self) -> Judging:
        """The judges; without any in the settings, they do nothing."""
        ledger, inputs = self.folder.path / "ledger.sqlite", self.material
        return Judging(self.config, ledger, docs=inputs.docs, catalog=inputs.catalog, progress=self.progress)

    @cached_property
    def verification(self) -> Verification:
        """All that the pool is held against."""
        return Verification(self.config, self.material, self.parts, self.embedder, self.judging, self.progress)

    @cached_property
    def verdicts(self) -> tuple[Verdict, ...]:
        """Verifies the pool: a verdict a candidate, in the order of the pool."""
        stage = self.folder.stage("verify")
        if stage.is_done(self._prints.verify):
            return tuple(read_verdicts(stage.folder / VERDICTS))
        candidates, start = self.material.conversations("synthetic"), time.perf_counter()
        self.judging.ready(candidates)
        found = self.verification.run(candidates)  # whatever ends it early leaves the last good result as it is
        with self._running("verify", self._prints.verify, start) as record:
            record.files += [*write_verified(stage.folder, candidates, found), "bad_rows.jsonl"]
            write_jsonl(stage.folder / "bad_rows.jsonl", map(asdict, self.material.bad_rows("synthetic")))
            record.facts |= {**found.facts, "warnings": list(found.warnings)}
        return found.verdicts

    def verify(self) -> dict[str, Any]:
        """Verifies the pool; the facts of `verify/manifest.json`.

        Raises:
            PosologyError: There is no pool, or not a single candidate of it passed.
        """
        required(self.material.path("synthetic"), "synthetic")
        stage = self.folder.stage("verify")
        known = stage.is_done(self._prints.verify)
        self.verdicts  # noqa: B018 - made, or read
        facts: dict[str, Any] = stage.manifest or {}
        for warning in facts["warnings"] if known else ():
            self.progress.warn(warning)
        if not facts["n_passed"]:
            raise nothing_left(facts)
        return facts

    # -- select --------------------------------------------------------------------------------------------------------

    @cached_property
    def ranked(self) -> tuple[Conversation, ...]:
        """What is selected from the pool, most wanted first, without copies and without what verification rejects."""
        stage = self.folder.stage("select")
        if stage.is_done(self._prints.select):
            if not (stage.manifest or {}).get("n_selected"):
                return ()
            return read(stage.folder / "selected.jsonl", source="synthetic").conversations
        pool = self.material.conversations("synthetic")
        with self._running("select", self._prints.select) as record:
            found = self._selecting.run()
            write(found.ranked, stage.folder / "selected.jsonl")
            write(with_reasons(pool, found.rejected), stage.folder / "rejected.jsonl")
            write_jsonl(stage.folder / "bad_rows.jsonl", map(asdict, self.material.bad_rows("synthetic")))
            record.files += ["selected.jsonl", "rejected.jsonl", "bad_rows.jsonl", TWINS]
            record.facts |= found.facts
        for warning in record.facts["warnings"]:
            self.progress.warn(warning)
        return found.ranked

    def select(self) -> dict[str, Any]:
        """Selects from the pool; the facts of `select/manifest.json`.

        Raises:
            UsageError: There is no pool.
            PosologyError: Nothing of it is left.
        """
        required(self.material.path("synthetic"), "synthetic")
        self.ranked  # noqa: B018 - made, or read
        facts: dict[str, Any] = self.folder.stage("select").manifest or {}
        if not facts["n_selected"]:
            raise nothing_left({**facts, "n_candidates": facts["n_pool"]})
        return facts

    def compare(self) -> dict[str, Any]:
        """What each strategy of selection gives at the doses of the settings, on cross-validated real training data.

        Raises:
            UsageError: There is no pool.
            PosologyError: There is too little to compare on.
        """
        required(self.material.path("synthetic"), "synthetic")
        folder = self.folder.stage("select").folder
        result = self._selecting.compare([dose for dose in self.config.mix.doses if 0 < dose < 1])
        write_json(folder / "compared.json", {"schema_version": SCHEMA_VERSION, **result})
        return result

    @cached_property
    def controls(self) -> tuple[Conversation, ...]:
        """What controls are drawn from: the pool as it came, except for what must not be trained on or has no text.

        Drawn from what verification and selection left, a control could not show what they are worth.
        """
        if not self.ranked:
            return ()
        return controls(self.material.conversations("synthetic"), self.folder.stage("select").folder / "rejected.jsonl")

    @cached_property
    def synthetic_weight(self) -> float:
        """What a synthetic example weighs in training, as given or learned.

        It is no part of selection, which has no use for it, but it rests on the same folds and is kept beside it.
        """
        if (given := self.config.mix.synthetic_weight) is not None:
            return given
        place = self.folder.stage("select").folder / WEIGHT
        return kept_weight(place, self._prints.select, lambda: self._selecting.weight)

    @cached_property
    def _selecting(self) -> Selecting:
        verdicts = self.verdicts if self.config.verify.enabled and self.material.conversations("synthetic") else None
        return Selecting(
            self.config,
            self.material,
            self.parts,
            verdicts,
            folder=self.folder.stage("select").folder,
            validation=self.validation,
            allocation=self._allocation,
            embedder=self.embedder,
            progress=self.progress,
        )

    # -- mix -----------------------------------------------------------------------------------------------------------

    def mix(
        self, dose: float, folder: Path, format: str, *, kind: ArmKind = "selected", seed: int = 0
    ) -> dict[str, Any]:
        """Writes the training set of one arm and seed; returns its manifest."""
        training_set = mixture(
            dose,
            kind,
            seed,
            design=self.config.mix.design,
            real=self.parts.train,
            ranked=self.ranked,
            pool=self.controls,
            synthetic_weight=self.synthetic_weight,
        )
        return write_training_set(
            training_set,
            folder,
            format,
            rejected=(self.folder.stage("select").manifest or {}).get("rejected", {}),
            licence=self.config.card.licence,
            intended_use=self.config.card.intended_use,
            notice=notice_of(self.folder.stage("verify").manifest) if self.config.verify.enabled else None,
        )

    # -- sweep ---------------------------------------------------------------------------------------------------------

    def sweep(self) -> dict[str, Any]:
        """Trains, evaluates and judges every arm; the content of `sweep/dose_response.json`."""
        self.may_split_again = True
        stage = self.folder.stage("sweep")
        if stage.is_done(self._prints.sweep):
            self.progress.note(f"nothing changed since the last run; read from {stage.folder}")
            result: dict[str, Any] = read_json(stage.folder / "dose_response.json")
            return result
        if (self.folder.stage("gaps").manifest or {}).get("probe") != self._prints.probe:
            self.gaps  # noqa: B018 - not needed here, but a run folder without its gaps tells half the story
        parts, ranked = self.parts, self.ranked
        selection = self.folder.stage("select").manifest or {}
        verification = (self.folder.stage("verify").manifest or {}) if self.config.verify.enabled else {}
        warnings = [*self.material.warnings, *parts.warnings, *verification.get("warnings", ())]
        warnings += [*selection.get("warnings", ()), *self._unseen]
        with self._running("sweep", self._prints.sweep) as record:
            self._embed([*parts.train, *ranked, *self.controls, *parts.holdout])
            sweep = Sweep(
                self.config,
                train=parts.train,
                ranked=ranked,
                pool=self.controls,
                synthetic_weight=self.synthetic_weight,
                holdout=parts.holdout,
                groups=clusters(parts.holdout, self.config.text.rule),
                trainer=self.trainer,
                folder=stage.folder,
                embed=self._embed,
                progress=self.progress,
            )
            findings = sweep.run(expected_accuracy=self.validation.accuracy)
            warnings += findings.pop("warnings")
            result = {
                "schema_version": SCHEMA_VERSION,
                "design": self.config.mix.design,
                "trainer": self.config.sweep.trainer,
                "seeds": self.config.sweep.seeds,
                **findings,
                "rejected": selection.get("rejected", {}),
                "warnings": warnings,
                "identity": self._identity(),
            }
            write_json(stage.folder / "dose_response.json", result)
            record.files += ["dose_response.json", PREDICTIONS, INDEX]
            record.facts |= {
                "seeds": self.config.sweep.seeds,
                "warnings": warnings,
                "inputs": self.material.hashes,
                "stages": {"split": self._prints.split, "select": self._prints.select},
            }
        return result

    @property
    def _unseen(self) -> list[str]:
        found = unseen_topics(self.parts.holdout, self.parts.train, self.ranked, self.config.data.holdout)
        for warning in found:
            self.progress.warn(warning)
        return found

    # -- report --------------------------------------------------------------------------------------------------------

    def report(self) -> Path:
        """Writes the HTML report from the stored results."""
        from posology.report.build import write_report

        return write_report(self.config.out, title=self.config.report.title)

    # -- what all stages share -----------------------------------------------------------------------------------------

    def _embed(self, conversations: Sequence[Conversation]) -> Any:  # noqa: ANN401
        return self.embedder.encode(conversations, lambda done, total: self.progress.step("embedding", done, total))

    def _running(self, name: str, print_: str, start: float | None = None) -> AbstractContextManager[Record]:
        """Runs a stage; two of them leave the settings behind, so that the verbs after them need no files named."""
        settings = self.config.to_json() if name in ("split", "verify") else None
        return self.folder.running(name, print_, settings=settings, start=start)

    @cached_property
    def _prints(self) -> Prints:
        asked = self.config.verify.judges or self.config.verify.evaluator
        judging = self.judging.identity if asked else "none"
        return Prints(self.config, self.material, self.embedder.identity, self._trainer.identity, judging)

    def _identity(self) -> dict[str, Any]:
        return {
            "posology": __version__,
            "encoder": self.embedder.encoder.identity,
            "text_rule": self.embedder.rule.identity,
            "trainer": self.trainer.identity,
            "fingerprint": self._prints.sweep,
            "inputs": self.material.hashes,
            "packages": {name: version(name) for name in ("numpy", "scipy", "scikit-learn", "onnxruntime")},
        }
