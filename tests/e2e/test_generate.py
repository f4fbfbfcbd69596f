"""Generation through the installed command, and how it ends when it is made to."""

import json
import random
import signal
import subprocess
import sys
import time

import pytest

from chat_server import ChatServer
from posology.llm.ledger import Ledger
from shop_files import ends, flags, rows_of, write_shop

N, IN_FLIGHT = 120, 8


@pytest.fixture
def shop(tmp_path):
    return write_shop(tmp_path)


@pytest.fixture
def server():
    server = ChatServer()
    yield server
    server.close()


def start(shop, server, **changes):
    given = {"model": "openai:test-model", "base_url": server.url, "count": N, "concurrency": IN_FLIGHT, "quiet": True}
    command = [sys.executable, "-m", "posology", "generate", *flags(shop, **given, **changes)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process):
    out, err = process.communicate(timeout=60)
    assert "Traceback" not in err, err
    return process.returncode, out, err


def wait_for(server, n):
    until = time.monotonic() + 30
    while len(server.asked) < n and time.monotonic() < until:
        time.sleep(0.002)
    assert len(server.asked) >= n


def test_killed_again_and_again_it_pays_only_for_what_was_in_flight(shop, server):
    server.delay = 0.02
    rng, kills = random.Random(0), 3
    for n in sorted(rng.sample(range(10, N - 20), kills)):
        process = start(shop, server)
        wait_for(server, n)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    code, out, err = finish(start(shop, server, json=True))
    assert code == 0, err
    assert len(server.asked) <= N + kills * IN_FLIGHT and json.loads(out)["sent"] < N
    ended, planned = ends(shop)
    assert ended == planned and len(set(ended)) == N


def test_ctrl_c_finishes_what_is_in_flight_and_the_next_run_sends_the_rest(shop, server):
    server.delay = 0.1
    process = start(shop, server)
    wait_for(server, 20)
    process.send_signal(signal.SIGINT)
    code, _, err = finish(process)
    assert code == 130 and "same command" in err
    assert len(rows_of(shop, "candidates.jsonl")) == server.answered < N
    server.delay = 0.0
    assert finish(start(shop, server))[0] == 0
    assert server.repeated == 0 and ends(shop)[0] == ends(shop)[1]


def test_a_server_that_goes_away_midway_costs_nothing_twice(shop, server):
    (shop / "posology.yaml").write_text("generate: {timeout: 2, deadline: 3}\n")
    server.down_after = 40
    code, _, err = finish(start(shop, server, config=shop / "posology.yaml"))
    assert code == 1 and err, err
    assert len(rows_of(shop, "candidates.jsonl")) == 40
    served = list(map(json.dumps, server.asked[:40]))
    server.down_after = None
    server.asked.clear()
    assert finish(start(shop, server))[0] == 0
    assert not set(served) & set(map(json.dumps, server.asked)) and ends(shop)[0] == ends(shop)[1]


def test_a_server_in_trouble_loses_no_row(shop, server):
    rng = random.Random(1)

    def troubled(body):
        drawn = rng.random()
        if drawn < 0.1:
            return 429, {"error": {"message": "slow down", "code": "rate_limit_exceeded"}}
        if drawn < 0.15:
            return 500, {"error": {"message": "oops"}}
        if drawn < 0.2:
            return '{"message": "I want to know wh'
        return json.dumps({"message": f"I want to know where my {' '.join(rng.choices('abcdefgh', k=9))} order is"})

    server.answer = troubled
    code, _, err = finish(start(shop, server))
    assert code == 0, err
    ended, planned = ends(shop)
    assert ended == planned and len(set(ended)) == N
    assert all(row["reason"] and row["raw"] for row in rows_of(shop, "rejected.jsonl"))


def test_two_processes_on_one_ledger_end_with_the_same_replies(shop, server):
    rng = random.Random(2)
    server.delay = 0.01
    server.answer = lambda body: json.dumps({"message": f"I want my {' '.join(rng.choices('abcdefgh', k=12))} order"})
    both = [start(shop, server, ledger=shop / "shared.sqlite", out=shop / name) for name in ("run", "other")]
    for process in both:
        code, _, err = finish(process)
        assert code == 0, err
    one, other = ((shop / name / "generate" / "candidates.jsonl").read_bytes() for name in ("run", "other"))
    assert one == other and len(rows_of(shop, "candidates.jsonl")) == N
    with Ledger(shop / "shared.sqlite") as ledger:
        assert ledger.stats()[0].answered == N
