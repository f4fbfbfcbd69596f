"""Doubts of the data, put to judges: what they are shown, what their answers change, and what stands without them."""

import json
import re

import pytest

from chat_server import ChatServer
from posology.config import Config
from posology.errors import BudgetReached
from posology.judging import Judging
from posology.llm.prices import on_this_machine
from posology.records import Conversation, DocSection, Finding, Message
from posology.settling import Settling
from posology.verification.judging.questions import Questions, Ruling, settled
from posology.verification.leakage.check import EXACT, NEAR, PARAPHRASE, Leakage
from posology.verification.relabel import CHECK, Doubt, Labelled
from verification_replies import number_of

DOCS = (DocSection("a.md", "Refunds", "refund", "Ten days."), DocSection("b.md", "Parcels", "parcel", "Two days."))


def candidate(number, topic="refund"):
    turns = (Message("user", f"Where is the money for parcel number {number}?"),)
    return Conversation(f"c-{number}", turns, topic, "synthetic", {"generator": "local:", "persona": "SECRET"})


def held(number):
    said = f"I am Otto Brackwell, otto@brackwell.org, order {48000 + number} for Porto never came"
    return Conversation(f"h-{number}", (Message("user", said), Message("assistant", "We are sorry")), "parcel")


def labelled(n, state="fail"):
    finding = Finding(CHECK, state, 0.02, 0.03, "by data")
    return Labelled((finding,) * n, ("refund",) * n, dict.fromkeys(range(n), Doubt("parcel", 0.3)))


def leaks(n, doubts=None):
    clean = tuple(Finding(name, "pass") for name in (EXACT, NEAR))
    doubts = doubts or {}
    told = tuple(Finding(PARAPHRASE, "pass", 0.7, 0.8, "by data", f"h-{doubts.get(k, 0)}") for k in range(n))
    return Leakage((clean[0],) * n, (clean[1],) * n, told, {}, True, None, doubts)


def saying(meant):
    """A reply for each request; `meant(number)` is own, other, both or neither, however the topics are shown."""

    def answer(body):
        shown = re.search(r"First topic: (\w+)", body["messages"][-1]["content"])
        said = meant(number_of(body))
        if said in ("own", "other"):
            said = "first" if (said == "own") == (shown[1] == "refund") else "second"
        return json.dumps({"reason": "as seen", "answer": said})

    return answer


@pytest.fixture
def server():
    server = ChatServer()
    server.answer = saying(lambda number: "own")
    yield server
    server.close()


@pytest.fixture
def settle(tmp_path, server):
    """Settles the doubts about n candidates; gives what came of them."""

    def run(n, labels=None, found=None, rejected=(), only="run", **verify):
        tree = {"judges": ["openai:test-model"], "base_url": server.url, "families": {"test-model": "own"}, **verify}
        prices = {"test-model": {"input": 1000.0, "output": 1000.0}}
        config = Config.model_validate({"verify": tree, "prices": prices})
        settling = Settling(Judging(config, tmp_path / "ledger.sqlite", docs=DOCS), [held(k) for k in range(n)])
        labels, found = labels or labelled(n), found or leaks(n)
        doubts = settling.doubts([candidate(k) for k in range(n)], labels, found, rejected)
        return settling.estimate(doubts) if only == "estimate" else settling.settle(labels, found, doubts)

    return run


def test_answers_take_the_place_of_doubts(settle, server):
    meant = ["own", "other", "both", "neither"]
    server.answer = saying(meant.__getitem__)
    done = settle(4)
    assert done.labels.topics == ("refund", "parcel", "refund", "refund") and not done.labels.doubts
    assert [f.state for f in done.labels.findings] == ["pass", "pass", "pass", "fail"]
    assert done.labels.findings[1].score == 0.3 and "relabelled" in done.labels.findings[1].detail
    assert done.judges == dict.fromkeys(range(4), ("openai:test-model",))
    assert done.facts["topic"] == {
        "in_doubt": 4,
        "asked": 4,
        "said": {"both": 1, "neither": 1, "other": 1, "own": 1},
        "settled": {"neither": 1, "other": 1, "own": 2},
    }
    assert [(r.id, r.answer, r.reason) for r in done.rulings] == [(f"c-{k}", meant[k], "as seen") for k in range(4)]


