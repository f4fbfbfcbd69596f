"""What a run will ask and cost, before anything is sent."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from itertools import islice

from posology.llm.budget import most_tokens
from posology.llm.contract import ChatRequest, Usage
from posology.llm.limits import estimate_tokens
from posology.llm.prices import Price, Prices

CHUNK = 500


@dataclass(frozen=True, slots=True)
class Estimate:
    """What one model would be asked.

    Attributes:
        provider: Where calls go.
        model: The model.
        calls: Calls to be sent.
        in_ledger: Calls that the ledger answers, or that equal another one: nothing is sent for them.
        input_tokens: Tokens of the prompts, about.
        output_tokens: Tokens of the replies, about: `typical_reply` each, or `max_tokens` where that is unknown.
        most_output_tokens: The most that replies may have: `max_tokens` each.
        cost: Money for `input_tokens` and `output_tokens`; None if the price is not known.
        most_cost: The most that it can cost, reckoned as the budget does; a budget of as much always suffices.
        price: What it was reckoned with.
    """

    provider: str
    model: str
    calls: int = 0
    in_ledger: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    most_output_tokens: int = 0
    cost: float | None = None
    most_cost: float | None = None
    price: Price | None = None

    @property
    def summary(self) -> str:
        """One line for people."""
        tokens = f"{self.input_tokens:,} tokens in, {self.output_tokens:,} out (at most {self.most_output_tokens:,})"
        if self.cost is None or self.most_cost is None:
            money = "price not known"
        else:
            money = f"about {self.cost:.2f}, at most {self.most_cost:.2f}"
        known = f", {self.in_ledger:,} more need none" if self.in_ledger else ""
        return f"{self.model}: {self.calls:,} calls{known}; about {tokens}; {money}"


def estimate(
    requests: Iterable[ChatRequest],
    provider: str,
    prices: Prices,
    *,
    answered: Callable[[Iterable[str]], set[str]] | None = None,
    typical_reply: int | None = None,
) -> list[Estimate]:
    """Reckons calls, tokens and money. Nothing is sent; requests are read once and not kept.

    Args:
        requests: What would be asked.
        provider: Where, as `ChatModel.provider`.
        prices: What it costs.
        answered: Those of some keys that need no call, as `Ledger.answered`.
        typical_reply: Tokens that a reply has as a rule, if that is known.

    Returns:
        One estimate a model, sorted by name.
    """
    found: dict[str, Estimate] = {}
    seen: set[bytes] = set()
    requests = iter(requests)
    while chunk := list(islice(requests, CHUNK)):
        keys = [request.key(provider) for request in chunk]
        skip = set() if answered is None else answered(keys)
        for request, key in zip(chunk, keys, strict=True):
            digest = bytes.fromhex(key)
            so_far = found.get(request.model) or _start(provider, request.model, prices)
            if key in skip or digest in seen:
                found[request.model] = replace(so_far, in_ledger=so_far.in_ledger + 1)
            else:
                found[request.model] = _and_call(so_far, request, typical_reply)
            seen.add(digest)
    return [found[model] for model in sorted(found)]


def _start(provider: str, model: str, prices: Prices) -> Estimate:
    price = prices.price(provider, model)
    nothing = None if price is None else 0.0
    return Estimate(provider, model, cost=nothing, most_cost=nothing, price=price)


def _and_call(so_far: Estimate, request: ChatRequest, typical_reply: int | None) -> Estimate:
    tokens, most = estimate_tokens(request)
    reply = most if typical_reply is None else min(typical_reply, most)
    changed = replace(
        so_far,
        calls=so_far.calls + 1,
        input_tokens=so_far.input_tokens + tokens,
        output_tokens=so_far.output_tokens + reply,
        most_output_tokens=so_far.most_output_tokens + most,
    )
    if so_far.price is None:
        return changed
    return replace(
        changed,
        cost=(so_far.cost or 0.0) + so_far.price.cost(Usage(tokens, reply)),
        most_cost=(so_far.most_cost or 0.0) + so_far.price.cost(most_tokens(request)),
    )
