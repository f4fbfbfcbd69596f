"""The monitor: a baseline once, then a check of every week's traffic, of the deployed variant, of new synthetic data.

What is measured and what it is held against is the business of `posology.monitor`; here it meets the run folder, the
variant, the statistics of the sweep, and the diagnosis of collapse.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from posology.config import Data
from posology.errors import InputError, StoreError, UsageError
from posology.exporting import config_of
from posology.inputs import Material, required
from posology.monitor import webhook
from posology.monitor.baseline import (
    FOLDER,
    LEAST_REFERENCE,
    LEAST_WINDOW,
    MOST_REFERENCE,
    Baseline,
)
from posology.monitor.checks import NAMES
from posology.monitor.great import Expectations, Kind, Measure, Rules, Validation
from posology.monitor.history import History, batch_id, missing
from posology.monitor.results import verdict_of
from posology.observing import Observer
from posology.progress import Progress, Silent
from posology.records import Conversation
from posology.report.build import write_report
from posology.report.monitor_page import monitor_page
from posology.report.pages import REPORT, link_pages
from posology.store import RunFolder, writing
from posology.swept import require_sweep
from posology.weekly import (
    RATE,
    accuracy_check,
    content_hash,
    positions,
    right_of,
    suite_checks,
    synthetic_checks,
    traffic_checks,
    traffic_reference,
)

if TYPE_CHECKING:
    from pandas import DataFrame

SCHEMA_VERSION = 1
MONITOR, PAGE = "monitor", "index.html"
WINDOW = 200


def begin(
    run: Path,
    data: Data,
    *,
    variant: str | None = None,
    rate: float = RATE,
    window: int = WINDOW,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Makes the baseline of a run: `posology monitor init`.

    Args:
        run: The run folder, its sweep finished.
        data: Where reference traffic is, if there is any; else the holdout stands in for it.
        variant: The deployed one; None takes the recommended one.
        rate: The chance that a healthy week sets off any alarm at all.
        window: Conversations that a week is expected to have.
        progress: Told what happens.

    Returns:
        The facts of the baseline, its thresholds, and where the pages are.

    Raises:
        UsageError: A setting is out of range, there is no finished sweep, or no such variant.
        StoreError: The split is not what the sweep was run on.
        InputError: The reference is too small.
        ExtraMissing: Great Expectations is not installed.
    """
    if not 0 < rate < 1 or window < LEAST_WINDOW:
        raise UsageError(
            f"false alarms {rate:g} with windows of {window} make no sense.",
            remedy=f"Give a rate between 0 and 1, and windows of {LEAST_WINDOW} conversations or more.",
        )
    require_sweep(run)
    progress, folder = progress or Silent(), run / MONITOR
    expectations = Expectations(folder)
    config_of(run)  # before the lock, which makes the folder of a run that is not there
    with RunFolder(run):
        observer = Observer(run, variant, progress)
        source, conversations, warnings = _reference(data, observer, progress)
        baseline = _written(folder, observer, source, conversations, rate=rate, window=window)
        progress.note("learning thresholds from resampled weeks")
        traffic = traffic_reference(folder, baseline)
        calibration = traffic.calibration(traffic.size_for(window))
        rules = Rules(observer.topics, (*baseline.norms.languages, ""), baseline.norms.most_words)
        expectations.write(rules, suite_checks(pool=baseline.pool))
        baseline.save(folder)
        _write_page(run, folder, History(folder), rate)
    for warning in warnings:
        progress.warn(warning)
    accuracy = float(np.mean(list(baseline.right.values())))
    return {
        "schema_version": SCHEMA_VERSION,
        "baseline": baseline.id,
        "variant": baseline.variant,
        "reference": dict(baseline.reference),
        "holdout": {"n": len(baseline.right), "accuracy": round(accuracy, 6)},
        "false_alarms": rate,
        "window": calibration.size,
        "thresholds": {name: float(f"{calibration.threshold(name):.6g}") for name in NAMES},
        "data_docs": str(expectations.docs),
        "page": str(folder / PAGE),
        "warnings": warnings,
    }


