"""Judges in a run: who may judge, whom they judge, what they say, and how far that can be trusted."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posology import fingerprint
from posology.answering import Tally, batch_api
from posology.config import Config
from posology.hearing import STAGE, Hearing
from posology.jury import Case, Heard, Juror, Matter, jurors
from posology.llm.choose import missing_key
from posology.llm.estimate import Estimate, estimate
from posology.llm.ledger import Ledger
from posology.llm.prices import Price, Prices
from posology.progress import Progress, Silent
from posology.records import Conversation, DocSection
from posology.verification.families import Independence, Origin, check_independence, origin
from posology.verification.judging import panel, trust
from posology.verification.judging.bias import uninformative
from posology.verification.judging.inferring import inferred
from posology.verification.judging.questions import Questions
from posology.verification.judging.replies import Judgement
from posology.verification.judging.rubric import Rubric, TooLong, transcript
from posology.verification.sampling import spread

TYPICAL_REPLY = 150
"""Tokens of a reply with five reasons, for estimates: a guess."""
FEWEST_SWAPPED, MOST_SWAPPED = 20, 100
MOST_PRODUCTS = 5
_PACE = set("judges base_url templates concurrency rpm tpm timeout budget ledger batch".split())
"""Settings that do not shape what judges say, or that stand in the identity by another name."""


@dataclass(frozen=True, slots=True)
class Judged:
    """What judges said.

    Attributes:
        opinions: One a candidate, in order; those that were not to be judged have no findings.
        judgements: Every judgement, judge by judge: the rows of `judgements.jsonl`.
        facts: For manifest and report: judges, agreement, biases, what was learned, money whenever it was paid.
        warnings: What the user should know.
        sent: Calls that were really sent; the ledger knew the others.
    """

    opinions: tuple[panel.Opinion, ...]
    judgements: tuple[Judgement, ...] = ()
    facts: Mapping[str, Any] | None = None
    warnings: tuple[str, ...] = ()
    sent: int = 0


class Judging:
    """The judges of a run. Nothing is sent before `judge`; without judges, it does nothing.

    Args:
        config: The settings.
        ledger: Where calls are kept, unless the settings name another place; it stands in the run folder.
        docs: Sections of the support documentation.
        catalog: Rows of the product catalog, the column of the name first.
        progress: Told how far.
    """

    def __init__(
        self,
        config: Config,
        ledger: Path,
        *,
        docs: Sequence[DocSection] = (),
        catalog: Sequence[Mapping[str, str]] = (),
        progress: Progress | None = None,
    ) -> None:
        self.settings = config.verify
        self._config = config
        self._docs, self._catalog = docs, [row for row in catalog if row]
        own = {name: Price(**price.model_dump()) for name, price in config.prices.items()}
        self.hearing = Hearing(
            config.verify,
            config.verify.ledger or ledger,
            ledger.parent / STAGE / "batches",
            Prices(own, batch=config.verify.batch),
            progress or Silent(),
        )

    @cached_property
    def rubric(self) -> Rubric:
        """What is asked of every candidate."""
        return Rubric(self.settings.templates)

    @cached_property
    def questions(self) -> Questions:
        """What is asked where data leaves a doubt."""
        return Questions(self.settings.templates)

    @cached_property
    def jurors(self) -> list[Juror]:
        """The panel; its models are made, not called."""
        return jurors(self.settings, self.hearing.prices)

    @property
    def identity(self) -> str:
        """Identity of all that shapes what judges say; for the fingerprint of the stage."""
        given = self.settings
        if not given.judges and given.evaluator is None:
            return "none"
        if not given.judges:
            told = {"evaluator", "generator", "families", "allow_same_family"}
            return fingerprint.of("independence", settings=given.model_dump(include=told))
        return fingerprint.of(
            "judging",
            rubric=self.rubric.version,
            questions=self.questions.version,
            judges=[(juror.model.provider, juror.model.name) for juror in self.jurors],
            settings=given.model_dump(exclude=_PACE),
        )

    def independence(self, candidates: Sequence[Conversation]) -> Independence:
        """Whether the judges, and the evaluator if there is one, are independent of who wrote the candidates.

        Raises:
            ConfigError: They are not, and there is no override.
        """
        given, declared = self.settings, self.settings.families
        judges = [
            origin(j.name, declared=declared, own_server=j.judge.base_url is not None)
            for j in (self.jurors if given.judges else [])
        ]
        evaluator = None if given.evaluator is None else origin(given.evaluator, declared=declared)
        return check_independence(self._generators(candidates), judges, evaluator, override=given.allow_same_family)

    def ready(self, candidates: Sequence[Conversation]) -> None:
        """Finds what would refuse the judges sooner or later, before anything is done; nothing is sent or written.

        Raises:
            ConfigError: They are not independent, a template is wrong, a key is missing, or there is a budget and a
                price is not known.
            UsageError: Batches are wanted of a judge that has no batch API.
        """
        self.independence(candidates)
        if not self.settings.judges:
            return
        self.rubric, self.questions  # noqa: B018 - which read the templates
        for juror in self.jurors:
            judge = juror.judge
            missing_key(judge.model, base_url=judge.base_url, api_key_env=judge.api_key_env)
            if self.settings.budget is not None:
                self.hearing.prices.known(juror.model.provider, juror.model.name)
            if self.settings.batch:
                batch_api(judge.model, judge.base_url, judge.api_key_env)

    @property
    def totals(self) -> list[dict[str, Any]]:
        """The calls behind all that judges said, whenever they were paid, by judge."""
        return [
            {"stage": STAGE, "provider": juror.model.provider, "model": juror.model.name, **_spent(juror.tally)}
            for juror in (self.jurors if self.settings.judges else ())
        ]

    def estimate(self, candidates: Sequence[Conversation], which: Sequence[int] | None = None) -> list[Estimate]:
        """What judging would ask and cost; nothing is sent."""
        cases = self._with_swapped(self._cases(candidates, self._sampled(candidates, which, None)))
        return self.estimated([(juror, cases) for juror in self.jurors], TYPICAL_REPLY)

    def estimated(self, tasks: Sequence[tuple[Juror, Sequence[Matter[Heard]]]], typical_reply: int) -> list[Estimate]:
        """What a hearing would ask and cost; nothing is sent.

        Args:
            tasks: Judges, and what each is asked.
            typical_reply: Tokens that a reply has as a rule.
        """
        hearing, found = self.hearing, []
        with ExitStack() as stack:
            known = stack.enter_context(Ledger(hearing.ledger)) if hearing.ledger.exists() else None
            answered = None if known is None else known.answered
            for juror, matters in tasks:
                requests, provider = juror.requests(matters), juror.model.provider
                found += estimate(requests, provider, hearing.prices, answered=answered, typical_reply=typical_reply)
        return found

    def judge(
        self,
        candidates: Sequence[Conversation],
        *,
        which: Sequence[int] | None = None,
        vectors: NDArray[np.float32] | None = None,
        signals: NDArray[np.float64] | None = None,
    ) -> Judged:
        """Asks the judges.

        Args:
            candidates: All candidates.
            which: Places of those to be judged, such as those that no data check has failed; None for all.
            vectors: Of all candidates, shape (n, d): to learn from, where a part is judged.
            signals: Scores of data checks, shape (n, k), NaN where there is none: to stratify, to learn from, and to
                hold constant where length is looked at.

        Raises:
            ConfigError: The judges are not independent, or their price is not known though there is a budget.
            BudgetReached: The next call would pass the budget; what was asked is in the ledger.
            PosologyError: What else ends a run of the engine, likewise.
        """
        if not self.settings.judges or not candidates:
            return Judged(tuple(panel.Opinion() for _ in candidates))
        independent = self.independence(candidates)
        signals = np.zeros((len(candidates), 0)) if signals is None else signals
        wanted = np.arange(len(candidates)) if which is None else np.asarray(sorted(which), dtype=int)
        sample = self._sampled(candidates, wanted, signals)
        forwards, swapped = self._asked(self._cases(candidates, sample))
        ignored = [name for name, own in forwards.items() if uninformative(own) is not None]
        opinions = [panel.Opinion() for _ in candidates]
        for row, place in enumerate(sample):
            own = [judgements[row] for judgements in forwards.values()]
            opinions[place] = panel.opinion(own, self._limits, ignored=ignored)
        rest = np.setdiff1d(wanted, sample)
        applies = {int(p): self._criteria(c) for p, c in zip(rest, self._cases(candidates, rest), strict=True)}
        further, learned = inferred(opinions, applies, vectors, signals, self._limits, seed=self.settings.seed)
        for place, opinion in further.items():
            opinions[place] = opinion
        facts = self._facts(candidates, sample, signals, forwards, swapped) | {
            "n_wanted": len(wanted),
            "n_judged": len(sample),
            "n_unscored": sum(f.state == "unscored" for place in sample for f in opinions[place].findings),
            "learned": learned,
            "independence": independent.to_json(),
        }
        warnings = trust.warnings(facts["judges"], facts["agreement"])
        if lost := [name for name, one in learned.items() if not one["learnable"]]:
            warnings.append(f"what was not judged has no score for {', '.join(lost)}: not learnable from what was.")
        first = [independent.notice] if independent.notice else []
        every = [j for name in forwards for j in (*forwards[name], *swapped[name])]
        if independent.overridden:  # each verdict says so
            opinions = [replace(o, judges=tuple(map(independent.named, o.judges))) for o in opinions]
        sent = sum(juror.sent for juror in self.jurors)
        return Judged(tuple(opinions), tuple(every), facts, (*first, *independent.notes, *warnings), sent)

    # -- who and what --------------------------------------------------------------------------------------------------

    @property
    def _limits(self) -> panel.Limits:
        return panel.Limits(self.settings.floor, self.settings.disagreement)

    def _generators(self, candidates: Sequence[Conversation]) -> list[Origin]:
        """Who wrote the candidates: by their provenance; `verify.generator` speaks for those that it does not tell."""
        given, spec = self.settings, self._config.generate.model
        bare = spec.partition(":")[2]
        said = [str(c.meta["generator"]) for c in candidates if c.meta.get("generator")]
        names = [spec if name == bare else name for name in dict.fromkeys(said)]
        found = [origin(name, declared=given.families) for name in names]
        if given.generator is not None:
            own = origin(given.generator, declared=given.families)
            return list(dict.fromkeys([*(one for one in found if one.known), own]))
        if said and (silent := len(candidates) - len(said)):
            found.append(origin(f"the model that wrote {silent} of the candidates"))
        return found

    @cached_property
    def _by_topic(self) -> dict[str, tuple[DocSection, ...]]:
        found: dict[str, tuple[DocSection, ...]] = {}
        for section in self._docs:
            if section.topic is not None:
                found[section.topic] = (*found.get(section.topic, ()), section)
        return found

    def sections(self, topic: str | None) -> tuple[DocSection, ...]:
        """The documentation of a topic."""
        return self._by_topic.get(topic or "", ())

    def _cases(self, candidates: Sequence[Conversation], places: Sequence[int] | NDArray[np.int64]) -> list[Case]:
        by_name = {f"{section.file}#{section.heading}": section for section in self._docs}
        cases = []
        for place in places:
            candidate = candidates[place]
            sections = self.sections(candidate.topic) or tuple(
                by_name[name] for name in _names(candidate.meta.get("docs")) if name in by_name
            )
            text = transcript(candidate).lower()
            products = [row for row in self._catalog if str(next(iter(row.values()))).lower() in text]
            cases.append(Case(self.rubric, candidate, sections, tuple(products[:MOST_PRODUCTS])))
        return cases

    def _sampled(
        self,
        candidates: Sequence[Conversation],
        wanted: Sequence[int] | NDArray[np.int64] | None,
        signals: NDArray[np.float64] | None,
    ) -> NDArray[np.int64]:
        """Places of those that are judged: spread over topics and data checks."""
        places = np.arange(len(candidates)) if wanted is None else np.asarray(wanted, dtype=int)
        size = math.ceil(self.settings.judge_sample * len(places))
        if size == len(places):
            return places
        quality = np.zeros(len(candidates)) if signals is None or not signals.shape[1] else trust.mean_of_rows(signals)
        topics = [candidates[place].topic for place in places]
        return places[spread(topics, quality[places], size, seed=self.settings.seed)]

    def _with_swapped(self, cases: Sequence[Case]) -> list[Case]:
        """The cases, and at the end some of them once more with the criteria in the opposite order."""
        share, n = self.settings.order_sample, len(cases)
        size = min(n, MOST_SWAPPED, max(FEWEST_SWAPPED, math.ceil(share * n))) if share else 0
        places = spread([case.conversation.topic for case in cases], np.zeros(n), size, seed=self.settings.seed)
        swapped = [cases[place] for place in places]
        return [*cases, *(replace(case, backwards=True) for case in swapped)]

    # -- calls ---------------------------------------------------------------------------------------------------------

    def _asked(self, cases: Sequence[Case]) -> tuple[dict[str, list[Judgement]], dict[str, list[Judgement]]]:
        """Judgements by judge: in the usual order of the criteria, and in the opposite one."""
        every, n = self._with_swapped(cases), len(cases)
        heard = self.hearing.hear([(juror, every) for juror in self.jurors])
        names = [juror.name for juror in self.jurors]
        return (
            {name: found[:n] for name, found in zip(names, heard, strict=True)},
            {name: found[n:] for name, found in zip(names, heard, strict=True)},
        )

    # -- what it is worth ----------------------------------------------------------------------------------------------

    def _facts(
        self,
        candidates: Sequence[Conversation],
        sample: NDArray[np.int64],
        signals: NDArray[np.float64],
        forwards: trust.Panel,
        swapped: trust.Panel,
    ) -> dict[str, Any]:
        names = self.rubric.names
        lengths = np.array([float(len(transcript(candidates[place]))) for place in sample])
        judges = [
            trust.about(juror.name, forwards, swapped[juror.name], names, lengths, signals[sample])
            | {"provider": juror.model.provider, **_spent(juror.tally)}
            for juror in self.jurors
        ]
        agreed = trust.agreements(forwards, names)
        return {"rubric": self.rubric.version, "judges": judges, "agreement": agreed}

    def _criteria(self, case: Case) -> Sequence[str]:
        try:
            return case.asked().criteria
        except TooLong:
            return ()


def notice_of(verification: Mapping[str, Any] | None) -> str | None:
    """What verdicts, report and dataset card must say of the judges' independence; None if there is nothing.

    Args:
        verification: The manifest of the stage, if there is one.
    """
    judging = (verification or {}).get("judging") or {}
    notice: str | None = (judging.get("independence") or {}).get("notice")
    return notice


def _spent(tally: Tally) -> dict[str, Any]:
    """A tally as JSON; rounded, since sums hang on the order in which calls came back."""
    return asdict(tally) | {"cost": None if tally.cost is None else round(tally.cost, 6)}


def _names(value: object) -> list[str]:
    """The names in a field that anybody may have filled in."""
    return [name for name in value if isinstance(name, str)] if isinstance(value, list | tuple) else []
