"""posology generate --batch, against batch APIs in the formats of OpenAI and Anthropic."""

import json
import signal
import subprocess
import sys
import time

import pytest

from batch_server import Anthropic, OpenAI, served
from chat_server import sensible
from posology.llm import prices
from posology.llm.batch import Batches
from posology.llm.ledger import Ledger
from shop_files import ends, flags, rows_of, write_shop

N = 12


@pytest.fixture
def shop(tmp_path):
    folder = write_shop(tmp_path)
    (folder / "posology.yaml").write_text("prices: {test-model: {input: 1000, output: 2000, call: 0.5}}\n")
    return folder


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setitem(Batches.__init__.__kwdefaults__, "poll_every", 0.01)


@pytest.fixture(params=[OpenAI, Anthropic])
def api(request):
    api = request.param()
    api.write = sensible
    with served(api) as api.url:
        yield api


@pytest.fixture
def generate(posology, shop, api):
    """Runs `posology generate --batch` on the shop; keyword arguments replace flags."""
    return lambda **changes: posology(*command(shop, api, **changes))


@pytest.fixture
def waiting(shop, api):
    """The same in a process of its own, which has submitted a batch that does not end."""
    api.ends_after = sys.maxsize
    line = [sys.executable, "-m", "posology", *map(str, command(shop, api))]
    process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def until(there):
        deadline = time.monotonic() + 30
        while not there() and time.monotonic() < deadline:
            time.sleep(0.01)
        assert there()
        return process

    yield until
    process.kill()
    process.communicate()


def command(shop, api, **changes):
    given = {"model": f"{api.kind}:test-model", "base_url": api.url, "batch": True, "json": True}
    return ["generate", "--quiet", *flags(shop, config=shop / "posology.yaml", **{**given, **changes})]


def place(api, text):
    """Where an item stood in the first batch."""
    return [body["messages"][-1]["content"] for _, body in api.batches["batch_0"]["items"]].index(text)


def left_open(shop):
    return json.loads((shop / "run/generate/batches/batches.json").read_text())["jobs"]


def test_a_batch_is_submitted_waited_for_and_becomes_candidates(generate, shop, api):
    api.ends_after = 3
    outcome = generate()
    assert outcome.code == 0, outcome.err
    assert ends(shop)[0] == ends(shop)[1] and len(rows_of(shop, "candidates.jsonl")) == N
    assert api.sent == N == outcome.json["sent"] and api.polls == 3 and not left_open(shop)
    (total,) = json.loads((shop / "run/generate/manifest.json").read_text())["totals"]
    assert (total["calls"], total["input_tokens"], total["output_tokens"]) == (N, 10 * N, 5 * N)
    assert total["cost"] == pytest.approx(N * (0.5 + (10 * 1000 + 5 * 2000) / 1e6))
    with Ledger(shop / "run/ledger.sqlite") as ledger:
        assert ledger.stats()[0].cost == pytest.approx(total["cost"])
    assert generate().json["sent"] == 0 and api.sent == N


@pytest.mark.parametrize("moment", ["before its submission is answered", "while it is waited for"])
def test_after_a_kill_the_same_batch_is_collected_and_nothing_submitted(generate, shop, api, waiting, moment):
    api.silent = moment == "before its submission is answered"
    process = waiting(lambda: api.batches if api.silent else api.polls)
    process.kill()
    process.wait()
    api.silent, api.ends_after = False, 1
    paying_twice = generate(batch=None)
    assert paying_twice.code == 2 and "--batch" in paying_twice.err
    outcome = generate()
    assert outcome.code == 0 and outcome.json["sent"] == 0, outcome.err
    assert api.sent == N and len(api.batches) == 1 and not left_open(shop)
    assert ends(shop)[0] == ends(shop)[1] and len(rows_of(shop, "candidates.jsonl")) == N


@pytest.mark.parametrize("api", [OpenAI], indirect=True)
def test_ctrl_c_leaves_the_batch_where_it_is(generate, shop, api, waiting):
    process = waiting(lambda: api.polls)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130 and "the same command goes on" in said and "Traceback" not in said
    api.ends_after = 1
    assert generate().code == 0 and api.sent == N and ends(shop)[0] == ends(shop)[1]


