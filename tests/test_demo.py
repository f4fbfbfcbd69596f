import csv
import io
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from posology import demo
from posology.conversations.reading import read
from posology.progress import Silent

ROWS = {
    "train": [(f"train message {i}  of topic {t}", f"topic_{t}") for t in range(12) for i in range(40)],
    "test": [(f"test message {i} of topic {t}", f"topic_{t}") for t in range(12) for i in range(3)],
}


@pytest.fixture
def server(monkeypatch):
    """A loopback server of the two parts; the pinned hashes are theirs."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            text = io.StringIO()
            writer = csv.writer(text)
            writer.writerow(["text", "category"])
            writer.writerows(ROWS[self.path.strip("/").removesuffix(".csv")])
            body = text.getvalue().encode()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setattr(demo, "ADDRESS", f"http://127.0.0.1:{server.server_port}/{{part}}.csv")
    squeezed = {part: [(" ".join(text.split()), topic) for text, topic in rows] for part, rows in ROWS.items()}
    monkeypatch.setattr(demo, "CONTENT", {part: demo._content(rows) for part, rows in squeezed.items()})
    monkeypatch.delenv("POSOLOGY_DATA", raising=False)
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_download_is_checked_and_made_long_tailed(server, tmp_path, monkeypatch):
    monkeypatch.setattr(demo, "N_REAL", 100)
    data = demo.choose(tmp_path, Silent())
    assert data.name == "banking77"
    real = read(data.data["real"]).conversations
    sizes = sorted((sum(c.topic == t for c in real) for t in {c.topic for c in real}), reverse=True)
    assert sizes[0] >= 5 * sizes[-1] and len(sizes) == 12
    assert len(read(data.data["holdout"]).conversations) == 36


def test_another_content_is_refused_and_the_sample_taken(server, tmp_path, monkeypatch):
    monkeypatch.setattr(demo, "CONTENT", {**demo.CONTENT, "test": "0" * 64})
    assert demo.choose(tmp_path, Silent()).name == "larkfell"


def test_without_a_network_the_sample_is_taken(tmp_path, monkeypatch):
    monkeypatch.delenv("POSOLOGY_DATA", raising=False)
    monkeypatch.setattr(demo, "ADDRESS", "http://127.0.0.1:9/{part}.csv")
    data = demo.choose(tmp_path, Silent())
    assert data.name == "larkfell" and "fictional" in data.note


def test_the_folder_of_data_comes_first(data_folder, tmp_path):
    data = demo.choose(tmp_path, Silent())
    assert data.name == "banking77" and data.data["synthetic"].endswith("frontier.jsonl")
