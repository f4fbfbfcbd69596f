"""posology verify --batch, against batch APIs in the formats of OpenAI and Anthropic."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from batch_server import Anthropic, OpenAI, served
from posology.config import CHECKS
from posology.llm import prices
from posology.llm.batch import Batches
from posology.llm.ledger import Ledger
from verification_replies import SYNTHETIC, number_of, scored, write_pool

MODEL = "judge-1"


@pytest.fixture(autouse=True)
def shop(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(Batches.__init__.__kwdefaults__, "poll_every", 0.01)
    flags = write_pool()
    held = {"id": "h", "messages": [{"role": "user", "content": "Is there a shop in Lyon?"}], "topic": "refund"}
    Path("holdout.jsonl").write_text(json.dumps(held) + "\n")  # nothing in the pool is like it, so all is judged
    return flags


@pytest.fixture(params=[OpenAI, Anthropic])
def api(request):
    api = request.param()
    api.write = scored
    with served(api) as api.url:
        yield api


def command(shop, api, *more, model=MODEL, order=0.0):
    judge = {"model": f"{api.kind}:{model}", "base_url": api.url}
    tree = {
        "verify": {"judges": [judge], "families": {model: "own"}, "order_sample": order, "skip": CHECKS},
        "prices": {MODEL: {"input": 1000, "output": 2000, "call": 0.5}},
    }
    Path("settings.json").write_text(json.dumps(tree))
    return ["verify", *shop, "--config", "settings.json", "--json", *more]


@pytest.fixture
def verify(posology, shop, api):
    return lambda *more, batch=True, **changes: posology(
        *command(shop, api, *more, **changes), *(["--batch"] if batch else [])
    )


@pytest.fixture
def waiting(shop, api):
    """The command in a process of its own, which has submitted a batch that does not end."""
    api.ends_after = sys.maxsize
    process = subprocess.Popen(
        [sys.executable, "-m", "posology", *command(shop, api), "--batch"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )

    def until(there):
        deadline = time.monotonic() + 40
        while not there() and time.monotonic() < deadline:
            time.sleep(0.01)
        assert there()
        return process

    yield until
    process.kill()
    process.communicate()


def open_batches():
    return [
        job for path in Path("run/verify/batches").rglob("batches.json") for job in json.loads(path.read_text())["jobs"]
    ]


def test_a_batch_judges_what_a_live_run_judges(verify, api):
    api.ends_after = 2
    done = verify()
    assert done.code == 0, done.err
    (judge,) = done.json["judging"]["judges"]
    n = judge["calls"]
    assert n == done.json["judging"]["n_judged"] == api.sent == SYNTHETIC and not open_batches()
    assert judge["states"] == {"scored": n} and judge["cost"] == pytest.approx(n * (0.5 + (10_000 + 10_000) / 1e6))
    (total,) = done.json["totals"]
    assert (total["stage"], total["model"], total["calls"], total["cost"]) == ("verify", MODEL, n, judge["cost"])
    with Ledger(Path("run/ledger.sqlite")) as ledger:
        (row,) = ledger.stats()
        assert (row.stage, row.answered) == ("verify", n) and row.cost == pytest.approx(judge["cost"])
    verdicts = Path("run/verify/verdicts.jsonl").read_bytes()
    Path("run/verify/manifest.json").unlink()
    live = verify(batch=False)  # the same calls: the ledger answers a live run, too
    assert live.code == 0 and api.sent == n and Path("run/verify/verdicts.jsonl").read_bytes() == verdicts


def test_after_a_kill_the_same_batch_is_collected_and_nothing_submitted(verify, api, waiting):
    api.silent = api.kind == "openai"  # killed before its submission is answered; the other one while it is waited for
    process = waiting(lambda: api.batches if api.silent else api.polls)
    process.kill()
    process.wait()
    api.silent, api.ends_after, sent = False, 1, api.sent
    paying_twice = verify(batch=False)
    assert paying_twice.code == 2 and "--batch" in paying_twice.err and len(open_batches()) == 1
    done = verify()
    assert done.code == 0, done.err
    assert api.sent == sent and len(api.batches) == 1 and not open_batches()


def test_malformed_answers_are_asked_again_in_the_next_batch(verify, api):
    broken = {905, 910, 911}
    stubborn = 905

    def write(body):
        number = number_of(body)
        again = "could not be read" in body["messages"][-1]["content"]
        return "{}" if number == stubborn or (number in broken and not again) else scored(body)

    api.write = write
    done = verify()
    assert done.code == 0, done.err
    n = done.json["judging"]["n_judged"]
    assert [len(batch["items"]) for batch in api.batches.values()] == [n, 3]
    (judge,) = done.json["judging"]["judges"]
    assert judge["states"] == {"malformed": 1, "scored": n - 1} and judge["calls"] == n + 3


def test_what_expired_is_submitted_again_alone_and_what_stays_undone_is_unscored(verify, api):
    api.fate = lambda text, n: "expired" if "number 907" in text or ("number 908" in text and n == 1) else "ok"
    done = verify()
    assert done.code == 0, done.err
    n = done.json["judging"]["n_judged"]
    assert [len(batch["items"]) for batch in api.batches.values()] == [n, 2, 1]
    assert done.json["judging"]["judges"][0]["states"] == {"failed": 1, "scored": n - 1}


def test_the_budget_stops_and_more_money_goes_on(verify, api):
    stopped = verify("--budget", "8")
    assert stopped.code == 4 and "budget of 8" in stopped.err and not open_batches()
    with Ledger(Path("run/ledger.sqlite")) as ledger:
        assert 0 < ledger.stats()[0].cost <= 8
    first = api.sent
    done = verify("--budget", "800")
    assert done.code == 0 and api.sent == done.json["judging"]["n_judged"] > first, done.err


def test_a_batch_costs_what_the_list_says_of_batches(verify, api, monkeypatch):
    address = {"openai": "https://api.openai.com/v1", "anthropic": "https://api.anthropic.com"}[api.kind]
    model = {"openai": "gpt-4o-mini", "anthropic": "claude-haiku-4-5"}[api.kind]
    listed = prices._listed
    monkeypatch.setattr(prices, "_listed", lambda _, name, *, batch: listed(address, name, batch=batch))
    whole, half = (verify("--dry-run", model=model, batch=batch).json["rubric"][0] for batch in (False, True))
    assert half["cost"] == pytest.approx(whole["cost"] / 2) and half["calls"] == whole["calls"] > 0 and not api.sent
    (judge,) = verify(model=model).json["judging"]["judges"]
    price = listed(address, model, batch=False)
    paid = judge["calls"] * (10 * price.input + 5 * price.output) / 1e6 / 2
    assert judge["cost"] == pytest.approx(paid, abs=1e-6) and paid > 0


@pytest.mark.parametrize("api", [OpenAI], indirect=True)
def test_a_panel_is_asked_at_the_same_time(posology, shop, api):
    judges = [{"model": f"openai:judge-{k}", "base_url": api.url} for k in (1, 2)]
    tree = {"verify": {"judges": judges, "families": {"judge-1": "own", "judge-2": "other"}, "order_sample": 0}}
    tree["verify"]["skip"] = CHECKS
    Path("settings.json").write_text(json.dumps(tree))
    api.ends_after = 3
    done = posology("verify", *shop, "--config", "settings.json", "--json", "--batch")
    assert done.code == 0, done.err
    n = done.json["judging"]["n_judged"]
    assert [len(batch["items"]) for batch in api.batches.values()] == [n, n] and api.polls == 6
    assert [judge["calls"] for judge in done.json["judging"]["judges"]] == [n, n]


@pytest.mark.parametrize("api", [OpenAI], indirect=True)
def test_a_judge_without_a_batch_api_is_told_before_anything_is_sent(posology, shop, api):
    Path("judge.py").write_text("def judge(request, rng): return '{}'\n")
    judges = [{"model": "openai:judge-1", "base_url": api.url}, "scripted:judge.py:judge"]
    tree = {"verify": {"judges": judges, "families": {"judge-1": "own"}, "batch": True}}
    Path("settings.json").write_text(json.dumps(tree))
    done = posology("verify", *shop, "--config", "settings.json")
    assert done.code == 2 and "no batch API" in done.err and not api.sent
