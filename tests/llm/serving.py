"""A scripted HTTP server on the loop of the test, and small makers."""

import asyncio
import json
from contextlib import asynccontextmanager

from posology.llm.contract import ChatRequest, Reply, Usage


def ask(text="hello", **fields):
    return ChatRequest("m", (("user", text),), **fields)


def reply(text="hi", **fields):
    return Reply(text, Usage(3, 2), fields.pop("finish", "stop"), "m", **fields)


def chat(content="hi", finish="stop", **message):
    choice = {"index": 0, "message": {"role": "assistant", "content": content, **message}, "finish_reason": finish}
    usage = {"prompt_tokens": 7, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 4}}
    return 200, {"model": "m-2026", "choices": [choice], "usage": usage}


def refuse(status, message="", code=None, **error):
    return status, {"error": {"message": message, "code": code, **error}}


class Server:
    """Answers a POST with `handler(body)`, or the next of a list: (status, value or bytes, headers); None cuts off."""

    def __init__(self, handler):
        self.handler = handler
        self.bodies = []
        self.paths = []
        self.headers = []
        self.models = 404

    async def serve(self, reader, writer):
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                first, *lines = head.split("\r\n")
                headers = dict(line.lower().split(": ", 1) for line in lines if line)
                method, path, _ = first.split(" ")
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                answer = (self.models, {}) if method == "GET" else self.note(body, headers, path)
                if asyncio.iscoroutine(answer):
                    answer = await answer
                if answer is None:
                    break
                status, value, *more = answer
                payload = value if isinstance(value, bytes) else json.dumps(value).encode()
                extra = "".join(f"{name}: {text}\r\n" for name, text in (more[0] if more else {}).items())
                writer.write(f"HTTP/1.1 {status} -\r\n{extra}content-length: {len(payload)}\r\n\r\n".encode() + payload)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def note(self, body, headers, path):
        self.bodies.append(json.loads(body))
        self.headers.append(headers)
        self.paths.append(path)
        return self.handler(self.bodies[-1]) if callable(self.handler) else self.handler.pop(0)


@asynccontextmanager
async def serving(handler, port=0):
    """A running server; its address is `url`."""
    server = Server(handler)
    listener = await asyncio.start_server(server.serve, "127.0.0.1", port)
    server.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    try:
        yield server
    finally:
        listener.close()
