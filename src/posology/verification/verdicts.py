"""From findings and scores to verdicts, and verdicts as rows of `verdicts.jsonl`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from posology.errors import StoreError
from posology.records import CheckState, Conversation, Finding, Verdict
from posology.verification.composite import composite

LOW_COMPOSITE = "low_composite"


def verdict(
    candidate: Conversation,
    findings: Sequence[Finding],
    scores: Mapping[str, float | None],
    *,
    topic: str | None = None,
    weights: Mapping[str, float] | None = None,
    min_composite: float | None = None,
    verifier: tuple[str, ...] = ("data",),
) -> Verdict:
    """What verification says of a candidate.

    Args:
        candidate: The candidate.
        findings: One a check that ran, each check once.
        scores: In [0, 1], higher is better; None where something could not be judged.
        topic: The topic that it is an example of; its own if None.
        weights: Of the scores in the composite; all equal if None or empty.
        min_composite: A lower composite fails; None asks for nothing.
        verifier: Who judged.

    Raises:
        ValueError: A check stands twice: the rows name findings by check.
    """
    names = [finding.check for finding in findings]
    if len(set(names)) != len(names):
        raise ValueError(f"a check stands twice: {names}")
    scores = {name: _rounded(score) for name, score in scores.items()}  # as they are read back, or orders would differ
    whole = _rounded(composite(scores, weights or None))
    found = tuple(findings)
    if min_composite is not None and whole is not None:
        state: CheckState = "pass" if whole >= min_composite else "fail"
        found += (Finding(LOW_COMPOSITE, state, round(whole, 6), min_composite, "the composite of all scores"),)
    return Verdict(candidate.id, found, scores, whole, topic or candidate.topic, verifier)


def to_row(verdict: Verdict) -> dict[str, Any]:
    """A verdict as a row of `verdicts.jsonl`."""
    return {
        "id": verdict.id,
        "passed": verdict.passed,
        "composite": verdict.composite,
        "scores": dict(verdict.scores),
        "checks": {
            finding.check: {
                "state": finding.state,
                "score": _rounded(finding.score),
                "threshold": _rounded(finding.threshold),
                "detail": finding.detail,
                "other_id": finding.other_id,
            }
            for finding in verdict.findings
        },
        "reasons": list(verdict.reasons),
        "verifier": list(verdict.verifier),
        "topic": verdict.topic,
    }


def from_row(row: Mapping[str, Any]) -> Verdict:
    """The verdict of a row.

    Raises:
        KeyError, TypeError, AttributeError: It is no such row.
    """
    findings = tuple(Finding(check, **found) for check, found in row["checks"].items())
    return Verdict(row["id"], findings, dict(row["scores"]), row["composite"], row["topic"], tuple(row["verifier"]))


def read_verdicts(path: Path) -> list[Verdict]:
    """Reads `verdicts.jsonl`.

    Raises:
        StoreError: It is missing or damaged.
    """
    return list(_read(path))


def _read(path: Path) -> Iterator[Verdict]:
    try:
        with path.open(encoding="utf-8") as lines:
            for line in lines:
                yield from_row(json.loads(line))
    except FileNotFoundError as error:
        raise StoreError(f"{path} is missing.", remedy="Run `posology verify` first.") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise StoreError(f"{path} is damaged.", remedy="Delete it and run `posology verify` again.") from error


def _rounded(value: float | None) -> float | None:
    """Six digits: what differs below is noise of the machine's arithmetic."""
    return None if value is None else round(float(value), 6)
