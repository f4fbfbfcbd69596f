"""Calibration in a run: human labels against what verification said of the same candidates."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from posology.config import Verify
from posology.errors import InputError, StoreError
from posology.records import Verdict
from posology.store import SCHEMA_VERSION, write_json
from posology.verification.calibration import calibrate
from posology.verification.judging.panel import scaled
from posology.verification.labels import read_labels, weights_of
from posology.verification.measures import measure

CALIBRATION = "calibration.json"


def calibrated(
    verdicts: Sequence[Verdict],
    labels_file: Path,
    stage: Path,
    settings: Verify,
    *,
    precision: float | None = None,
) -> dict[str, Any]:
    """Measures verification on human labels; the content of `verify/calibration.json`, which is written.

    Args:
        verdicts: What verification says of every candidate.
        labels_file: What a person says of some.
        stage: The folder of the stage, with `judgements.jsonl` if there were judges.
        settings: Weights of the composite and floor of the judges.
        precision: What share of those kept is to be good.

    Raises:
        InputError: Labels are broken, of other candidates or of one kind; or none of them has a score.
    """
    by_id = {verdict.id: verdict for verdict in verdicts}
    labels = read_labels(labels_file, by_id)
    own = [by_id[label.id] for label in labels]
    if not any(score is not None for verdict in own for score in verdict.scores.values()):
        raise InputError("none of the labelled candidates has a score.", file=labels_file, remedy="Label others.")
    good, stands_for = [label.good for label in labels], weights_of(labels)
    floor = scaled(settings.floor)
    found = calibrate(
        [verdict.scores for verdict in own],
        good,
        stands_for=stands_for,
        passed=[not set(verdict.reasons) - {"low_composite"} for verdict in own],
        weights=settings.weights or None,
        precision=precision,
        floor=floor,
        seed=settings.seed,
    )
    truth = np.array(good)
    further = {"passed": [float(verdict.passed) for verdict in own]} | _by_check(own) | _by_judge(own, stage)
    measures = [
        measure(name, np.array(values, dtype=float), truth, stands_for, floor if name.startswith("judge") else 0.5)
        for name, values in further.items()
    ]
    result = {
        "schema_version": SCHEMA_VERSION,
        "labels": str(labels_file),
        **found.to_json(),
        "further": [asdict(one) for one in measures],
        "settings": _settings(found.weights, found.threshold.value if found.threshold else None),
    }
    write_json(stage / CALIBRATION, result)
    return result


def _settings(weights: Mapping[str, float], threshold: float | None) -> dict[str, Any]:
    """What to put under `verify` in posology.yaml to use all this."""
    found: dict[str, Any] = {
        "weights": {name: round(weight, 3) for name, weight in weights.items() if weight >= 0.0005}
    }
    if threshold is not None:
        # Rounded down, so that rounding rejects nobody.
        found["min_composite"] = float(np.floor(threshold * 1000) / 1000)
    return found


def _by_check(own: Sequence[Verdict]) -> dict[str, list[float]]:
    """1 where a check passed, 0 where it failed; for checks that did both."""
    states = {"pass": 1.0, "fail": 0.0, "unscored": np.nan}
    columns: dict[str, list[float]] = {}
    for place, verdict in enumerate(own):
        for finding in verdict.findings:
            columns.setdefault(f"check {finding.check}", [np.nan] * len(own))[place] = states[finding.state]
    return {name: values for name, values in columns.items() if {0.0, 1.0} <= set(values)}


def _by_judge(own: Sequence[Verdict], stage: Path) -> dict[str, list[float]]:
    """The scores of each judge by criterion, from the first judgement of each candidate."""
    place_of = {verdict.id: place for place, verdict in enumerate(own)}
    columns: dict[str, list[float]] = {}
    path = stage / "judgements.jsonl"
    if not path.is_file():
        return {}
    try:
        with path.open(encoding="utf-8") as lines:
            for line in lines:
                row = json.loads(line)
                if (place := place_of.get(row["id"])) is None:
                    continue
                for name, score in row["scores"].items():
                    column = columns.setdefault(f"judge {row['judge']}: {name}", [np.nan] * len(own))
                    column[place] = scaled(score) if np.isnan(column[place]) else column[place]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise StoreError(f"{path} is damaged.", remedy="Run `posology verify` again; nothing is paid twice.") from error
    return columns
