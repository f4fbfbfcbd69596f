"""Any server that speaks the OpenAI chat format: OpenAI, Azure, vLLM, Ollama, llama.cpp, OpenRouter, ...

Servers differ in what they take. What one refuses is put differently, and remembered: a JSON schema falls back to JSON
mode, then to plain text, with the schema in the instructions; `max_tokens` becomes `max_completion_tokens`. Sampling
parameters are never dropped in silence: a model that refuses one ends the run with its name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal
from urllib.parse import urlsplit

from posology.llm.calls import well_formed
from posology.llm.contract import ChatRequest, FinishReason, ModelCallError, Reply, Usage
from posology.llm.limits import estimate_tokens
from posology.llm.wire import Answer, Wire

OPENAI = "https://api.openai.com/v1"
ENDS: Mapping[str, FinishReason] = {
    "stop": "stop",
    "eos": "stop",
    "eos_token": "stop",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "length": "length",
    "max_tokens": "length",
    "model_length": "length",
    "content_filter": "refused",
    "refusal": "refused",
}
_SAMPLING = ("temperature", "top_p", "seed", "stop")
_NO_SCHEMA = re.compile(
    r"response_format|json_schema|json_object|structured output|invalid schema|guided|grammar", re.I
)


@dataclass(frozen=True, slots=True)
class Dialect:
    """How requests are put to one server.

    Attributes:
        structured: How a schema is asked for.
        length: What the limit of the reply is called.
    """

    structured: Literal["schema", "object", "text"] = "schema"
    length: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"


class OpenAICompatible:
    """A chat model behind the OpenAI format.

    Args:
        name: The model, as the server calls it.
        base_url: Where the server is, up to and with `/v1` (Azure: up to `/openai/v1`, or a deployment's address with
            its `?api-version=`); None for OpenAI.
        api_key_env: The environment variable with its key; a server that wants no key needs none, OpenAI does.
        headers: Further headers.

    Raises:
        ConfigError: The address is none, or holds credentials.
    """

    def __init__(
        self,
        name: str,
        *,
        base_url: str | None = None,
        api_key_env: str = "OPENAI_API_KEY",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        address = OPENAI if base_url is None else base_url
        self._wire = Wire(
            address,
            "/chat/completions",
            key_env=api_key_env,
            key_header="api-key" if _is_azure(address) else "Authorization",
            key_needed=base_url is None,
            headers=headers,
        )
        self.name = name
        self.provider = f"openai {self._wire.base}"
        self.dialect = Dialect(length="max_completion_tokens" if base_url is None else "max_tokens")

    async def complete(self, request: ChatRequest) -> Reply:
        """Answers one request. It is sent again only to put it in a way that the server takes.

        Raises:
            ModelCallError: With a kind.
        """
        while True:
            dialect = self.dialect
            answer = await self._wire.post(payload(request, dialect))
            if answer.status == 200:
                reply = parse_reply(answer.value, request, latency=answer.latency)
                if reply is None:
                    raise self._wire.refusal(answer, request.model)
                return reply
            if not self._adapted(dialect, answer, request):
                raise self._refusal(answer, request)

    async def check(self) -> bool:
        """Whether the server lists its models to us: it is there and takes the key. No means nothing, it may be shy."""
        return await self._wire.vouches("/models")

    async def close(self) -> None:
        """Closes the connections."""
        await self._wire.close()

    def _adapted(self, used: Dialect, answer: Answer, request: ChatRequest) -> bool:
        """Whether there is another way to put what was refused."""
        if answer.status not in (400, 404, 422, 500, 501):
            return False
        if self.dialect != used:  # a call beside this one has found it already
            return True
        other = _other_dialect(used, f"{answer.said} {answer.details.get('param')}", request)
        if other is None or (answer.status in (404, 500) and other.length != used.length):
            return False
        self.dialect = other
        return True

    def _refusal(self, answer: Answer, request: ChatRequest) -> ModelCallError:
        refused = str(answer.details.get("param") or "")
        if answer.status in (400, 422) and refused in _SAMPLING:
            return ModelCallError(
                f"{request.model!r} at {self._wire.base} does not take {refused}={getattr(request, refused)!r}.",
                kind="not_found",
                raw=self._wire.redacted(answer.body),
                remedy=f"Leave {refused} unset for this model.",
            )
        return self._wire.refusal(answer, request.model)


def _is_azure(address: str) -> bool:
    try:
        return (urlsplit(address).hostname or "").endswith(".azure.com")
    except ValueError:  # no address: `Wire` says so
        return False


def _other_dialect(used: Dialect, said: str, request: ChatRequest) -> Dialect | None:
    """The next way to try; None if there is none, or the refusal is about something else."""
    if used.length in said and "max_completion_tokens" in said and used.length == "max_tokens":
        return replace(used, length="max_completion_tokens")
    if used.length == "max_completion_tokens" and "max_completion_tokens" in said and "context" not in said:
        return None
    if request.schema is not None and used.structured != "text" and _NO_SCHEMA.search(said):
        return replace(used, structured="object" if used.structured == "schema" else "text")
    return None


def payload(request: ChatRequest, dialect: Dialect | None = None) -> dict[str, Any]:
    """The body of a request, also a batch's."""
    dialect = dialect or Dialect()
    messages = [{"role": role, "content": content} for role, content in request.messages]
    body: dict[str, Any] = {"model": request.model, "messages": messages, dialect.length: request.max_tokens}
    for name in ("temperature", "top_p", "seed"):
        if getattr(request, name) is not None:
            body[name] = getattr(request, name)
    if request.stop:
        body["stop"] = list(request.stop)
    if request.schema is not None:
        schema = dict(request.schema)
        if dialect.structured == "schema":
            named = {"name": "reply", "schema": schema, "strict": is_strict(schema)}
            body["response_format"] = {"type": "json_schema", "json_schema": named}
        else:
            body["messages"] = [{"role": "system", "content": _in_words(schema)}, *messages]
            if dialect.structured == "object":
                body["response_format"] = {"type": "json_object"}
    return body | dict(request.extra)


