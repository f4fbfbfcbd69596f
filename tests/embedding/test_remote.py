import json
import socket
import threading
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from posology.embedding import remote
from posology.embedding.encoders import make_encoder
from posology.embedding.remote import ATTEMPTS, OpenAICompatible
from posology.errors import ConfigError, ModelError

KEY = "sk-very-secret"


class Server:
    """Answers requests from a script; without one, with the vector [length, 1] for each text."""

    def __init__(self):
        self.script = []
        self.requests = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                server.requests.append((self.path, dict(self.headers), body))
                step = server.script.pop(0) if server.script else good
                status, headers, payload = step(body) if callable(step) else step
                self.send_response(status)
                for name, value in ({"Content-Length": str(len(payload))} | headers).items():
                    self.send_header(name, value)
                self.end_headers()
                with suppress(ConnectionError):  # whoever asked may have lost patience
                    self.wfile.write(payload)

            def log_message(self, *_):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/v1"
        self.thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    def close(self):
        self.http.shutdown()
        self.thread.join()
        self.http.server_close()


def good(body):
    rows = [{"index": i, "embedding": [float(len(text)), 1.0]} for i, text in enumerate(body["input"])]
    return 200, {}, json.dumps({"data": rows[::-1]}).encode()


def refuse(status, headers=None, **error):
    return status, headers or {}, json.dumps({"error": error}).encode()


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    server = Server()
    yield server
    server.close()


@pytest.fixture
def waits():
    return []


@pytest.fixture
def encoder(server, waits):
    return OpenAICompatible("embed-1", base_url=server.url, timeout=2, sleep=waits.append)


def fails(encoder, match, remedy=""):
    with pytest.raises(ModelError, match=match) as caught:
        encoder.encode(["a private text"])
    assert remedy in caught.value.remedy
    assert KEY not in str(caught.value) and "private" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_vectors_in_the_order_of_the_texts(server, encoder, waits):
    vectors = encoder.encode(["abc", "a"])
    assert np.allclose(vectors, [np.array([3, 1]) / np.sqrt(10), np.array([1, 1]) / np.sqrt(2)])
    assert vectors.dtype == np.float32
    ((path, headers, body),) = server.requests
    assert path == "/v1/embeddings" and body == {"model": "embed-1", "input": ["abc", "a"]}
    assert headers["Authorization"] == f"Bearer {KEY}"
    assert not waits


def test_nothing_is_sent_for_nothing_but_the_width(server, encoder):
    encoder.encode(["a"])
    assert encoder.encode([]).shape == (0, 2)
    assert encoder.dim == 2 and len(server.requests) == 1


def test_batches(server, encoder, monkeypatch):
    texts = [f"{i:04}" for i in range(300)]
    assert encoder.encode(texts).shape == (300, 2)
    assert [len(body["input"]) for *_, body in server.requests] == [128, 128, 44]
    assert [text for *_, body in server.requests for text in body["input"]] == texts
    server.requests.clear()
    monkeypatch.setattr(remote, "CHARACTERS_A_REQUEST", 10)
    encoder.encode(["1234", "123456", "1", "12345678901234", "1"])
    assert [len(body["input"]) for *_, body in server.requests] == [2, 1, 1, 1]


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503])
def test_what_passes_is_tried_again(server, encoder, waits, status):
    server.script = [refuse(status), refuse(status)]
    assert encoder.encode(["a"]).shape == (1, 2)
    assert waits == [1, 2]


def test_retry_after_is_obeyed(server, encoder, waits):
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    old = format_datetime(datetime.now(UTC) - timedelta(seconds=60), usegmt=True)
    naive = "Mon, 01 Jan 2001 00:00:00 -0000"
    server.script = [refuse(429, {"Retry-After": value}) for value in ("7", date, old, "soon", naive)]
    encoder.encode(["a"])
    assert waits == [7, pytest.approx(60, abs=3), 0, 8, 16]


def test_a_wait_that_is_too_long_is_not_waited(server, encoder, waits):
    server.script = [refuse(429, {"Retry-After": "86400"})]
    fails(encoder, "asks to wait 86400 seconds")
    assert not waits


def test_it_gives_up_at_last(server, encoder, waits):
    server.script = [refuse(500, code="overloaded", message="a private text")] * ATTEMPTS
    fails(encoder, r"still refuses.*HTTP 500, overloaded")
    assert waits == [1, 2, 4, 8, 16]


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_names_its_variable(server, encoder, waits, status):
    server.script = [refuse(status, code="invalid_api_key", message=f"Incorrect API key provided: {KEY}")]
    fails(encoder, rf"refuses the key \(HTTP {status}, invalid_api_key\)", "OPENAI_API_KEY")
    assert not waits


