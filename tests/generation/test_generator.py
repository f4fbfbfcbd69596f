import asyncio
import dataclasses
import hashlib
import json
import random
from collections import Counter

import pytest

from generation_support import asker, collect, dialogue, reply, row
from posology.errors import BudgetReached
from posology.generation.checks import Limits
from posology.generation.generator import Candidate, Generator, Rejected, Rules, Sampling
from posology.generation.material import Example
from posology.generation.prompts import Prompts
from posology.llm.contract import ModelCallError
from posology.records import TextRule

SAMPLING = Sampling("scripted-1")
WORDS = "parcel boots jacket money monday label voucher tent stove lamp courier depot invoice card shop".split()


def rows(n, topics=3, **changes):
    return [row(f"syn0-{i}", f"t{i % topics}", seed=i, **{"examples": (), **changes}) for i in range(n)]


def unique(key, request):
    """A different conversation for every request, and the same one for the same request."""
    digest = hashlib.sha256(request.key("scripted").encode()).digest()
    return reply(dialogue(" ".join(WORDS[byte % len(WORDS)] for byte in digest[:8]), f"It is case {digest.hex()[:9]}."))


def generator(plan, material, *, mode="dialogue", sampling=SAMPLING, real=frozenset(), **rules):
    return Generator(plan, Prompts(mode, material), sampling, Rules(**rules), real=real)


def finals(outcomes):
    """How every row ended: its candidate or its final rejection."""
    ended = {}
    for outcome in outcomes:
        if isinstance(outcome, Rejected) and not outcome.final:
            continue
        id = outcome.conversation.id if isinstance(outcome, Candidate) else outcome.row.id
        assert id not in ended
        ended[id] = outcome
    return ended


def test_every_row_becomes_a_candidate_with_its_provenance(material):
    (outcome,) = collect(generator([row()], material), asker(unique))
    conversation = outcome.conversation
    assert (conversation.id, conversation.topic, conversation.source) == ("syn0-1", "refund", "synthetic")
    assert [message.role for message in conversation.messages] == ["user", "assistant"]
    meta = conversation.meta
    assert meta["generator"] == meta["model"] == "scripted-1"
    assert (meta["persona"], meta["mood"], meta["seed"], meta["attempt"]) == ("night-shift nurse", "neutral", 7, 1)
    assert meta["docs"] == ["returns.md#Refund times"] and meta["examples"] == ["r0"]
    assert meta["template"].startswith("dialogue-1-") and meta["plan_row"] == "syn0-1"
    json.dumps(dict(meta))


def test_what_fails_is_kept_with_its_reply_and_tried_again(material):
    bad = reply(dialogue("Hello **there** you", "It is late."))

    def answer(key, request):
        return bad if "/1/" in key else unique(key, request)

    outcomes = collect(generator(rows(4), material), asker(answer))
    assert Counter(type(outcome).__name__ for outcome in outcomes) == {"Rejected": 4, "Candidate": 4}
    first = outcomes[0]
    assert (first.reason, first.raw, first.final, first.attempt) == ("markup", bad.text, False, 1)
    assert first.as_row() == {
        "id": "syn0-0",
        "topic": "t0",
        "reason": "markup",
        "detail": "Turn 1 holds markup.",
        "checks": ["markup"],
        "attempt": 1,
        "raw": bad.text,
    }
    assert all(outcome.attempt == 2 for outcome in outcomes if isinstance(outcome, Candidate))


def test_a_further_attempt_has_another_seed_and_is_told_what_was_wrong(material):
    asked = {}

    def answer(key, request):
        asked[key] = request
        return reply(dialogue("So it **begins**", "ok then"))

    outcomes = collect(generator(rows(1), material, attempts=3), asker(answer))
    assert [outcome.final for outcome in outcomes] == [False, False, True]
    assert list(asked) == ["syn0-0/1/1", "syn0-0/2/1", "syn0-0/3/1"]
    assert len({request.seed for request in asked.values()}) == 3
    second = asked["syn0-0/2/1"].messages[-1][1]
    assert "It held markup" in second and "So it **begins** ..." in second
    assert "It held markup" not in asked["syn0-0/1/1"].messages[-1][1]


