"""One judge at work: what it is asked goes to a model, live or by batch; a reply that is none is asked for again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from posology.answering import Tally
from posology.config import Judge, Verify
from posology.errors import ConfigError
from posology.generation.generator import Answer, Ask
from posology.llm.choose import make_model
from posology.llm.contract import ChatModel, ChatRequest, Reply, Usage
from posology.llm.limits import Limits
from posology.llm.prices import FREE_KINDS, Prices, on_this_machine
from posology.progress import Progress
from posology.records import Conversation, DocSection
from posology.verification.judging.replies import AGAIN, Judgement, State, read_judgement
from posology.verification.judging.rubric import Asked, Rubric, TooLong

MORE = 4
"""Times as many tokens for a judge whose reply was cut: most of them think before they write."""
_REMARK = {
    "malformed": "Your last reply could not be read. Answer with the JSON object alone.",
    "truncated": "Your last reply was cut off. Keep every reason to a few words.",
}


class Heard(Protocol):
    """What came of a matter; `state` is one of `AGAIN` where asking again may help."""

    @property
    def state(self) -> State:
        """How it went."""
        ...


R = TypeVar("R", bound=Heard)
R_co = TypeVar("R_co", bound=Heard, covariant=True)


class Matter(Protocol[R_co]):
    """Something that judges are asked: a case by the rubric, or a question."""

    def asked(self, remark: str = "") -> Asked:
        """What is sent; without criteria, nothing is.

        Raises:
            TooLong: It cannot be shown whole.
        """
        ...

    def heard(self, judge: str, answer: Answer, asked: Asked, attempts: int) -> R_co:
        """What a judge's reply says."""
        ...

    def unheard(self, judge: str, state: State, detail: str) -> R_co:
        """What stands for it where nothing was sent."""
        ...


@dataclass(frozen=True, slots=True)
class Case:
    """A candidate to be judged by the rubric.

    Attributes:
        rubric: What is asked.
        conversation: The candidate.
        sections: The documentation of its topic.
        products: Rows of the catalog that it speaks of.
        backwards: Criteria in the opposite order, to see whether that matters.
    """

    rubric: Rubric
    conversation: Conversation
    sections: tuple[DocSection, ...] = ()
    products: tuple[Mapping[str, str], ...] = ()
    backwards: bool = False

    def asked(self, remark: str = "") -> Asked:
        """What a judge is asked.

        Raises:
            TooLong: It cannot be shown whole.
        """
        return self.rubric.ask(self.conversation, self.sections, self.products, backwards=self.backwards, remark=remark)

    def heard(self, judge: str, answer: Answer, asked: Asked, attempts: int) -> Judgement:
        """The scores in a reply."""
        return read_judgement(answer, asked.criteria, id=self.conversation.id, judge=judge, attempts=attempts)

    def unheard(self, judge: str, state: State, detail: str) -> Judgement:
        """No scores."""
        return Judgement(self.conversation.id, judge, state, (), detail=detail, attempts=0)


@dataclass(frozen=True, slots=True)
class _Try:
    """What the next attempt at a matter changes."""

    remark: str = ""
    longer: bool = False

    def after(self, state: State) -> _Try:
        return _Try(_REMARK[state], self.longer or state == "truncated")


@dataclass(slots=True)
class Juror:
    """One judge.

    Args:
        settings: How judges are asked.
        judge: Which model.
        prices: What calls cost.

    Attributes:
        tally: Calls, tokens and money behind its judgements, whenever they were paid.
        sent: Calls that were really sent.
    """

    settings: Verify
    judge: Judge
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
    def stays_here(self) -> bool:
        """Whether nothing that it is shown leaves this machine."""
        kind = self.judge.model.partition(":")[0]
        return kind in FREE_KINDS or (self.judge.base_url is not None and on_this_machine(self.judge.base_url))

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

    def rise(self) -> None:
        """Lets go of the model, which an engine has closed; the next hearing makes another."""
        self._model = None

    def requests(self, matters: Sequence[Matter[Heard]]) -> Iterator[ChatRequest]:
        """The first call for each matter that is asked at all."""
        for matter in matters:
            try:
                asked = matter.asked()
            except TooLong:
                continue
            if asked.criteria:
                yield self.request(asked)

    async def hear(self, ask: Ask, matters: Sequence[Matter[R]], progress: Progress) -> list[R]:
        """Asks about matters, all at once; then once more about those whose replies say nothing, with a remark.

        Args:
            ask: Where replies come from.
            matters: What is asked.
            progress: Told how far.

        Returns:
            What came of each, in their order.

        Raises:
            BudgetReached: The next call would pass the budget; what was asked is in the ledger.
            PosologyError: What else ends a run of the engine or of a batch.
        """
        found: dict[int, R] = {}
        again = dict.fromkeys(range(len(matters)), _Try())
        for attempt in range(1, self.settings.attempts + 1):
            tries, again = again, {}
            asked: dict[str, tuple[Asked, ChatRequest]] = {}
            async with aclosing(ask(self._asking(matters, tries, asked, found))) as answers:  # type: ignore[type-var]
                async for name, answer in answers:
                    place, (what, request) = int(name), asked.pop(name)
                    self.tally.add(answer, self.cost(request, answer.usage) if isinstance(answer, Reply) else None)
                    found[place] = matters[place].heard(self.name, answer, what, attempt)
                    # Who asks has tried again already where the server, and not the judge, was at fault.
                    if found[place].state in AGAIN and isinstance(answer, Reply):
                        again[place] = tries[place].after(found[place].state)
                    progress.step(f"judge {self.name}", len(found), len(matters))
            if not again:
                break
        return [found[place] for place in range(len(matters))]

    def _asking(
        self,
        matters: Sequence[Matter[R]],
        tries: Mapping[int, _Try],
        asked: dict[str, tuple[Asked, ChatRequest]],
        found: dict[int, R],
    ) -> Iterator[tuple[str, ChatRequest]]:
        """The calls of one round, by the place of the matter; what cannot be asked is found at once."""
        for place, attempt in tries.items():
            matter, name = matters[place], str(place)
            try:
                what = matter.asked(attempt.remark)
            except TooLong as error:
                found[place] = matter.unheard(self.name, "too_long", str(error))
                continue
            if not what.criteria:
                found[place] = matter.unheard(self.name, "not_asked", "No criterion applies.")
                continue
            asked[name] = what, self.request(what, longer=attempt.longer)
            yield name, asked[name][1]


def jurors(settings: Verify, prices: Prices) -> list[Juror]:
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
    return [Juror(settings, judge, prices) for judge in found]
