"""The sweep: mixtures are trained, predictions judged, and under `adaptive` further doses chosen.

Together with `pipeline` the only place where stages meet.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posology.collapsing import Embed, diagnose_arms, first_to_move
from posology.config import Config
from posology.errors import InputError
from posology.evaluation.cliff import Cliff
from posology.evaluation.dose_response import DoseResponse, EvaluationSettings, evaluate
from posology.evaluation.labels import LearningPoint, value_in_labels
from posology.evaluation.power import power_statement
from posology.evaluation.predictions import write_predictions
from posology.mixture.arms import arms, highest_dose, learning_parts, mixture
from posology.progress import Progress
from posology.ranking import some
from posology.records import ArmKind, ArmResult, Conversation, Mixture, topics_of
from posology.store import write_json
from posology.training.contract import Trainer
from posology.training.fitting import Outcome, arm_result, fit_all

PREDICTIONS = "predictions.parquet"
INDEX = "variants.json"
LOW_DOSE = 0.1


class Sweep:
    """All arms of one sweep.

    Args:
        config: The settings.
        train: Real training conversations.
        ranked: What was selected from the pool, in priority order.
        pool: What controls are drawn from.
        synthetic_weight: What a synthetic example weighs in training.
        holdout: Real conversations to evaluate on.
        groups: Shape (n_holdout,): ids of near-duplicate groups.
        trainer: A prepared trainer.
        folder: Where variants and predictions are kept.
        embed: Text to unit vectors, for the indicators of collapse.
        progress: Told what happens.
    """

    def __init__(
        self,
        config: Config,
        *,
        train: Sequence[Conversation],
        ranked: Sequence[Conversation],
        pool: Sequence[Conversation],
        synthetic_weight: float,
        holdout: Sequence[Conversation],
        groups: NDArray[np.int32],
        trainer: Trainer,
        folder: Path,
        embed: Embed,
        progress: Progress,
    ) -> None:
        self.config = config
        self.train, self.ranked, self.pool, self.holdout, self.groups = train, ranked, pool, holdout, groups
        self.synthetic_weight = synthetic_weight
        self.trainer, self.folder, self.embed, self.progress = trainer, folder, embed, progress
        self.topics = topics_of([*train, *ranked, *pool, *holdout])
        places = {topic: place for place, topic in enumerate(self.topics)}
        self.truth = np.array([places[c.label] for c in holdout], dtype=np.int64)

    def run(self, expected_accuracy: float) -> dict[str, Any]:
        """Says what the holdout can resolve, trains and judges all arms, and keeps every prediction.

        Args:
            expected_accuracy: Cross-validated on real training data, for the statement before training.

        Returns:
            The parts of `sweep/dose_response.json` that the sweep itself knows.
        """
        doses = self._first_doses()
        power = power_statement(
            len(self.holdout),
            expected_accuracy,
            n_arms=max(1, len(arms(doses, controls=self.config.mix.controls)) - 1),
            n_groups=len(np.unique(self.groups)),
        )
        self.progress.note(power.sentence)
        results, response = self._judged(doses)
        while (dose := self._next_dose(doses, response)) is not None:
            doses = sorted({*doses, dose})
            results, response = self._judged(doses)
        labels = self._labels(results, response.recommendation.dose) if self.config.sweep.learning_curve else None
        write_predictions(self.folder / PREDICTIONS, results, self.holdout, self.topics)
        return {
            **response.to_json(),
            "collapse": self._collapse(doses, response.cliff) if self.config.sweep.indicators else None,
            "power": power.to_json(),
            "labels": labels,
            "warnings": _short_of(results),
        }

    def _first_doses(self) -> list[float]:
        """The grid; under `adaptive` a low dose and the highest, from where the next ones are chosen.

        Low, because the first synthetic examples bring most.
        """
        budget, highest = self.config.sweep.adaptive, self._highest()
        if budget is None:
            return self.config.mix.doses
        if highest == 0:  # too small a pool for a step of the grid: what it reaches is all there is to try
            n_pool = len(self.ranked)
            return sorted({0.0, round(n_pool / (len(self.train) + n_pool), 6)})
        return [0.0, *sorted({min(LOW_DOSE, highest), highest})[:budget]]

    def _next_dose(self, doses: Sequence[float], response: DoseResponse) -> float | None:
        """The dose that is most worth its trainings; None if none is, or the budget of doses is spent."""
        budget = self.config.sweep.adaptive
        if budget is None or len(doses) > budget:
            return None
        proposal = response.propose(highest=self._highest())
        said = "no further dose is worth its trainings" if proposal is None else f"next dose: {proposal.dose:g}"
        self.progress.note(said)
        return None if proposal is None else proposal.dose

    def _highest(self) -> float:
        return highest_dose(len(self.train), len(self.ranked), self.config.mix.design)

    def _mixture(self, dose: float, kind: ArmKind, seed: int) -> Mixture:
        return mixture(
            dose,
            kind,
            seed,
            design=self.config.mix.design,
            real=self.train,
            ranked=self.ranked,
            pool=self.pool,
            synthetic_weight=self.synthetic_weight,
        )

    def _judged(self, doses: Sequence[float]) -> tuple[list[ArmResult], DoseResponse]:
        """Trains what is not trained yet, and evaluates all arms of the doses."""
        seeds = self.config.sweep.seeds
        plan = arms(doses, controls=self.config.mix.controls)
        sets = [[self._mixture(dose, kind, seed) for seed in seeds] for dose, kind in plan]
        # Without a pool every dose is dose 0; to show it once is enough.
        sets = [mixtures for mixtures in sets if mixtures[0].dose == 0 or mixtures[0].synthetic]
        outcomes = self._fitted([m for mixtures in sets for m in mixtures], "training")
        self._write_index([m for mixtures in sets for m in mixtures], outcomes)
        in_order = iter(outcomes)
        results = [arm_result(mixtures, [next(in_order) for _ in mixtures]) for mixtures in sets]
        synthetic = {
            mixtures[0].dose: Counter(c.label for c in mixtures[0].synthetic)
            for mixtures in sets
            if mixtures[0].kind == "selected"
        }
        return results, evaluate(
            results,
            self.truth,
            self.groups,
            self.topics,
            Counter(c.label for c in self.train),
            n_synthetic_by_topic=synthetic,
            settings=EvaluationSettings(
                draws=self.config.sweep.bootstrap,
                margin=self.config.sweep.margin,
                tail_max_real=self.config.gaps.tail_max_real,
            ),
        )

    def _fitted(self, mixtures: Sequence[Mixture], label: str) -> list[Outcome]:
        return fit_all(
            mixtures,
            self.trainer,
            self.holdout,
            self.topics,
            self.folder / "variants",
            jobs=self.config.sweep.jobs,
            progress=self.progress,
            label=label,
        )

    def _write_index(self, mixtures: Sequence[Mixture], outcomes: Sequence[Outcome]) -> None:
        """Says which variant belongs to which arm, and what is needed to use it."""
        variants = [
            {"dose": m.dose, "kind": m.kind, "seed": m.seed, "variant": outcome.key}
            for m, outcome in zip(mixtures, outcomes, strict=True)
        ]
        config = self.config.model_dump(
            mode="json",
            include={"embedding": True, "text": True, "mix": True, "sweep": True, "card": True, "data": {"docs"}},
        )
        config["mix"]["synthetic_weight"] = self.synthetic_weight  # as learned
        write_json(self.folder / INDEX, {"schema_version": 1, "config": config, "variants": variants})

    def _collapse(self, doses: Sequence[float], cliff: Cliff) -> dict[str, Any]:
        """How far the synthetic part of every dose is from real text, and what left the range of real text first."""
        seed = self.config.sweep.seeds[0]
        parts = {dose: self._mixture(dose, "selected", seed).synthetic for dose in doses if dose > 0}
        self.progress.note("looking for signs of collapse")
        found = diagnose_arms(self.train, parts, self.embed, self.config.text.rule, planned=topics_of(self.ranked))
        moved = [{"dose": dose, "indicator": name} for dose, name in first_to_move(found)]
        return {
            "arms": [
                {
                    "dose": dose,
                    "n_synthetic": diagnosis.n_synthetic,
                    "collapsed": diagnosis.collapsed,
                    "indicators": [reading.to_json() for reading in diagnosis.readings],
                }
                for dose, diagnosis in found.items()
            ],
            "first_to_move": moved,
            "before_cliff": []
            if cliff.dose is None
            else [name for dose, name in first_to_move(found) if dose <= cliff.dose],
        }

    def _labels(self, results: Sequence[ArmResult], dose: float) -> dict[str, Any]:
        """What the gain is worth in real labels, from variants trained on parts of the real data alone."""
        parts = learning_parts(self.train)
        by_size: dict[int, list[Outcome]] = {}
        for part, outcome in zip(parts, self._fitted(parts, "learning curve"), strict=True):
            by_size.setdefault(len(part.real), []).append(outcome)
        points = [LearningPoint(n, np.stack([o.predicted == self.truth for o in rows])) for n, rows in by_size.items()]
        right = {arm.dose: arm.predicted == self.truth for arm in results if arm.kind == "selected"}
        value = value_in_labels(
            [*points, LearningPoint(len(self.train), right[0.0])],
            self.groups,
            real_only=right[0.0],
            recommended=right[dose] if dose > 0 else None,
            n_real=len(self.train),
            label_cost=self.config.report.label_cost,
            currency=self.config.report.currency,
        )
        return value.to_json()


def _short_of(results: Sequence[ArmResult]) -> list[str]:
    """Says of every dose that the pool does not reach, what it reaches."""
    return [
        f"the pool is {arm.n_pool_short:,} conversations short of dose {arm.dose:g}: it reaches {arm.actual_dose:.3f}."
        for arm in results
        if arm.kind == "selected" and arm.n_pool_short
    ]


def unseen_topics(
    holdout: Sequence[Conversation], train: Sequence[Conversation], ranked: Sequence[Conversation], file: Path | None
) -> list[str]:
    """Warns of holdout topics that real training data lacks.

    Args:
        holdout: Real conversations to evaluate on.
        train: Real training conversations.
        ranked: The pool.
        file: Where the holdout comes from, for the message.

    Raises:
        InputError: Nothing at all could teach one of them.
    """
    held = Counter(c.label for c in holdout)
    missing = held.keys() - topics_of(train)
    if hopeless := sorted(missing - set(topics_of(ranked))):
        raise InputError(
            f"{len(hopeless)} topics of the holdout stand in neither the real nor the synthetic data: "
            f"{some(hopeless)} ({sum(held[t] for t in hopeless)} conversations).",
            file=file,
            remedy="Correct the spelling of the topics, or take these rows out of the holdout.",
        )
    if not missing:
        return []
    names = some(sorted(missing))
    return [f"{len(missing)} topics of the holdout have no real training example, {names}: dose 0 gets them wrong."]