@pytest.mark.parametrize(
    ("answer", "reason", "attempts"),
    [
        (reply(dialogue("hi you", "yo"), "length"), "truncated", 2),
        (reply("", "refused"), "refused", 2),
        (reply("no idea"), "no_json", 2),
        (reply('{"messages": [{"role": "user", "content": "hi"'), "truncated", 2),
        (reply('{"messages": 3}'), "schema", 2),
        (ModelCallError("x", kind="refused", raw="policy"), "call_refused", 2),
        (ModelCallError("x", kind="malformed", raw="<html>"), "call_malformed", 2),
        (ModelCallError("x", kind="timeout", raw=""), "call_timeout", 1),
        (ModelCallError("x", kind="overloaded", raw="529"), "call_overloaded", 1),
    ],
)
def test_calls_that_give_nothing_end_the_row_with_reason_and_raw_reply(material, answer, reason, attempts):
    outcomes = collect(generator(rows(1), material, attempts=2), asker(lambda *_: answer))
    assert [outcome.reason for outcome in outcomes] == [reason] * attempts
    assert outcomes[-1].final
    assert outcomes[-1].raw == (answer.raw if isinstance(answer, ModelCallError) else answer.text)


def test_a_refused_key_ends_the_run(material):
    error = ModelCallError("no key", kind="auth")
    with pytest.raises(ModelCallError, match="no key"):
        collect(generator(rows(5), material), asker(lambda *_: error))


def test_a_prompt_that_does_not_fit_costs_no_call(material):
    def never(key, request):
        raise AssertionError("asked")

    outcomes = collect(generator(rows(3), material, sampling=Sampling("m", prompt_tokens=20)), asker(never))
    assert [(outcome.reason, outcome.final) for outcome in outcomes] == [("prompt_too_long", True)] * 3
    assert "tokens where 20 fit" in outcomes[0].detail


def test_after_context_too_long_less_is_sent(material):
    sizes = []

    def answer(key, request):
        sizes.append(sum(len(content) for _, content in request.messages))
        return ModelCallError("x", kind="context_too_long") if len(sizes) == 1 else unique(key, request)

    planned = rows(1, examples=tuple(Example(str(n), f"Customer: {'e' * 900}") for n in range(4)))
    outcomes = collect(generator(planned, material), asker(answer))
    assert isinstance(outcomes[-1], Candidate) and sizes[1] <= sizes[0] / 2
    assert outcomes[-1].conversation.meta["trimmed"]


def test_word_for_word_repeats_are_rejected_the_later_one_in_plan_order(material):
    same = reply(dialogue("Where is the parcel I ordered", "On its way."))
    for order in (lambda open_: 0, lambda open_: len(open_) - 1):
        outcomes = collect(generator(rows(3, topics=1), material, attempts=2), asker(lambda *_: same, order=order))
        assert [type(outcome).__name__ for outcome in outcomes] == ["Candidate"] + ["Rejected"] * 4
        assert outcomes[0].conversation.id == "syn0-0"
        assert {outcome.reason for outcome in outcomes[1:]} == {"repeats_candidate"}


def test_copies_of_any_real_opening_are_rejected(material):
    same = reply(dialogue("Where is the PARCEL, I ordered", "On its way."))
    real = frozenset({"where is the parcel i ordered"})
    (outcome,) = collect(generator(rows(1), material, attempts=1, real=real), asker(lambda *_: same))
    assert outcome.reason == "copied_exact"


def messy(key, request):
    """Good, damaged, cut and failed answers, decided by the request alone."""
    chance = random.Random(request.key("scripted")).random()
    if chance < 0.1:
        return ModelCallError("x", kind="timeout")
    if chance < 0.2:
        return reply("nothing", "length")
    if chance < 0.3:
        return reply(dialogue("always the same opening here", "yes"))
    return unique(key, request)


