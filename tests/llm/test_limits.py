import asyncio
import random
import time

import pytest

from llm.serving import ask
from posology.errors import UsageError
from posology.llm.contract import ModelCallError
from posology.llm.limits import Breaker, Bucket, Limits, Slots, Timeouts, backoff, estimate_tokens


def failed(kind, after=None):
    return ModelCallError("it failed.", kind=kind, retry_after=after)


@pytest.mark.parametrize(
    "name", ["concurrency", "rpm", "tpm", "timeout", "deadline", "attempts", "patience", "breaker"]
)
@pytest.mark.parametrize("value", [0, -1, float("nan")])
def test_limits_must_be_positive(name, value):
    with pytest.raises(UsageError, match=name):
        Limits(**{name: value})


def test_a_bucket_keeps_to_its_rate():
    async def main():
        bucket = Bucket(60 * 100)  # 100 a second, bursts of 10
        start = time.monotonic()
        await asyncio.gather(*(bucket.take(1) for _ in range(40)))
        return time.monotonic() - start

    assert 0.28 <= asyncio.run(main()) < 0.6


def test_more_than_a_bucket_holds_is_taken_on_credit_and_given_back():
    async def main():
        bucket = Bucket(60 * 1000)  # 1000 a second, bursts of 100
        start = time.monotonic()
        await bucket.take(250)  # at once; 150 are owed
        first = time.monotonic() - start
        asyncio.get_running_loop().call_later(0.02, bucket.give_back, 250)
        await bucket.take(100)
        return first, time.monotonic() - start

    first, second = asyncio.run(main())
    assert first < 0.05
    assert second < 0.15  # without what was given back: 0.25


def test_a_closed_bucket_lets_everybody_through():
    async def main():
        bucket = Bucket(1)
        await bucket.take(1)
        waiting = [asyncio.create_task(bucket.take(1)) for _ in range(3)]
        await asyncio.sleep(0.01)
        bucket.close()
        async with asyncio.timeout(1):
            await asyncio.gather(*waiting)

    asyncio.run(main())


class Crowd:
    """Calls against a server that turns away what it cannot take, at once."""

    def __init__(self, slots, capacity):
        self.slots, self.capacity = slots, capacity
        self.inside = self.served = self.refused = 0

    async def call(self):
        while True:
            started = await self.slots.acquire()
            self.inside += 1
            kind = None
            if self.inside > self.capacity:
                kind = "rate_limited"
                self.refused += 1
                await asyncio.sleep(0.001)
            else:
                await asyncio.sleep(0.01)
                self.served += 1
            self.inside -= 1
            self.slots.learn(started, kind)
            self.slots.release()
            if kind is None:
                return
            await asyncio.sleep(0.02)


@pytest.mark.parametrize(("most", "capacity"), [(64, 8), (64, 1), (16, 100)])
def test_slots_find_what_a_server_takes_without_stall_or_storm(most, capacity):
    async def main():
        crowd = Crowd(Slots(most), capacity)
        async with asyncio.timeout(20):
            await asyncio.gather(*(crowd.call() for _ in range(150)))
        return crowd

    crowd = asyncio.run(main())
    assert crowd.served == 150
    assert crowd.slots.in_flight == 0
    assert crowd.refused < (1 if capacity >= most else 3 * 150)
    if capacity >= most:
        assert crowd.slots.limit == most


def test_occasional_refusals_do_not_slow_down():
    async def main():
        slots = Slots(32)
        slots.prove()
        for i in range(2000):
            slots.learn(await slots.acquire(), "rate_limited" if i % 10 == 0 else None)
            slots.release()
        return slots.limit

    assert asyncio.run(main()) == 32


def test_the_first_call_goes_alone_until_the_server_is_proved():
    async def main():
        slots = Slots(8)
        started = await slots.acquire()
        waiting = [asyncio.create_task(slots.acquire()) for _ in range(10)]
        await asyncio.sleep(0)
        assert slots.in_flight == 1
        slots.learn(started, "connection")
        assert slots.limit == 1
        slots.learn(started, "refused")  # a refusal of the content is an answer
        await asyncio.sleep(0)
        assert (slots.limit, slots.in_flight) == (8, 8)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)

    asyncio.run(main())


