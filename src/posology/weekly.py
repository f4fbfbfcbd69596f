"""The checks of one week: traffic against the reference, the deployed variant on the holdout, a synthetic batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from posology import fingerprint
from posology.apart import clusters, without_leaks
from posology.conversations.faults import shown
from posology.errors import InputError, StoreError, UsageError
from posology.evaluation.paired import contrasts, difference_matrix
from posology.evaluation.resampling import resample
from posology.gaps.traffic import traffic_clusters
from posology.monitor.baseline import (
    LEAST_REFERENCE,
    LEAST_WINDOW,
    MOST_REFERENCE,
    Baseline,
    Measured,
    learned,
)
from posology.monitor.calibration import Calibration
from posology.monitor.checks import NAMES, OF_THE_MODEL, Reference
from posology.monitor.great import RULES, Kind, Measure, Validation
from posology.monitor.results import Check, Verdict, counted, unscored, verdict_of
from posology.monitor.windows import Window
from posology.narrowing import narrowing
from posology.observing import Observer, roles
from posology.progress import Progress
from posology.ranking import some
from posology.records import Conversation, TextRule
from posology.selection.duplicates import duplicates, find_twins
from posology.training.contract import Variant

if TYPE_CHECKING:
    from pandas import DataFrame

RATE = 0.02
LOSS_RATE = 1.5  # times that for accuracy: of 200 held-out conversations ten lost points should be seen at once
LOSS = "accuracy_loss"
LEAKED, COPIES, COLLAPSE = "synthetic_leaked", "synthetic_copies", "synthetic_collapse"
MOST_COPIES = 0.2  # share of a synthetic batch
OF_SYNTHETIC = ("length", "mess", "mood", "language", "malformed", "embedding_auc", "embedding_mmd")
FLIPS = 4999  # of signs
ROUNDING = 1e-9


class Validate(Protocol):
    """Runs a checkpoint of Great Expectations on a batch of this week."""

    def __call__(
        self, kind: Kind, frame: DataFrame, measure: Measure, thresholds: Mapping[str, float], /
    ) -> Validation:
        """See `posology.monitor.great.Expectations.validate`."""


def suite_checks(*, pool: bool) -> dict[Kind, tuple[str, ...]]:
    """The checks of each kind of batch.

    Args:
        pool: Whether there are accepted synthetic conversations to hold a new batch against.
    """
    more = synthetic_names(OF_SYNTHETIC) if pool else ()
    return {"traffic": NAMES, "holdout": (LOSS,), "synthetic": (LEAKED, COPIES, COLLAPSE, *more)}


def content_hash(conversations: Sequence[Conversation]) -> str:
    """Hash of conversations, whatever their order."""
    return fingerprint.of_conversations(sorted(conversations, key=lambda c: c.id))


def right_of(model: Variant, holdout: Sequence[Conversation]) -> dict[str, bool]:
    """By id: whether the variant gives a labelled conversation its own topic."""
    said = model.predict(holdout).best
    return {c.id: topic == c.topic for c, topic in zip(holdout, said, strict=True)}


def traffic_reference(folder: Path, baseline: Baseline) -> Measured:
    """Reference traffic and its thresholds."""
    return Measured(folder, "traffic", baseline.norms, rate=baseline.rate)


def synthetic_names(names: Sequence[str]) -> tuple[str, ...]:
    """Checks of a synthetic batch, told from those of traffic."""
    return tuple(f"synthetic_{name}" for name in names)


def traffic_checks(
    traffic: Sequence[Conversation],
    observer: Observer,
    baseline: Baseline,
    folder: Path,
    validated: Validate,
) -> tuple[list[Check], dict[str, Any]]:
    """The checks of new traffic, and the clusters that no training example is near."""
    measured = traffic_reference(folder, baseline)
    size = measured.size_for(len(traffic))
    found: dict[str, Any] = {"judged": size, "clusters": [], "warnings": []}
    if size < LEAST_WINDOW:
        why = f"{len(traffic)} conversations are too few to judge; {LEAST_WINDOW} are needed"
        found["warnings"].append(f"{why}.")
        return unscored(["rows", *NAMES], why), found
    if size < len(traffic):
        found["warnings"].append(
            f"{size} of {len(traffic)} conversations were judged, drawn at random: the reference has no more than "
            f"{len(measured.reference)}."
        )
    rows = [traffic[i] for i in positions(len(traffic), size)]
    window, calibration = observer.window(rows), measured.calibration(size)
    frame = window.frame(topic=[c.topic for c in rows], roles=[roles(c) for c in rows])
    validation = validated(
        "traffic", frame, lambda batch: measured.reference.measure(Window.from_frame(batch)), _thresholds(calibration)
    )
    checks = [_rows_check("rows", validation.failed, rows, observer.topics)]
    for name in NAMES:
        value = validation.values[name]
        checks.append(_judged(name, value, calibration, measured.reference, window))
    if measured.reference.is_far(window).any():
        found["clusters"] = _clusters(observer, rows, window)
    return checks, found


def positions(n: int, size: int) -> list[int]:
    """`size` of n positions, drawn at random, in order; all of them if they are no more."""
    if size >= n:
        return list(range(n))
    drawn = np.random.default_rng(0).choice(n, size, replace=False)
    return [int(i) for i in np.sort(drawn)]


def _thresholds(calibration: Calibration, prefix: str = "") -> dict[str, float]:
    """The parameters of a suite."""
    most = {f"{prefix}{name}": calibration.threshold(name) for name in calibration.names}
    kept = {"rows_kept": f"{prefix}malformed", "language_kept": f"{prefix}language"}
    return most | {name: min(1.0, max(0.0, 1 - most[check] - ROUNDING)) for name, check in kept.items()}


def _rows_check(name: str, broken: Sequence[str], rows: Sequence[Conversation], topics: Sequence[str]) -> Check:
    """How many rules rows break, and which; labels that the run has never seen are named."""
    new = sorted({c.topic for c in rows if c.topic is not None} - set(topics))
    said = [rule for rule in dict.fromkeys(broken) if not new or rule != RULES["topic"]]
    if new:
        said.insert(0, f"topics never seen: {some(new)}")
    return counted(name, len(broken), 0, "; ".join(said))


def _judged(
    name: str,
    value: float,
    calibration: Calibration,
    reference: Reference,
    window: Window,
    prefix: str = "",
) -> Check:
    """A value against its threshold; the p-value allows for all checks of the week."""
    most = calibration.threshold(name)
    drifted = value > most
    note = _moved(name, reference, window) if drifted else ""
    verdict: Verdict = "drift" if drifted else "ok"
    return Check(f"{prefix}{name}", value, most, calibration.p_value(name, value), verdict, note)


def _moved(name: str, reference: Reference, window: Window) -> str:
    """What moved most, in words."""
    if name in ("mood", "mess"):
        moved = sorted(reference.changes(window, name).items(), key=lambda item: -abs(item[1]))[:2]
        return ", ".join(f"{sign.replace('_', ' ')} {'up' if change > 0 else 'down'}" for sign, change in moved)
    if name in ("topic_share", "topic_chi2"):
        moved = sorted(reference.changes(window, "topic").items(), key=lambda item: -abs(item[1]))[:3]
        shares = [
            (topic, (reference.window.topics == topic).mean(), (window.topics == topic).mean()) for topic, _ in moved
        ]
        return ", ".join(f"{shown(topic)} {before:.0%} to {after:.0%}" for topic, before, after in shares)
    return ""


def _clusters(observer: Observer, rows: Sequence[Conversation], window: Window) -> list[dict[str, Any]]:
    """Conversations of the week that resemble each other and no training example; by words and ids."""
    labelled = [i for i, c in enumerate(observer.examples) if c.topic is not None]
    examples = [observer.examples[i] for i in labelled]
    found = traffic_clusters(
        examples,
        observer.vectors(examples),
        rows,
        window.vectors,
        text_rule=observer.config.text.rule,
        min_size=3,
    )
    return [
        {
            "size": cluster.size,
            "share": round(cluster.share, 6),
            "nearest_topic": cluster.nearest_topic,
            "words": list(cluster.words),
            "examples": [example.id for example in cluster.examples],
        }
        for cluster in found.clusters
    ]


# -- the deployed variant ----------------------------------------------------------------------------------------------


def accuracy_check(
    model: Variant, holdout: Sequence[Conversation], rule: TextRule, baseline: Baseline, validated: Validate
) -> tuple[dict[str, Any], Check]:
    """The accuracy of the deployed variant against the baseline's, held to the suite."""
    facts, loss = _loss(model, holdout, rule, baseline.right, baseline.rate)
    import pandas as pd

    said = model.predict(holdout).best
    frame = pd.DataFrame(
        {
            "id": [c.id for c in holdout],
            "topic": [c.label for c in holdout],
            "predicted": said,
            "right_before": [baseline.right[c.id] for c in holdout],
        }
    )
    validated("holdout", frame, lambda _: {LOSS: loss.value or 0.0}, {LOSS: loss.threshold or 0.0})
    return facts, loss