@pytest.mark.parametrize(
    ("step", "match", "remedy"),
    [
        (refuse(404, code="model_not_found"), "has no model 'embed-1'", "base_url"),
        (refuse(400, code="a private text"), r"does not accept the request \(HTTP 400\)", "longer"),
        (refuse(413), r"HTTP 413", "longer"),
        ((400, {}, b'["odd"]'), "HTTP 400", ""),
        (refuse(429, code="insufficient_quota"), "used up", "billing"),
        ((200, {"Content-Type": "text/html"}, b"<html>a private text</html>"), "other than JSON", "base_url"),
        ((200, {}, b'{"data": []}'), "answered 1 texts", ""),
        ((200, {}, b'{"data": [{"embedding": [1]}, {"embedding": [2]}]}'), "answered 1 texts", ""),
        ((200, {}, b'{"data": [{"index": 5, "embedding": [1]}]}'), "answered 1 texts", ""),
        ((200, {}, b'{"data": [{"index": 0, "embedding": "AAAA"}]}'), "answered 1 texts", ""),
        ((200, {}, b'{"data": [{"index": 0, "embedding": [NaN]}]}'), "answered 1 texts", ""),
        ((200, {}, b'{"data": [{"index": {}, "embedding": [1]}]}'), "answered 1 texts", ""),
        ((200, {}, b'{"data": ["odd"]}'), "answered 1 texts", ""),
        ((200, {}, b'[1]'), "answered 1 texts", ""),
        ((200, {}, b'\xff\xfe\xff'), "other than JSON", ""),
    ],
)  # fmt: skip
def test_what_does_not_pass_is_said_at_once(server, encoder, waits, step, match, remedy):
    server.script = [step]
    fails(encoder, match, remedy)
    assert not waits and len(server.requests) == 1


def test_the_key_follows_no_redirect(server, encoder):
    server.script = [(302, {"Location": f"{server.url}/elsewhere"}, b"")]
    fails(encoder, "another address", "base_url")
    assert len(server.requests) == 1


def test_an_answer_cut_short_is_asked_for_again(server, encoder, waits):
    server.script = [(200, {"Content-Length": "1000"}, b'{"data": [')]
    assert encoder.encode(["a"]).shape == (1, 2)
    assert waits == [1]


def test_a_server_that_is_silent(server, waits):
    release = threading.Event()

    def hang(body):
        release.wait(5)
        return good(body)

    server.script = [hang]
    encoder = OpenAICompatible("m", base_url=server.url, timeout=0.2, sleep=waits.append)
    try:
        assert encoder.encode(["a"]).shape == (1, 2)
    finally:
        release.set()
    assert waits == [1]


def test_nothing_listens(server, waits):
    with socket.socket() as bound:  # bound, but not listening: nobody else can take the port meanwhile
        bound.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{bound.getsockname()[1]}/v1"
        encoder = OpenAICompatible("m", base_url=url, sleep=waits.append)
        fails(encoder, "nothing listens there", "base_url")
    assert not waits


def test_an_unknown_host(server, waits):
    encoder = OpenAICompatible("m", base_url="http://host.invalid/v1", sleep=waits.append)
    fails(encoder, r"host\.invalid cannot be reached", "network")


def test_a_server_without_a_key(server, encoder, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY")
    encoder.encode(["a"])
    assert "Authorization" not in server.requests[0][1]


@pytest.mark.parametrize("value", [None, "", "  "])
def test_openai_itself_needs_a_key(monkeypatch, value):
    monkeypatch.delenv("MY_KEY", raising=False)
    if value is not None:
        monkeypatch.setenv("MY_KEY", value)
    with pytest.raises(ModelError, match="MY_KEY is not set"):
        make_encoder("openai:text-embedding-3-small", api_key_env="MY_KEY").encode(["a"])


@pytest.mark.parametrize("value", [f"{KEY}\nX-Other: 1", f"{KEY}\u2019"])
def test_a_key_that_cannot_be_one(encoder, monkeypatch, value):
    monkeypatch.setenv("OPENAI_API_KEY", value)
    fails(encoder, "OPENAI_API_KEY holds characters")


def test_a_line_break_at_the_end_of_a_key_is_forgiven(server, encoder, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", f"{KEY}\n")
    encoder.encode(["a"])
    assert server.requests[0][1]["Authorization"] == f"Bearer {KEY}"


def test_the_key_is_nowhere_in_the_encoder(encoder):
    assert KEY not in repr(vars(encoder))


def test_addresses():
    a = OpenAICompatible("m", base_url="https://h.example/v1/")
    b = OpenAICompatible("m", base_url="https://h.example/v1")
    assert a.identity == b.identity == "openai:m@https://h.example/v1"
    assert make_encoder("openai:m").identity == "openai:m@https://api.openai.com/v1"
    query = OpenAICompatible("m", base_url="https://h.example/v1?api-version=2")
    assert query._url == "https://h.example/v1/embeddings?api-version=2"


@pytest.mark.parametrize("url", ["", "h.example/v1", "ftp://h.example", "https://", "http://h:port/v1", "http://[::1"])
def test_addresses_that_are_none(url):
    with pytest.raises(ConfigError, match="is not an address"):
        make_encoder("openai:m", base_url=url)


def test_credentials_in_an_address_are_refused():
    with pytest.raises(ConfigError, match="holds credentials") as caught:
        make_encoder("openai:m", base_url="https://me:secret@h.example/v1")
    assert "secret" not in str(caught.value)
