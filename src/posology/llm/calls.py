"""A finished call, and how it is written down.

A row holds all that a person needs to understand a reply, or to use it elsewhere: the request with its messages, the
reply, what it cost. Keys of providers are not part of a request, so they cannot get into a row.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from posology.llm.contract import ChatRequest, ErrorKind, ModelCallError, Reply, Usage
from posology.llm.jsonbytes import encoded

RAW_LIMIT = 4096
FINAL: frozenset[ErrorKind] = frozenset({"refused", "context_too_long"})
"""Failures that the same request would meet again: they answer a re-run, and nobody pays for them twice."""

COLUMNS = (
    "key",
    "final",
    "provider",
    "model",
    "stage",
    "status",
    "request",
    "reply",
    "finish",
    "reply_model",
    "input_tokens",
    "output_tokens",
    "cached_tokens",
    "cost",
    "latency",
    "error",
    "message",
    "raw",
    "attempts",
    "created",
)
OUTCOME = "reply, finish, reply_model, input_tokens, output_tokens, cached_tokens, latency, error, message, raw"

Outcome = Reply | ModelCallError
Row = tuple[str | int | float | None, ...]


@dataclass(frozen=True, slots=True)
class Call:
    """One call and how it ended.

    Attributes:
        key: `request.key(provider)`.
        provider: Where it went; never a secret.
        stage: Who asked: `generate`, `verify`, ...
        request: What was asked.
        outcome: The reply, or why there is none.
        attempts: How many times it was sent to get there.
        cost: Money, in the currency of the price list; None where the price is not known.
        created: Seconds since 1970 at which the call ended.
    """

    key: str
    provider: str
    stage: str
    request: ChatRequest
    outcome: Outcome
    attempts: int = 1
    cost: float | None = None
    created: float = field(default_factory=time.time)

    @property
    def final(self) -> bool:
        """Whether this outcome stands for good: a re-run takes it and sends nothing."""
        return isinstance(self.outcome, Reply) or self.outcome.kind in FINAL


def row_of(call: Call) -> Row:
    """The call in the order of `COLUMNS`."""
    head = (call.key, int(call.final), call.provider, call.request.model, call.stage)
    request = encoded(request_to_json(call.request)).decode()
    tail = (call.attempts, call.created)
    if isinstance(call.outcome, Reply):
        reply, usage = call.outcome, call.outcome.usage
        tokens = (usage.input_tokens, usage.output_tokens, usage.cached_tokens)
        text, model = well_formed(reply.text), well_formed(reply.model)
        return (*head, "ok", request, text, reply.finish, model, *tokens, call.cost, reply.latency, *(None,) * 3, *tail)
    error = call.outcome
    failure = (error.kind, well_formed(error.message), well_formed(error.raw[:RAW_LIMIT]))
    return (*head, "failed", request, None, None, None, 0, 0, 0, call.cost, None, *failure, *tail)


def outcome_of(row: Row) -> Outcome:
    """The outcome in columns read in the order of `OUTCOME`."""
    text, finish, model, tokens_in, tokens_out, cached, latency, error, message, raw = row
    if error is not None:
        return ModelCallError(str(message), kind=error, raw=str(raw))  # type: ignore[arg-type]
    usage = Usage(int(tokens_in or 0), int(tokens_out or 0), int(cached or 0))
    return Reply(str(text), usage, finish, str(model), float(latency or 0.0))  # type: ignore[arg-type]


def request_to_json(request: ChatRequest) -> dict[str, Any]:
    """The request as plain JSON; what is at its default is left out."""
    value: dict[str, Any] = {
        "model": request.model,
        "messages": [{"role": role, "content": content} for role, content in request.messages],
        "max_tokens": request.max_tokens,
    }
    for name in ("temperature", "top_p", "seed"):
        if getattr(request, name) is not None:
            value[name] = getattr(request, name)
    if request.schema is not None:
        value["schema"] = dict(request.schema)
    if request.stop:
        value["stop"] = list(request.stop)
    if request.extra:
        value["extra"] = dict(request.extra)
    return value


def request_from_json(value: Mapping[str, Any]) -> ChatRequest:
    """The request that `request_to_json` wrote; its key is the same."""
    fields = dict(value)
    messages = tuple((message["role"], message["content"]) for message in fields.pop("messages"))
    return ChatRequest(messages=messages, stop=tuple(fields.pop("stop", ())), **fields)


def well_formed(text: str) -> str:
    r"""The text without lone surrogates, which JSON can carry (`"\ud83d"`) and neither UTF-8 nor SQLite can."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")
