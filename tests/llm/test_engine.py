import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections import Counter
from contextlib import aclosing

import pytest

from llm.serving import ask, reply
from posology.errors import BudgetReached, PosologyError, StoreError
from posology.llm.budget import BudgetHeld
from posology.llm.contract import ModelCallError, Reply, Usage
from posology.llm.engine import Engine, Tagged
from posology.llm.ledger import Ledger
from posology.llm.limits import Limits
from posology.llm.scripted import Scripted
from posology.llm.stopping import Interrupted


class Model:
    """Answers with `say(text, attempt)`: a text, a Reply or an error; counts everything."""

    provider = "test"
    name = "m"

    def __init__(self, say=lambda text, attempt: f"re: {text}", seconds=0.0):
        self.say, self.seconds = say, seconds
        self.sent = Counter()
        self.flying = self.most = 0
        self.closed = False

    async def complete(self, request):
        text = request.messages[0][1]
        self.sent[text] += 1
        self.flying += 1
        self.most = max(self.most, self.flying)
        try:
            await asyncio.sleep(self.seconds)
        finally:
            self.flying -= 1
        said = self.say(text, self.sent[text])
        if isinstance(said, BaseException):
            raise said
        return said if isinstance(said, Reply) else reply(said)

    async def close(self):
        self.closed = True


def error(kind, **fields):
    return ModelCallError(f"the server at http://host failed: {kind}.", kind=kind, **fields)


def tagged(n, start=0):
    return [Tagged(i, ask(f"q{i}")) for i in range(start, start + n)]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "ledger.sqlite"


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr("posology.llm.limits.FIRST_BACKOFF", 0.002)
    monkeypatch.setattr("posology.llm.limits.LONGEST_BACKOFF", 0.01)


def run(path, model, requests, *, ordered=False, into=None, **options):
    """The results of a run, and what it raised."""
    limits = options.pop("limits", None) or Limits(concurrency=16)
    results = [] if into is None else into

    async def main():
        with Ledger(path) as ledger:
            async with Engine(model, ledger, limits=limits, **options) as engine:
                async with aclosing(engine.run(requests, ordered=ordered)) as stream:
                    async for result in stream:
                        results.append(result)

    try:
        asyncio.run(main())
    except PosologyError as raised:
        return results, raised
    return results, None


def test_every_request_is_answered_once_and_a_re_run_sends_nothing(path):
    model = Model(seconds=0.002)
    results, raised = run(path, model, tagged(200))
    assert raised is None
    assert sorted(r.tag for r in results) == list(range(200))
    assert all(r.reply.text == f"re: q{r.tag}" and r.error is None and not r.from_ledger for r in results)
    assert set(model.sent.values()) == {1}
    assert model.most == 16
    assert model.closed
    again = Model()
    results, _ = run(path, again, tagged(201))
    assert [t for t in again.sent] == ["q200"]
    assert sum(r.from_ledger for r in results) == 200


def test_results_come_in_order_when_asked(path):
    model = Model()
    model.say = lambda text, attempt: error("overloaded") if attempt < 2 and text == "q0" else "ok"
    results, _ = run(path, model, tagged(300), ordered=True)
    assert [r.tag for r in results] == list(range(300))


def test_requests_are_read_only_as_far_as_results_are_taken(path):
    taken = 0

    def endless():
        nonlocal taken
        while True:
            taken += 1
            yield Tagged(taken, ask(f"q{taken}"))

    async def main():
        with Ledger(path) as ledger:
            async with Engine(Model(), ledger, limits=Limits(concurrency=4)) as engine:
                async with aclosing(engine.run(endless())) as stream:
                    for _ in range(10):
                        await anext(stream)
                    await asyncio.sleep(0.05)
                    return taken

    assert asyncio.run(main()) <= 10 + 2 * 4 + 64


def test_equal_requests_in_flight_are_sent_once(path):
    model = Model(seconds=0.02)
    results, _ = run(path, model, [Tagged(i, ask("same")) for i in range(50)])
    assert model.sent == {"same": 1}
    assert [r.reply.text for r in results] == ["re: same"] * 50
    assert sum(not r.from_ledger for r in results) == 1