def check(
    run: Path,
    data: Data,
    *,
    variant: str | None = None,
    day: date | None = None,
    url: str | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Checks a week: `posology monitor check`.

    Args:
        run: The run folder, with a baseline.
        data: New traffic; optionally the holdout again, and a new synthetic batch.
        variant: What is deployed now; None: what the baseline was made with.
        day: The day that the traffic stands for; None takes today, and the same traffic again, before the same
            variant, keeps its first one.
        url: A webhook that is told the result.
        progress: Told what happens.

    Returns:
        The result as it is printed; `drifted` says whether any check is an alarm, `verdict` is `unscored` where there
        was too little traffic to judge.

    Raises:
        UsageError: There is no finished sweep, or no baseline.
        StoreError: It was made with another encoder or other training data, or the run is not what was swept.
        InputError: A file is broken, or the holdout is not the one of the baseline.
        ExtraMissing: Great Expectations is not installed.
    """
    required(data.traffic, "traffic")
    require_sweep(run)
    if url is not None:
        webhook.check_url(url)
    progress, folder = progress or Silent(), run / MONITOR
    expectations = Expectations(folder)
    Baseline.load(folder)  # before the lock, which makes the folder of a run that is not there
    with RunFolder(run):
        baseline, kept = Baseline.load(folder), History(folder)
        result = _checked(run, Material(data, progress), expectations, baseline, kept, variant, day, progress)
        kept.add(result)
        _write_page(run, folder, kept, baseline.rate)
    for warning in result["warnings"]:
        progress.warn(warning)
    if url is not None:
        failure = webhook.post(url, webhook.message(result, run.resolve().name))
        result["webhook"] = {"sent": failure is None, "reason": failure}
        if failure:
            progress.warn(f"the webhook was not told: {failure}. The result stands.")
    return result


def history(run: Path) -> dict[str, Any]:
    """What was found so far: `posology monitor history`.

    Raises:
        UsageError: The run has no baseline.
    """
    folder = run / MONITOR
    Baseline.load(folder)
    kept = History(folder)
    results = kept.results()
    return {
        "schema_version": SCHEMA_VERSION,
        "batches": [
            {
                **result["batch"],
                "drifted": result["drifted"],
                "verdict": result["verdict"],
                "drift": [one["name"] for one in result["checks"] if one["verdict"] == "drift"],
                "accuracy": result["holdout"].get("accuracy"),
            }
            for result in results
        ],
        "missing": [[first.isoformat(), second.isoformat()] for first, second in missing(results)],
        "warnings": [f"{name} was damaged and has been set aside." for name in kept.damaged],
        "page": str(folder / PAGE),
    }


# -- the baseline ------------------------------------------------------------------------------------------------------


def _reference(
    data: Data, observer: Observer, progress: Progress
) -> tuple[dict[str, Any], Sequence[Conversation], list[str]]:
    """Reference traffic, where it comes from, and what the user should know."""
    warnings = []
    if data.traffic is not None:
        material = Material(data, progress)
        conversations, source = material.conversations("traffic"), "traffic"
        warnings += material.warnings
        sha = material.sha256("traffic")
    else:
        conversations, source, sha = observer.holdout, "holdout", content_hash(observer.holdout)
        warnings.append(
            f"no --traffic was given: the {len(conversations)} held-out conversations stand in for it. Where real "
            "traffic has another mix of topics, every week will look like drift."
        )
    if len(conversations) < LEAST_REFERENCE:
        raise InputError(
            f"the reference has {len(conversations)} conversations; {LEAST_REFERENCE} are needed, some thousands are "
            "better.",
            file=data.traffic,
            remedy="Give a month or two of real traffic with --traffic.",
        )
    return {"source": source, "sha256": sha}, conversations, warnings


def _written(
    folder: Path,
    observer: Observer,
    source: Mapping[str, Any],
    conversations: Sequence[Conversation],
    *,
    rate: float,
    window: int,
) -> Baseline:
    """Measures the references and writes them in place of earlier ones; the facts are for the caller to save, last."""
    shutil.rmtree(folder / FOLDER, ignore_errors=True)
    reference = [conversations[i] for i in positions(len(conversations), MOST_REFERENCE)]
    observer.window(reference).save(folder / FOLDER / "traffic.npz")
    accepted = [observer.pool[i] for i in positions(len(observer.pool), MOST_REFERENCE)]
    if enough := len(accepted) >= LEAST_REFERENCE:
        observer.window(accepted, labelled=True).save(folder / FOLDER / "pool.npz")
    deployed = observer.deployed
    return Baseline(
        identity=observer.identity,
        variant=deployed.key if deployed.known else str(deployed.folder.resolve()),
        rate=rate,
        window=window,
        norms=observer.norms,
        reference={**source, "n": len(reference)},
        holdout=content_hash(observer.holdout),
        right=right_of(observer.model, observer.holdout),
        pool=enough,
    )


# -- one week ----------------------------------------------------------------------------------------------------------


def _checked(
    run: Path,
    material: Material,
    expectations: Expectations,
    baseline: Baseline,
    kept: History,
    variant: str | None,
    day: date | None,
    progress: Progress,
) -> dict[str, Any]:
    """Measures and judges everything that was given."""
    observer = _observer(run, baseline, progress)
    baseline.check(observer.identity)
    deployed, model = (baseline.variant, observer.model) if variant is None else observer.other(variant)
    holdout = _holdout(material, observer, baseline)
    batch, warnings = _batch(material, day, kept, deployed, baseline)
    label, when = f"{batch['day']} {batch['id']}", date.fromisoformat(batch["day"])

    def validate(kind: Kind, frame: DataFrame, measure: Measure, most: Mapping[str, float], /) -> Validation:
        return expectations.validate(kind, frame, measure, most, name=label, day=when)

    folder = run / MONITOR
    progress.note("checking traffic")
    checks, found = traffic_checks(material.conversations("traffic"), observer, baseline, folder, validate)
    progress.note("checking the deployed variant on the holdout")
    accuracy, loss = accuracy_check(model, holdout, observer.config.text.rule, baseline, validate)
    checks.append(loss)
    if material.data.synthetic is not None:
        progress.note("checking the synthetic batch")
        checks += synthetic_checks(material.conversations("synthetic"), observer, baseline, folder, validate)
    told = [one.to_json() for one in checks]
    return {
        "schema_version": SCHEMA_VERSION,
        "drifted": any(one.verdict == "drift" for one in checks),
        "verdict": verdict_of(told),
        "checks": told,
        "data_docs": str(expectations.docs),
        "page": str(folder / PAGE),
        "batch": batch,
        "holdout": accuracy,
        **found,
        "warnings": [*material.warnings, *warnings, *found["warnings"]],
    }


def _observer(run: Path, baseline: Baseline, progress: Progress) -> Observer:
    """Sees with the variant of the baseline.

    Raises:
        StoreError: It is gone; a later sweep may have made others.
    """
    try:
        return Observer(run, baseline.variant, progress)
    except UsageError as error:
        raise StoreError(
            f"variant {baseline.variant} of the baseline is gone.",
            remedy="Make the baseline anew with `posology monitor init`.",
        ) from error


def _holdout(material: Material, observer: Observer, baseline: Baseline) -> Sequence[Conversation]:
    """The held-out conversations, if they are those of the baseline."""
    given = material.data.holdout
    holdout = observer.holdout if given is None else material.conversations("holdout")
    if content_hash(holdout) != baseline.holdout:
        raise InputError(
            "the holdout has changed since the baseline was made: accuracy on it cannot be compared.",
            file=given or observer.run / "split" / "holdout.jsonl",
            remedy="Give the holdout of the sweep, or make the baseline anew with `posology monitor init`.",
        )
    return holdout


def _batch(
    material: Material, day: date | None, history: History, deployed: str, baseline: Baseline
) -> tuple[dict[str, Any], list[str]]:
    """Identity and day of the batch, and what the user should know of its day."""
    traffic = material.conversations("traffic")
    content = "".join(filter(None, (material.sha256("traffic"), material.sha256("synthetic"))))
    name, today = batch_id(content, day, deployed), datetime.now().astimezone().date()
    earlier = history.earlier(name)
    when = day or (date.fromisoformat(earlier["batch"]["day"]) if earlier else today)
    warnings = [f"{file} was damaged and has been set aside." for file in history.damaged]
    newest = max((result["batch"]["day"] for result in history.results()), default=None)
    if day is None and earlier is None and newest is not None and newest > today.isoformat():
        warnings.append(f"the clock says {today}, but a batch of {newest} was checked before; is the clock right?")
    return {
        "id": name,
        "day": when.isoformat(),
        "n": len(traffic),
        "variant": deployed,
        "baseline": baseline.id,
    }, warnings


# -- the page ----------------------------------------------------------------------------------------------------------


def _write_page(run: Path, folder: Path, history: History, rate: float) -> None:
    """Writes the page of trends, and links it and the other pages to each other."""
    results = history.results()
    page = monitor_page(results, run=run.resolve().name, rate=rate, missing=missing(results))
    with writing(folder / PAGE) as handle:
        handle.write(page)
    if (run / REPORT).is_file():
        link_pages(run)
    else:
        write_report(run)
