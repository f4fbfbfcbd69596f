"""A server on the loopback address that speaks the chat formats of OpenAI and Anthropic as far as a client can tell."""

import json
import random
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

WORDS = (
    "parcel refund boots tent rain lamp stove zip rope pack trail coat glove late week order store card mail".split()
)


def words(body, n=14):
    """Words that depend on the whole request and on nothing else."""
    return " ".join(random.Random(json.dumps(body, sort_keys=True)).choices(WORDS, k=n))


def sensible(body):
    """A reply in the form that the request asks for."""
    schema = json.dumps(body.get("response_format") or body.get("tools") or {})
    said = words(body)
    if '"messages"' in schema:
        turns = [("user", f"I want to know where my {said} is"), ("assistant", f"We will look at the {said} for you")]
        return json.dumps({"messages": [{"role": role, "content": text} for role, text in turns]})
    if '"message"' in schema:
        return json.dumps({"message": f"I want to know where my {said} is"})
    return f"I want to know where my {said} is"


class Http(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        """Clients may go away; nobody wants to read of it."""


class ChatServer:
    """Answers `/v1/chat/completions`, `/v1/messages` and `/v1/models`.

    Attributes:
        answer: From the body of a request to the text of the reply; may return (status, body) instead.
        page: A web page that it answers everything with.
        delay: Seconds a reply takes.
        key: The key it wants; None takes all.
        down_after: Requests after which connections are dropped.
        knocked: How many calls came.
        asked: The bodies of those that were let in, in order.
        answered: How many were answered with 200.
    """

    def __init__(self):
        self.answer, self.delay, self.key, self.down_after = sensible, 0.0, None, None
        self.page, self.knocked = None, 0
        self.asked, self.answered, self.lock = [], 0, threading.Lock()
        self.http = Http(("127.0.0.1", 0), Handler)
        self.http.owner = self
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}/v1"
        threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True).start()

    def close(self):
        self.http.shutdown()
        self.http.server_close()

    @property
    def repeated(self):
        """How many requests came more than once, counting each repetition."""
        return sum(n - 1 for n in Counter(json.dumps(body, sort_keys=True) for body in self.asked).values())


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    @property
    def owner(self):
        return self.server.owner

    def log_message(self, *args):
        pass

    def send(self, status, value, kind="application/json"):
        raw = value.encode() if isinstance(value, str) else json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def turned_away(self):
        """Whether nobody gets further than the door."""
        key = self.owner.key
        if self.owner.page:
            self.send(200, self.owner.page, "text/html")
        elif key is not None and key not in (self.headers.get("Authorization", "")[7:], self.headers.get("x-api-key")):
            self.send(401, {"error": {"message": "bad key", "code": "invalid_api_key"}})
        else:
            return False
        return True

    def do_GET(self):
        if not self.turned_away():
            self.send(200, {"object": "list", "data": [{"id": "test-model", "object": "model"}]})

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.owner.knocked += 1
        if self.turned_away():
            return
        with self.owner.lock:
            self.owner.asked.append(body)
            n = len(self.owner.asked)
        if self.owner.down_after is not None and n > self.owner.down_after:
            self.close_connection = True
            self.connection.close()
            return
        time.sleep(self.owner.delay)
        said = self.owner.answer(body)
        if isinstance(said, tuple):
            self.send(*said)
            return
        with self.owner.lock:
            self.owner.answered += 1
        self.send(200, message(body, said) if self.path.endswith("/messages") else completion(body, said, n))


def completion(body, said, n):
    """A reply in the OpenAI chat format."""
    prompt, reply = sum(len(m["content"]) for m in body["messages"]) // 4, len(said) // 4
    return {
        "id": f"chatcmpl-{n}",
        "object": "chat.completion",
        "model": body["model"],
        "choices": [{"index": 0, "message": {"role": "assistant", "content": said}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": prompt, "completion_tokens": reply, "total_tokens": prompt + reply},
    }


def message(body, said):
    """A reply in Anthropic's format; a structured one is the input of a tool."""
    prompt = sum(len(m["content"]) for m in body["messages"]) // 4
    block = {"type": "text", "text": said}
    if "tools" in body:
        block = {"type": "tool_use", "name": body["tools"][0]["name"], "input": json.loads(said)}
    usage = {"input_tokens": prompt, "output_tokens": len(said) // 4}
    return {"model": body["model"], "content": [block], "stop_reason": "end_turn", "usage": usage}