def test_a_cancelled_waiter_leaves_no_place_taken():
    async def main():
        slots = Slots(1)
        slots.prove()
        await slots.acquire()
        early, late, last = (asyncio.create_task(slots.acquire()) for _ in range(3))
        await asyncio.sleep(0)
        early.cancel()  # while it waits
        await asyncio.sleep(0)
        slots.release()  # the place goes to `late`, which leaves in that moment
        late.cancel()
        await asyncio.gather(early, late, return_exceptions=True)
        async with asyncio.timeout(1):
            await last
        assert slots.in_flight == 1

    asyncio.run(main())


def test_timeouts_end_only_what_is_overdue():
    async def main():
        timeouts = Timeouts(0.1)

        async def one(seconds):
            try:
                return await timeouts.within(asyncio.sleep(seconds, seconds))
            except TimeoutError:
                return "late"

        start = time.monotonic()
        assert await asyncio.gather(*map(one, [0.01, 5, 0.05, 5])) == [0.01, "late", 0.05, "late"]
        assert time.monotonic() - start < 1
        task = asyncio.create_task(timeouts.within(asyncio.sleep(5)))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        timeouts.close()

    asyncio.run(main())


def test_the_breaker_stops_at_once_only_before_the_first_success():
    breaker = Breaker(Limits(breaker=3))
    assert [breaker.failed(failed("connection"), str(n)) for n in range(3)] == [False, False, True]
    breaker = Breaker(Limits(breaker=3))
    breaker.succeeded()
    assert not any(breaker.failed(failed("connection"), str(n)) for n in range(50))
    assert breaker.outage
    breaker.succeeded()
    assert not breaker.outage
    assert not any(Breaker(Limits()).failed(failed("rate_limited"), "a") for _ in range(50))


def test_the_breaker_loses_patience(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("posology.llm.limits.time.monotonic", lambda: now[0])
    breaker = Breaker(Limits(patience=100))
    breaker.succeeded()
    now[0] = 1000.0  # a long pause without calls is no failure
    assert not breaker.failed(failed("rate_limited"), "a")
    now[0] = 1099.0
    assert not breaker.failed(failed("overloaded"), "b")
    now[0] = 1101.0
    assert breaker.failed(failed("rate_limited"), "a")
    assert Breaker(Limits(patience=100)).failed(failed("rate_limited", after=101.0), "a")


def test_the_breaker_blames_a_call_that_fails_alone_and_the_server_if_others_fail_too(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("posology.llm.limits.time.monotonic", lambda: now[0])
    for kind, others, blamed in [
        *((kind, [], True) for kind in ("overloaded", "timeout", "malformed")),
        *((kind, [], False) for kind in ("connection", "rate_limited")),
        ("overloaded", ["b"], False),
    ]:
        breaker = Breaker(Limits(patience=100))
        breaker.succeeded()
        now[0] += 1000.0
        for call in ["a", *others]:
            assert not breaker.failed(failed(kind), call) and not breaker.blames(failed(kind))
        now[0] += 101.0
        assert breaker.failed(failed(kind), "a") is not blamed
        assert breaker.blames(failed(kind)) is blamed
        breaker.forget()
        assert not breaker.failed(failed(kind), "c") and not breaker.blames(failed(kind))


def test_backoff_doubles_spreads_and_obeys():
    rng = random.Random(0)
    for attempt in range(1, 40):
        longest = min(30.0, 0.5 * 2 ** (attempt - 1))
        waits = [backoff(attempt, None, rng) for _ in range(50)]
        assert all(longest / 2 <= wait <= longest for wait in waits)
        assert len(set(waits)) > 40
    assert all(7.0 <= backoff(1, 7.0, rng) <= 7.7 for _ in range(50))


def test_tokens_are_estimated_by_bytes():
    assert estimate_tokens(ask("x" * 400, max_tokens=9)) == (104, 9)
    assert estimate_tokens(ask("語" * 400))[0] == 304
