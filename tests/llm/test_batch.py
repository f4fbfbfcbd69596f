import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest
from aiohttp.test_utils import TestServer

from batch_server import Anthropic, OpenAI
from posology.errors import BudgetReached, StoreError
from posology.llm.batch import Batches
from posology.llm.batch_jobs import Jobs
from posology.llm.batch_providers import AnthropicBatches, OpenAIBatches
from posology.llm.budget import Budget
from posology.llm.calls import Call
from posology.llm.contract import ChatRequest, ModelCallError, Reply
from posology.llm.ledger import Ledger
from posology.llm.openai_compatible import payload
from posology.llm.prices import Price, Prices

KEY = "key-of-the-tests"
CLIENTS = {OpenAI: OpenAIBatches, Anthropic: AnthropicBatches}


@pytest.fixture(params=[OpenAI, Anthropic])
def api(request):
    return request.param()


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setenv("TEST_KEY", KEY)
    monkeypatch.setattr("posology.llm.batch.backoff", lambda *_: 0.01)


def asks(n, start=0, **settings):
    return [ChatRequest("m", (("user", f"question {i}"),), **settings) for i in range(start, start + n)]


class Kept:
    """What was committed; the first outcome of a key stands."""

    def __init__(self):
        self.outcomes = {}
        self.commits = 0
        self.die_at = None

    async def __call__(self, key, request, outcome, attempts):
        self.commits += 1
        if self.commits == self.die_at:
            raise KeyboardInterrupt
        known = self.outcomes.setdefault(request.messages[0][1], (outcome, attempts))
        if not isinstance(known[0], Reply):
            self.outcomes[request.messages[0][1]] = (outcome, attempts)

    @property
    def replies(self):
        return {text: o.text for text, (o, _) in self.outcomes.items() if isinstance(o, Reply)}


@asynccontextmanager
async def at(api):
    server = TestServer(api.app())
    await server.start_server()
    client = CLIENTS[type(api)](base_url=str(server.make_url(api.path)), api_key_env="TEST_KEY")
    try:
        yield client
    finally:
        await client.close()
        await server.close()


def run(api, folder, kept, requests, *, most=None, **settings):
    async def go():
        async with at(api) as client:
            # The port changes from run to run, as no real address does.
            client.provider = "test provider"
            if most is not None:
                client.most_items = most
            return await Batches(client, folder, kept, poll_every=0.01, **settings).run(requests)

    return asyncio.run(go())


def test_every_request_gets_its_reply(api, tmp_path):
    api.ends_after = 3
    kept = Kept()
    done = run(api, tmp_path / "b", kept, iter(asks(25) + asks(5)), most=10)
    assert kept.replies == {f"question {i}": f"reply to question {i}" for i in range(25)}
    assert (done.batches, done.replies, done.failed, done.resubmitted) == (3, 25, 0, 0)
    assert api.sent == 25
    assert KEY in api.seen_key
    assert [path.name for path in (tmp_path / "b").iterdir()] == ["batches.json"]
    assert KEY not in (tmp_path / "b" / "batches.json").read_text()


def test_usage_and_finish_come_through(api, tmp_path):
    kept = Kept()
    run(api, tmp_path, kept, asks(1))
    reply, attempts = kept.outcomes["question 0"]
    assert (reply.usage.input_tokens, reply.usage.output_tokens, reply.finish, attempts) == (10, 5, "stop", 1)


@pytest.mark.parametrize("fate", ["expired", "server_error", "missing"])
def test_what_was_left_undone_is_sent_again_alone(api, tmp_path, fate):
    api.fate = lambda text, n: fate if n == 1 and text.endswith("3") else "ok"
    kept = Kept()
    done = run(api, tmp_path, kept, asks(20))
    assert len(kept.replies) == 20
    assert api.sent == 22 and done.resubmitted == 2
    assert kept.outcomes["question 13"][1] == 2