def test_every_reply_is_in_the_ledger_when_it_is_handed_on(path):
    async def main():
        with Ledger(path) as ledger, Ledger(path) as other:
            async with Engine(Model(), ledger, stage="verify", price=lambda request, usage: 0.25) as engine:
                async for result in engine.run(tagged(50)):
                    assert other.look_up(ask(f"q{result.tag}").key("test")) == result.reply
            (totals,) = ledger.stats()
            assert (totals.stage, totals.answered, totals.cost) == ("verify", 50, 12.5)

    asyncio.run(main())


@pytest.mark.parametrize("kind", ["rate_limited", "overloaded", "timeout", "connection", "malformed"])
def test_what_may_pass_is_tried_again(path, kind):
    model = Model(lambda text, attempt: error(kind, raw="<raw>") if attempt == 1 and text != "q0" else "ok")
    results, raised = run(path, model, tagged(20))
    assert raised is None
    assert all(r.reply for r in results)
    assert model.sent["q1"] == 2
    with Ledger(path) as ledger:
        (totals,) = ledger.stats()
        assert totals.attempts == sum(model.sent.values())
        assert totals.failed == (19 if kind == "malformed" else 0)  # only these carry something worth keeping


@pytest.mark.parametrize("kind", ["refused", "context_too_long"])
def test_what_cannot_pass_is_sent_once_for_ever(path, kind):
    say = lambda text, attempt: error(kind, raw="why") if text == "q3" else "ok"  # noqa: E731
    for expected in (1, 0):
        model = Model(say)
        results, raised = run(path, model, tagged(10))
        assert raised is None
        (failed,) = (r for r in results if r.error)
        assert (failed.tag, failed.error.kind, failed.error.raw) == (3, kind, "why")
        assert model.sent["q3"] == expected


def test_a_call_that_keeps_failing_is_given_up_and_sent_again_by_the_next_run(path):
    def say(text, attempt):
        return error("overloaded") if text == "q3" else "ok"

    model = Model(say)
    results, raised = run(path, model, tagged(40), limits=Limits(concurrency=4, attempts=3))
    assert raised is None
    assert [r.tag for r in results if r.error] == [3]
    assert model.sent["q3"] == 3
    again = Model()
    results, _ = run(path, again, tagged(40))
    assert again.sent == {"q3": 1}
    assert all(r.reply for r in results)


def test_a_reply_beside_failures_says_so_in_every_run(path):
    def say(text, attempt):
        return error({"q3": "overloaded", "q5": "malformed"}[text]) if text in failing and attempt == 1 else "ok"

    failing = {"q3", "q5"}
    results, _ = run(path, Model(say), tagged(8), limits=Limits(concurrency=4, attempts=1))
    assert {r.tag for r in results if r.error} == {3, 5}
    failing = {"q5"}
    for _ in range(2):
        results, _ = run(path, Model(say), tagged(10), limits=Limits(concurrency=4))
        assert {r.tag for r in results if r.reply.late} == {3, 5}


@pytest.mark.parametrize("kind", ["auth", "not_found"])
def test_a_refused_key_stops_at_the_first_call(path, kind):
    model = Model(lambda text, attempt: error(kind))
    results, raised = run(path, model, tagged(100), limits=Limits(concurrency=64))
    assert (results, raised.kind) == ([], kind)
    assert sum(model.sent.values()) == 1


def test_a_model_that_vouches_for_its_server_opens_all_places_at_once(path):
    model = Model(seconds=0.02)

    async def check():
        return True

    model.check = check
    run(path, model, tagged(8), limits=Limits(concurrency=8))
    assert model.most == 8


def test_a_server_that_is_down_stops_the_run_after_a_few_calls(path):
    model = Model(lambda text, attempt: error("connection", remedy="Check base_url."))
    results, raised = run(path, model, tagged(100), limits=Limits(concurrency=64))
    assert results == []
    assert "stopped: the server at http://host failed" in str(raised)
    assert "Check base_url" in raised.remedy
    assert sum(model.sent.values()) == 3


