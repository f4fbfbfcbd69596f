"""Batch APIs on the loopback address, in the formats of OpenAI and Anthropic."""

import asyncio
import json
import threading
from contextlib import contextmanager
from datetime import UTC, datetime

from aiohttp import web


def asked(body):
    """What the last message of a request says."""
    return body["messages"][-1]["content"]


@contextmanager
def served(api):
    """Serves a batch API from a thread of its own; the address to be used as base_url."""
    loop, ready = asyncio.new_event_loop(), threading.Event()
    address = []

    async def main():
        ended = asyncio.Event()
        runner = web.AppRunner(api.app(), shutdown_timeout=0.0)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        address.extend([runner.addresses[0][1], ended])
        ready.set()
        await ended.wait()
        await runner.cleanup()

    thread = threading.Thread(target=loop.run_until_complete, args=(main(),), daemon=True)
    thread.start()
    assert ready.wait(10)
    port, ended = address
    try:
        yield f"http://127.0.0.1:{port}{api.path}"
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join(10)
        loop.close()


class Provider:
    """A batch API in memory. `fate(text, n)` says how the n-th try of an item ends, `write(body)` what its reply is.

    Attributes:
        batches: By id, in the order in which they came.
        polls: How often somebody asked how far a batch is.
        sent: Items of all batches.
        ends_after: At which look a batch has ended.
        refuse: Statuses of the next answers to a submission.
        lose: Submissions that are taken, and whose answer is lost.
        silent: Whether submissions are taken and not answered as long as this is set.
        cut: Downloads that break off in the middle.
        problem: Codes with which the next batches as a whole fail.
        one_at_a_time: Whether a batch is refused while another one is open.
        key: The key it wants; None takes all.
        seen_key: The header with the key, as it came.
    """

    def __init__(self):
        self.batches = {}
        self.files = {}
        self.tries = {}
        self.polls = 0
        self.fate = lambda text, n: "ok"
        self.write = lambda body: f"reply to {asked(body)}"
        self.ends_after = 1
        self.refuse = []
        self.lose = 0
        self.cut = 0
        self.problem = []
        self.one_at_a_time = self.silent = False
        self.key = self.seen_key = None

    @property
    def sent(self):
        return sum(len(batch["items"]) for batch in self.batches.values())

    def start(self, items, **facts):
        id = f"batch_{len(self.batches)}"
        self.batches[id] = {"id": id, "items": items, "polls": 0, **facts}
        return self.batches[id]

    def submission(self, key):
        """The refusal of a submission, if it is refused."""
        self.seen_key = key
        if self.key is not None and self.key not in key:
            return web.json_response({"error": {"code": "invalid_api_key", "message": "no"}}, status=401)
        if self.refuse:
            return web.json_response({"error": {"code": "x", "message": "no"}}, status=self.refuse.pop(0))
        return None

    async def taken(self, request, body):
        """Answers a submission, or takes care that its answer does not arrive."""
        while self.silent:
            await asyncio.sleep(0.02)
        if self.lose:
            self.lose -= 1
            request.transport.abort()
        return web.json_response(body)

    async def download(self, request, lines):
        if self.cut:
            self.cut -= 1
            response = web.StreamResponse(headers={"Content-Length": "100000"})
            await response.prepare(request)
            await response.write((lines[0] + "\n").encode())
            request.transport.abort()
            return response
        return web.Response(text="".join(line + "\n" for line in lines))

    def end(self, id):
        """Whether the batch has ended; decides the fate of its items once."""
        batch = self.batches[id]
        batch["polls"] += 1
        self.polls += 1
        if batch["polls"] < self.ends_after:
            return False
        if "lines" not in batch:
            batch["lines"] = []
            for key, body in reversed(batch["items"]):  # in any order
                n = self.tries[key] = self.tries.get(key, 0) + 1
                batch["lines"].append((key, body, self.fate(asked(body), n)))
        return True


