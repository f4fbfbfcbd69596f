"""Requests and replies as files in the OpenAI batch format, for models that only a person, or another machine, reaches.

A line asks: {"custom_id": KEY, "method": "POST", "url": "/v1/chat/completions", "body": {...}}
and answers: {"custom_id": KEY, "response": {"status_code": 200, "body": {...}}, "error": null}
or, written by hand: {"custom_id": KEY, "reply": "the text"}

The key is the ledger's, so a reply finds its request in any later run that asks the same.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from posology.errors import InputError
from posology.llm.calls import RAW_LIMIT, Outcome, well_formed
from posology.llm.contract import ChatRequest, ErrorKind, ModelCallError, Reply, Usage
from posology.llm.limits import estimate_tokens
from posology.llm.openai_compatible import parse_reply, payload
from posology.llm.wire import Answer, kind_of
from posology.store import write_jsonl

URL = "/v1/chat/completions"
EXPIRED = frozenset({"batch_expired", "batch_cancelled"})
"""Codes of items that a batch left undone."""


@dataclass(frozen=True, slots=True)
class Imported:
    """What a file of replies holds.

    Attributes:
        outcomes: By key, a reply or the reason why there is none; where a key stands twice, a reply before a failure
            and the first before the second.
        unknown: Keys in the file that no request has, in the file's order.
    """

    outcomes: Mapping[str, Outcome]
    unknown: tuple[str, ...]


def request_line(key: str, request: ChatRequest) -> dict[str, Any]:
    """A request as a line of a batch file."""
    return {"custom_id": key, "method": "POST", "url": URL, "body": payload(request)}


def export_requests(path: Path, requests: Iterable[ChatRequest], provider: str) -> int:
    """Writes requests for somebody else to answer, each distinct one once; whole file or none.

    Args:
        path: The file.
        requests: What to ask; read once and not kept.
        provider: As it will be given to `import_replies`: part of the key.

    Returns:
        How many lines were written.

    Raises:
        StoreError: The file cannot be written.
    """

    def lines() -> Iterator[dict[str, Any]]:
        seen: set[bytes] = set()
        for request in requests:
            key = request.key(provider)
            digest = bytes.fromhex(key)
            if digest not in seen:
                seen.add(digest)
                yield request_line(key, request)

    return write_jsonl(path, lines())


def import_replies(path: Path, requests: Mapping[str, ChatRequest]) -> Imported:
    """Reads replies.

    Args:
        path: The file; empty lines are passed over, lines for unknown keys are counted.
        requests: What was asked, by key.

    Returns:
        Outcomes, ready for the ledger.

    Raises:
        InputError: The file cannot be read, a line is broken, or none of the lines answers any of the requests.
    """
    outcomes: dict[str, Outcome] = {}
    unknown: list[str] = []
    for number, value in _lines(path):
        key = value.get("custom_id")
        if not isinstance(key, str):
            raise InputError("there is no custom_id.", file=path, line=number, remedy="Copy it from the request.")
        request = requests.get(key)
        if request is None:
            unknown.append(key)
            continue
        outcome = outcome_of_line(value, request)
        if outcome is None:
            raise InputError(
                "there is neither a response nor a reply.",
                file=path,
                line=number,
                remedy='Write {"custom_id": ..., "reply": "the text"}, or a line of the OpenAI batch format.',
            )
        if key not in outcomes or (isinstance(outcome, Reply) and not isinstance(outcomes[key], Reply)):
            outcomes[key] = outcome
    if not outcomes:
        cause = f"none of its {len(unknown)} lines answers a request of this plan." if unknown else "it has no lines."
        raise InputError(cause, file=path, remedy="Export the requests anew, with the same settings, and compare.")
    return Imported(outcomes, tuple(unknown))


def outcome_of_line(value: Mapping[str, Any], request: ChatRequest) -> Outcome | None:
    """The outcome that a line of replies holds.

    Returns:
        None if the line holds none. An item that its batch left undone is an `overloaded` failure: to be sent again.
    """
    if isinstance(value.get("reply"), str):
        return _by_hand(str(value["reply"]), request)
    response, error = value.get("response"), value.get("error")
    if isinstance(error, dict) and (not isinstance(response, dict) or str(error.get("code")) in EXPIRED):
        return failure(str(error.get("code") or "error"), None, error)
    if not isinstance(response, dict):
        return None
    body, status = response.get("body"), response.get("status_code", 200)
    if status == 200 and (reply := parse_reply(body, request)) is not None:
        return reply
    return failure("", status if isinstance(status, int) else 500, body)


def failure(code: str, status: int | None, body: object) -> ModelCallError:
    """Why an item has no reply, told without its text.

    Args:
        code: The provider's code, where it gave no status.
        status: The HTTP status that the call alone would have had.
        body: What was sent.
    """
    raw = json.dumps(body, ensure_ascii=True, default=str)
    if status is None:
        kind: ErrorKind = "overloaded"
        said = code if code.isidentifier() else "error"
    else:
        answer = Answer(status, body, raw.encode(), None, 0.0)
        kind, said = kind_of(answer), f"HTTP {status}{answer.code and f', {answer.code}'}"
    return ModelCallError(f"the batch has no reply for this request ({said}).", kind=kind, raw=raw[:RAW_LIMIT])


def _by_hand(text: str, request: ChatRequest) -> Reply:
    usage = Usage(estimate_tokens(request)[0], max(1, len(text.encode("utf-8", "replace")) // 4))
    return Reply(well_formed(text), usage, "stop", request.model)


def _lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The objects of a file, each with its line number."""
    try:
        with path.open("rb") as handle:
            for number, line in enumerate(handle, start=1):
                text = _decoded(line, path, number).strip()
                if text:
                    yield number, _object(text, path, number)
    except OSError as error:
        raise InputError(
            f"it cannot be read: {error.strerror or type(error).__name__}.", file=path, remedy="Check the path."
        ) from error


def _decoded(line: bytes, path: Path, number: int) -> str:
    try:
        return line.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError:
        raise InputError("this is not UTF-8.", file=path, line=number, remedy="Save the file as UTF-8.") from None


def _object(text: str, path: Path, number: int) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise InputError(
            "this is not a JSON object.", file=path, line=number, remedy="Write one object a line, without line breaks."
        )
    return value
