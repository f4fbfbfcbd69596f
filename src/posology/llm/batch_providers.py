"""The batch APIs of OpenAI and Anthropic: replies within a day, at half the price with most providers.

OpenAI (and servers like it) take an uploaded file of requests and give files of results; Anthropic takes the requests
in one body. Items come back in any order, each on its own done, failed or expired.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Set
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from posology.llm import anthropic, openai_compatible
from posology.llm.calls import RAW_LIMIT, Outcome
from posology.llm.contract import ChatRequest, ModelCallError
from posology.llm.offline import failure, outcome_of_line, request_line
from posology.llm.wire import CONNECT_TIMEOUT, Answer, Wire, retry_after

if TYPE_CHECKING:
    import aiohttp

CLOCKS_DIFFER = 600.0
"""Seconds by which a provider's clock may differ from ours."""
SILENCE = 300.0
"""Seconds without a byte after which a connection counts as broken."""
PAGE = 100
BLOCK = 1 << 16
ENDED = frozenset({"completed", "failed", "expired", "cancelled"})
STATUSES: Mapping[str, int] = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}
"""The HTTP status that each of Anthropic's types of error stands for."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a batch is.

    Attributes:
        ended: Nothing more will happen to it.
        done: Items that are finished, one way or another.
        results: Where its results lie: paths under the API's address.
        problem: The code of what was wrong with it as a whole; empty if nothing was.
    """

    ended: bool
    done: int
    results: tuple[str, ...] = ()
    problem: str = ""


class BatchProvider(Protocol):
    """A batch API. Every method raises `ModelCallError` as a chat model does.

    Attributes:
        provider: Identity of where requests go; that of the chat model at the same address, and so are the keys.
        most_items: Requests that one batch may have.
        most_bytes: Bytes that they may have together.
    """

    provider: str
    most_items: int
    most_bytes: int

    async def submit(self, mark: str, requests: Mapping[str, ChatRequest]) -> str:
        """Hands requests over, by key; gives the batch's id."""
        ...

    async def find(self, mark: str, *, since: float, items: int, known: Set[str]) -> str | None:
        """The id of a batch that was submitted before we could note its id; None if it never was.

        Args:
            mark: As submitted.
            since: When, in seconds since 1970.
            items: How many requests it had.
            known: Ids that belong to other jobs.
        """
        ...

    async def standing(self, id: str) -> Standing:
        """How far a batch is."""
        ...

    def results(self, standing: Standing) -> AsyncIterator[dict[str, Any]]:
        """The lines of a batch that has ended, each with its `custom_id`."""
        ...

    def outcome(self, line: Mapping[str, Any], request: ChatRequest) -> Outcome:
        """What a line says; an item that was left undone is an `overloaded` failure."""
        ...

    async def close(self) -> None:
        """Closes the connections."""
        ...


