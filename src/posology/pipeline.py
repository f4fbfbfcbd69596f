"""Wires the stages together. The only module that knows more than one of them.

Each stage has a fingerprint of its inputs and settings; a stage whose manifest names the same one is read, not run. The
fingerprints chain: a stage's own enters those of the stages after it.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from posology import __version__, fingerprint, inputs
from posology.config import Config
from posology.conversations.reading import read
from posology.conversations.splitting import holdout_groups, keep_apart, split_off_holdout
from posology.conversations.writing import write
from posology.embedding.cache import VectorCache
from posology.embedding.embedder import Embedder
from posology.embedding.encoders import make_encoder
from posology.errors import InputError
from posology.gaps.allocation import WaterFilling, replacing_sequence, topic_sequence
from posology.gaps.result import gaps_result
from posology.gaps.slices import slices
from posology.gaps.topics import topic_gaps, topic_stats
from posology.gaps.traffic import TrafficGaps, traffic_clusters
from posology.matching.near import NearRule
from posology.mixture.arms import mixture
from posology.mixture.export import write_training_set
from posology.prints import Prints
from posology.progress import Progress, Silent
from posology.records import ArmKind, Conversation, Rejection, topics_of
from posology.selection.likeness import real_likeness
from posology.selection.priority import prioritise
from posology.selection.screening import screen
from posology.store import SCHEMA_VERSION, RunFolder, read_json, write_json, write_jsonl
from posology.sweeping import INDEX, PREDICTIONS, Sweep
from posology.training.contract import Trainer, make_trainer
from posology.training.head import HeadTrainer

# From where on two messages are one. Grouping errs towards one: it costs nothing, a group goes to one side whole. A row
# of the pool is cheap, and its generator may have seen the holdout: what is nearly a copy goes. A real training row is
# dear, and two honest customers come as near as 0.9 by chance in short messages: only all but equal ones go.
GROUPED, POOL_COPY, REAL_COPY = NearRule(), NearRule(jaccard=0.85), NearRule(jaccard=0.95)


@dataclass(frozen=True, slots=True)
class Parts:
    """The outcome of the split.

    Attributes:
        train: Real conversations to learn from.
        holdout: Real conversations to evaluate on.
        removed: Training rows that matched a given holdout.
        warnings: What the user should know about this split.
    """

    train: tuple[Conversation, ...]
    holdout: tuple[Conversation, ...]
    removed: tuple[Rejection, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(slots=True)
class _Record:
    """What a running stage notes down for its manifest."""

    files: list[str] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)


class Pipeline:
    """One run: a configuration, a folder, and the stages between them. As a context manager it locks the folder.

    Args:
        config: The validated settings.
        progress: Told what happens.
        trainer: A trainer of your own, instead of the configured one.
    """

    def __init__(self, config: Config, progress: Progress | None = None, trainer: Trainer | None = None) -> None:
        self.config = config
        self.progress = progress or Silent()
        self.folder = RunFolder(config.out)
        self._own_trainer = trainer

    def __enter__(self) -> Self:
        self.folder.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self.folder.__exit__(*error)

    @cached_property
    def material(self) -> inputs.Material:
        """Everything that the configuration names, read."""
        inputs.required(self.config.data.real, "real")
        return inputs.load(self.config.data, ("real", "synthetic", "holdout", "traffic"), self.progress)

    @cached_property
    def embedder(self) -> Embedder:
        """Text to vectors, shared by all stages."""
        settings = self.config.embedding
        encoder = make_encoder(settings.encoder, base_url=settings.base_url, api_key_env=settings.api_key_env)
        return Embedder(encoder, rule=self.config.text.rule, cache=VectorCache() if settings.cache else None)

    @cached_property
    def probe(self) -> HeadTrainer:
        """The default trainer, prepared: its cross-validated predictions find the gaps whatever is trained later."""
        head = HeadTrainer(self.embedder, self.config.sweep.jobs)
        self._embed(self.parts.train)
        self.progress.note("choosing the head's penalty by cross-validation on real training data")
        head.prepare(self.parts.train)
        return head

    @cached_property
    def trainer(self) -> Trainer:
        """The trainer of the sweep, prepared."""
        if self._own_trainer is None and self.config.sweep.trainer == "head":
            return self.probe
        trainer = self._own_trainer or make_trainer(self.config.sweep.trainer, self.embedder, self.config.sweep.jobs)
        trainer.prepare(self.parts.train)
        return trainer

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
        given = self.material.conversations("holdout")
        with self._running("split", self._prints.split) as record:
            parts = self._kept_apart(given) if given else self._split_off()
            if len(topics_of(parts.train)) < 2:
                raise InputError(
                    "fewer than two topics are left to train on once the holdout is apart.",
                    file=self.config.data.real,
                    remedy="Give a holdout that is not part of the real data, or leave --holdout away.",
                )
            write(parts.train, stage.folder / "train.jsonl")
            write(parts.holdout, stage.folder / "holdout.jsonl")
            write(_with_reasons(self.material.conversations("real"), parts.removed), stage.folder / "rejected.jsonl")
            write_jsonl(stage.folder / "bad_rows.jsonl", map(asdict, self.material.bad_rows))
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

    def _split_off(self) -> Parts:
        real = self.material.conversations("real")
        settings = self.config.split
        split = split_off_holdout(
            real, self._texts(real), None, n_holdout=settings.holdout_size, seed=settings.seed, rule=GROUPED
        )
        train, holdout = [real[i] for i in split.train], [real[i] for i in split.holdout]
        return Parts(tuple(train), tuple(holdout), (), tuple(split.warnings))

    def _kept_apart(self, holdout: Sequence[Conversation]) -> Parts:
        real = self.material.conversations("real")
        apart = keep_apart(real, self._texts(real), None, holdout, self._texts(holdout), None, rule=REAL_COPY)
        n_removed = len(apart.rejections)
        if n_removed > len(real) / 2:
            raise InputError(
                f"{n_removed} of {len(real)} real conversations stand in the holdout too, exactly or nearly.",
                file=self.config.data.holdout,
                remedy="A holdout must be kept out of training: leave --holdout away and one is split off --real.",
            )
        warnings = []
        if n_removed:
            warnings.append(f"{n_removed} real training rows match the holdout and were removed from training.")
        return Parts(tuple(real[i] for i in apart.kept), tuple(holdout), tuple(apart.rejections), tuple(warnings))

    # -- gaps ----------------------------------------------------------------------------------------------------------

    @cached_property
    def gaps(self) -> dict[str, Any]:
        """Finds what real training data lacks; the content of `gaps/gaps.json`."""
        stage = self.folder.stage("gaps")
        if stage.is_done(self._prints.gaps):
            found: dict[str, Any] = read_json(stage.folder / "gaps.json")
            return found
        with self._running("gaps", self._prints.gaps) as record:
            train = self.parts.train
            validation = self.probe.cross_validation
            assert validation is not None
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
            write_json(stage.folder / "predicted.json", list(validation.predicted))
            record.files += ["gaps.json", "predicted.json"]
            record.facts["warnings"] = found["warnings"]
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

    # -- select --------------------------------------------------------------------------------------------------------

    @cached_property
    def ranked(self) -> tuple[Conversation, ...]:
        """Ranks the pool, most wanted first; leaked rows and copies are rejected."""
        stage = self.folder.stage("select")
        if stage.is_done(self._prints.select):
            if not (stage.manifest or {}).get("n_selected"):
                return ()
            return read(stage.folder / "selected.jsonl", source="synthetic").conversations
        pool = self.material.conversations("synthetic")
        with self._running("select", self._prints.select) as record:
            kept, rejected = self._screened(pool)
            ranked = [kept[i] for i in self._priority(kept)]
            rows = (replace(c, meta={**c.meta, "rank": rank}) for rank, c in enumerate(ranked, 1))
            write(rows, stage.folder / "selected.jsonl")
            write(_with_reasons(pool, rejected), stage.folder / "rejected.jsonl")
            record.files += ["selected.jsonl", "rejected.jsonl"]
            record.facts |= {
                "n_pool": len(pool),
                "n_selected": len(ranked),
                "rejected": dict(sorted(Counter(r.reason for r in rejected).items())),
                "warnings": self._pool_warnings(pool, ranked),
            }
        for warning in record.facts["warnings"]:
            self.progress.warn(warning)
        return tuple(ranked)

    def _screened(self, pool: Sequence[Conversation]) -> tuple[list[Conversation], list[Rejection]]:
        parts = self.parts
        apart = keep_apart(
            pool, self._texts(pool), None, parts.holdout, self._texts(parts.holdout), None, rule=POOL_COPY
        )
        clean = [pool[i] for i in apart.kept]
        kept, copies = screen(clean, self._texts(clean), parts.train, self._texts(parts.train), rule=POOL_COPY)
        return [clean[i] for i in kept], [*apart.rejections, *copies]

    def _priority(self, pool: Sequence[Conversation]) -> list[int]:
        if not pool:
            return []
        train = self.parts.train
        predicted = read_json(self.folder.stage("gaps").folder / "predicted.json") if self.gaps else []
        stats = topic_stats(train, predicted, known_topics=self.material.known_topics)
        topics = [c.label for c in pool]
        available, rule = Counter(topics), self._allocation
        if self.config.mix.design == "replace":
            sequence = replacing_sequence(stats, len(train), available, allocation=rule)
        else:
            sequence = topic_sequence(stats, len(pool), available, allocation=rule)
        real, vectors = self._embed(train), self._embed(pool)
        return prioritise(
            topics,
            vectors,
            [c.label for c in train],
            real,
            sequence=sequence,
            quality=real_likeness(real, vectors),
        )

    def _pool_warnings(self, pool: Sequence[Conversation], ranked: Sequence[Conversation]) -> list[str]:
        warnings = []
        if not ranked:
            warnings.append("the pool is empty: no dose above 0 can be reached.")
        elif len(ranked) < len(pool) / 2:
            warnings.append(f"only {len(ranked)} of {len(pool)} pool rows are usable; see select/rejected.jsonl.")
        known = {*topics_of(self.parts.train), *self.material.known_topics}
        if new := sorted(set(topics_of(ranked)) - known):
            warnings.append(
                f"{len(new)} topics of the pool are in neither real data nor docs, {_some(new)}: a spelling mistake?"
            )
        return warnings

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
            synthetic_weight=self.config.mix.synthetic_weight,
        )
        return write_training_set(
            training_set,
            folder,
            format,
            rejected=(self.folder.stage("select").manifest or {}).get("rejected", {}),
            licence=self.config.card.licence,
            intended_use=self.config.card.intended_use,
        )

    # -- sweep ---------------------------------------------------------------------------------------------------------

    def sweep(self) -> dict[str, Any]:
        """Trains, evaluates and judges every arm; the content of `sweep/dose_response.json`."""
        stage = self.folder.stage("sweep")
        if stage.is_done(self._prints.sweep):
            self.progress.note(f"nothing changed since the last run; read from {stage.folder}")
            result: dict[str, Any] = read_json(stage.folder / "dose_response.json")
            return result
        parts, ranked = self.parts, self.ranked
        selection = self.folder.stage("select").manifest or {}
        warnings = [*self.material.warnings, *parts.warnings, *selection.get("warnings", ()), *self._unseen_topics()]
        with self._running("sweep", self._prints.sweep) as record:
            self._embed([*parts.train, *ranked, *parts.holdout])
            sweep = Sweep(
                self.config,
                train=parts.train,
                ranked=ranked,
                holdout=parts.holdout,
                groups=holdout_groups(self._texts(parts.holdout), None, GROUPED),
                trainer=self.trainer,
                folder=stage.folder,
                progress=self.progress,
            )
            findings = sweep.run(expected_accuracy=self.gaps["model"]["accuracy"])
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
                "inputs": dict(self._prints.hashes),
            }
        return result

    def _unseen_topics(self) -> list[str]:
        """Warns of holdout topics that real training data lacks.

        Raises:
            InputError: Nothing at all could teach one of them.
        """
        held = Counter(c.label for c in self.parts.holdout)
        missing = held.keys() - topics_of(self.parts.train)
        if hopeless := sorted(missing - set(topics_of(self.ranked))):
            raise InputError(
                f"{len(hopeless)} topics of the holdout stand in neither the real nor the synthetic data: "
                f"{_some(hopeless)} ({sum(held[t] for t in hopeless)} conversations).",
                file=self.config.data.holdout,
                remedy="Correct the spelling of the topics, or take these rows out of the holdout.",
            )
        if not missing:
            return []
        names = _some(sorted(missing))
        warning = (
            f"{len(missing)} topics of the holdout have no real training example, {names}: dose 0 gets them wrong."
        )
        self.progress.warn(warning)
        return [warning]

    # -- report --------------------------------------------------------------------------------------------------------

    def report(self) -> Path:
        """Writes the HTML report from the stored results."""
        from posology.report.build import write_report

        return write_report(self.config.out, title=self.config.report.title)

    # -- what all stages share -----------------------------------------------------------------------------------------

    def _texts(self, conversations: Iterable[Conversation]) -> list[str]:
        rule = self.config.text.rule
        return [rule.text(conversation) for conversation in conversations]

    def _embed(self, conversations: Sequence[Conversation]) -> Any:  # noqa: ANN401
        return self.embedder.encode(conversations, lambda done, total: self.progress.step("embedding", done, total))

    @contextmanager
    def _running(self, name: str, print_: str) -> Iterator[_Record]:
        """Runs a stage: takes its manifest away first, and writes it last."""
        stage, record, start = self.folder.stage(name), _Record(), time.perf_counter()
        stage.begin()
        yield record
        seconds = {"total": time.perf_counter() - start}
        stage.finish(print_, files=record.files, timings=seconds, **{"warnings": [], **record.facts})

    @cached_property
    def _prints(self) -> Prints:
        return Prints(
            self.config,
            hashes={name: reading.sha256 for name, reading in self.material.readings.items()},
            known_topics=self.material.known_topics,
            encoder=self.embedder.identity,
            trainer=None if self._own_trainer is None else self._own_trainer.identity,
        )

    def _identity(self) -> dict[str, Any]:
        return {
            "posology": __version__,
            "encoder": self.embedder.encoder.identity,
            "text_rule": self.embedder.rule.identity,
            "trainer": self.trainer.identity,
            "fingerprint": self._prints.sweep,
            "inputs": dict(self._prints.hashes),
        }


def _with_reasons(rows: Sequence[Conversation], rejections: Sequence[Rejection]) -> Iterator[Conversation]:
    by_id = {c.id: c for c in rows}
    for rejection in rejections:
        reasons = {key: value for key, value in asdict(rejection).items() if key != "id"}
        yield replace(by_id[rejection.id], meta={**by_id[rejection.id].meta, **reasons})


def _some(names: Sequence[str], most: int = 3) -> str:
    shown = ", ".join(repr(name) for name in names[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")
