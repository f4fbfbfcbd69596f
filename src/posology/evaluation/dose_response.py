"""From the predictions of all variants to the dose-response: figures, verdict, cliff, curve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from posology.evaluation.cliff import Cliff, find_cliff
from posology.evaluation.curve import Curve, Proposal, fit_curve, next_dose
from posology.evaluation.metrics import (
    Bools,
    ConfusionChange,
    Floats,
    Ints,
    confusion_changes,
    expected_calibration_error,
    recall_by_topic,
)
from posology.evaluation.paired import Contrasts, contrasts, difference_matrix, majority, mcnemar_p
from posology.evaluation.power import smallest_resolvable_difference
from posology.evaluation.recommendation import Recommendation, recommend
from posology.evaluation.resampling import Estimate, Metric, Scores, resample
from posology.records import ArmKind, ArmResult


@dataclass(frozen=True, slots=True)
class EvaluationSettings:
    """How the sweep is judged.

    Attributes:
        draws: Bootstrap draws and sign flips.
        seed: Of both.
        margin: Loss of accuracy up to which a dose counts as no worse.
        tail_max_real: A topic with at most so many real training examples belongs to the tail.
        n_confusions: How many changed confusions are listed.
    """

    draws: int = 4000
    seed: int = 0
    margin: float = 0.02
    tail_max_real: int = 5
    n_confusions: int = 20

    def __post_init__(self) -> None:
        if self.draws < 100 or not 0 <= self.margin < 1:
            raise ValueError("draws is at least 100, margin in [0, 1)")


@dataclass(frozen=True, slots=True)
class ArmSummary:
    """The figures of one arm.

    Attributes:
        arm: The arm itself.
        accuracy: Mean over seeds with its own interval.
        macro_recall: Mean over the topics of the holdout.
        tail_recall: Mean over its tail topics; None if it has none.
        delta_vs_real_only: Accuracy minus that of dose 0, interval simultaneous over all arms.
        p_adjusted: Its p-value, adjusted likewise.
        delta_vs_random: Accuracy minus that of the random control of the same dose, simultaneous over these pairs;
            None without a control.
        mcnemar_p: Exact McNemar test of the majority votes against dose 0.
        ece: Expected calibration error.
    """

    arm: ArmResult
    accuracy: Estimate
    macro_recall: Estimate
    tail_recall: Estimate | None
    delta_vs_real_only: Estimate
    p_adjusted: float
    delta_vs_random: Estimate | None
    mcnemar_p: float
    ece: float

    def to_json(self) -> dict[str, object]:
        """One entry of `arms` in `sweep/dose_response.json`."""
        arm = self.arm
        return {
            "dose": arm.dose,
            "kind": arm.kind,
            "actual_dose": _round(arm.actual_dose),
            "n_real": arm.n_real,
            "n_synthetic": arm.n_synthetic,
            "n_pool_short": arm.n_pool_short,
            "accuracy": _estimate_json(self.accuracy),
            "macro_recall": _estimate_json(self.macro_recall),
            "tail_recall": _estimate_json(self.tail_recall),
            "delta_vs_real_only": {
                **(_estimate_json(self.delta_vs_real_only) or {}),
                "p_adjusted": _round(self.p_adjusted),
            },
            "delta_vs_random": _estimate_json(self.delta_vs_random),
            "mcnemar_p": _round(self.mcnemar_p),
            "ece": _round(self.ece),
        }


@dataclass(frozen=True, slots=True)
class TopicRow:
    """One topic before and after.

    Attributes:
        topic: Its name.
        n_real: Real training examples.
        n_synthetic: Synthetic ones in the compared arm; None where the caller did not say.
        n_holdout: Held-out conversations.
        recall_real_only: Recall of dose 0; None if the holdout lacks the topic.
        recall_compared: Recall of the compared arm; None likewise, or without such an arm.
    """

    topic: str
    n_real: int
    n_synthetic: int | None
    n_holdout: int
    recall_real_only: float | None
    recall_compared: float | None

    def to_json(self) -> dict[str, object]:
        """One row of `topics` in `sweep/dose_response.json`."""
        return {
            "topic": self.topic,
            "n_real": self.n_real,
            "n_synthetic": self.n_synthetic,
            "n_holdout": self.n_holdout,
            "recall_real_only": None if self.recall_real_only is None else _round(self.recall_real_only),
            "recall_compared": None if self.recall_compared is None else _round(self.recall_compared),
        }


@dataclass(frozen=True, slots=True)
class DoseResponse:
    """What a sweep has shown.

    Attributes:
        arms: By dose, selected before random.
        n: Held-out conversations.
        n_groups: Groups of near-duplicates among them.
        smallest_resolvable_difference: Of accuracy, against dose 0.
        recommendation: The verdict.
        cliff: The largest proven fall.
        curve: None with dose 0 alone.
        compared_dose: The recommended dose, or the most accurate one if that is 0; None with dose 0 alone.
        tail_max_real: What made a topic belong to the tail.
        topics: All topics, in the order given.
        confusions: Mistakes that changed most from dose 0 to the compared dose.
        accuracy: Replicates of all arms' accuracy, in the order of `arms`.
    """

    arms: tuple[ArmSummary, ...]
    n: int
    n_groups: int
    smallest_resolvable_difference: float
    recommendation: Recommendation
    cliff: Cliff
    curve: Curve | None
    compared_dose: float | None
    tail_max_real: int
    topics: tuple[TopicRow, ...]
    confusions: tuple[ConfusionChange, ...]
    accuracy: Scores = field(repr=False, compare=False)

    def to_json(self) -> dict[str, object]:
        """The parts of `sweep/dose_response.json` that follow from the predictions."""
        return {
            "metric": "accuracy",
            "holdout": {
                "n": self.n,
                "n_groups": self.n_groups,
                "smallest_resolvable_difference": _round(self.smallest_resolvable_difference),
            },
            "arms": [arm.to_json() for arm in self.arms],
            "recommendation": self.recommendation.to_json(),
            "cliff": self.cliff.to_json(),
            "curve": None if self.curve is None else self.curve.to_json(),
            "topics": {
                "compared_dose": self.compared_dose,
                "tail_max_real": self.tail_max_real,
                "rows": [row.to_json() for row in self.topics],
            },
            "confusions": [
                {"topic": c.topic, "predicted": c.predicted, "before": _round(c.before), "after": _round(c.after)}
                for c in self.confusions
            ],
        }

    def propose(self, *, highest: float = 1.0, step: float = 0.05, min_gain: float = 0.0025) -> Proposal | None:
        """The dose most worth training next, see `posology.evaluation.curve.next_dose`; None when none is worth it.

        Doses chosen by looking at the holdout stay within the error rates of the verdict: simulated in
        `benchmarks/null_sweeps.py`, no more than 5 % of sweeps without any gain are called better.
        """
        chosen = np.array([i for i, a in enumerate(self.arms) if a.arm.kind == "selected"])
        scores = self.accuracy.take(chosen)
        doses = [self.arms[i].arm.dose for i in chosen]
        return next_dose(doses, scores.mean, scores.covariance, step=step, highest=highest, min_gain=min_gain)


def evaluate(
    arms: Sequence[ArmResult],
    truth: Ints,
    groups: Ints,
    topics: Sequence[str],
    n_real_by_topic: Mapping[str, int],
    *,
    n_synthetic_by_topic: Mapping[float, Mapping[str, int]] | None = None,
    settings: EvaluationSettings | None = None,
) -> DoseResponse:
    """Judges a sweep.

    Args:
        arms: All arms, among them dose 0; all with the same seeds.
        truth: Shape (n,), the true topics as indices of `topics`.
        groups: Shape (n,), ids of near-duplicate groups.
        topics: The K topics.
        n_real_by_topic: Real training examples; 0 for topics that are not named.
        n_synthetic_by_topic: For selected doses, synthetic examples of each topic.
        settings: Draws, margins, limits.

    Returns:
        The dose-response.

    Raises:
        ValueError: Dose 0 is missing, an arm stands twice, or shapes and indices do not fit.
    """
    settings = settings or EvaluationSettings()
    arms = sorted(arms, key=lambda arm: (arm.dose, arm.kind != "selected"))
    _check(arms, truth, groups, topics)
    correct = np.stack([arm.predicted == truth for arm in arms])
    tail = np.array([n_real_by_topic.get(topic, 0) <= settings.tail_max_real for topic in topics])
    scores = resample(correct, truth, groups, tail=tail, draws=settings.draws, seed=settings.seed)
    accuracy = scores["accuracy"]
    assert accuracy is not None
    versus_real = _versus_real(accuracy, settings.seed)
    selected = np.array([i for i, arm in enumerate(arms) if arm.kind == "selected"])
    chosen = accuracy.take(selected)
    doses = [arms[i].dose for i in selected]
    # Row i - 1 of `versus_real` belongs to arm i: dose 0 comes first.
    family = versus_real.take(selected[1:] - 1)
    dosed = np.array([arms[i].actual_dose > 0 for i in selected])
    resolvable = smallest_resolvable_difference(accuracy, versus_real.take(selected[dosed] - 1))
    verdict = recommend(doses, chosen, family, dosed=dosed, resolvable=resolvable, margin=settings.margin)
    compared = _compared(doses, chosen, verdict)
    compared_arm = None if compared is None else arms[selected[compared]]
    synthetic = (n_synthetic_by_topic or {}).get(compared_arm.dose) if compared_arm else None
    return DoseResponse(
        arms=_summaries(arms, correct, scores, versus_real, settings.seed),
        n=len(truth),
        n_groups=len(accuracy.weights),
        smallest_resolvable_difference=resolvable,
        recommendation=verdict,
        cliff=find_cliff(doses, chosen, seed=settings.seed),
        curve=fit_curve([arms[i].actual_dose for i in selected], chosen.mean, chosen.covariance),
        compared_dose=compared_arm.dose if compared_arm else None,
        tail_max_real=settings.tail_max_real,
        topics=_topic_rows(arms[0], compared_arm, truth, topics, n_real_by_topic, synthetic),
        confusions=tuple(
            confusion_changes(arms[0].predicted, compared_arm.predicted, truth, topics, settings.n_confusions)
            if compared_arm
            else ()
        ),
        accuracy=accuracy,
    )


def _check(arms: Sequence[ArmResult], truth: Ints, groups: Ints, topics: Sequence[str]) -> None:
    """Refuses what would give numbers without meaning; `arms` are sorted."""
    if not arms or arms[0].dose != 0 or arms[0].kind != "selected":
        raise ValueError("dose 0 is always an arm")
    names = [(arm.dose, arm.kind) for arm in arms]
    if len(set(names)) < len(names):
        raise ValueError(f"an arm stands twice: {names}")
    n = len(truth)
    if n == 0 or groups.shape != truth.shape or truth.ndim != 1:
        raise ValueError("truth and groups are of one length, at least 1")
    seeds = arms[0].seeds
    for arm in arms:
        shape = (len(seeds), n)
        if arm.seeds != seeds or arm.predicted.shape != shape or arm.probability.shape != shape:
            raise ValueError(f"arm {arm.dose:g} ({arm.kind}) does not fit {len(seeds)} seeds and {n} conversations")
    for indices in (truth, *(arm.predicted for arm in arms)):
        if indices.size == 0 or indices.min() < 0 or indices.max() >= len(topics):
            raise ValueError("a topic index is out of range, or an arm has no seed")


def _versus_real(accuracy: Scores, seed: int) -> Contrasts:
    size = len(accuracy.per_seed)
    return contrasts(accuracy, difference_matrix([(i, 0) for i in range(1, size)], size), seed=seed)


def _versus_random(arms: Sequence[ArmResult], accuracy: Scores, seed: int) -> dict[int, Estimate]:
    position: dict[tuple[float, ArmKind], int] = {(arm.dose, arm.kind): i for i, arm in enumerate(arms)}
    pairs = [
        (i, position[arm.dose, "random"])
        for i, arm in enumerate(arms)
        if arm.kind == "selected" and (arm.dose, "random") in position
    ]
    family = contrasts(accuracy, difference_matrix(pairs, len(arms)), seed=seed)
    return {i: family.estimate(row) for row, (i, _) in enumerate(pairs)}


def _summaries(
    arms: Sequence[ArmResult],
    correct: Bools,
    scores: Mapping[Metric, Scores | None],
    versus_real: Contrasts,
    seed: int,
) -> tuple[ArmSummary, ...]:
    accuracy, macro, tail = scores["accuracy"], scores["macro_recall"], scores["tail_recall"]
    assert accuracy is not None and macro is not None
    versus_random = _versus_random(arms, accuracy, seed)
    return tuple(
        ArmSummary(
            arm=arm,
            accuracy=accuracy.estimate(i),
            macro_recall=macro.estimate(i),
            tail_recall=None if tail is None else tail.estimate(i),
            delta_vs_real_only=versus_real.estimate(i - 1) if i else Estimate(0.0, 0.0, 0.0),
            p_adjusted=float(versus_real.p_adjusted[i - 1]) if i else 1.0,
            delta_vs_random=versus_random.get(i),
            mcnemar_p=mcnemar_p(majority(correct[0]), majority(correct[i])),
            ece=expected_calibration_error(correct[i], arm.probability),
        )
        for i, arm in enumerate(arms)
    )


def _compared(doses: Sequence[float], chosen: Scores, verdict: Recommendation) -> int | None:
    """Position among the selected doses of the arm that topics and confusions are compared with."""
    if len(doses) < 2:
        return None
    if verdict.dose > 0:
        return doses.index(verdict.dose)
    return 1 + int(np.round(chosen.mean[1:], 9).argmax())


def _topic_rows(
    before: ArmResult,
    after: ArmResult | None,
    truth: Ints,
    topics: Sequence[str],
    n_real: Mapping[str, int],
    n_synthetic: Mapping[str, int] | None,
) -> tuple[TopicRow, ...]:
    def recall(arm: ArmResult) -> Floats:
        result: Floats = recall_by_topic(arm.predicted == truth, truth, len(topics)).mean(axis=0)
        return result

    first = recall(before)
    second = np.full(len(topics), np.nan) if after is None else recall(after)
    held_out = np.bincount(truth, minlength=len(topics))
    return tuple(
        TopicRow(
            topic=topic,
            n_real=n_real.get(topic, 0),
            n_synthetic=None if n_synthetic is None else n_synthetic.get(topic, 0),
            n_holdout=int(held_out[k]),
            recall_real_only=None if np.isnan(first[k]) else float(first[k]),
            recall_compared=None if np.isnan(second[k]) else float(second[k]),
        )
        for k, topic in enumerate(topics)
    )


def _round(value: float) -> float:
    return round(float(value), 6) + 0.0  # no minus before 0


def _estimate_json(estimate: Estimate | None) -> dict[str, object] | None:
    if estimate is None:
        return None
    return {"mean": _round(estimate.mean), "ci95": [_round(estimate.low), _round(estimate.high)]}