def test_what_stays_undone_is_given_up_with_a_reason(api, tmp_path):
    api.fate = lambda text, n: "expired" if text == "question 1" else "ok"
    kept = Kept()
    done = run(api, tmp_path, kept, asks(4), attempts=3)
    outcome, attempts = kept.outcomes["question 1"]
    assert (outcome.kind, attempts, done.failed, api.sent) == ("overloaded", 3, 1, 6)
    assert not Jobs(tmp_path, "test provider").open()


def test_an_item_that_cannot_pass_is_not_sent_again(api, tmp_path):
    api.fate = lambda text, n: "context_length_exceeded" if text == "question 1" else "ok"
    kept = Kept()
    done = run(api, tmp_path, kept, asks(4))
    assert kept.outcomes["question 1"][0].kind == "context_too_long"
    assert (api.sent, done.failed, done.replies) == (4, 1, 3)


def test_a_model_that_is_not_there_ends_the_run(api, tmp_path):
    api.fate = lambda text, n: "model_not_found"
    with pytest.raises(ModelCallError) as error:
        run(api, tmp_path, Kept(), asks(2))
    assert error.value.kind == "not_found"


def test_a_killed_run_is_continued(api, tmp_path):
    kept = Kept()
    kept.die_at = 8
    with pytest.raises(KeyboardInterrupt):
        run(api, tmp_path, kept, asks(20), most=10)
    assert len(kept.replies) == 7
    kept.die_at = None
    run(api, tmp_path, kept, asks(25), most=10)
    assert len(kept.replies) == 25 and api.sent == 25


def test_what_was_submitted_is_collected_even_if_nobody_asks_for_it_any_more(api, tmp_path):
    kept = Kept()
    kept.die_at = 1
    with pytest.raises(KeyboardInterrupt):
        run(api, tmp_path, kept, asks(3))
    done = run(api, tmp_path, kept, [])
    assert done.replies == 3 and len(kept.replies) == 3 and api.sent == 3


@pytest.mark.parametrize("came_through", [True, False])
def test_a_kill_while_submitting_does_not_pay_twice(api, tmp_path, came_through):
    jobs = Jobs(tmp_path, "test provider")
    job = jobs.begin({request.key("test provider"): request for request in asks(3)}, 1)
    if came_through:
        items = [(request.key("test provider"), payload(request)) for request in asks(3)]
        api.start(items, metadata={"posology": job.mark}, created_at=datetime.now(UTC).isoformat())
    kept = Kept()
    run(api, tmp_path, kept, asks(3))
    assert len(kept.replies) == 3 and api.sent == 3


def test_a_submission_whose_answer_is_lost_is_found_again(api, tmp_path):
    api.lose = 1
    kept = Kept()
    run(api, tmp_path, kept, asks(6), most=3)
    assert len(kept.replies) == 6 and api.sent == 6


def test_refusals_for_a_moment_are_outlasted(api, tmp_path):
    api.refuse = [429, 503, 500]
    kept = Kept()
    run(api, tmp_path, kept, asks(3))
    assert len(kept.replies) == 3 and api.sent == 3


def test_a_refused_key_ends_the_run_and_leaves_nothing_open(api, tmp_path):
    api.refuse = [401]
    with pytest.raises(ModelCallError, match="TEST_KEY") as error:
        run(api, tmp_path, Kept(), asks(3))
    assert error.value.kind == "auth" and KEY not in str(error.value)
    assert not Jobs(tmp_path, "test provider").open()


def test_a_download_that_breaks_off_is_begun_again(api, tmp_path):
    api.cut = 2
    kept = Kept()
    done = run(api, tmp_path, kept, asks(5))
    assert len(kept.replies) == 5 and done.replies == 5 and api.sent == 5


def test_no_room_at_the_provider_is_waited_for(tmp_path):
    api = OpenAI()
    api.one_at_a_time, api.ends_after = True, 6
    kept = Kept()
    run(api, tmp_path, kept, asks(6), most=2, attempts=2)
    assert len(kept.replies) == 6
    assert len(api.batches) <= 3 + 2 + 1  # those without room are tried again when one has ended, not at every look