def _loss(
    model: Variant, holdout: Sequence[Conversation], rule: TextRule, right: Mapping[str, bool], rate: float
) -> tuple[dict[str, Any], Check]:
    """How much accuracy was lost, with a paired interval that counts near-duplicates once."""
    now = right_of(model, holdout)
    correct = np.array([[[now[c.id] for c in holdout]], [[right[c.id] for c in holdout]]], dtype=np.bool_)
    groups = clusters(holdout, rule)
    loss, ci95, most, p_value = paired_loss(correct, groups, rate=min(LOSS_RATE * rate, 0.5))
    facts = {
        "n": len(holdout),
        "accuracy": round(float(correct[0].mean()), 6),
        "baseline": round(float(correct[1].mean()), 6),
        "difference": round(0.0 - loss, 6),  # 0, never -0
        "ci95": [round(0.0 - ci95[1], 6), round(0.0 - ci95[0], 6)],
    }
    note = f"{facts['baseline']:.1%} to {facts['accuracy']:.1%}" if loss > most else ""
    return facts, Check(LOSS, loss, most, p_value, "drift" if loss > most else "ok", note)


def paired_loss(
    correct: NDArray[np.bool_], groups: NDArray[np.int32], *, rate: float = RATE
) -> tuple[float, tuple[float, float], float, float]:
    """The loss of accuracy of one variant against another on the same conversations.

    The test flips signs: were the two equally good, the difference on each group of near-duplicates could as well have
    the other sign (one-sided, since a gain is no alarm).

    Args:
        correct: Shape (2, 1, n): where the deployed variant is right, and where the earlier one was.
        groups: Shape (n,): ids of near-duplicate groups.
        rate: The chance that a variant that is as good sets off an alarm.

    Returns:
        The loss, its 95 % interval, the most that chance explains, and the p-value.
    """
    n = correct.shape[-1]
    scores = resample(correct, np.zeros(n, np.int64), groups, tail=np.zeros(1, np.bool_), draws=FLIPS, seed=0)[
        "accuracy"
    ]
    assert scores is not None
    found = contrasts(scores, difference_matrix([(1, 0)], 2))
    own = np.unique(groups, return_inverse=True)[1].reshape(n)
    differences = np.bincount(own, weights=correct[1, 0].astype(np.float64) - correct[0, 0])
    differences = differences[differences != 0]
    signs = np.random.default_rng(0).integers(2, size=(FLIPS, len(differences))) * 2.0 - 1.0
    chance = np.sort(signs @ differences)
    total = float(differences.sum())
    p_value = (1 + int((chance >= total).sum())) / (1 + FLIPS)
    most = float(chance[-max(int(rate * (1 + FLIPS)), 1)])
    return total / n, (float(found.low[0]), float(found.high[0])), max(most, 0.0) / n, p_value


