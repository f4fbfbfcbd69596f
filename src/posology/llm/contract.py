"""The small contract between posology and any chat model."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from posology.errors import PosologyError
from posology.records import EMPTY

FinishReason = Literal["stop", "length", "refused", "other"]
ErrorKind = Literal[
    "auth",
    "not_found",
    "rate_limited",
    "overloaded",
    "timeout",
    "connection",
    "refused",
    "context_too_long",
    "malformed",
]
RETRIED: frozenset[ErrorKind] = frozenset({"rate_limited", "overloaded", "timeout", "connection", "malformed"})
FATAL: frozenset[ErrorKind] = frozenset({"auth", "not_found"})

COMPLETION = "completion"
"""The role of a lone message that a local model continues as it stands, without a chat template."""
_canonical = json.JSONEncoder(sort_keys=True, ensure_ascii=True).encode


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """One call, with everything that shapes its reply.

    Attributes:
        model: The model's name, as the provider knows it.
        messages: Pairs of role and content.
        temperature: Sampling temperature; None leaves it to the provider.
        top_p: Nucleus; None likewise.
        max_tokens: Most tokens of the reply.
        seed: For providers that take one.
        schema: JSON schema of a structured reply; None for plain text.
        stop: Texts that end the reply.
        extra: Further parameters of the provider, JSON-like.
    """

    model: str
    messages: tuple[tuple[str, str], ...]
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int = 1024
    seed: int | None = None
    schema: Mapping[str, Any] | None = None
    stop: tuple[str, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=lambda: EMPTY)

    def key(self, provider: str) -> str:
        """Identity of the call: a hash of the provider (name and address, never a key) and every field."""
        whole = [
            provider,
            self.model,
            self.messages,
            self.temperature,
            self.top_p,
            self.max_tokens,
            self.seed,
            self.schema and dict(self.schema),
            self.stop,
            dict(self.extra),
        ]
        return hashlib.sha256(_canonical(whole).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one call, as the provider counted them (or as estimated, where it does not)."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Reply:
    """What a model answered.

    Attributes:
        text: The reply, raw.
        usage: Tokens.
        finish: Why it ended; a reply cut by `length` is never repaired or accepted.
        model: The model that the provider says it used.
        latency: Seconds.
        late: The ledger holds failures of this very call beside it: an earlier run may have gone on without a reply.
    """

    text: str
    usage: Usage
    finish: FinishReason
    model: str
    latency: float = 0.0
    late: bool = False


class ModelCallError(PosologyError):
    """A call failed. Every provider's errors are mapped to one of these kinds at one boundary, in its client.

    Args:
        message: The cause, without keys and without conversation text.
        kind: What went wrong; `RETRIED` kinds may pass later, `FATAL` ones end a run at once.
        retry_after: Seconds that the server asked to wait.
        raw: What the server sent (at most 4 kB), for the ledger.
        remedy: What to do.
    """

    def __init__(
        self, message: str, *, kind: ErrorKind, retry_after: float | None = None, raw: str = "", remedy: str = ""
    ) -> None:
        super().__init__(message, remedy=remedy)
        self.kind: ErrorKind = kind
        self.retry_after = retry_after
        self.raw = raw


class ChatModel(Protocol):
    """A chat model. `complete` may be called many times at once on one event loop.

    Attributes:
        provider: Identity of where calls go: name and address (`openai https://host/v1`, `anthropic ...`, `local FILE
            sha256`, `scripted NAME`); part of the ledger's key, so it never holds a secret.
        name: The model's name.
    """

    provider: str
    name: str

    async def complete(self, request: ChatRequest) -> Reply:
        """Answers one request, without retries.

        Raises:
            ModelCallError: With a kind.
        """
        ...

    async def close(self) -> None:
        """Releases connections or memory."""
        ...
