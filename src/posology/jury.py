"""One judge at work: requests go through engine, ledger and budget; a reply that is no judgement is asked for again."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

from posology.answering import Tally
from posology.config import Judge, Verify
from posology.errors import ConfigError
from posology.llm.choose import make_model
from posology.llm.contract import ChatModel, ChatRequest, Reply, Usage
from posology.llm.engine import Engine, Tagged
from posology.llm.limits import Limits
from posology.llm.prices import Prices
from posology.progress import Progress
from posology.records import Conversation, DocSection
from posology.verification.judging.replies import AGAIN, Judgement, read_judgement
from posology.verification.judging.rubric import Asked, Rubric, TooLong

STAGE = "verify"
TYPICAL_REPLY = 150
"""Tokens of a reply with five reasons, for estimates: a guess."""
MORE = 4
"""Times as many tokens for a judge whose reply was cut: most of them think before they write."""
_REMARK = {
    "malformed": "Your last reply could not be read. Answer with the JSON object alone.",
    "truncated": "Your last reply was cut off. Keep every reason to a few words.",
}


@dataclass(frozen=True, slots=True)
class Case:
    """A candidate before a judge.

    Attributes:
        conversation: The candidate.
        sections: The documentation of its topic.
        products: Rows of the catalog that it speaks of.
        backwards: Criteria in the opposite order, to see whether that matters.
    """

    conversation: Conversation
    sections: tuple[DocSection, ...] = ()
    products: tuple[Mapping[str, str], ...] = ()
    backwards: bool = False

    def asked(self, rubric: Rubric, remark: str = "") -> Asked:
        """What a judge is asked.

        Raises:
            TooLong: It cannot be shown whole.
        """
        return rubric.ask(self.conversation, self.sections, self.products, backwards=self.backwards, remark=remark)


@dataclass(slots=True)
class Juror:
    """One judge.

    Args:
        settings: How judges are asked.
        judge: Which model.
        rubric: What is asked.
        prices: What calls cost.

    Attributes:
        tally: Calls, tokens and money behind its judgements, whenever they were paid.
        sent: Calls that were really sent.
    """

    settings: Verify
    judge: Judge
    rubric: Rubric
    prices: Prices
    tally: Tally = field(default_factory=Tally)
    sent: int = 0
    _model: ChatModel | None = None

    @property
    def name(self) -> str:
        """As the user wrote it."""
        return self.judge.model

    @property
    def model(self) -> ChatModel:
        """The model; made, not called."""
        if self._model is None:
            seed = self.settings.seed
            given = self.judge
            self._model = make_model(given.model, base_url=given.base_url, api_key_env=given.api_key_env, seed=seed)
        return self._model

    @property
    def pace(self) -> Limits:
        """How fast it may be called."""
        given = self.settings
        return Limits(getattr(self.model, "slots", given.concurrency), given.rpm, given.tpm, given.timeout)

    def cost(self, request: ChatRequest, usage: Usage) -> float | None:
        """Money for a call; None if the price is not known."""
        return self.prices.cost(self.model.provider, request.model, usage)

    def request(self, asked: Asked, *, longer: bool = False) -> ChatRequest:
        """The call that asks."""
        given = self.settings
        return ChatRequest(
            model=self.model.name,
            messages=asked.messages,
            temperature=given.temperature,
            max_tokens=given.max_tokens * (MORE if longer else 1),
            schema=asked.schema if given.structured else None,
            extra=given.extra,
        )

    async def judge_all(self, engine: Engine, cases: Sequence[Case], progress: Progress) -> list[Judgement]:
        """Judges cases, many at once; the judgements in their order.

        Raises:
            BudgetReached: The next call would pass the budget; what was asked is in the ledger.
            PosologyError: What else ends a run of the engine.
        """
        judgements: list[Judgement] = []
        try:
            async with aclosing(self._judged(engine, cases)) as found:  # type: ignore[type-var]
                async for judgement in found:
                    judgements.append(judgement)
                    progress.step(f"judge {self.name}", len(judgements), len(cases))
        finally:
            self.sent += engine.sent
        return judgements

    def _judged(self, engine: Engine, cases: Sequence[Case]) -> AsyncIterator[Judgement]:
        async def work(case: Case) -> Judgement:
            return await self._judgement(engine, case)

        return engine.map(work, cases, ordered=True)

    async def _judgement(self, engine: Engine, case: Case) -> Judgement:
        id, remark, longer = case.conversation.id, "", False
        for attempt in range(1, self.settings.attempts + 1):
            try:
                asked = case.asked(self.rubric, remark)
            except TooLong as error:
                return Judgement(id, self.name, "too_long", (), detail=str(error), attempts=0)
            if not asked.criteria:
                return Judgement(id, self.name, "not_asked", (), detail="No criterion applies.", attempts=0)
            request = self.request(asked, longer=longer)
            answer = (await engine.call(Tagged(id, request))).outcome
            self.tally.add(answer, self.cost(request, answer.usage) if isinstance(answer, Reply) else None)
            judgement = read_judgement(answer, asked.criteria, id=id, judge=self.name, attempts=attempt)
            # The engine has tried again already where the server, and not the judge, was at fault.
            if judgement.state not in AGAIN or not isinstance(answer, Reply):
                break
            remark, longer = _REMARK[judgement.state], longer or judgement.state == "truncated"
        return judgement


def jurors(settings: Verify, rubric: Rubric, prices: Prices) -> list[Juror]:
    """The panel.

    Raises:
        ConfigError: A judge is named twice.
    """
    found = [
        judge
        if isinstance(judge, Judge)
        else Judge(model=judge, base_url=settings.base_url if judge.startswith("openai:") else None)
        for judge in settings.judges
    ]
    names = [judge.model for judge in found]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ConfigError(f"the judge {twice[0]} is named twice.", remedy="A panel is of different judges.")
    return [Juror(settings, judge, rubric, prices) for judge in found]
