"""A fast fake of an OpenAI-compatible server, on this machine only; other benchmarks start it.

It answers every chat with a conversation (a judge's question: with scores) after `latency` seconds, and counts what it
was sent. A request that has a schema gets a reply of its own, always the same one, so that a whole generation can be
run against it. A share of the requests can be answered with 429 or 500, cut off, or given a reply whose JSON is broken;
their number decides which.
Raw asyncio, and uvloop where it is installed, so that the server is not what is measured.

    python benchmarks/fake_server.py --port 8123
    GET /stats    POST /reset {"latency": 0.05, "rate_limited": 0.1, "failed": 0.05, "dropped": 0.02, "malformed": 0.05}

What /stats counts: received = answered + unheard + in_flight + rate_limited + failed + dropped, where `unheard` replies
were for a client that had gone, and `malformed` ones are among the answered. `distinct` requests were answered,
`repeated` ones more than once. `early` ones came back before the `retry_after` seconds of their 429 had passed.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import re
import socket
import subprocess
import sys
import time
import urllib.request
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

TURNS = [
    {
        "role": "user",
        "content": "Hi, I was charged twice for my last order and I am not sure what to do, can you help me?",
    },
    {
        "role": "assistant",
        "content": "Of course. I see both charges; could you confirm the email address on the account?",
    },
    {"role": "user", "content": "Sure, it is the one I am writing from. Thanks for being quick."},
    {
        "role": "assistant",
        "content": "Thank you. I have refunded the second charge and sent a confirmation. Anything else?",
    },
]
CONTENT = json.dumps({"topic": "billing", "messages": TURNS})
CRITERIA = ("on_topic", "faithful", "realistic_customer", "helpful_agent", "complete")
FAULTS = ("rate_limited", "failed", "dropped", "malformed")
PROMPT_TOKENS, REPLY_TOKENS = 40, 120
ONE_MESSAGE = re.compile(rb'"message":\s*\{')
WORDS = "tent lamp stove rope pack coat glove card mail order parcel late week zip rain store".split()


class State:
    """Settings and counters."""

    def __init__(self) -> None:
        self.reset({})

    def reset(self, settings: dict[str, float]) -> None:
        """Zeroes the counters and takes settings; what is not named is at its default."""
        self.latency = settings.get("latency", 0.05)
        self.retry_after = settings.get("retry_after", 0.0)
        self.shares = [settings.get(name, 0.0) for name in FAULTS]
        kinds = ("received", "answered", "unheard", "in_flight", "most_in_flight", "early", *FAULTS)
        self.count = dict.fromkeys(kinds, 0)
        self.asked: dict[int, int] = {}
        self.not_before: dict[int, float] = {}
        self.first = self.last = 0.0

    def fault(self, number: int) -> str | None:
        """The fault of a request, by its number (Knuth's multiplicative hash)."""
        drawn = (number * 2654435761 & 0xFFFFFFFF) / 0x100000000
        for name, share in zip(FAULTS, self.shares, strict=True):
            if drawn < share:
                return name
            drawn -= share
        return None

    def stats(self) -> dict[str, Any]:
        """What happened since the last reset."""
        repeated = sum(times - 1 for times in self.asked.values())
        return {**self.count, "distinct": len(self.asked), "repeated": repeated, "active": self.last - self.first}


STATE = State()


def kind(body: bytes) -> str:
    """What a request asks for: `message` or `messages` by its schema, else `fixed`."""
    if b'"response_format":' not in body:
        return "fixed"
    return "message" if ONE_MESSAGE.search(body) else "messages"


def content_of(body: bytes, request: int) -> str:
    """The reply to a request."""
    return judgement(body) if b"realistic_customer" in body else reply(kind(body), request)


def reply(kind: str, request: int) -> str:
    """A reply of that kind, the request's own."""
    if kind == "fixed":
        return CONTENT
    said = " ".join(WORDS[request >> 4 * place & 15] for place in range(16))
    message = f"I want to know where my {said} is"
    if kind == "message":
        return json.dumps({"message": message})
    turns = [message, f"We look at the {said} for you", *(turn["content"] for turn in TURNS[2:])]
    roles = ("user", "assistant")
    return json.dumps({"messages": [{"role": roles[n % 2], "content": turn} for n, turn in enumerate(turns)]})


class Connection(asyncio.Protocol):
    """One client's connection; requests come one after the other."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keeps the transport."""
        self.transport = transport
        self.buffer = b""

    def data_received(self, data: bytes) -> None:
        """Cuts requests out of the stream."""
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            head = self.buffer[:end].lower()
            place = head.find(b"content-length:")
            length = int(head[place + 15 :].split(b"\r\n", 1)[0]) if place >= 0 else 0
            if len(self.buffer) < end + 4 + length:
                return
            body, path = self.buffer[end + 4 : end + 4 + length], self.buffer.split(b" ", 2)[1]
            self.buffer = self.buffer[end + 4 + length :]
            self.handle(path, body)

    def handle(self, path: bytes, body: bytes) -> None:
        """Answers one request."""
        if path == b"/stats":
            self.send(200, STATE.stats())
        elif path == b"/v1/models":
            self.send(200, {"data": [{"id": "fake"}]})
        elif path == b"/reset":
            STATE.reset(json.loads(body or b"{}"))
            self.send(200, {})
        else:
            count = STATE.count
            count["received"] += 1
            count["in_flight"] += 1
            count["most_in_flight"] = max(count["most_in_flight"], count["in_flight"])
            now = time.perf_counter()
            STATE.first = STATE.first or now
            request = zlib.crc32(body) << 32 | zlib.adler32(body)
            count["early"] += now < STATE.not_before.get(request, 0.0)
            asyncio.get_running_loop().call_later(
                STATE.latency, self.answer, count["received"], request, content_of(body, request)
            )

    def answer(self, number: int, request: int, content: str) -> None:
        """Sends the reply, or a fault."""
        fault = STATE.fault(number)
        STATE.last = time.perf_counter()
        STATE.count["in_flight"] -= 1
        if self.transport.is_closing():
            STATE.count["unheard"] += 1
            return
        if fault is not None:
            STATE.count[fault] += 1
        if fault == "dropped":
            self.transport.abort()
        elif fault == "rate_limited":
            STATE.not_before[request] = STATE.last + STATE.retry_after
            error = {"message": "Rate limit reached", "code": "rate_limit_exceeded"}
            self.send(429, {"error": error}, f"retry-after: {STATE.retry_after:g}\r\n")
        elif fault == "failed":
            self.send(500, {"error": {"message": "The server had an error", "type": "server_error"}})
        else:
            STATE.count["answered"] += 1
            STATE.asked[request] = STATE.asked.get(request, 0) + 1
            content = content[: len(content) // 2] if fault == "malformed" else content
            choice = {"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": "stop"}
            usage = {
                "prompt_tokens": PROMPT_TOKENS,
                "completion_tokens": REPLY_TOKENS,
                "total_tokens": PROMPT_TOKENS + REPLY_TOKENS,
            }
            self.send(200, {"id": f"chat-{number}", "model": "fake", "choices": [choice], "usage": usage})

    def send(self, status: int, value: object, headers: str = "") -> None:
        """Writes one response."""
        body = json.dumps(value).encode()
        head = f"HTTP/1.1 {status} -\r\ncontent-type: application/json\r\n{headers}content-length: {len(body)}\r\n\r\n"
        if not self.transport.is_closing():
            self.transport.write(head.encode() + body)


def judgement(body: bytes) -> str:
    """Scores for the criteria that a request names; the request decides which."""
    drawn = zlib.crc32(body)
    names = [name for name in CRITERIA if f'\\"{name}\\": {{'.encode() in body]
    scores = {name: 1 + (drawn >> 3 * place) % 5 for place, name in enumerate(names)}
    return json.dumps({name: {"reason": "as it seems here", "score": score} for name, score in scores.items()})


async def serve(port: int) -> None:
    """Serves until it is killed."""
    server = await asyncio.get_running_loop().create_server(Connection, "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


def ask(url: str, path: str, settings: dict[str, float] | None = None) -> dict[str, Any]:
    """Reads the server's counters, or resets it."""
    data = None if settings is None else json.dumps(settings).encode()
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url.removesuffix("/v1") + path, data=data, timeout=10) as response:
        return json.loads(response.read())


@contextmanager
def running() -> Iterator[str]:
    """Starts a server in a process of its own.

    Yields:
        Its base_url.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}/v1"
    process = subprocess.Popen([sys.executable, __file__, "--port", str(port)])
    try:
        for _ in range(200):
            with contextlib.suppress(OSError):
                ask(url, "/stats")
                break
            time.sleep(0.05)
        yield url
    finally:
        process.kill()
        process.wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=8123)
    port = parser.parse_args().port
    with contextlib.suppress(KeyboardInterrupt):
        try:
            import uvloop

            uvloop.run(serve(port))
        except ImportError:
            asyncio.run(serve(port))
