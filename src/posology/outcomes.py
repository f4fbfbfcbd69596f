"""What verification leaves behind: verdicts, rows that passed, rows that did not and why, and how many of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from posology.conversations.writing import write
from posology.errors import PosologyError
from posology.records import Conversation, Rejection, Verdict
from posology.store import write_jsonl
from posology.verification.verdicts import to_row

VERDICTS = "verdicts.jsonl"
BINS = 20
FEW = 0.2  # share of candidates that pass, below which a warning is due


@dataclass(frozen=True, slots=True)
class Verified:
    """The outcome of verification.

    Attributes:
        verdicts: One a candidate, in order.
        facts: For the manifest: counts by check and reason, distributions of scores, privacy, judges.
        judgements: Rows of what each judge said by the rubric, empty without judges.
        rulings: Rows of what each judge answered to questions, likewise.
        warnings: What the user should know.
    """

    verdicts: tuple[Verdict, ...]
    facts: Mapping[str, Any]
    judgements: tuple[Mapping[str, Any], ...] = ()
    rulings: tuple[Mapping[str, Any], ...] = ()
    warnings: tuple[str, ...] = ()


def write_verified(folder: Path, candidates: Sequence[Conversation], found: Verified) -> list[str]:
    """Writes verdicts, what passed, what was rejected and why, and what judges said; the names of the files."""
    write_jsonl(folder / VERDICTS, map(to_row, found.verdicts))
    write(passed(candidates, found.verdicts), folder / "passed.jsonl")
    write(rejected_rows(candidates, found.verdicts), folder / "rejected.jsonl")
    write_jsonl(folder / "judgements.jsonl", found.judgements)
    write_jsonl(folder / "rulings.jsonl", found.rulings)
    return [VERDICTS, "passed.jsonl", "rejected.jsonl", "judgements.jsonl", "rulings.jsonl"]


def passed(candidates: Sequence[Conversation], verdicts: Sequence[Verdict]) -> list[Conversation]:
    """The candidates that passed, as verification leaves them, with their composite in `meta`."""
    return [
        _scored(after(candidate, v.topic), v) for candidate, v in zip(candidates, verdicts, strict=True) if v.passed
    ]


def rejected_rows(candidates: Sequence[Conversation], verdicts: Sequence[Verdict]) -> Iterator[Conversation]:
    """The others, each with the reason."""
    for candidate, v in zip(candidates, verdicts, strict=True):
        if not v.passed:
            why = {key: value for key, value in asdict(why_rejected(v)).items() if key != "id"}
            yield _scored(replace(candidate, meta={**candidate.meta, **why, "reasons": list(v.reasons)}), v)


def _scored(candidate: Conversation, v: Verdict) -> Conversation:
    return candidate if v.composite is None else replace(candidate, meta={**candidate.meta, "composite": v.composite})


def after(candidate: Conversation, topic: str | None) -> Conversation:
    """A candidate under the topic that fits; another one than its own is kept in `relabelled_from`."""
    if topic == candidate.topic:
        return candidate
    return replace(candidate, topic=topic, meta={**candidate.meta, "relabelled_from": candidate.topic})


def why_rejected(verdict: Verdict) -> Rejection:
    """Why a candidate was rejected: its first failed check.

    Raises:
        ValueError: It was not.
    """
    for finding in verdict.findings:
        if finding.state == "fail":
            return Rejection(
                verdict.id, finding.check, finding.detail, finding.other_id, finding.score, finding.threshold
            )
    raise ValueError(f"the candidate {verdict.id!r} passed")


def nothing_left(facts: Mapping[str, Any]) -> PosologyError:
    """The error for candidates that were all rejected: why, and what to do."""
    why = ", ".join(f"{reason} {n}" for reason, n in list(facts["rejected"].items())[:3])
    first = next(iter(facts["rejected"]), "")
    remedy = _REMEDIES.get(
        first, "Read verify/rejected.jsonl; a check that is wrong for your data goes into verify.skip."
    )
    return PosologyError(f"all {facts['n_candidates']} candidates were rejected ({why}).", remedy=remedy)


_REMEDIES = {
    "leaked_exact": "The pool holds the holdout: generate from training data alone.",
    "leaked_near": "The pool holds the holdout: generate from training data alone.",
    "label_agreement": "Their topics do not fit real data: look for another spelling of topics, or shifted columns.",
    "faithful": "The agent's figures stand nowhere in --docs or --catalog: give those that candidates were made from.",
    "low_composite": "No candidate reaches verify.min_composite: lower it, or look at the scores in verdicts.jsonl.",
}


def counted(verdicts: Sequence[Verdict], candidates: Sequence[Conversation]) -> dict[str, Any]:
    """What the verdicts come to: counts by check and reason, and the distribution of each score, kept and rejected."""
    checks: dict[str, Counter[str]] = {}
    for v in verdicts:
        for finding in v.findings:
            checks.setdefault(finding.check, Counter())[finding.state] += 1
    passed = sum(v.passed for v in verdicts)
    reasons = Counter(v.reasons[0] for v in verdicts if v.reasons)
    moved = sum(v.topic != c.topic for v, c in zip(verdicts, candidates, strict=True))
    return {
        "n_candidates": len(verdicts),
        "n_passed": passed,
        "n_relabelled": moved,
        "pass_rate": round(passed / len(verdicts), 6) if verdicts else None,
        "rejected": dict(sorted(reasons.items(), key=lambda item: (-item[1], item[0]))),
        "checks": {name: {state: n[state] for state in ("pass", "fail", "unscored")} for name, n in checks.items()},
        "distributions": _distributions(verdicts),
    }


def _distributions(verdicts: Sequence[Verdict]) -> dict[str, dict[str, list[int]]]:
    """Of each score and of the composite: how many candidates lie in each of `BINS` equal parts of [0, 1]."""
    named: dict[str, dict[str, list[float]]] = {}
    for v in verdicts:
        for name, score in [("composite", v.composite), *v.scores.items()]:
            if score is not None:
                named.setdefault(name, {"passed": [], "rejected": []})["passed" if v.passed else "rejected"].append(
                    score
                )
    return {
        name: {side: np.histogram(values, BINS, (0.0, 1.0))[0].tolist() for side, values in sides.items()}
        for name, sides in named.items()
    }


def warnings_of(facts: Mapping[str, Any]) -> list[str]:
    """What the user should know of such counts."""
    found = []
    n, passed = facts["n_candidates"], facts["n_passed"]
    if (whole := facts["leakage"]["whole_set"]) and whole["leans"]:
        found.append(
            f"the candidates as a whole lean towards the holdout (p = {whole['p_value']:.2g}): their generator may "
            "have seen it, and accuracy on it may flatter."
        )
    if n and passed < FEW * n:
        why = ", ".join(f"{reason} {count}" for reason, count in list(facts["rejected"].items())[:3])
        found.append(f"only {passed} of {n} candidates passed verification ({why}); see verify/rejected.jsonl.")
    return found