class Exchange(Wire):
    """Any method, under any path of one API."""

    async def ask(
        self, method: str, path: str, needs: str, *, body: object = None, file: bytes | None = None
    ) -> dict[str, Any]:
        """Sends one request, once, and gives the JSON object that came back.

        Args:
            method: `GET` or `POST`.
            path: Under the API's address.
            needs: A field that the object must have.
            body: Sent as JSON.
            file: Sent as an upload for a batch instead.

        Raises:
            ModelCallError: With a kind.
        """
        import aiohttp

        session = self._open()
        data: Any = None if body is None else json.dumps(body).encode()
        headers = None
        if file is not None:
            form = aiohttp.FormData({"purpose": "batch"})
            form.add_field("file", file, filename="requests.jsonl", content_type="application/jsonl")
            data = form()
            headers = {"Content-Type": data.content_type}
        try:
            async with session.request(
                method, self.base + path, data=data, headers=headers, allow_redirects=False, timeout=_patience()
            ) as response:
                answer = self._answer(response.status, await response.read(), response.headers, 0.0)
        except (aiohttp.ClientError, OSError) as error:
            raise self._unreachable(error) from None
        if answer.status not in (200, 201) or needs not in (answer.value or ()):
            raise self.refusal(answer, "the batch")
        value: dict[str, Any] = answer.value
        return value

    async def lines(self, path: str) -> AsyncIterator[dict[str, Any]]:
        """The objects of a JSONL file, as they arrive.

        Raises:
            ModelCallError: With a kind; also in the middle, if the connection breaks.
        """
        import aiohttp

        try:
            async with self._open().get(self.base + path, allow_redirects=False, timeout=_patience()) as response:
                if response.status != 200:
                    after = retry_after(response.headers.get("Retry-After", ""))
                    raise self.refusal(Answer(response.status, None, await response.read(), after, 0.0), "the batch")
                rest = b""
                async for block in response.content.iter_chunked(BLOCK):
                    *whole, rest = (rest + block).split(b"\n")
                    for line in whole:
                        if line.strip():
                            yield self._object(line)
                if rest.strip():
                    yield self._object(rest)
        except (aiohttp.ClientError, OSError) as error:
            raise self._unreachable(error) from None

    def _object(self, line: bytes) -> dict[str, Any]:
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict):
            raise ModelCallError(
                f"{self.base} sent a result that is not JSON.", kind="malformed", raw=self.redacted(line[:RAW_LIMIT])
            )
        return value


def _patience() -> aiohttp.ClientTimeout:
    import aiohttp

    return aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT, sock_read=SILENCE)


class OpenAIBatches:
    """The batch API of OpenAI and of servers that have the same.

    Args:
        base_url: Up to and with `/v1`; None for OpenAI.
        api_key_env: The environment variable with the key.
    """

    most_items = 20_000
    most_bytes = 90_000_000

    def __init__(self, *, base_url: str | None = None, api_key_env: str = "OPENAI_API_KEY") -> None:
        model = openai_compatible.OpenAICompatible("", base_url=base_url)
        self.provider = model.provider
        self._dialect = model.dialect
        self._api = Exchange(
            base_url or openai_compatible.OPENAI,
            "/chat/completions",
            key_env=api_key_env,
            key_header="api-key" if ".azure.com" in model.provider else "Authorization",
            key_needed=base_url is None,
        )

    async def submit(self, mark: str, requests: Mapping[str, ChatRequest]) -> str:
        """Uploads the requests and starts a batch over them."""
        lines = (json.dumps(self._line(key, request)) + "\n" for key, request in requests.items())
        upload = await self._api.ask("POST", "/files", "id", file="".join(lines).encode())
        body = {
            "input_file_id": upload["id"],
            "endpoint": "/v1/chat/completions",
            "completion_window": "24h",
            "metadata": {"posology": mark},
        }
        return str((await self._api.ask("POST", "/batches", "id", body=body))["id"])

    async def find(self, mark: str, *, since: float, items: int, known: Set[str]) -> str | None:
        """Looks for the mark in the batches' metadata, newest first."""
        after = ""
        while True:
            page = await self._api.ask("GET", f"/batches?limit={PAGE}{after}", "data")
            for batch in page["data"]:
                if (batch.get("metadata") or {}).get("posology") == mark:
                    return str(batch["id"])
                if (batch.get("created_at") or since) < since - CLOCKS_DIFFER:
                    return None
            if not page.get("has_more") or not page["data"]:
                return None
            after = f"&after={page['data'][-1]['id']}"

    async def standing(self, id: str) -> Standing:
        """How far a batch is."""
        batch = await self._api.ask("GET", f"/batches/{id}", "status")
        counts = batch.get("request_counts") or {}
        done = int(counts.get("completed") or 0) + int(counts.get("failed") or 0)
        files = [batch.get("output_file_id"), batch.get("error_file_id")]
        problem = ""
        if batch.get("status") == "failed":
            errors = (batch.get("errors") or {}).get("data") or [{}]
            problem = str(errors[0].get("code") or "failed")
        results = tuple(f"/files/{file}/content" for file in files if file)
        return Standing(batch.get("status") in ENDED, done, results, problem)

    async def results(self, standing: Standing) -> AsyncIterator[dict[str, Any]]:
        """The lines of the file of replies, then those of the file of errors."""
        for path in standing.results:
            async for line in self._api.lines(path):
                yield line

    def outcome(self, line: Mapping[str, Any], request: ChatRequest) -> Outcome:
        """What a line says."""
        return outcome_of_line(line, request) or failure("", 500, dict(line))

    async def close(self) -> None:
        """Closes the connections."""
        await self._api.close()

    def _line(self, key: str, request: ChatRequest) -> dict[str, Any]:
        return {**request_line(key, request), "body": openai_compatible.payload(request, self._dialect)}


