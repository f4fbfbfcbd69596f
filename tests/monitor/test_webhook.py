import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from posology.errors import UsageError
from posology.monitor import webhook

RESULT = {
    "verdict": "drift",
    "batch": {"n": 200, "day": "2026-01-05"},
    "checks": [
        {"name": f"check{i}", "value": 1.0, "threshold": 0.5, "p_value": 0.001, "verdict": "drift", "note": "secret"}
        for i in range(7)
    ],
}


@pytest.fixture
def channel():
    """A server that keeps what it is told; `answer` and `delay` say how it behaves."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            server.told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            time.sleep(server.delay)
            self.send_response(server.answer)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.told, server.answer, server.delay = [], 200, 0
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def url(channel):
    return f"http://127.0.0.1:{channel.server_port}/services/T0/secret"


def test_the_channel_is_told_the_verdict_without_anybodys_words(channel):
    assert webhook.post(url(channel), webhook.message(RESULT, "shop")) is None
    (told,) = channel.told
    assert set(told) == {"text"}
    assert "*drift* in shop, 200 conversations of 2026-01-05" in told["text"]
    assert "check0: 1, at most 0.5" in told["text"] and "and 2 more" in told["text"]
    assert "secret" not in told["text"]
    assert "no drift" in webhook.message({**RESULT, "checks": [], "verdict": "ok"}, "shop")["text"]


def test_the_channel_is_told_which_topics_are_new_and_what_was_not_judged():
    rows = {**RESULT["checks"][0], "name": "rows", "note": "topics never seen: 'warranty'"}
    told = webhook.message({**RESULT, "checks": [rows]}, "shop")["text"]
    assert "rows: topics never seen: 'warranty'" in told and "usual" not in told
    few = webhook.message({**RESULT, "checks": [], "verdict": "unscored"}, "shop")["text"]
    assert "too little traffic to judge" in few and "drift" not in few


def test_failures_are_told_without_the_address(channel, monkeypatch):
    channel.answer = 404
    assert webhook.post(url(channel), {}) == "it answered with status 404"
    channel.answer = 302
    assert "302" in webhook.post(url(channel), {})
    monkeypatch.setattr(webhook, "PATIENCE", 0.2)
    channel.delay = 0.5
    assert webhook.post(url(channel), {}) == "no answer within 0.2 seconds"
    assert "cannot be reached" in webhook.post("http://127.0.0.1:9/secret", {})


@pytest.mark.parametrize("address", ["", "slack/x", "file:///etc/passwd", "https://", "http://["])
def test_what_is_no_address_is_refused_and_not_repeated(address):
    with pytest.raises(UsageError, match="not an http") as refused:
        webhook.check_url(address)
    assert not {"slack", "passwd", "["} & set(str(refused.value).replace("/", " ").split())
