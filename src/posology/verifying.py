"""Verification in a run: every check that needs no model, and the judges if there are any."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posology.apart import Parts
from posology.config import CHECKS, Config
from posology.conversations.personal import make_finder
from posology.embedding.embedder import Embedder
from posology.inputs import Material
from posology.judging import Judging
from posology.outcomes import Verified, after, counted, warnings_of
from posology.progress import Progress
from posology.records import Conversation, Finding
from posology.settling import Settling
from posology.verification import relabel
from posology.verification.endings import Truncated
from posology.verification.faithfulness import Faithfulness
from posology.verification.form import DETECTORS, Form
from posology.verification.leakage.check import EXACT, NEAR, PARAPHRASE, Leakage, leakage
from posology.verification.likeness import RealLikeness
from posology.verification.privacy import GenuineLooking, RealData, VerbatimSpan
from posology.verification.relabel import Labelled
from posology.verification.repetition import PolitenessLoop, Repetition
from posology.verification.verdicts import verdict

Check = Callable[[Sequence[Conversation]], Sequence[Finding]]
Found = Mapping[str, Sequence[Finding]]  # by check, one a candidate
# In which reasons are given: what is somebody's own first, since it is never trained on, whatever else is wrong.
OWN = ("real_datum", "verbatim_span", "personal_data")
ORDER = (EXACT, NEAR, PARAPHRASE, *OWN, *(name for name in CHECKS if name not in OWN))


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
        self._settling = Settling(judging, parts.holdout)
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
        independent = self._judging.independence(candidates)  # who may not judge is refused before anything is done
        labels, leaks, found = self._by_data(candidates)
        doubts = self._settling.doubts(candidates, labels, leaks, _rejected(_by_candidate(found)))
        answered = self._settling.settle(labels, leaks, doubts)
        placed, findings = self._settled(candidates, answered.labels, answered.leaks, found)
        scores = [_scores(own) for own in findings]
        out = _rejected(findings)
        wanted = [place for place in range(len(placed)) if place not in out]
        vectors = self._embedder.encode(placed) if self._settings.judge_sample < 1 else None
        judged = self._judging.judge(placed, which=wanted, vectors=vectors, signals=_table(scores))
        asked = [tuple(map(independent.named, answered.judges.get(place, ()))) for place in range(len(placed))]
        verdicts = [
            verdict(
                candidate,
                [*own, *opinion.findings],
                {**known, **(opinion.scores or {})},
                weights=self._settings.weights,
                min_composite=self._settings.min_composite,
                verifier=("data", *dict.fromkeys([*settlers, *opinion.judges])),
            )
            for candidate, own, known, settlers, opinion in zip(
                placed, findings, scores, asked, judged.opinions, strict=True
            )
        ]
        judging = judged.facts and {**judged.facts, "questions": answered.facts}
        facts = {**counted(verdicts, candidates), **self._facts, "judging": judging, "totals": self._judging.totals}
        warnings = (*judged.warnings, *answered.warnings, *warnings_of(facts))
        for warning in warnings:
            self._progress.warn(warning)
        return Verified(
            tuple(verdicts),
            facts,
            tuple(judgement.to_json() for judgement in judged.judgements),
            tuple(ruling.to_json() for ruling in answered.rulings),
            warnings,
        )

    def dry_run(self, candidates: Sequence[Conversation]) -> dict[str, Any]:
        """What judges would be asked, and what it would cost, by the data's own verdicts. Nothing is sent.

        Args:
            candidates: The candidates.

        Raises:
            ConfigError: A judge is of the generator's family.
            ExtraMissing: A detector is not installed.
        """
        self._judging.independence(candidates)
        labels, leaks, found = self._by_data(candidates)
        doubts = self._settling.doubts(candidates, labels, leaks, _rejected(_by_candidate(found)))
        placed, findings = self._settled(candidates, labels, leaks, found)
        out = _rejected(findings) - doubts.places
        wanted = [place for place in range(len(placed)) if place not in out]
        questions = self._settling.estimate(doubts)
        cases = self._judging.estimate(placed, wanted) if self._settings.judges else []
        return {
            "n_candidates": len(placed),
            "n_wanted": len(wanted),
            "n_in_doubt": {"topic": len(doubts.topics), "retells": len(doubts.retold)},
            "questions": [{**asdict(one), "summary": one.summary} for one in questions],
            "rubric": [{**asdict(one), "summary": one.summary} for one in cases],
            "attempts": self._settings.attempts,
        }

    def _by_data(self, candidates: Sequence[Conversation]) -> tuple[Labelled, Leakage, dict[str, Sequence[Finding]]]:
        """Labels, leaks, and the findings of every check that hangs on the text alone."""
        if relabel.CHECK in self._settings.skip:
            labels = relabel.unchecked(candidates)
        else:
            labels = relabel.labelled(candidates, self._train, self._embedder, seed=self._settings.seed)
        self._progress.note("looking for the holdout among the candidates")
        leaks = self._leaks(_placed(candidates, labels))
        checks = [(name, make) for name, make in self._checks() if name not in self._settings.skip]
        found: dict[str, Sequence[Finding]] = {}
        for done, (name, make) in enumerate(checks):
            self._progress.step("verifying", done, len(checks), name)
            found[name] = make()(candidates)
        self._progress.step("verifying", len(checks), len(checks))
        return labels, leaks, found

    def _settled(
        self, candidates: Sequence[Conversation], labels: Labelled, leaks: Leakage, found: Found
    ) -> tuple[list[Conversation], list[list[Finding]]]:
        """Candidates under the topics that fit, and all findings of each; documents are those of that topic."""
        placed = _placed(candidates, labels)
        whole = {**found, EXACT: leaks.exact, NEAR: leaks.near, PARAPHRASE: leaks.paraphrase}
        if labels.findings:
            whole[relabel.CHECK] = labels.findings
        if "faithful" not in self._settings.skip:
            whole["faithful"] = Faithfulness(self._docs, self._catalog, self._train)(placed)
        return placed, _by_candidate(whole)

    def _checks(self) -> Iterator[tuple[str, Callable[[], Check]]]:
        """Name and maker of every check that hangs on the text alone, whatever its topic is."""
        train, finder = self._train, make_finder(self._settings.detector)
        every = [*train, *self._holdout]
        for name in DETECTORS:
            yield name, lambda name=name: Form(name, train)  # type: ignore[misc]
        yield "truncated", lambda: Truncated(train, self._docs)
        yield "repetition", lambda: Repetition(train)
        yield "politeness_loop", lambda: PolitenessLoop(train)
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


def _placed(candidates: Sequence[Conversation], labels: Labelled) -> list[Conversation]:
    return [after(candidate, topic) for candidate, topic in zip(candidates, labels.topics, strict=True)]


def _by_candidate(found: Found) -> list[list[Finding]]:
    """The findings of each candidate."""
    return [list(own) for own in zip(*(found[name] for name in ORDER if name in found), strict=True)]


def _rejected(findings: Sequence[Sequence[Finding]]) -> set[int]:
    """Places of those that a check fails."""
    return {place for place, own in enumerate(findings) if any(f.state == "fail" for f in own)}


def _scores(findings: Sequence[Finding]) -> dict[str, float | None]:
    """Those findings whose score lies in [0, 1] and grows with quality."""
    return {f.check: f.score for f in findings if f.check in SCORES}


SCORES = (relabel.CHECK, "real_likeness", "faithful")


def _table(scores: Sequence[Mapping[str, float | None]]) -> NDArray[np.float64]:
    """Shape (candidates, scores), NaN where there is none."""
    names = sorted({name for row in scores for name in row})
    rows = [[np.nan if (value := row.get(name)) is None else value for name in names] for row in scores]
    return np.array(rows, dtype=np.float64).reshape(len(scores), len(names))