def test_an_outage_loses_no_row(path):
    down = False

    def say(text, attempt):
        return error("connection") if down else "ok"

    model = Model(say, seconds=0.001)

    async def main():
        nonlocal down
        results = []
        with Ledger(path) as ledger:
            async with Engine(model, ledger, limits=Limits(concurrency=8, attempts=4)) as engine:
                async for result in engine.run(tagged(200)):
                    results.append(result)
                    if len(results) == 50:
                        down = True
                        asyncio.get_running_loop().call_later(0.3, restore)
        return results

    def restore():
        nonlocal down
        down = False

    results = asyncio.run(main())
    assert len(results) == 200
    assert all(r.reply for r in results)


def test_a_server_that_stays_down_ends_the_run_and_the_next_one_finishes_it(path):
    down = threading.Event()
    model = Model(lambda text, attempt: error("connection") if down.is_set() else "ok")

    def requests():
        for i, one in enumerate(tagged(300)):
            if i == 150:
                down.set()
            yield one

    results, raised = run(path, model, requests(), limits=Limits(concurrency=8, patience=0.2))
    assert raised.kind == "connection"
    assert "ledger" in raised.remedy
    assert results
    assert all(r.reply for r in results)
    again = Model()
    final, _ = run(path, again, tagged(300))
    assert len(final) == 300
    assert sum(again.sent.values()) == 300 - len(results)


def test_a_call_that_the_server_never_answers_does_not_end_the_run(path):
    model = Model(lambda text, attempt: error("overloaded", raw="why") if text == "q7" else "ok", seconds=0.001)
    results, raised = run(path, model, tagged(30), limits=Limits(concurrency=8, patience=0.1, attempts=1000))
    assert raised is None and len(results) == 30
    assert [(r.tag, r.error.kind, r.error.raw) for r in results if r.error] == [(7, "overloaded", "why")]
    with Ledger(path) as ledger:
        assert (ledger.stats()[0].answered, ledger.stats()[0].failed) == (29, 1)


def test_a_hundred_faults_lose_no_row(path):
    faults = {"rate_limited": 0.1, "overloaded": 0.05, "connection": 0.02, "malformed": 0.05}
    model = Scripted(lambda request, rng: f"{rng.random()}", faults=faults)
    results, raised = run(path, model, tagged(500), limits=Limits(concurrency=64))
    assert raised is None
    assert sorted(r.tag for r in results) == list(range(500))
    assert sum(r.reply is None for r in results) <= 5  # three malformed in a row, rightly given up
    assert model.calls > 550


def test_retry_after_is_obeyed(path):
    times = []

    def say(text, attempt):
        times.append(time.monotonic())
        return error("rate_limited", retry_after=0.2) if attempt == 1 else "ok"

    run(path, Model(say), tagged(1))
    assert times[1] - times[0] >= 0.2


def test_a_wait_longer_than_our_patience_ends_the_run(path):
    model = Model(lambda text, attempt: error("rate_limited", retry_after=3600.0))
    _, raised = run(path, model, tagged(5))
    assert raised.kind == "rate_limited"
    assert sum(model.sent.values()) == 1


def test_sustained_429s_make_no_storm(path):
    model = Model(seconds=0.002)
    model.say = lambda text, attempt: error("rate_limited") if model.flying >= 4 else "ok"
    results, raised = run(path, model, tagged(300), limits=Limits(concurrency=64))
    assert raised is None
    assert all(r.reply for r in results)
    assert sum(model.sent.values()) < 3 * 300


def test_a_call_that_takes_too_long_is_a_timeout(path):
    model = Model(seconds=0)

    async def complete(request, original=model.complete):
        await original(request)
        if request.messages[0][1] == "q1":
            await asyncio.sleep(60)
        return reply()

    model.complete = complete
    results, _ = run(path, model, tagged(5), limits=Limits(concurrency=4, timeout=0.05, attempts=2))
    (late,) = (r for r in results if r.error)
    assert (late.tag, late.error.kind) == (1, "timeout")


def test_the_deadline_ends_the_run_and_finishes_what_is_in_flight(path):
    model = Model(seconds=0.05)
    results, raised = run(path, model, tagged(500), limits=Limits(concurrency=4, deadline=0.3))
    assert "time limit of 0.3 seconds" in str(raised)
    assert 0 < len(results) == sum(model.sent.values()) < 100