def test_what_expired_or_failed_is_resubmitted_alone(generate, shop, api):
    fates = {0: "expired", 1: "server_error", 2: "missing"}
    api.fate = lambda text, n: fates.get(place(api, text), "ok") if n == 1 else "ok"
    outcome = generate()
    assert outcome.code == 0, outcome.err
    assert [len(batch["items"]) for batch in api.batches.values()] == [N, 3] and outcome.json["sent"] == N + 3
    assert len(rows_of(shop, "candidates.jsonl")) == N and outcome.json["totals"][0]["calls"] == N


def test_what_stays_undone_is_rejected_with_its_reason(generate, shop, api):
    api.fate = lambda text, n: "expired" if place(api, text) == 4 else "ok"
    outcome = generate()
    assert outcome.code == 0 and outcome.json["n_candidates"] == N - 1, outcome.err
    (row,) = rows_of(shop, "rejected.jsonl")
    assert row["reason"] == "call_overloaded" and "expired" in row["raw"]
    assert [len(batch["items"]) for batch in api.batches.values()] == [N, 1, 1] and ends(shop)[0] == ends(shop)[1]


def test_rows_that_fail_a_check_are_tried_again_in_further_batches(generate, shop, api):
    api.write = lambda body: json.dumps({"message": "[Name]"}) if len(api.batches) == 1 else sensible(body)
    outcome = generate()
    assert outcome.code == 0 and outcome.json["n_candidates"] == N and outcome.json["n_attempts"] == 2 * N, outcome.err
    assert [len(batch["items"]) for batch in api.batches.values()] == [N, N]


def test_the_budget_stops_before_it_is_passed_and_more_money_goes_on(generate, shop, api):
    outcome = generate(budget=3)
    assert outcome.code == 4 and "budget of 3" in outcome.err
    bought = len(rows_of(shop, "candidates.jsonl"))
    assert 0 < bought == api.sent < N and bought * 0.52 <= 3
    assert generate(budget=30).code == 0
    assert api.sent == N and ends(shop)[0] == ends(shop)[1]


def test_a_wrong_key_submits_nothing_and_keeps_what_is_there(generate, shop, api, monkeypatch):
    assert generate(budget=3).code == 4
    before = (shop / "run/generate/candidates.jsonl").read_bytes()
    api.key, sent = "right", api.sent
    monkeypatch.setenv("SHOP_KEY", "wrong-secret")
    outcome = generate(api_key_env="SHOP_KEY")
    assert outcome.code == 1 and "SHOP_KEY" in outcome.err and "wrong-secret" not in outcome.err
    assert api.sent == sent and not left_open(shop)
    assert before and (shop / "run/generate/candidates.jsonl").read_bytes() == before
    monkeypatch.setenv("SHOP_KEY", "right")
    assert generate(api_key_env="SHOP_KEY").code == 0 and api.sent == N


def test_a_model_that_is_not_there_is_told(generate, api):
    api.fate = lambda text, n: "model_not_found"
    outcome = generate()
    assert outcome.code == 1 and "HTTP 404" in outcome.err and "Traceback" not in outcome.err


def test_a_batch_costs_what_the_list_says_of_batches(generate, shop, api, monkeypatch):
    # The list knows providers by their address: it is asked as if the server were the provider itself.
    address = {"openai": "https://api.openai.com/v1", "anthropic": "https://api.anthropic.com"}[api.kind]
    model = {"openai": "gpt-4o-mini", "anthropic": "claude-haiku-4-5"}[api.kind]
    listed = prices._listed
    monkeypatch.setattr(prices, "_listed", lambda _, name, *, batch: listed(address, name, batch=batch))
    reckoned = [generate(model=f"{api.kind}:{model}", batch=batch, dry_run=True).json for batch in (False, True)]
    assert reckoned[1]["cost"] == pytest.approx(reckoned[0]["cost"] / 2) and not api.sent
    total = generate(model=f"{api.kind}:{model}").json["totals"][0]
    price = listed(address, model, batch=False)
    assert total["cost"] == pytest.approx(N * (10 * price.input + 5 * price.output) / 1e6 / 2) and total["cost"] > 0


def test_models_without_a_batch_api(generate, api):
    outcome = generate(model="local:", base_url=None)
    assert outcome.code in (1, 2) and outcome.err and not api.sent
