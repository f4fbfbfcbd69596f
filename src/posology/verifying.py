"""Verification in a run: every check that needs no model, the judges if there are any, and what is written of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posology.apart import Parts
from posology.config import Config
from posology.conversations.personal import make_finder
from posology.conversations.writing import write
from posology.embedding.embedder import Embedder
from posology.errors import PosologyError
from posology.inputs import Material
from posology.judging import Judging
from posology.progress import Progress
from posology.records import Conversation, Finding, Rejection, Verdict
from posology.store import write_jsonl
from posology.verification import relabel
from posology.verification.endings import Truncated
from posology.verification.faithfulness import Faithfulness
from posology.verification.form import DETECTORS, Form
from posology.verification.leakage.check import Leakage, leakage
from posology.verification.likeness import RealLikeness
from posology.verification.privacy import GenuineLooking, RealData, VerbatimSpan
from posology.verification.repetition import PolitenessLoop, Repetition
from posology.verification.verdicts import to_row, verdict

Check = Callable[[Sequence[Conversation]], Sequence[Finding]]
VERDICTS = "verdicts.jsonl"
BINS = 20
FEW = 0.2  # share of candidates that pass, below which a warning is due


@dataclass(frozen=True, slots=True)
class Verified:
    """The outcome of verification.

    Attributes:
        verdicts: One a candidate, in order.
        facts: For the manifest: counts by check and reason, distributions of scores, privacy, judges.
        judgements: Rows of what each judge said, empty without judges.
        warnings: What the user should know.
    """

    verdicts: tuple[Verdict, ...]
    facts: Mapping[str, Any]
    judgements: tuple[Mapping[str, Any], ...] = ()
    warnings: tuple[str, ...] = ()


class Verification:
    """Everything that is known when candidates are verified.

    Args:
        config: The settings.
        material: The inputs: docs and catalog are read.
        parts: Real training data; the holdout is read for leaks and personal data, and for nothing else.
        embedder: Text to vectors.
        judging: The judges.
        progress: Told what happens.
    """

    def __init__(
        self,
        config: Config,
        material: Material,
        parts: Parts,
        embedder: Embedder,
        judging: Judging,
        progress: Progress,
    ) -> None:
        self._config, self._settings = config, config.verify
        self._train, self._holdout = parts.train, parts.holdout
        self._docs, self._catalog = material.docs, material.catalog
        self._embedder, self._judging, self._progress = embedder, judging, progress
        self._facts: dict[str, dict[str, Any]] = {"privacy": {}}

    def run(self, candidates: Sequence[Conversation]) -> Verified:
        """Verifies candidates.

        Args:
            candidates: The candidates.

        Raises:
            ConfigError: A judge is of the generator's family.
            BudgetReached: Judging would pass the budget.
            ExtraMissing: A detector is not installed.
        """
        self._judging.independence(candidates)  # a judge that may not judge is refused before anything is done
        labelled = self._labelled(candidates)
        placed = [after(candidate, topic) for candidate, (topic, _) in zip(candidates, labelled, strict=True)]
        found = self._checked(placed)
        for findings, (_, label) in zip(found, labelled, strict=True):
            findings.extend(label)
        scores = [_scores(findings) for findings in found]
        wanted = [place for place, findings in enumerate(found) if all(f.state != "fail" for f in findings)]
        vectors = self._embedder.encode(placed) if self._settings.judge_sample < 1 else None
        judged = self._judging.judge(placed, which=wanted, vectors=vectors, signals=_table(scores))
        verdicts = [
            verdict(
                candidate,
                [*findings, *opinion.findings],
                {**own, **(opinion.scores or {})},
                weights=self._settings.weights,
                min_composite=self._settings.min_composite,
                verifier=("data", *opinion.judges),
            )
            for candidate, findings, own, opinion in zip(placed, found, scores, judged.opinions, strict=True)
        ]
        facts = {**counted(verdicts, candidates), **self._facts, "judging": judged.facts}
        rows = tuple(judgement.to_json() for judgement in judged.judgements)
        warnings = _warnings(facts)
        for warning in warnings:
            self._progress.warn(warning)
        # What the judges had to say of themselves has been told by them.
        return Verified(tuple(verdicts), facts, rows, (*judged.warnings, *warnings))

    def _labelled(self, candidates: Sequence[Conversation]) -> list[tuple[str | None, list[Finding]]]:
        """The topic that each candidate is an example of, and what says so; nothing where the check is skipped."""
        if relabel.CHECK in self._settings.skip:
            return [(candidate.topic, []) for candidate in candidates]
        check = relabel.LabelAgreement(self._train, self._embedder, seed=self._settings.seed)
        findings = check(candidates)
        return [
            (check.relabelled.get(candidate.id, candidate.topic), [finding])
            for candidate, finding in zip(candidates, findings, strict=True)
        ]

    def _checked(self, candidates: Sequence[Conversation]) -> list[list[Finding]]:
        """The findings of every data check that is not to be skipped, candidate by candidate."""
        self._progress.note("looking for the holdout among the candidates")
        leaks = self._leaks(candidates)
        found = [list(findings) for findings in zip(leaks.exact, leaks.near, leaks.paraphrase, strict=True)]
        checks = [(name, make) for name, make in self._checks() if name not in self._settings.skip]
        for done, (name, make) in enumerate(checks):
            self._progress.step("verifying", done, len(checks), name)
            for place, finding in enumerate(make()(candidates)):
                found[place].append(finding)
        self._progress.step("verifying", len(checks), len(checks))
        return found

    def _checks(self) -> Iterator[tuple[str, Callable[[], Check]]]:
        """Name and maker of every data check, in the order in which reasons are given."""
        train, finder = self._train, make_finder(self._settings.detector)
        every = [*train, *self._holdout]
        for name in DETECTORS:
            yield name, lambda name=name: Form(name, train)  # type: ignore[misc]
        yield "truncated", lambda: Truncated(train, self._docs)
        yield "repetition", lambda: Repetition(train)
        yield "politeness_loop", lambda: PolitenessLoop(train)
        yield "faithful", lambda: Faithfulness(self._docs, self._catalog, train)
        real = RealData(every, self._docs, self._catalog, finder)
        privacy = self._facts["privacy"] = {"detector": self._settings.detector, "n_protected": real.n_protected}
        yield "real_datum", lambda: real
        spans = VerbatimSpan(every)
        privacy["span_words"] = spans.length
        yield "verbatim_span", lambda: spans
        yield "personal_data", lambda: GenuineLooking(real.published, finder)
        yield "real_likeness", lambda: RealLikeness(train, self._embedder)

    def _leaks(self, candidates: Sequence[Conversation]) -> Leakage:
        rule, seed = self._config.text.rule, self._settings.seed
        found = leakage(candidates, self._holdout, self._train, rule=rule, embed=self._embedder.encode_texts, seed=seed)
        self._facts["leakage"] = {
            "limits": {name: limit and asdict(limit) for name, limit in found.limits.items()},
            "paraphrases_by_row": found.by_row,
            "whole_set": found.whole_set and asdict(found.whole_set) | {"leans": found.whole_set.leans},
        }
        return found


def write_verified(folder: Path, candidates: Sequence[Conversation], found: Verified) -> list[str]:
    """Writes verdicts, what passed, what was rejected and why, and what judges said; the names of the files."""
    write_jsonl(folder / VERDICTS, map(to_row, found.verdicts))
    write(passed(candidates, found.verdicts), folder / "passed.jsonl")
    write(rejected_rows(candidates, found.verdicts), folder / "rejected.jsonl")
    write_jsonl(folder / "judgements.jsonl", found.judgements)
    return [VERDICTS, "passed.jsonl", "rejected.jsonl", "judgements.jsonl"]


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


def _scores(findings: Sequence[Finding]) -> dict[str, float | None]:
    """Those findings whose score lies in [0, 1] and grows with quality."""
    return {f.check: f.score for f in findings if f.check in SCORES}


SCORES = (relabel.CHECK, "real_likeness", "faithful")


def _table(scores: Sequence[Mapping[str, float | None]]) -> NDArray[np.float64]:
    """Shape (candidates, scores), NaN where there is none."""
    names = sorted({name for row in scores for name in row})
    rows = [[np.nan if (value := row.get(name)) is None else value for name in names] for row in scores]
    return np.array(rows, dtype=np.float64).reshape(len(scores), len(names))


def _warnings(facts: Mapping[str, Any]) -> list[str]:
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