def test_requests_and_tokens_a_minute_are_kept(path):
    start = time.monotonic()
    model = Model()
    run(path, model, tagged(30), limits=Limits(concurrency=16, rpm=60 * 100))
    assert time.monotonic() - start > 0.15
    start = time.monotonic()
    requests = [Tagged(i, ask(f"t{i}", max_tokens=100)) for i in range(30)]  # 104 tokens each, of which 5 are used
    run(path, model, requests, limits=Limits(concurrency=16, tpm=60 * 1000))
    assert 0.02 < time.monotonic() - start < 2


class Purse:
    """A gate for a number of calls; `held` makes it wait for those in flight first."""

    def __init__(self, money):
        self.money, self.set_aside = money, 0
        self.events = Counter()

    def admit(self, request):
        if self.money - self.set_aside < 2:
            self.events["no"] += 1
            raise BudgetHeld("held.") if self.set_aside and self.money >= 2 else BudgetReached("the budget is reached.")
        self.set_aside += 2
        self.events["admitted"] += 1

    def settle(self, request, usage):
        self.set_aside -= 2
        self.money -= usage != Usage()  # each turns out at half of what was feared
        self.events["settled"] += 1


def test_the_budget_stops_before_the_call_that_would_pass_it(path):
    purse = Purse(41)
    model = Model(lambda text, attempt: error("overloaded") if attempt == 1 and text == "q5" else "ok", seconds=0.001)
    results, raised = run(path, model, tagged(500), gate=purse)
    assert isinstance(raised, BudgetReached)
    assert raised.exit_code == 4
    assert len(results) == 40  # two were set aside for each, one was spent
    assert purse.money == 1
    assert purse.events["admitted"] == purse.events["settled"] == sum(model.sent.values())
    known = [Tagged(r.tag, ask(f"q{r.tag}")) for r in results]
    results, raised = run(path, model, known, gate=Purse(0))
    assert raised is None  # what is in the ledger is free
    assert len(results) == 40


def test_an_unwritable_ledger_ends_the_run(path):
    class Full:
        def __init__(self, ledger):
            self.look_up = ledger.look_up
            self.written = 0

        async def write(self, call):
            self.written += 1
            if self.written == 5:
                raise StoreError("no room left on the disk.")
            return call.outcome

    async def main():
        seen = 0
        with Ledger(path) as ledger:
            async with Engine(Model(), Full(ledger), limits=Limits(concurrency=2)) as engine:
                with pytest.raises(StoreError, match="no room"):
                    async for _ in engine.run(tagged(100)):
                        seen += 1
        return seen

    assert 4 <= asyncio.run(main()) < 10


def test_an_error_of_the_caller_s_iterable_comes_after_what_is_in_flight(path):
    def broken():
        yield from tagged(200)
        raise PosologyError("the plan is broken.")

    model = Model(seconds=0.01)
    results, raised = run(path, model, broken())
    assert str(raised) == "the plan is broken."
    assert 50 < len(results) == sum(model.sent.values())


def test_a_caller_who_leaves_early_wastes_nothing_in_flight(path):
    model = Model(seconds=0.02)

    async def main():
        with Ledger(path) as ledger:
            async with Engine(model, ledger, limits=Limits(concurrency=4)) as engine:
                async with aclosing(engine.run(tagged(100))) as stream:
                    async for _ in stream:
                        break
                sent = sum(model.sent.values())
                assert len(ledger.answered(ask(f"q{i}").key("test") for i in range(100))) == sent < 20
                left = [result async for result in engine.run(tagged(30))]  # and the engine goes on
                assert len(left) == 30

    asyncio.run(main())
    assert set(model.sent.values()) == {1}


def test_work_may_make_many_calls(path):
    model = Model(lambda text, attempt: text + "!")

    async def main():
        with Ledger(path) as ledger:
            async with Engine(model, ledger) as engine:

                async def dialogue(name):
                    text = name
                    for _ in range(3):
                        text = (await engine.call(Tagged(None, ask(text)))).reply.text
                    return text

                return [text async for text in engine.map(dialogue, "abc", ordered=True)]

    assert asyncio.run(main()) == ["a!!!", "b!!!", "c!!!"]


