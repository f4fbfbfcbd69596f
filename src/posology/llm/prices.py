"""What a token costs: the user's own prices first, then the offline table of the genai-prices package.

A price that nobody knows is None, never 0: a run on such a model has no budget and no estimate in money, and says so.
A server on a known address is priced by that provider's list; one on an address of its own has no price, even if its
model carries the name of one that does. The embedded model and scripts cost nothing.
"""

from __future__ import annotations

import importlib.metadata
import ipaddress
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from posology.errors import ConfigError
from posology.llm.contract import Usage

MILLION = 1_000_000
FREE_KINDS = ("local", "scripted")


@dataclass(frozen=True, slots=True)
class Price:
    """What one model costs, in the currency of the report.

    Attributes:
        input: A million tokens of prompts.
        output: A million tokens of replies.
        cached: A million tokens of prompts that the provider had cached; None: as `input`.
        call: One call, whatever its length.
        long: The price of a call whose prompt has more tokens than a threshold, and that threshold: all of its tokens
            cost that much then. Sorted by threshold.

    Raises:
        ConfigError: A price is negative or no number.
    """

    input: float
    output: float
    cached: float | None = None
    call: float = 0.0
    long: tuple[tuple[int, Price], ...] = ()

    def __post_init__(self) -> None:
        for value in (self.input, self.output, self.cached or 0.0, self.call):
            if not (math.isfinite(value) and value >= 0):
                raise ConfigError(f"{value} is no price.", remedy="Prices are money for a million tokens, 0 or more.")

    def cost(self, usage: Usage) -> float:
        """Money for the tokens of one call."""
        price = self._for(usage.input_tokens)
        cached = min(usage.cached_tokens, usage.input_tokens)
        cached_rate = price.input if price.cached is None else price.cached
        tokens = (usage.input_tokens - cached) * price.input + cached * cached_rate + usage.output_tokens * price.output
        return tokens / MILLION + price.call

    def _for(self, input_tokens: int) -> Price:
        price = self
        for threshold, dearer in self.long:
            if input_tokens > threshold:
                price = dearer
        return price


FREE = Price(0.0, 0.0)


class Prices:
    """Prices of models, each looked up once.

    Args:
        own: The user's own, by the model's name; they win over every list.
        batch: Whether calls go through a batch API, which many providers sell at half the price. Own prices are taken
            as they are.
    """

    def __init__(self, own: Mapping[str, Price] | None = None, *, batch: bool = False) -> None:
        self._own = dict(own or {})
        self._batch = batch
        self._found: dict[tuple[str, str], Price | None] = {}

    def price(self, provider: str, model: str) -> Price | None:
        """The price of a model.

        Args:
            provider: Identity of where calls go, as `ChatModel.provider`.
            model: Its name.

        Returns:
            None if nobody knows it.
        """
        known = (provider, model)
        if known not in self._found:
            self._found[known] = self._look_up(provider, model)
        return self._found[known]

    def cost(self, provider: str, model: str, usage: Usage) -> float | None:
        """Money for one call; None if the price is not known."""
        price = self.price(provider, model)
        return None if price is None else price.cost(usage)

    def known(self, provider: str, model: str) -> Price:
        """The price of a model that must have one.

        Raises:
            ConfigError: Nobody knows it.
        """
        price = self.price(provider, model)
        if price is None:
            raise ConfigError(
                f"the price of {model!r} ({provider}) is not known.",
                remedy="Give its price for a million tokens in the configuration, or run without a budget.",
            )
        return price

    @property
    def unknown(self) -> list[tuple[str, str]]:
        """Provider and model of every price that was asked for and that nobody knows, sorted."""
        return sorted(known for known, price in self._found.items() if price is None)

    def source(self) -> str:
        """Where prices that are not the user's own come from, for result files."""
        return f"genai-prices {importlib.metadata.version('genai-prices')}"

    def _look_up(self, provider: str, model: str) -> Price | None:
        if model in self._own:
            return self._own[model]
        kind, _, address = provider.partition(" ")
        if kind in FREE_KINDS:
            return FREE
        return _listed(address, model, batch=self._batch)


def _listed(address: str, model: str, *, batch: bool) -> Price | None:
    """The price in the list, of the provider at that address."""
    if on_this_machine(address):
        return None  # no list names it, and to read one takes longer than most that a run does before its first call
    from genai_prices import Usage as Tokens
    from genai_prices import calc_price

    context = {"processing": "batch"} if batch else None
    try:
        found = calc_price(Tokens(), model, provider_api_url=address, price_context=context)
    except LookupError:
        return None
    rates = found.model_price
    # Free tiers and plans stand in the list without rates, and so do models that are paid by the second or the image.
    if rates.input_mtok is None or rates.output_mtok is None:
        return None
    thresholds = {tier.start for rate in (rates.input_mtok, rates.output_mtok) for tier in getattr(rate, "tiers", ())}
    long = tuple((start, _at(rates, start + 1)) for start in sorted(thresholds))
    base = _at(rates, 0)
    return Price(base.input, base.output, base.cached, base.call, long)


def on_this_machine(address: str) -> bool:
    """Whether a server at an address is on this machine."""
    host = urlsplit(address).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _at(rates: Any, input_tokens: int) -> Price:  # noqa: ANN401 - the package makes its fields as it goes
    """The list's rates for a prompt of that many tokens."""

    def rate(name: str) -> float | None:
        value = getattr(rates, name, None)
        for tier in getattr(value, "tiers", ()):
            if input_tokens > tier.start:
                value = tier.price
        return None if value is None else float(getattr(value, "base", value))

    return Price(
        rate("input_mtok") or 0.0,
        rate("output_mtok") or 0.0,
        rate("cache_read_mtok"),
        (rate("requests_kcount") or 0) / 1000,
    )