def test_a_judge_sees_both_topics_in_either_order_and_nothing_of_how_it_was_made(settle, server):
    settle(12)
    texts = [json.dumps(body) for body in server.asked]
    assert all("Ten days." in text and "Two days." in text for text in texts)
    assert not any(word in text for text in texts for word in ("SECRET", "c-1", "local:"))
    first = ["First topic: refund" in text for text in texts]
    assert 0 < sum(first) < 12
    enum = server.asked[0]["response_format"]["json_schema"]["schema"]["properties"]["answer"]["enum"]
    assert enum == ["first", "second", "both", "neither"]


def test_without_an_answer_the_data_stands(settle, server):
    def answer(body):
        number = number_of(body)
        if number == 0:
            return "I would say the first."
        if number == 1:
            return json.dumps({"reason": "r", "answer": "third"})
        return saying(lambda _: "other")(body) if "could not be read" in json.dumps(body) else "hm"

    server.answer = answer
    done = settle(3)
    assert [r.state for r in done.rulings] == ["malformed", "malformed", "answered"] and server.answered == 6
    assert done.labels.findings[:2] == labelled(2).findings and done.labels.topics[2] == "parcel"
    assert done.facts["topic"]["said"] == {"malformed": 2, "other": 1} and 0 not in done.judges
    assert list(done.labels.doubts) == [0, 1]


def test_judges_decide_by_more_than_half_of_those_that_decide():
    def said(*answers):
        return settled([Ruling("c", f"j{k}", "topic", "x", "answered", a) for k, a in enumerate(answers)])

    assert said("own", "other").answer is None and said().answer is None and said("unclear").answer is None
    assert said("other", "own", "other") == settled(
        [Ruling("c", f"j{k}", "topic", "x", "answered", "other") for k in (0, 2)]
    )
    assert said("both", "own", "other").judges == ("j0", "j1") and said(None, "yes").answer == "yes"
    ignored = settled([Ruling("c", "j", "topic", "x", "answered", "own")], ignored=["j"])
    assert ignored.answer is None


def test_two_judges_that_disagree_change_nothing(settle, tmp_path):
    script = tmp_path / "judges.py"
    script.write_text(
        "import json\n"
        "def one(request, rng): return json.dumps({'reason': 'r', 'answer': 'neither'})\n"
        "def two(request, rng): return json.dumps({'reason': 'r', 'answer': 'both'})\n"
    )
    done = settle(2, judges=[f"scripted:{script}:one", f"scripted:{script}:two"], base_url=None)
    assert done.labels == labelled(2) and len(done.rulings) == 4 and done.facts["topic"]["settled"] == {}


def test_a_judge_that_goes_by_the_place_does_not_count(settle, server):
    server.answer = lambda body: json.dumps({"reason": "r", "answer": "second"})
    done = settle(24)
    assert done.labels == labelled(24) and not done.judges
    assert "always chooses the topic that it is shown second" in done.warnings[0]


def test_held_out_text_is_shown_where_it_may_be(settle, server):
    server.answer = lambda body: json.dumps({"reason": "r", "answer": "yes"})
    clear = Labelled((Finding(CHECK, "pass"),) * 2, ("refund",) * 2, {})
    found = leaks(2, {1: 0})
    assert settle(2, clear, found, judge_holdout=False).leaks == found and not server.asked
    hosted = settle(2, clear, found, base_url="http://judge.invalid/v1")
    assert hosted.leaks == found and hosted.facts["retells"] == {
        "in_doubt": 1, "asked": 0, "said": {}, "settled": {}
    }  # fmt: skip
    done = settle(2, clear, found)  # the fake server is on this machine
    assert [f.state for f in done.leaks.paraphrase] == ["pass", "fail"]
    assert done.leaks.paraphrase[1].other_id == "h-0" and done.judges == {1: ("openai:test-model",)}
    assert len(server.asked) == 1 and "brackwell" not in json.dumps(server.asked).lower()