def test_a_batch_that_is_not_accepted_is_told(tmp_path):
    api = OpenAI()
    api.problem = ["model_has_no_batches"]
    with pytest.raises(ModelCallError, match="model_has_no_batches"):
        run(api, tmp_path, Kept(), asks(4))
    assert not Jobs(tmp_path, "test provider").open()


def test_the_budget_holds_and_what_it_pays_for_is_kept(api, tmp_path):
    prices = Prices({"m": Price(100.0, 100.0)})
    requests = asks(10, max_tokens=50)
    budget = Budget(0.03, prices)  # 0.0071 is set aside for each, 0.0015 is what each costs
    kept = Kept()
    gate = budget.gate("test provider", "m", stage="generate")
    run(api, tmp_path, kept, requests, gate=gate)
    assert len(kept.replies) == 10 and len(api.batches) > 1  # the rest goes when the first have turned out cheaper
    assert budget.spent == pytest.approx(0.015) and budget.reserved == 0.0
    budget = Budget(0.008, prices)
    kept = Kept()
    with pytest.raises(BudgetReached):
        run(api, tmp_path, kept, requests, gate=budget.gate("test provider", "m", stage="generate"))
    assert len(kept.replies) == 1 and budget.reserved == 0.0


def test_what_a_killed_run_had_collected_is_not_counted_twice(api, tmp_path):
    """Its calls are in the ledger, so the budget begins with what they cost."""
    kept = Kept()
    kept.die_at = 8
    with pytest.raises(KeyboardInterrupt):
        run(api, tmp_path, kept, asks(10, max_tokens=50))
    kept.die_at, known = None, {request.key("test provider") for request in asks(10, max_tokens=50)[3:]}
    budget = Budget(0.03, Prices({"m": Price(100.0, 100.0)}), spent=7 * 0.0015)
    gate = budget.gate("test provider", "m", stage="generate")
    run(api, tmp_path, kept, [], gate=gate, paid=known.__contains__)  # the fake's results begin with the last
    assert len(kept.replies) == 10 and budget.spent == pytest.approx(10 * 0.0015)


def test_resubmission_is_inside_the_budget(api, tmp_path):
    api.fate = lambda text, n: "expired" if n == 1 else "ok"
    budget = Budget(0.03, Prices({"m": Price(100.0, 100.0)}))
    kept = Kept()
    run(api, tmp_path, kept, asks(8, max_tokens=50), gate=budget.gate("test provider", "m", stage="generate"))
    assert len(kept.replies) == 8 and budget.reserved == 0.0
    assert budget.spent == pytest.approx(8 * 0.0015)


def test_jobs_of_another_provider_are_not_mixed_up(tmp_path):
    Jobs(tmp_path, "one").begin({"k": asks(1)[0]}, 1)
    with pytest.raises(StoreError, match="one"):
        Jobs(tmp_path, "two")


def test_damaged_notes_are_told_and_not_thrown_away(tmp_path):
    jobs = Jobs(tmp_path, "one")
    job = jobs.begin({"k": asks(1)[0]}, 1)
    (tmp_path / f"{job.mark}.jsonl").write_text("{")
    with pytest.raises(StoreError, match="damaged"):
        Jobs(tmp_path, "one").requests(job)
    (tmp_path / "batches.json").write_text('{"jobs": [{"x": 1}]}')
    with pytest.raises(StoreError, match="damaged"):
        Jobs(tmp_path, "one")


def test_goes_into_the_ledger(api, tmp_path):
    with Ledger(tmp_path / "ledger.sqlite") as ledger:

        async def commit(key, request, outcome, attempts):
            await ledger.write(Call(key, "test provider", "generate", request, outcome, attempts))

        run(api, tmp_path / "b", commit, asks(5))
        assert ledger.answered(request.key("test provider") for request in asks(6)) == {
            request.key("test provider") for request in asks(5)
        }