# -- a new synthetic batch ---------------------------------------------------------------------------------------------


def synthetic_checks(
    batch: Sequence[Conversation],
    observer: Observer,
    baseline: Baseline,
    folder: Path,
    validated: Validate,
) -> list[Check]:
    """Checks of synthetic conversations before they are mixed in."""
    rule = observer.config.text.rule
    kept, leaked = without_leaks(batch, observer.holdout, rule)
    values: dict[str, float] = {LEAKED: len(leaked), COPIES: _copies(kept, observer) / max(len(batch), 1)}
    most: dict[str, float] = {LEAKED: 0, COPIES: MOST_COPIES}
    notes = {LEAKED: some([rejection.id for rejection in leaked]) if leaked else ""}
    values[COLLAPSE], most[COLLAPSE], notes[COLLAPSE] = _collapse(batch, observer, baseline.rate)
    checks = [counted(name, values[name], most[name], notes.get(name, "")) for name in values]
    measured = None
    if baseline.pool:
        measured = Measured(folder, "pool", baseline.norms, rate=baseline.rate, names=OF_SYNTHETIC)
    size = measured.size_for(len(batch)) if measured else len(batch)
    if size < LEAST_WINDOW:
        why = f"{len(batch)} conversations are too few to judge; {LEAST_WINDOW} are needed"
        return checks + unscored(["synthetic_rows", *synthetic_names(OF_SYNTHETIC)], why)
    rows = [batch[i] for i in positions(len(batch), size)]
    window = observer.window(rows, labelled=True)
    if measured:
        calibration = measured.calibration(size)
        found = measured.reference.measure(window)
        values |= {f"synthetic_{name}": found[name] for name in OF_SYNTHETIC}
        most |= _thresholds(calibration, "synthetic_")
        for name in OF_SYNTHETIC:
            value = found[name]
            checks.append(_judged(name, value, calibration, measured.reference, window, "synthetic_"))
    else:
        most |= {"rows_kept": 1.0, "language_kept": 1.0}
    frame = window.frame(topic=[c.topic for c in rows], roles=[roles(c) for c in rows])
    failed = validated("synthetic", frame, lambda _: values, most).failed
    return [_rows_check("synthetic_rows", failed, rows, observer.topics), *checks]


