"""Selection in a run: duplicates, what real folds say of the pool, the priority order, and what is written of it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from posology import fingerprint
from posology.apart import Parts, without_leaks
from posology.choosing import (
    FEWEST_REAL,
    KEEP_RATE,
    WEIGHT,
    Learned,
    RealFolds,
    compared,
    given,
    learned_keep_rate,
    learned_weight,
)
from posology.config import Config
from posology.embedding.embedder import Embedder
from posology.errors import PosologyError, StoreError
from posology.gaps.allocation import Allocation
from posology.gaps.topics import topic_stats
from posology.inputs import Material
from posology.outcomes import passed, why_rejected
from posology.progress import Progress
from posology.ranking import Ranking, described, left_out, pool_warnings, without_copies
from posology.records import Conversation, Rejection, Verdict, topics_of
from posology.selection.choice import Candidates, Real
from posology.selection.duplicates import Twins, find_twins
from posology.store import read_json, write_json, writing
from posology.training.head import CrossValidation, HeadTrainer

TWINS = "duplicates.parquet"
SILENT = "none of its turns counts under the text rule"
THIN = "too little to learn it from"
NEVER = ("leaked", "no_text", "real_datum", "verbatim_span", "personal_data")  # or how they begin: not even a control


@dataclass(frozen=True, slots=True)
class Selected:
    """The outcome of selection.

    Attributes:
        ranked: What was kept, most wanted first, with `rank` and `quality` in `meta`.
        rejected: Every other row of the pool, with the reason.
        facts: For the manifest.
    """

    ranked: tuple[Conversation, ...]
    rejected: tuple[Rejection, ...]
    facts: Mapping[str, Any]


class Selecting:
    """Everything that is known when a pool is selected from.

    Args:
        config: The settings.
        material: The inputs.
        parts: Training data and holdout.
        verdicts: One a row of the pool; None where it is not to be verified: then leaks alone are looked for.
        folder: Where pairs of duplicates are kept.
        validation: What cross-validation of the default model tells of real training data.
        allocation: Where the next example pays most.
        embedder: Text to vectors.
        progress: Told what happens.
    """

    def __init__(
        self,
        config: Config,
        material: Material,
        parts: Parts,
        verdicts: Sequence[Verdict] | None,
        *,
        folder: Path,
        validation: CrossValidation,
        allocation: Allocation,
        embedder: Embedder,
        progress: Progress,
    ) -> None:
        self._config, self._settings, self._folder = config, config.select, folder
        self._train, self._embedder, self._progress = parts.train, embedder, progress
        self._known, self._rule = material.known_topics, config.text.rule
        self._whole = material.conversations("synthetic")
        self._verdicts = {v.id: v for v in verdicts or ()}
        if verdicts is None:
            clean, self._wrong = without_leaks(
                self._whole, parts.holdout, self._rule, real=parts.train, embed=embedder.encode_texts
            )
        else:
            clean, self._wrong = passed(self._whole, verdicts), [why_rejected(v) for v in verdicts if not v.passed]
        self._pool = [c for c in clean if self._rule.text(c)]
        self._wrong += [Rejection(c.id, "no_text", SILENT) for c in clean if not self._rule.text(c)]
        stats = topic_stats(self._train, validation.predicted, known_topics=self._known)
        self._ranking = Ranking(stats, allocation, config.mix.design, len(self._train))
        self._trainer = HeadTrainer(embedder)  # whatever is trained later: learning must be cheap
        self._trainer.restore(validation)

    def run(self) -> Selected:
        """Selects."""
        pool, candidates, copies = self._distinct
        keep_rate, settings = self.keep_rate, self._settings
        choice = self._ranking.choose(
            candidates,
            self._real,
            strategy=settings.strategy,
            keep_rate=keep_rate.value,
            count=settings.count,
            seed=settings.seed,
        )
        ranked = [
            replace(
                pool[row], meta={**pool[row].meta, "rank": rank, "quality": round(float(candidates.quality[row]), 6)}
            )
            for rank, row in enumerate(choice.order, 1)
        ]
        rejected = [
            *self._wrong,
            *copies,
            *left_out(pool, candidates, choice, strategy=settings.strategy, wanted=settings.count or 0),
        ]
        warnings = pool_warnings(len(self._whole), len(pool), ranked, self._train, self._known)
        if settings.count is not None and settings.count > len(ranked):
            warnings.append(
                f"{settings.count:,} were wanted, {len(ranked):,} are left of the pool: all of them are kept."
            )
        facts = {
            "n_pool": len(self._whole),
            "n_passed": len(self._pool),
            "n_distinct": len(pool),
            "n_selected": len(ranked),
            "strategy": settings.strategy,
            "keep_rate": keep_rate.to_json(),
            "rejected": dict(sorted(Counter(r.reason for r in rejected).items())),
            "by_topic": dict(sorted(Counter(c.label for c in ranked).items())),
            "warnings": warnings,
        }
        return Selected(tuple(ranked), tuple(rejected), facts)

    def compare(self, doses: Sequence[float]) -> dict[str, Any]:
        """What every strategy gives on real training folds.

        Raises:
            PosologyError: There is too little real data, or nothing to choose from.
        """
        if self._folds is None:
            n_pool = len(self._distinct[0])
            raise PosologyError(
                f"strategies cannot be compared on {len(self._train)} real and {n_pool} synthetic conversations.",
                remedy=f"At least {FEWEST_REAL} real training conversations and one candidate that passes are needed.",
            )
        keep_rate, weight = self.keep_rate, self.weight
        rows = compared(self._folds, doses, keep_rate=keep_rate.value, weight=weight.value)
        return {"keep_rate": keep_rate.to_json(), "synthetic_weight": weight.to_json(), "strategies": rows}

    @cached_property
    def keep_rate(self) -> Learned:
        """The share of the candidates to keep: as given, or as real training folds say."""
        settings = self._settings
        if settings.keep_rate is not None:
            return given(settings.keep_rate)
        if settings.count is not None or settings.strategy in ("all", "random"):
            by = "the count decides" if settings.count is not None else f"{settings.strategy} has no use for one"
            return Learned(KEEP_RATE, by, {})
        if self._folds is None:
            return Learned(KEEP_RATE, THIN, {})
        return learned_keep_rate(self._folds, self._distinct[1].quality, self._settings.strategy)

    @cached_property
    def weight(self) -> Learned:
        """What a synthetic example weighs in training, likewise; learned when it is first asked for."""
        if (weight := self._config.mix.synthetic_weight) is not None:
            return given(weight)
        if self._folds is None:
            return Learned(WEIGHT, THIN, {})
        return learned_weight(self._folds, self._settings.strategy, self.keep_rate.value)

    @cached_property
    def _real(self) -> Real:
        return Real([c.label for c in self._train], self._embedder.encode(self._train))

    @cached_property
    def _candidates(self) -> Candidates:
        return described(self._pool, self._embedder.encode(self._pool), self._real.vectors, self._verdicts)

    @cached_property
    def _distinct(self) -> tuple[list[Conversation], Candidates, list[Rejection]]:
        """The pool without copies, what selection knows of it, and the copies."""
        near, semantic = self._settings.near, self._settings.semantic
        twins, quality = self._twins(self._folder / TWINS), self._candidates.quality
        kept, copies = without_copies(self._pool, self._train, twins, quality, near=near, semantic=semantic)
        return [self._pool[row] for row in kept], self._candidates.part(np.array(kept, dtype=np.int64)), copies

    def _twins(self, place: Path) -> Twins:
        """Pairs that are alike, found once for a pool and its real data, whatever the thresholds are."""
        everyone = fingerprint.of_conversations([*self._pool, *self._train])
        print_ = fingerprint.of("twins", rows=everyone, encoder=self._embedder.identity)
        if (kept := _read(place, print_)) is not None:
            return Twins.from_columns(kept, self._pool, self._train)
        self._progress.note("looking for duplicates")
        twins = find_twins(
            [self._rule.text(c) for c in self._pool],
            self._candidates.vectors,
            [self._rule.text(c) for c in self._train],
            self._real.vectors,
        )
        _write(place, twins.columns(self._pool, self._train), print_)
        return twins

    @cached_property
    def _folds(self) -> RealFolds | None:
        """Real training folds; None where there is too little to learn from."""
        pool, candidates, _ = self._distinct
        sizes = Counter(c.label for c in self._train)
        if len(self._train) < FEWEST_REAL or sum(n > 1 for n in sizes.values()) < 2 or not pool:
            return None
        if len(topics_of(self._train)) < 2:
            return None
        return RealFolds(
            pool,
            candidates,
            self._train,
            self._real.vectors,
            ranking=self._ranking,
            trainer=self._trainer,
            jobs=self._config.sweep.jobs,
            progress=self._progress,
            seed=self._settings.seed,
        )


def kept_weight(place: Path, print_: str, learn: Callable[[], Learned]) -> float:
    """A learned weight, as an earlier run of the same selection left it, or else learned and left for the next.

    Args:
        place: Its file.
        print_: Fingerprint of the selection.
        learn: Learns it.
    """
    try:
        kept = read_json(place)
        if kept["fingerprint"] == print_:
            return float(kept["value"])
    except (StoreError, KeyError, TypeError, ValueError):
        pass  # missing or damaged
    learned = learn()
    write_json(place, {"fingerprint": print_, **learned.to_json()})
    return learned.value


def controls(pool: Sequence[Conversation], rejected: Path) -> tuple[Conversation, ...]:
    """What controls are drawn from: the pool as it came, less what matches the holdout, is somebody's own, or is empty.

    Args:
        pool: The whole pool.
        rejected: The rejected rows that selection wrote.
    """
    with rejected.open(encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    barred = {row["id"] for row in rows if str(row["reason"]).startswith(NEVER)}
    return tuple(c for c in pool if c.id not in barred)


def with_reasons(rows: Sequence[Conversation], rejections: Sequence[Rejection]) -> Iterator[Conversation]:
    """The rejected rows, each with the reason in `meta`."""
    by_id = {c.id: c for c in rows}
    for rejection in rejections:
        reasons = {key: value for key, value in asdict(rejection).items() if key != "id"}
        yield replace(by_id[rejection.id], meta={**by_id[rejection.id].meta, **reasons})


def _write(place: Path, columns: dict[str, Any], print_: str) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    text = {name: pa.string() for name in ("id", "other_id", "other_is", "kind")} | {"score": pa.float32()}
    table = pa.table({name: pa.array(columns[name].tolist(), kind) for name, kind in text.items()})
    with writing(place, binary=True) as handle:
        pq.write_table(table.replace_schema_metadata({"fingerprint": print_}), handle)


def _read(place: Path, print_: str) -> dict[str, list[Any]] | None:
    """The columns of an earlier run, if they are of the same rows."""
    import pyarrow.lib as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(place)
    except (OSError, pa.ArrowException):
        return None
    found: dict[str, list[Any]] = table.to_pydict()
    return found if (table.schema.metadata or {}).get(b"fingerprint") == print_.encode() else None