class AnthropicBatches:
    """Anthropic's message batches.

    Args:
        base_url: Up to and without `/v1`; None for Anthropic.
        api_key_env: The environment variable with the key.
    """

    most_items = 20_000
    most_bytes = 90_000_000

    def __init__(self, *, base_url: str | None = None, api_key_env: str = "ANTHROPIC_API_KEY") -> None:
        self.provider = anthropic.Anthropic("", base_url=base_url).provider
        self._api = Exchange(
            (base_url or anthropic.ANTHROPIC).rstrip("/").removesuffix("/v1"),
            "/v1/messages",
            key_env=api_key_env,
            key_header="x-api-key",
            key_needed=base_url is None,
            headers={"anthropic-version": anthropic.VERSION},
        )

    async def submit(self, mark: str, requests: Mapping[str, ChatRequest]) -> str:
        """Starts a batch."""
        items = [{"custom_id": key, "params": anthropic.payload(request)} for key, request in requests.items()]
        return str((await self._api.ask("POST", "/v1/messages/batches", "id", body={"requests": items}))["id"])

    async def find(self, mark: str, *, since: float, items: int, known: Set[str]) -> str | None:
        """The oldest batch of that size since then that no other job claims: there is no place for a mark.

        Results are matched by key, so a batch of somebody else's would at worst be waited for in vain.
        """
        found, after = None, ""
        while True:
            page = await self._api.ask("GET", f"/v1/messages/batches?limit={PAGE}{after}", "data")
            for batch in page["data"]:
                if datetime.fromisoformat(batch["created_at"]).timestamp() < since - CLOCKS_DIFFER:
                    return found
                if batch["id"] not in known and sum((batch.get("request_counts") or {}).values()) == items:
                    found = str(batch["id"])
            if not page.get("has_more") or not page["data"]:
                return found
            after = f"&after_id={page['data'][-1]['id']}"

    async def standing(self, id: str) -> Standing:
        """How far a batch is."""
        path = f"/v1/messages/batches/{id}"
        batch = await self._api.ask("GET", path, "processing_status")
        counts = batch.get("request_counts") or {}
        done = sum(int(count) for name, count in counts.items() if name != "processing")
        return Standing(batch.get("processing_status") == "ended", done, (f"{path}/results",))

    async def results(self, standing: Standing) -> AsyncIterator[dict[str, Any]]:
        """The lines of the results."""
        for path in standing.results:
            async for line in self._api.lines(path):
                yield line

    def outcome(self, line: Mapping[str, Any], request: ChatRequest) -> Outcome:
        """What a line says."""
        result = line.get("result")
        result = result if isinstance(result, dict) else {}
        kind = str(result.get("type") or "")
        if kind in ("expired", "canceled"):
            return failure(kind, None, result)
        if kind == "succeeded" and (reply := anthropic.parse_reply(result.get("message"), request)) is not None:
            return reply
        error = result.get("error")
        inner = error.get("error") if isinstance(error, dict) and isinstance(error.get("error"), dict) else error
        status = STATUSES.get(str(inner.get("type")) if isinstance(inner, dict) else "", 500)
        return failure("", status, {"error": inner})

    async def close(self) -> None:
        """Closes the connections."""
        await self._api.close()