class OpenAI(Provider):
    kind, path, key_env = "openai", "/v1", "OPENAI_API_KEY"

    def app(self):
        app = web.Application(client_max_size=1 << 26)
        app.router.add_post("/v1/files", self.upload)
        app.router.add_post("/v1/batches", self.create)
        app.router.add_get("/v1/batches", self.listing)
        app.router.add_get("/v1/batches/{id}", self.look)
        app.router.add_get("/v1/files/{id}/content", self.content)
        return app

    async def upload(self, request):
        form = await request.post()
        assert form["purpose"] == "batch"
        rows = [json.loads(line) for line in form["file"].file.read().splitlines()]
        assert all(row["url"] == "/v1/chat/completions" for row in rows)
        id = f"file_{len(self.files)}"
        self.files[id] = [(row["custom_id"], row["body"]) for row in rows]
        return web.json_response({"id": id})

    async def create(self, request):
        if (refusal := self.submission(request.headers.get("Authorization", ""))) is not None:
            return refusal
        body = await request.json()
        batch = self.start(self.files[body["input_file_id"]], metadata=body["metadata"])
        return await self.taken(request, {"id": batch["id"]})

    async def listing(self, request):
        rows = [{"id": b["id"], "metadata": b["metadata"]} for b in reversed(self.batches.values())]
        return web.json_response({"data": rows, "has_more": False})

    async def look(self, request):
        id = request.match_info["id"]
        if self.problem:
            return web.json_response({"status": "failed", "errors": {"data": [{"code": self.problem.pop(0)}]}})
        earlier = [batch for other, batch in self.batches.items() if other < id and not batch.get("refused")]
        if self.one_at_a_time and any("lines" not in batch for batch in earlier):
            self.batches[id]["refused"] = True
            return web.json_response({"status": "failed", "errors": {"data": [{"code": "token_limit_exceeded"}]}})
        if not self.end(id):
            return web.json_response({"status": "in_progress", "request_counts": {"completed": 1, "failed": 0}})
        return web.json_response({"status": "completed", "output_file_id": id, "error_file_id": f"{id}_errors"})

    async def content(self, request):
        id = request.match_info["id"]
        batch, errors = self.batches[id.removesuffix("_errors")], id.endswith("_errors")
        lines = [self.line(*line) for line in batch["lines"] if (line[2] != "ok") == errors and line[2] != "missing"]
        return await self.download(request, lines) if lines else web.Response(text="")

    def line(self, key, body, fate):
        if fate == "expired":
            return json.dumps({"custom_id": key, "response": None, "error": {"code": "batch_expired"}})
        if fate != "ok":
            refusal = {"error": {"code": fate, "message": "no"}}
            status = {"context_length_exceeded": 400, "model_not_found": 404}.get(fate, 500)
            return json.dumps({"custom_id": key, "response": {"status_code": status, "body": refusal}, "error": None})
        choice = {"message": {"content": self.write(body)}, "finish_reason": "stop"}
        said = {"choices": [choice], "usage": {"prompt_tokens": 10, "completion_tokens": 5}}
        return json.dumps({"custom_id": key, "response": {"status_code": 200, "body": said}, "error": None})


class Anthropic(Provider):
    kind, path, key_env = "anthropic", "/", "ANTHROPIC_API_KEY"

    def app(self):
        app = web.Application(client_max_size=1 << 26)
        app.router.add_post("/v1/messages/batches", self.create)
        app.router.add_get("/v1/messages/batches", self.listing)
        app.router.add_get("/v1/messages/batches/{id}", self.look)
        app.router.add_get("/v1/messages/batches/{id}/results", self.content)
        return app

    async def create(self, request):
        assert request.headers["anthropic-version"]
        if (refusal := self.submission(request.headers.get("x-api-key", ""))) is not None:
            return refusal
        rows = (await request.json())["requests"]
        items = [(row["custom_id"], row["params"]) for row in rows]
        batch = self.start(items, created_at=datetime.now(UTC).isoformat())
        return await self.taken(request, {"id": batch["id"]})

    def row(self, batch, status="in_progress"):
        n = len(batch["items"])
        return {
            "id": batch["id"],
            "processing_status": status,
            "created_at": batch["created_at"],
            "request_counts": {"processing": n, "succeeded": 0},
        }

    async def listing(self, request):
        rows = [self.row(batch) for batch in reversed(self.batches.values())]
        return web.json_response({"data": rows, "has_more": False})

    async def look(self, request):
        id = request.match_info["id"]
        return web.json_response(self.row(self.batches[id], "ended" if self.end(id) else "in_progress"))

    async def content(self, request):
        lines = self.batches[request.match_info["id"]]["lines"]
        return await self.download(request, [self.line(*line) for line in lines if line[2] != "missing"])

    def line(self, key, body, fate):
        if fate == "ok":
            usage = {"input_tokens": 10, "output_tokens": 5}
            said = self.write(body)
            block = {"type": "text", "text": said}
            if "tools" in body:
                block = {"type": "tool_use", "name": body["tools"][0]["name"], "input": json.loads(said)}
            message = {"content": [block], "stop_reason": "end_turn", "usage": usage}
            return json.dumps({"custom_id": key, "result": {"type": "succeeded", "message": message}})
        if fate == "expired":
            return json.dumps({"custom_id": key, "result": {"type": "expired"}})
        kinds = {"context_length_exceeded": "request_too_large", "model_not_found": "not_found_error"}
        error = {"type": "error", "error": {"type": kinds.get(fate, "api_error"), "message": "no"}}
        return json.dumps({"custom_id": key, "result": {"type": "errored", "error": error}})