@pytest.mark.parametrize("answer", ["no", "unclear"])
def test_a_score_above_the_limit_falls_with_a_no_alone(settle, server, answer):
    server.answer = lambda body: json.dumps({"reason": "r", "answer": answer})
    clear, found = Labelled((), ("refund",), {}), leaks(1, {0: 0})
    failed = Finding(PARAPHRASE, "fail", 0.9, 0.8, "by data", "h-0")
    found = Leakage(found.exact, found.near, (failed,), {}, True, None, found.doubts)
    done = settle(1, clear, found)
    assert done.leaks.paraphrase[0].state == ("pass" if answer == "no" else "fail")


def test_equal_numbers_stay_equal_when_they_are_masked():
    order = "My order 48213 for Porto, mail otto@brackwell.org"
    ours = Conversation("c", (Message("user", f"{order} is late"), Message("assistant", "Order 48213 is lost.")))
    theirs = Conversation("h", (Message("user", f"{order} never came"),))
    text = Questions().retells(ours, theirs).asked().messages[-1][1]
    assert "48213" not in text and "otto@" not in text and text.count("Porto") == 2
    numbers = re.findall(r"\b\d{5}\b", text)
    assert len(numbers) == 3 and len(set(numbers)) == 1
    mails = re.findall(r"\S+@\S+?(?=[\s,])", text)
    assert len(mails) == 2 and len(set(mails)) == 1


def test_what_is_rejected_for_certain_is_not_asked_about(settle, server):
    found = leaks(5, {4: 0})
    near = (*found.near[:1], Finding(NEAR, "fail", 1.0, 0.8, "", "h-0"), *found.near[2:])
    found = Leakage(found.exact, near, found.paraphrase, {}, True, None, found.doubts)
    labels = labelled(5)
    labels = Labelled(labels.findings, labels.topics, {k: d for k, d in labels.doubts.items() if k != 4})
    done = settle(5, labels, found, rejected=[2])
    assert sorted(r.id for r in done.rulings) == ["c-0", "c-3"], "1 is a copy, 2 rejected, 4 surely of another topic"


def test_a_long_conversation_is_not_asked_about():
    endless = Conversation("c", (Message("user", "word " * 6000),), "a")
    question = Questions().topic(endless, "b")
    assert question.too_long and question.unheard("j", "too_long", question.too_long).attempts == 0


def test_the_same_again_sends_nothing_and_a_budget_stops(settle, server):
    with pytest.raises(BudgetReached):
        settle(8, budget=3.0, concurrency=2)
    first = server.answered
    assert 0 < first < 8
    done = settle(8)
    assert server.answered == 8 and server.repeated == 0
    assert settle(8) == done and server.answered == 8


def test_an_estimate_counts_questions_and_sends_nothing(settle, server):
    (found,) = settle(7, only="estimate")
    assert found.calls == 7 and found.cost > 0 and not server.asked
    assert settle(7, rejected=range(7), only="estimate") == []


def test_without_judges_there_are_no_questions(settle, tmp_path):
    done = settle(3, judges=[])
    assert done.labels == labelled(3) and done.facts is None and not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("address", "here"),
    [
        ("http://127.0.0.1:8000/v1", True),
        ("http://localhost/v1", True),
        ("http://[::1]:1/v1", True),
        ("http://127.0.0.1.example.org/v1", False),
        ("http://127.example.org", False),
        ("https://api.openai.com/v1", False),
        ("http://10.0.0.5/v1", False),
    ],
)
def test_what_is_on_this_machine(address, here):
    assert on_this_machine(address) is here