def _in_words(schema: Mapping[str, Any]) -> str:
    return f"Answer with one JSON object and nothing else. It must satisfy this JSON schema: {json.dumps(schema)}"


def is_strict(schema: Any) -> bool:  # noqa: ANN401 - any node of a JSON schema
    """Whether OpenAI's strict mode takes a schema: every object closed, with all of its properties required."""
    if isinstance(schema, list):
        return all(is_strict(item) for item in schema)
    if not isinstance(schema, Mapping):
        return True
    if "properties" in schema or schema.get("type") == "object":
        properties = schema.get("properties", {})
        closed = schema.get("additionalProperties") is False
        if not closed or set(schema.get("required", ())) != set(properties):
            return False
    return all(is_strict(value) for value in schema.values())


def parse_reply(value: Any, request: ChatRequest, *, latency: float = 0.0) -> Reply | None:  # noqa: ANN401
    """Reads the body of an answer, also a batch's.

    Returns:
        The reply; None if the body is none.
    """
    try:
        choice = value["choices"][0]
        message = choice["message"]
        content, refusal = message.get("content"), message.get("refusal")
    except (TypeError, KeyError, IndexError, AttributeError):
        return None
    if isinstance(content, list):
        content = "".join(str(part.get("text") or "") for part in content if isinstance(part, dict))
    if not isinstance(content, str | None):
        return None
    finish = ENDS.get(str(choice.get("finish_reason")), "other")
    text = content or ""
    if isinstance(refusal, str) and refusal and not text:
        text, finish = refusal, "refused"
    usage = _usage(value.get("usage"), request, text)
    return Reply(well_formed(text), usage, finish, str(value.get("model") or request.model), latency)


def _usage(value: Any, request: ChatRequest, text: str) -> Usage:  # noqa: ANN401 - whatever a server sends
    """Tokens as counted by the server, else as estimated."""
    if not isinstance(value, dict) or not isinstance(value.get("prompt_tokens"), int):
        return Usage(estimate_tokens(request)[0], max(1, len(text.encode("utf-8", "replace")) // 4))
    details = value.get("prompt_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, dict) else 0
    return Usage(value["prompt_tokens"], _count(value.get("completion_tokens")), _count(cached))


def _count(value: object) -> int:
    return value if isinstance(value, int) else 0
