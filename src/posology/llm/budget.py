"""The budget: money is set aside before a call is sent, and settled when it is back.

Before a call is sent it counts with the most that it can cost: its prompt as estimated here, a reply of `max_tokens`.
What is spent and what is set aside for calls in flight never pass the limit together, so the budget is exceeded only
by what a provider bills beyond that estimate.
"""

from __future__ import annotations

import json
import math
import threading
from dataclasses import dataclass, replace

from posology.errors import BudgetReached, UsageError
from posology.llm.contract import ChatRequest, Usage
from posology.llm.prices import Price, Prices

BYTES_A_TOKEN = 3
"""English has 4 and more characters a token; digits, code and names fewer. 3 bytes of UTF-8 is on the safe side."""
TOKENS_A_MESSAGE = 8


class BudgetHeld(BudgetReached):
    """The call does not fit while others are in flight, and may fit once they are settled at what they really cost."""


@dataclass(frozen=True, slots=True)
class Spent:
    """What one stage spent on one model.

    Attributes:
        stage: `generate`, `verify`, ...
        provider: Where calls went.
        model: The model.
        calls: Calls that were answered.
        failed: Attempts that were not.
        input_tokens: Tokens of their prompts.
        output_tokens: Tokens of their replies.
        cached_tokens: Those of `input_tokens` that the provider had cached.
        cost: Money; None if the price is not known.
    """

    stage: str
    provider: str
    model: str
    calls: int = 0
    failed: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    cost: float | None = None

    def and_call(self, usage: Usage, cost: float | None) -> Spent:
        """The same with one answered call more."""
        return replace(
            self,
            calls=self.calls + 1,
            input_tokens=self.input_tokens + usage.input_tokens,
            output_tokens=self.output_tokens + usage.output_tokens,
            cached_tokens=self.cached_tokens + usage.cached_tokens,
            cost=None if cost is None else (self.cost or 0.0) + cost,
        )


def most_tokens(request: ChatRequest) -> Usage:
    """The most tokens that a request is expected to take.

    The prompt counts one token for 3 bytes of UTF-8, and 8 for each message; a schema counts like a prompt, since
    providers put it there. The reply counts `max_tokens`.
    """
    size = sum(len(content.encode("utf-8", "replace")) for _, content in request.messages)
    if request.schema is not None:
        size += len(json.dumps(dict(request.schema)))
    return Usage(math.ceil(size / BYTES_A_TOKEN) + TOKENS_A_MESSAGE * (len(request.messages) + 1), request.max_tokens)


class Budget:
    """Money for a run, over all its stages and models. May be used from several threads.

    Args:
        limit: The most to spend; None for no limit.
        prices: What models cost.
        spent: What earlier runs on the same ledger spent, if the limit is to cover them too.

    Raises:
        UsageError: The limit is negative or no number.
    """

    def __init__(self, limit: float | None, prices: Prices, *, spent: float = 0.0) -> None:
        if limit is not None and not (math.isfinite(limit) and limit >= 0):
            raise UsageError(f"a budget of {limit} makes no sense.", remedy="Give an amount of money, such as 20.")
        self.limit = limit
        self.prices = prices
        self._lock = threading.Lock()
        self._spent = spent
        self._reserved = 0.0
        self._in_flight = 0
        self._totals: dict[tuple[str, str, str], Spent] = {}

    def gate(self, provider: str, model: str, *, stage: str) -> BudgetGate:
        """A gate for the calls of one stage to one provider.

        Raises:
            ConfigError: There is a limit, and the price of the model is not known.
        """
        if self.limit is not None:
            self.prices.known(provider, model)
        return BudgetGate(self, provider, stage)

    @property
    def spent(self) -> float:
        """Money spent, as far as prices are known."""
        with self._lock:
            return self._spent

    @property
    def reserved(self) -> float:
        """Money set aside for calls in flight."""
        with self._lock:
            return self._reserved

    def totals(self) -> list[Spent]:
        """What was spent, sorted by stage, provider and model."""
        with self._lock:
            return [self._totals[key] for key in sorted(self._totals)]

    def _reserve(self, cost: float, *, sent: bool) -> None:
        with self._lock:
            if self.limit is not None and not sent and self._spent + self._reserved + cost > self.limit:
                raise self._reached(cost)
            self._in_flight += 1
            self._reserved += cost

    def _reached(self, cost: float) -> BudgetReached:
        assert self.limit is not None
        if self._in_flight and self._spent + cost <= self.limit:
            return BudgetHeld(
                f"the budget of {self.limit:g} is set aside: {self._spent:.4f} are spent, and {self._in_flight} calls "
                f"in flight may cost {self._reserved:.4f} more.",
                remedy="Run the same command again to go on with what they leave.",
            )
        return BudgetReached(
            f"the budget of {self.limit:g} is reached: {self._spent:.4f} are spent, {self._in_flight} calls in flight "
            f"may cost {self._reserved:.4f} more, and the next one {cost:.4f}.",
            remedy="Every finished call is in the ledger; give a larger budget to go on.",
        )

    def _settle(self, reserved: float, key: tuple[str, str, str], usage: Usage, price: Price | None) -> None:
        failed = usage == Usage()
        cost = None if price is None else 0.0 if failed else price.cost(usage)
        with self._lock:
            if not self._in_flight:
                raise ValueError("a call was settled that was never admitted")
            self._in_flight -= 1
            # Sums of floats drift; nothing is set aside when nothing is in flight.
            self._reserved = max(0.0, self._reserved - reserved) if self._in_flight else 0.0
            self._spent += cost or 0.0
            so_far = self._totals.get(key) or Spent(*key, cost=None if price is None else 0.0)
            self._totals[key] = replace(so_far, failed=so_far.failed + 1) if failed else so_far.and_call(usage, cost)


class BudgetGate:
    """The way to a budget for one stage and provider; made by `Budget.gate`."""

    def __init__(self, budget: Budget, provider: str, stage: str) -> None:
        self._budget = budget
        self._provider = provider
        self._stage = stage

    def admit(self, request: ChatRequest, *, sent: bool = False) -> None:
        """Sets the most that a call can cost aside; each admitted call is settled once.

        Args:
            request: The call.
            sent: It is on its way already (a batch of an earlier run), so it counts whether it fits or not.

        Raises:
            BudgetHeld: It may fit when calls in flight are settled.
            BudgetReached: It does not fit.
            ConfigError: There is a limit, and the price of the model is not known.
        """
        self._budget._reserve(self._most(request), sent=sent)

    def settle(self, request: ChatRequest, usage: Usage) -> None:
        """Puts what a call cost in the place of what was set aside for it.

        Args:
            request: The call, as admitted.
            usage: Its tokens; all zero if it failed and cost nothing.

        Raises:
            ValueError: It was never admitted.
        """
        key = (self._stage, self._provider, request.model)
        self._budget._settle(self._most(request), key, usage, self._price(request))

    def _most(self, request: ChatRequest) -> float:
        price = self._price(request)
        return 0.0 if price is None else price.cost(most_tokens(request))

    def _price(self, request: ChatRequest) -> Price | None:
        prices = self._budget.prices
        if self._budget.limit is not None:
            return prices.known(self._provider, request.model)
        return prices.price(self._provider, request.model)
