"""What a sweep does with a pool, done with what a generation of the self-consuming loop wrote."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from posology.apart import Parts
from posology.choosing import KEEP_RATE
from posology.config import Config
from posology.embedding.embedder import Embedder
from posology.gaps.allocation import WaterFilling
from posology.gaps.topics import topic_stats
from posology.inputs import Material
from posology.judging import Judging
from posology.outcomes import passed
from posology.progress import Silent
from posology.ranking import Ranking, described, without_copies
from posology.records import Conversation
from posology.selection.choice import Real
from posology.selection.duplicates import find_twins
from posology.training.head import CrossValidation
from posology.verifying import Verification

ROLES = "roles"  # the loop writes the turns that the text rule reads, one after the other: customers', as a rule


class Screening:
    """Verifies candidates by the data checks, takes duplicates out, and puts the rest into the order of selection.

    It is the code of `posology verify` and `posology select`, with their settings, but for what would take a model or a
    sweep of its own: there are no judges, and the keep rate is the one of the settings, or else everything.

    Args:
        config: The settings.
        material: Docs and catalog are read.
        parts: Real data, which everything is learned from; the holdout is read for leaks and personal data alone.
        validation: What cross-validation of the default model tells of this real data.
        embedder: Text to vectors.
    """

    def __init__(
        self, config: Config, material: Material, parts: Parts, validation: CrossValidation, embedder: Embedder
    ) -> None:
        skip = [*config.verify.skip, ROLES]
        alone = config.verify.model_copy(update={"judges": [], "evaluator": None, "skip": skip})
        config = config.model_copy(update={"verify": alone})
        judging = Judging(config, config.out / "ledger.sqlite", docs=material.docs, catalog=material.catalog)
        self._verification = Verification(config, material, parts, embedder, judging, Silent())
        stats = topic_stats(parts.train, validation.predicted, known_topics=material.known_topics)
        allocation = WaterFilling(weights=config.gaps.weights)
        self._ranking = Ranking(stats, allocation, config.mix.design, len(parts.train))
        self._settings, self._rule = config.select, config.text.rule
        self._train, self._embedder = parts.train, embedder
        self._real = Real([c.label for c in parts.train], embedder.encode(parts.train))
        self._rejected: list[dict[str, int]] = []

    def __call__(self, candidates: Sequence[Conversation]) -> list[Conversation]:
        """The candidates that may be used, most wanted first; some under another topic than they were written for."""
        if not candidates:
            return []
        verdicts = self._verification.run(candidates).verdicts
        reasons = Counter(v.reasons[0] for v in verdicts if v.reasons)
        pool = passed(candidates, verdicts)
        vectors = self._embedder.encode(pool)
        known = described(pool, vectors, self._real.vectors, {v.id: v for v in verdicts})
        twins = find_twins(self._texts(pool), vectors, self._texts(self._train), self._real.vectors)
        near, semantic = self._settings.near, self._settings.semantic
        rows, copies = without_copies(pool, self._train, twins, known.quality, near=near, semantic=semantic)
        reasons.update(copy.reason for copy in copies)
        choice = self._ranking.choose(
            known.part(np.array(rows, dtype=np.int64)),
            self._real,
            strategy=self._settings.strategy,
            keep_rate=self._settings.keep_rate or KEEP_RATE,
            seed=self._settings.seed,
        )
        self._rejected.append(dict(sorted(reasons.items())))
        return [pool[rows[place]] for place in choice.order]

    def told(self) -> list[dict[str, int]]:
        """How many candidates went for which reason, call by call since this was last asked."""
        rejected, self._rejected = self._rejected, []
        return rejected

    def _texts(self, conversations: Sequence[Conversation]) -> list[str]:
        return [self._rule.text(c) for c in conversations]