def test_outcomes_and_requests_do_not_depend_on_the_order_of_replies(material):
    runs = []
    for ahead, pick in ((1, None), (7, None), (40, random.Random(1)), (1000, random.Random(2))):
        asked = []

        def answer(key, request, asked=asked):
            asked.append((key, request.key("p")))
            return messy(key, request)

        order = (lambda open_, pick=pick: pick.randrange(len(open_))) if pick else None
        outcomes = collect(generator(rows(120), material, lag=50), asker(answer, ahead=ahead, order=order))
        runs.append((outcomes, sorted(asked)))
    assert all(run == runs[0] for run in runs[1:])
    ended = finals(runs[0][0])
    assert ended.keys() == {f"syn0-{i}" for i in range(120)}
    assert {outcome.reason for outcome in ended.values() if isinstance(outcome, Rejected)} >= {"call_timeout"}


def test_recent_openings_are_fed_back_after_the_lag_and_only_then(material):
    prompts = {}

    def answer(key, request):
        prompts[key] = request.messages[-1][1]
        return unique(key, request)

    outcomes = collect(generator(rows(30, topics=1), material, lag=10), asker(answer, ahead=4))
    openings = [TextRule(max_turns=1).text(outcome.conversation)[:60].strip() for outcome in outcomes]
    assert "Already written" not in prompts["syn0-9/1/1"]
    for place in (10, 17, 29):
        told = prompts[f"syn0-{place}/1/1"]
        assert f"- {openings[place - 10]} ..." in told
        assert f"- {openings[place - 9]} ..." not in told
    prompts.clear()
    collect(generator(rows(30, topics=1), material, lag=10, feedback=False), asker(answer, ahead=1000))
    assert not any("Already written" in prompt for prompt in prompts.values())


def test_a_reply_that_comes_in_a_later_run_changes_no_prompt_after_it(material):
    """What was asked after a call that had failed was bought, and must be found in the ledger again."""

    def prompts_if(third):
        prompts = {}

        def answer(key, request):
            prompts[key] = request.messages[-1][1]
            return third(key, request) if key == "syn0-3/1/1" else unique(key, request)

        outcomes = collect(generator(rows(40, topics=1), material, lag=10), asker(answer, ahead=4))
        return prompts, sum(isinstance(outcome, Candidate) for outcome in outcomes)

    failing, fewer = prompts_if(lambda *_: ModelCallError("too late", kind="timeout"))
    late, more = prompts_if(lambda key, request: dataclasses.replace(unique(key, request), late=True))
    assert late == failing and (fewer, more) == (39, 40)
    assert prompts_if(unique)[0] != failing


def test_no_more_is_begun_than_the_lag_allows_while_an_early_place_is_open(material):
    begun = []

    async def ask(requests):
        taken = list(requests)
        begun.append(len(taken))
        for key, request in reversed(taken):
            yield key, unique(key, request)

    assert len(collect(generator(rows(25), material, lag=10), ask)) == 25
    assert begun == [10, 10, 5]


def test_rows_are_taken_as_they_are_needed(material):
    taken = 0

    def plan():
        nonlocal taken
        for planned in rows(500):
            taken += 1
            yield planned

    async def run():
        async for _ in generator(plan(), material).run(asker(unique, ahead=5)):
            return taken

    assert asyncio.run(run()) <= 10


def test_customer_and_agent_are_played_apart(material):
    seen = {}

    def answer(key, request):
        seen[key] = request
        step = int(key.rsplit("/", 1)[1])
        return reply(f"This is what is said in turn {step} of row {key.split('/')[0]}")

    planned = [row(f"syn0-{i}", turns=4, words=12, examples=()) for i in range(6)]
    outcomes = collect(generator(planned, material, mode="turns"), asker(answer, ahead=3))
    assert [len(outcome.conversation.messages) for outcome in outcomes] == [4] * 6
    assert [m.role for m in outcomes[0].conversation.messages] == ["user", "assistant"] * 2
    assert len(seen) == 24 and len({request.seed for request in seen.values()}) == 4
    assert "5 working days" in seen["syn0-0/1/2"].messages[0][1]
    assert "5 working days" not in seen["syn0-0/1/3"].messages[0][1]
    assert seen["syn0-0/1/1"].schema is None


