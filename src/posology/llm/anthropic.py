"""Anthropic's messages API.

System messages become the `system` field. A structured reply is asked for as the input of the one tool that the model
must use, which every model takes; its JSON is the reply's text. `seed` has no counterpart and is not sent.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from posology.llm.calls import well_formed
from posology.llm.contract import ChatRequest, FinishReason, Reply, Usage
from posology.llm.limits import estimate_tokens
from posology.llm.wire import Wire

ANTHROPIC = "https://api.anthropic.com"
VERSION = "2023-06-01"
TOOL = "reply"
ENDS: Mapping[str, FinishReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "refusal": "refused",
}


class Anthropic:
    """A model behind Anthropic's messages API.

    Args:
        name: The model.
        base_url: Where the API is, up to and without `/v1`; None for Anthropic.
        api_key_env: The environment variable with the key.

    Raises:
        ConfigError: The address is none, or holds credentials.
    """

    def __init__(self, name: str, *, base_url: str | None = None, api_key_env: str = "ANTHROPIC_API_KEY") -> None:
        self._wire = Wire(
            (ANTHROPIC if base_url is None else base_url).rstrip("/").removesuffix("/v1"),
            "/v1/messages",
            key_env=api_key_env,
            key_header="x-api-key",
            key_needed=base_url is None,
            headers={"anthropic-version": VERSION},
        )
        self.name = name
        self.provider = f"anthropic {self._wire.base}"

    async def complete(self, request: ChatRequest) -> Reply:
        """Answers one request, without retries.

        Raises:
            ModelCallError: With a kind.
        """
        answer = await self._wire.post(payload(request))
        reply = parse_reply(answer.value, request, latency=answer.latency) if answer.status == 200 else None
        if reply is None:
            raise self._wire.refusal(answer, request.model)
        return reply

    async def check(self) -> bool:
        """Whether the server lists its models to us: it is there and takes the key. No means nothing, it may be shy."""
        return await self._wire.vouches("/v1/models")

    async def close(self) -> None:
        """Closes the connections."""
        await self._wire.close()


def payload(request: ChatRequest) -> dict[str, Any]:
    """The body of a request, also a batch's."""
    system = [content for role, content in request.messages if role in ("system", "developer")]
    turns = [(role, content) for role, content in request.messages if role not in ("system", "developer")]
    body: dict[str, Any] = {
        "model": request.model,
        "messages": [{"role": role, "content": content} for role, content in turns],
        "max_tokens": request.max_tokens,
    }
    if system:
        body["system"] = "\n\n".join(system)
    for name in ("temperature", "top_p"):
        if getattr(request, name) is not None:
            body[name] = getattr(request, name)
    if request.stop:
        body["stop_sequences"] = list(request.stop)
    if request.schema is not None:
        what = "Gives the reply. Use it exactly once."
        body["tools"] = [{"name": TOOL, "description": what, "input_schema": dict(request.schema)}]
        body["tool_choice"] = {"type": "tool", "name": TOOL}
    return body | dict(request.extra)


def parse_reply(value: Any, request: ChatRequest, *, latency: float = 0.0) -> Reply | None:  # noqa: ANN401
    """Reads the body of an answer, also a batch's.

    Returns:
        The reply; None if the body is none.
    """
    blocks = value.get("content") if isinstance(value, dict) else None
    if not isinstance(blocks, list) or not all(isinstance(block, dict) for block in blocks):
        return None
    finish = ENDS.get(str(value.get("stop_reason")), "other")
    tools = [block.get("input") for block in blocks if block.get("type") == "tool_use"]
    if request.schema is not None and tools:
        text = json.dumps(tools[0], ensure_ascii=False)
    else:
        text = "".join(str(block.get("text") or "") for block in blocks if block.get("type") == "text")
    usage = _usage(value.get("usage"), request, text)
    return Reply(well_formed(text), usage, finish, str(value.get("model") or request.model), latency)


def _usage(value: Any, request: ChatRequest, text: str) -> Usage:  # noqa: ANN401 - whatever a server sends
    """Tokens as counted by the server, else as estimated; what was read from or written to its cache is input too."""
    if not isinstance(value, dict) or not isinstance(value.get("input_tokens"), int):
        return Usage(estimate_tokens(request)[0], max(1, len(text.encode("utf-8", "replace")) // 4))
    cached, written = (int(value.get(f"cache_{name}_input_tokens") or 0) for name in ("read", "creation"))
    return Usage(value["input_tokens"] + cached + written, int(value.get("output_tokens") or 0), cached)