def test_work_that_survives_errors_does_not_survive_the_end_of_the_run(path):
    model = Model(lambda text, attempt: error("auth"))

    async def main():
        with Ledger(path) as ledger:
            async with Engine(model, ledger) as engine:

                async def stubborn(name):
                    for i in range(1000):
                        try:
                            await engine.call(Tagged(None, ask(f"{name}{i}")))
                        except Exception:
                            continue

                return [none async for none in engine.map(stubborn, "abc")]

    with pytest.raises(ModelCallError, match="auth"):
        asyncio.run(main())
    assert sum(model.sent.values()) == 1


def test_a_bug_in_the_work_ends_the_run(path):
    async def main():
        with Ledger(path) as ledger:
            async with Engine(Model(), ledger) as engine:

                async def work(i):
                    return 1 // i

                return [x async for x in engine.map(work, [1, 0, 1])]

    with pytest.raises(ZeroDivisionError):
        asyncio.run(main())


def test_the_collector_and_the_signals_are_set_back(path):
    import gc

    before = gc.get_threshold(), signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    run(path, Model(), tagged(5))
    assert (gc.get_threshold(), signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_an_engine_works_outside_the_main_thread(path):
    got = []
    thread = threading.Thread(target=lambda: got.append(run(path, Model(), tagged(5))))
    thread.start()
    thread.join()
    assert len(got[0][0]) == 5


def test_ctrl_c_finishes_what_is_in_flight_and_says_so(path):
    warned = []

    class Watcher:
        def step(self, label, done, total, detail=""):
            pass

        def note(self, text):
            pass

        warn = warned.append

    model = Model(seconds=0.1)
    timer = threading.Timer(0.25, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    results, raised = run(path, model, tagged(500), limits=Limits(concurrency=4), progress=Watcher())
    timer.join()
    assert isinstance(raised, Interrupted)
    assert raised.exit_code == 130
    assert "same command again" in raised.remedy
    assert 0 < len(results) == sum(model.sent.values()) < 30
    assert "waiting for 4 calls in flight" in warned[0]


def test_a_second_ctrl_c_leaves_at_once(path):
    model = Model(seconds=30)
    timers = [threading.Timer(wait, os.kill, (os.getpid(), signal.SIGINT)) for wait in (0.1, 0.3)]
    for timer in timers:
        timer.start()
    start = time.monotonic()
    results, raised = run(path, model, tagged(5))
    assert time.monotonic() - start < 3
    assert results == []
    assert isinstance(raised, Interrupted)


def test_a_killed_run_loses_only_what_was_in_flight(path, tmp_path):
    code = textwrap.dedent(
        """
        import asyncio, os, sys
        from pathlib import Path
        from posology.llm.contract import ChatRequest, Reply, Usage
        from posology.llm.engine import Engine, Tagged
        from posology.llm.ledger import Ledger
        from posology.llm.limits import Limits

        class Model:
            provider, name = "test", "m"
            async def complete(self, request):
                os.write(1, b".")
                await asyncio.sleep(0.002)
                return Reply("x", Usage(1, 1), "stop", "m")
            async def close(self): pass

        async def main(path):
            with Ledger(Path(path)) as ledger:
                async with Engine(Model(), ledger, limits=Limits(concurrency=16)) as engine:
                    requests = (Tagged(i, ChatRequest("m", (("user", f"q{i}"),))) for i in range(600))
                    rows = [result.tag async for result in engine.run(requests)]
            assert sorted(rows) == list(range(600))

        asyncio.run(main(sys.argv[1]))
        """
    )
    sent = 0
    for moment in (40, 150, 300, None):
        with subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE) as process:
            if moment is not None:
                assert len(process.stdout.read(moment)) == moment
                process.kill()
                sent += moment
            sent += len(process.stdout.read())
    assert process.returncode == 0
    assert 600 <= sent <= 600 + 3 * 16
    with Ledger(path) as ledger:
        keys = [row["key"] for row in ledger.rows()]
    assert len(keys) == len(set(keys)) == 600
