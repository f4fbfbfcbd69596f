"""Where replies come from: a model that is called, a batch API, or the ledger alone."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path

from posology.errors import PosologyError, UsageError
from posology.generation.generator import Answer, Ask
from posology.llm.batch import Batches
from posology.llm.batch_jobs import Jobs
from posology.llm.batch_providers import AnthropicBatches, BatchProvider, OpenAIBatches
from posology.llm.budget import BudgetGate
from posology.llm.calls import Call, Outcome
from posology.llm.contract import FATAL, ChatRequest, ModelCallError, Reply, Usage
from posology.llm.engine import Engine, Tagged
from posology.llm.ledger import Ledger
from posology.progress import Progress

STAGE = "generate"
Cost = Callable[[ChatRequest, Usage], float | None]


class Unanswered(PosologyError):
    """Requests without a reply are left, and nothing is to be sent for them."""


@dataclass(slots=True)
class Tally:
    """The calls behind a result, whoever paid for them and when.

    Attributes:
        calls: Calls with a reply.
        failed: Calls without one.
        input_tokens: Of their prompts.
        output_tokens: Of their replies.
        cost: Money; None where a price is not known.
    """

    calls: int = 0
    failed: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost: float | None = 0.0

    def add(self, answer: Answer, cost: float | None) -> None:
        """Counts a call."""
        if not isinstance(answer, Reply):
            self.failed += 1
            return
        self.calls += 1
        self.input_tokens += answer.usage.input_tokens
        self.output_tokens += answer.usage.output_tokens
        self.cost = None if cost is None or self.cost is None else self.cost + cost


@dataclass(slots=True)
class Watched:
    """Answers of another source, counted.

    Attributes:
        ask: The source.
        cost: What a call cost.
        tally: The calls so far, by model.
        requests: The latest request by name, if `remember` is set: for previews.
    """

    ask: Ask
    cost: Cost
    tally: dict[str, Tally] = field(default_factory=dict)
    requests: dict[str, ChatRequest] = field(default_factory=dict)
    remember: bool = False
    _open: dict[str, ChatRequest] = field(default_factory=dict)

    async def __call__(self, requests: Iterable[tuple[str, ChatRequest]]) -> AsyncIterator[tuple[str, Answer]]:
        """Answers requests."""
        async with aclosing(self.ask(self._noted(requests))) as answers:  # type: ignore[type-var]
            async for name, answer in answers:
                request = self._open.pop(name)
                cost = self.cost(request, answer.usage) if isinstance(answer, Reply) else None
                self.tally.setdefault(request.model, Tally()).add(answer, cost)
                yield name, answer

    def _noted(self, requests: Iterable[tuple[str, ChatRequest]]) -> Iterator[tuple[str, ChatRequest]]:
        for name, request in requests:
            self._open[name] = request
            if self.remember:
                self.requests[name] = request
            yield name, request


def called(engine: Engine) -> Ask:
    """Calls a model, many at once; where that ends early, what the ledger knows of the rest is still answered."""

    async def ask(requests: Iterable[tuple[str, ChatRequest]]) -> AsyncIterator[tuple[str, Answer]]:
        tagged = (Tagged(name, request) for name, request in requests)
        try:
            async with aclosing(engine.run(tagged)) as results:
                async for result in results:
                    yield result.tag, result.outcome
        except PosologyError:
            for rest in tagged:
                known = engine.ledger.look_up(rest.request.key(engine.model.provider))
                if known is not None:
                    yield rest.tag, known
            raise

    return ask


def recorded(ledger: Ledger | None, provider: str, missing: Callable[[str, str, ChatRequest], Answer | None]) -> Ask:
    """Asks the ledger alone.

    Args:
        ledger: None answers nothing.
        provider: Part of the key of calls.
        missing: Gets the name, key and request of calls that the ledger does not hold; may give an answer in its place.

    Raises:
        Unanswered: At the end, if some calls had no answer.
    """

    async def ask(requests: Iterable[tuple[str, ChatRequest]]) -> AsyncIterator[tuple[str, Answer]]:
        left = 0
        for name, request in requests:
            key = request.key(provider)
            answer: Answer | None = ledger.look_up(key) if ledger is not None else None
            answer = answer or missing(name, key, request)
            if answer is None:
                left += 1
            else:
                yield name, answer
        if left:
            raise Unanswered(f"{left} requests have no reply yet.", remedy="Bring their replies with --import-replies.")

    return ask


def batch_api(model: str, base_url: str | None, api_key_env: str | None) -> BatchProvider:
    """The batch API of the provider of a model.

    Raises:
        UsageError: It has none.
    """
    kind = model.partition(":")[0]
    if kind == "openai":
        return OpenAIBatches(base_url=base_url, api_key_env=api_key_env or "OPENAI_API_KEY")
    if kind == "anthropic":
        return AnthropicBatches(base_url=base_url, api_key_env=api_key_env or "ANTHROPIC_API_KEY")
    raise UsageError(f"{model} has no batch API.", remedy="Leave --batch out, or use openai:NAME or anthropic:NAME.")


def batched(
    api: BatchProvider,
    folder: Path,
    ledger: Ledger,
    *,
    gate: BudgetGate | None,
    cost: Cost,
    progress: Progress,
    sent: Callable[[int], None],
    stage: str = STAGE,
    label: str = "batch",
) -> Ask:
    """Hands requests to a batch API and waits for it; where that ends early, what the ledger knows is still answered.

    Args:
        api: The API.
        folder: Where open batches are noted.
        ledger: Answers what it knows, and keeps what comes back.
        gate: Guards the budget.
        cost: What a call cost.
        progress: Told how far the batches are.
        sent: Told how many items were submitted.
        stage: Under which name calls stand in the ledger.
        label: The step's name in the news.
    """

    async def ask(requests: Iterable[tuple[str, ChatRequest]]) -> AsyncIterator[tuple[str, Answer]]:
        asked: list[tuple[str, str]] = []
        failed: dict[str, Outcome] = {}

        def unknown() -> Iterator[ChatRequest]:
            for name, request in requests:
                asked.append((name, request.key(api.provider)))
                if ledger.look_up(asked[-1][1]) is None:
                    yield request

        async def commit(key: str, request: ChatRequest, outcome: Outcome, attempts: int) -> None:
            money = cost(request, outcome.usage) if isinstance(outcome, Reply) else None
            failed[key] = await ledger.write(Call(key, api.provider, stage, request, outcome, attempts, money))
            if isinstance(failed[key], Reply):
                del failed[key]  # the ledger has it

        batches = Batches(
            api,
            folder,
            commit,
            gate=gate,
            paid=lambda key: ledger.look_up(key) is not None,
            progress=progress,
            label=label,
        )
        open_ = unknown()
        stopped = await _until_over(batches, open_)
        sent(batches.sent)
        deque(open_, maxlen=0)  # the ledger may know what stands behind the first request that was not submitted
        for name, key in asked:
            outcome = ledger.look_up(key) or failed.get(key)
            if outcome is not None and not (isinstance(outcome, ModelCallError) and outcome.kind in FATAL):
                yield name, outcome
        if stopped is not None:
            raise stopped

    return ask


async def _until_over(batches: Batches, requests: Iterator[ChatRequest]) -> PosologyError | None:
    """Runs batches; why they ended early, if they did."""
    try:
        await batches.run(requests)
    except PosologyError as error:
        return error
    return None


def refuse_open_batches(folder: Path, provider: str) -> None:
    """Keeps calls from being paid for a second time while a batch API works on them.

    Raises:
        UsageError: There are open batches.
        StoreError: There are, of another provider.
    """
    if jobs := Jobs(folder, provider).open():
        raise UsageError(
            f"{sum(job.items for job in jobs):,} requests of this run are with a batch API.",
            remedy=f"Collect them with --batch, or remove {folder} to pay for them again.",
        )