def test_a_conversation_in_turns_that_breaks_off_keeps_what_was_said(material):
    def answer(key, request):
        return reply("cut off here", "length") if key.endswith("/3") else reply(f"some words in {key}")

    planned = [row(turns=4, examples=())]
    (outcome,) = collect(generator(planned, material, mode="turns", attempts=1), asker(answer))
    assert (outcome.reason, outcome.final) == ("truncated", True)
    assert outcome.raw == "some words in syn0-1/1/1\nsome words in syn0-1/1/2\ncut off here"


def test_a_list_is_continued_as_chat_or_as_bare_text(real):
    from posology.generation.material import gather

    material = gather(real, dialogues=False)
    planned = [row(turns=1, docs=(), catalog=(), words=6, examples=material.examples["refund"][:3])]
    seen = []

    def answer(key, request):
        seen.append(request)
        return reply(" my refund is nowhere to be seen")

    for completion in (False, True):
        sampling = Sampling("m", completion=completion)
        (outcome,) = collect(generator(planned, material, mode="continuation", sampling=sampling), asker(answer))
        assert outcome.conversation.messages[0].content == "my refund is nowhere to be seen"
    assert [role for role, _ in seen[0].messages] == ["user", "assistant"]
    assert [role for role, _ in seen[1].messages] == ["completion"]
    assert seen[1].messages[0][1].endswith(f"- {planned[0].examples[2].text}\n-")
    assert seen[0].stop == ("\n",)


def test_what_was_answered_before_the_money_ran_out_is_handed_over(material):
    async def ask(requests):
        for n, (key, request) in enumerate(requests):
            if n == 2:
                continue  # in flight for ever
            if n == 6:
                raise BudgetReached("spent")
            yield key, unique(key, request)

    async def run():
        found = []
        with pytest.raises(BudgetReached):
            async for outcome in generator(rows(20), material).run(ask):
                found.append(outcome.conversation.id)
        return found

    assert asyncio.run(run()) == ["syn0-0", "syn0-1", "syn0-3", "syn0-4", "syn0-5"]


def test_an_asker_that_loses_or_invents_answers_is_found_out(material):
    async def loses(requests):
        for n, (key, request) in enumerate(requests):
            if n:
                yield key, unique(key, request)

    async def invents(requests):
        yield "else", unique("", next(iter(requests))[1])

    with pytest.raises(ValueError, match="1 requests were not answered"):
        collect(generator(rows(3), material), loses)
    with pytest.raises(ValueError, match="was not asked"):
        collect(generator(rows(3), material), invents)


def test_what_is_still_too_long_at_half_its_size_ends_there(material):
    error = ModelCallError("x", kind="context_too_long", raw="8192")
    outcomes = collect(generator(rows(1), material), asker(lambda *_: error))
    assert [(o.reason, o.final) for o in outcomes] == [("call_context_too_long", False), ("prompt_too_long", True)]
    assert outcomes[0].raw == "8192"


def test_whoever_stops_listening_closes_the_asker(material):
    closed = []

    async def ask(requests):
        try:
            for key, request in requests:
                yield key, unique(key, request)
        finally:
            closed.append(True)

    async def run():
        outcomes = generator(rows(9), material).run(ask)
        await anext(outcomes)
        await outcomes.aclose()

    asyncio.run(run())
    assert closed == [True]


def test_an_empty_plan_ends_at_once(material):
    assert collect(generator([], material), asker(unique)) == []


def test_first_requests_are_those_that_will_be_made(material):
    planned = rows(5)
    estimated = [request for _, request in generator(planned, material).first_requests()]
    asked = []

    def answer(key, request):
        asked.append(request)
        return unique(key, request)

    collect(generator(planned, material), asker(answer))
    assert asked == estimated


def test_seeds_and_schema_can_be_left_out(material):
    sampling = Sampling("m", seeds=False, structured=False, temperature=None, extra={"top_k": 5})
    ((_, request),) = generator(rows(1), material, sampling=sampling).first_requests()
    assert (request.seed, request.schema, request.temperature, dict(request.extra)) == (None, None, None, {"top_k": 5})


def test_limits_reach_the_checks(material):
    strict = Limits(turn_letters=10)
    (outcome,) = collect(generator(rows(1), material, limits=strict, attempts=1), asker(unique))
    assert outcome.reason == "length"
    assert dataclasses.replace(strict, turn_letters=99).turn_letters == 99