def _copies(batch: Sequence[Conversation], observer: Observer) -> int:
    """How many of a batch copy real training data, or each other."""
    if not batch:
        return 0
    rule, settings = observer.config.text.rule, observer.config.select
    twins = find_twins(
        [rule.text(c) for c in batch],
        observer.vectors(batch),
        [rule.text(c) for c in observer.real],
        observer.vectors(observer.real),
    )
    return len(duplicates(twins, np.ones(len(batch)), near=settings.near, semantic=settings.semantic))


def _collapse(batch: Sequence[Conversation], observer: Observer, rate: float) -> tuple[float, float, str]:
    """How many indicators of collapse the batch shows, the most that chance explains, and which are new."""
    found = narrowing(observer.real, observer.pool, batch, observer.vectors, observer.config.text.rule, rate=rate)
    return len(found.shown), found.most, some(sorted(found.new)) if found.new else ""


# -- from round to round -----------------------------------------------------------------------------------------------


def compare(first: Path, second: Path, *, rate: float = RATE, progress: Progress | None = None) -> dict[str, Any]:
    """Drift from one round of fine-tuning to the next: what the second run trains on and answers, against the first.

    The recommended training set of the second run is held against that of the first like a week of traffic against the
    reference, and its variant against the first one's on the holdout that both share.

    Args:
        first: A run folder, its sweep finished.
        second: Likewise, of a later round.
        rate: The chance of any alarm where nothing changed.
        progress: Told what happens.

    Returns:
        `drifted`, the checks, and what was compared.

    Raises:
        UsageError: The two are one run, or one of them holds no finished sweep.
        StoreError: The two were not made with one encoder and text rule.
        InputError: The first training set is too small.
    """
    if first.resolve() == second.resolve():
        raise UsageError(f"{first} and {second} are the same run.", remedy="Name the run folders of two rounds.")
    before, after = Observer(first, None, progress), Observer(second, None, progress)
    for name in ("encoder", "text_rule"):
        if before.identity[name] != after.identity[name]:
            raise StoreError(f"the two runs differ in their {name.replace('_', ' ')}.", remedy="Sweep both alike.")
    if len(before.training) < LEAST_REFERENCE:
        raise InputError(f"{first} trains on {len(before.training)} conversations; {LEAST_REFERENCE} are needed.")
    names = tuple(name for name in NAMES if name not in OF_THE_MODEL)
    reference = Reference(before.window(before.training, labelled=True).sample(MOST_REFERENCE, seed=0), before.norms)
    window = before.window(after.training, labelled=True).sample(len(reference) // 2, seed=0)
    calibration = learned(reference, len(window), rate, names)
    values = reference.measure(window)
    checks = [_judged(name, values[name], calibration, reference, window) for name in names]
    accuracy: dict[str, Any] = {}
    if content_hash(before.holdout) == content_hash(after.holdout):
        accuracy, loss = _loss(
            after.model, before.holdout, before.config.text.rule, right_of(before.model, before.holdout), rate
        )
        checks.append(loss)
    else:
        checks += unscored([LOSS], "the two runs have different holdouts")
    told = [one.to_json() for one in checks]
    return {
        "schema_version": 1,
        "drifted": any(one.verdict == "drift" for one in checks),
        "verdict": verdict_of(told),
        "checks": told,
        "before": {"run": str(first), "variant": before.deployed.key, "n": len(before.training)},
        "after": {"run": str(second), "variant": after.deployed.key, "n": len(after.training)},
        "judged": len(window),
        "holdout": accuracy,
    }
