"""Judges in a run: the fake server, faults, budget, independence, samples."""

import json
import random

import numpy as np
import pytest

from chat_server import ChatServer
from posology.config import Config
from posology.errors import BudgetReached, ConfigError
from posology.judging import Judging
from posology.llm.ledger import Ledger
from posology.records import Conversation, DocSection, Message
from verification_replies import asked_of, number_of, scored

DOCS = (DocSection("refunds.md", "Refunds", "refund", "A refund takes 5 working days."),)
PRICES = {"test-model": {"input": 1.0, "output": 2.0}}


def candidate(number, topic="refund", agent=True, generator="local:", **meta):
    turns = [Message("user", f"Where is refund number {number}, {'please ' * (number % 7)}?")]
    if agent:
        turns.append(Message("assistant", f"Refund {number} takes 5 working days."))
    provenance = {"generator": generator} if generator else {}
    return Conversation(f"c-{number}", tuple(turns), topic, "synthetic", {**provenance, "plan_row": "SECRET", **meta})


@pytest.fixture
def server():
    server = ChatServer()
    server.answer = scored
    yield server
    server.close()


def spent(tmp_path):
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        return sum(row.cost for row in ledger.stats())


def judging(tmp_path, server=None, docs=DOCS, prices=PRICES, **verify):
    if server is not None:
        verify = {"judges": ["openai:test-model"], "base_url": server.url, **verify}
    families = {"openai:test-model": "own-judge", **verify.pop("families", {})}
    tree = {"verify": {"families": families, "order_sample": 0, **verify}, "prices": prices}
    return Judging(Config.model_validate(tree), tmp_path / "ledger.sqlite", docs=docs)


def test_without_judges_nothing_happens(tmp_path):
    judged = judging(tmp_path).judge([candidate(0)])
    assert judged.opinions[0].findings == () and judged.facts is None and not list(tmp_path.iterdir())


def test_every_candidate_gets_findings_in_order(tmp_path, server):
    judged = judging(tmp_path, server).judge([candidate(0), candidate(1, agent=False), candidate(2, topic="other")])
    names = [[finding.check for finding in opinion.findings] for opinion in judged.opinions]
    assert names[0] == [
        "judge_on_topic", "judge_faithful", "judge_realistic_customer", "judge_helpful_agent", "judge_complete"
    ]  # fmt: skip
    assert names[1] == ["judge_on_topic", "judge_realistic_customer", "judge_complete"]
    assert "judge_faithful" not in names[2], "there are no docs of this topic"
    first = judged.opinions[0]
    assert first.findings[0].score == 3 + len("on_topic") % 3 and first.judges == ("openai:test-model",)
    assert first.scores["judge_on_topic"] == (first.findings[0].score - 1) / 4
    assert [j.id for j in judged.judgements] == ["c-0", "c-1", "c-2"]


def test_a_judge_sees_the_conversation_the_docs_and_the_rubric_only(tmp_path, server):
    judging(tmp_path, server).judge([candidate(5, mood="furious", persona="a pensioner")])
    sent = json.dumps(server.asked[0])
    assert "5 working days" in sent and "refund number 5" in sent and "realistic_customer" in sent
    assert not any(word in sent for word in ("SECRET", "furious", "pensioner", "c-5", "local"))
    assert server.asked[0]["temperature"] == 0


def test_malformed_replies_are_asked_again_and_none_is_lost(tmp_path, server):
    broken = set(random.Random(0).sample(range(200), 10))
    stubborn = set(sorted(broken)[:3])

    def answer(body):
        number, again = number_of(body), "could not be read" in body["messages"][-1]["content"]
        return "I would say 4." if number in stubborn or (number in broken and not again) else scored(body)

    server.answer = answer
    candidates = [candidate(number) for number in range(200)]
    judged = judging(tmp_path, server, budget=5.0).judge(candidates)
    assert len(judged.opinions) == len(judged.judgements) == 200
    lost = [
        c.id for c, o in zip(candidates, judged.opinions, strict=True) if all(f.state == "unscored" for f in o.findings)
    ]
    assert lost == [f"c-{number}" for number in sorted(stubborn)]
    (about,) = judged.facts["judges"]
    assert about["states"] == {"malformed": 3, "scored": 197} and about["calls"] == 210 == server.answered
    assert judged.facts["n_unscored"] == 3 * 5
    assert about["cost"] == pytest.approx(spent(tmp_path), abs=1e-6)
    assert all(f.state == "unscored" and f.score is None for f in judged.opinions[sorted(stubborn)[0]].findings)


def test_the_same_again_sends_nothing(tmp_path, server):
    candidates = [candidate(number) for number in range(12)]
    first = judging(tmp_path, server).judge(candidates)
    again = judging(tmp_path, server).judge(candidates)
    assert server.answered == 12 and again.opinions == first.opinions
    assert again.sent == 0 and again.facts == first.facts


def test_a_budget_stops_and_a_larger_one_goes_on(tmp_path, server):
    candidates = [candidate(number) for number in range(60)]
    with pytest.raises(BudgetReached):
        judging(tmp_path, server, budget=0.02, concurrency=4).judge(candidates)
    first = server.answered
    assert 0 < first < 60 and spent(tmp_path) <= 0.02
    judged = judging(tmp_path, server, budget=5.0).judge(candidates)
    assert server.answered == 60 and server.repeated == 0
    assert judged.sent == 60 - first


def test_a_budget_needs_a_price(tmp_path, server):
    with pytest.raises(ConfigError, match="price"):
        judging(tmp_path, server, prices={}, budget=1.0).judge([candidate(0)])
    assert server.asked == []


def test_a_refusal_a_cut_reply_and_a_long_conversation_are_unscored(tmp_path):
    script = tmp_path / "judge.py"
    script.write_text(
        "from posology.llm.contract import Reply, Usage\n"
        "def judge(request, rng):\n"
        "    text = request.messages[-1][1]\n"
        "    finish = 'refused' if 'number 0' in text else 'length'\n"
        '    return Reply(\'{"on_topic": {"reason": "x", "score": 5}\', Usage(1, 1), finish, \'m\')\n'
    )
    endless = Conversation("c-2", (Message("user", "a" * 30_000),), "refund", meta={"generator": "qwen3"})
    wired = judging(tmp_path, judges=[f"scripted:{script}:judge"])
    judged = wired.judge([candidate(0, agent=False), candidate(1, agent=False), endless])
    assert [j.state for j in judged.judgements] == ["refused", "truncated", "too_long"]
    assert [j.attempts for j in judged.judgements] == [1, 2, 0]
    assert all(f.state == "unscored" for o in judged.opinions for f in o.findings)
    assert [f.check for f in judged.opinions[2].findings] == ["judge"] and judged.opinions[2].scores == {}
    assert "gave no scores for 3 candidates" in judged.warnings[0]
    rows = [judgement.to_json() for judgement in judged.judgements]
    assert json.loads(json.dumps(rows[0]))["state"] == "refused" and rows[0]["scores"] == {}


def test_a_judge_of_the_generators_family_is_refused_before_anything_is_sent(tmp_path, server):
    candidates = [candidate(0, generator="qwen2.5:7b")]
    wired = judging(tmp_path, server, families={"openai:test-model": "Qwen/Qwen3-32B"})
    with pytest.raises(ConfigError, match="one family, qwen"):
        wired.judge(candidates)
    assert server.asked == []
    judged = judging(tmp_path, server, families={"openai:test-model": "Qwen/Qwen3-32B"}, allow_same_family=True).judge(
        candidates
    )
    assert judged.facts["independence"]["overridden"] and "overridden" in judged.warnings[0]
    assert judged.opinions[0].judges == ("openai:test-model (not independent)",), "every verdict says so"


def test_an_unknown_generator_is_refused_until_it_is_named(tmp_path, server):
    candidates = [candidate(0, generator=None), candidate(1, generator=None)]
    with pytest.raises(ConfigError, match="not known which model wrote"):
        judging(tmp_path, server).judge(candidates)
    with pytest.raises(ConfigError, match="wrote 1 of the candidates is not known"):
        judging(tmp_path, server).judge([candidate(0), candidates[1]])
    for pool in (candidates, [candidate(0), candidate(1, generator="our-model-3")]):
        assert judging(tmp_path, server, generator="claude-sonnet-4").judge(pool).opinions[0].judges


def test_a_judge_that_always_says_5_does_not_count(tmp_path, server):
    server.answer = lambda body: scored(body, lambda name, number: 5)
    judged = judging(tmp_path, server).judge([candidate(number) for number in range(40)])
    assert judged.facts["judges"][0]["always"] == 5 and "uninformative" in judged.warnings[0]
    assert all(score is None for opinion in judged.opinions for score in opinion.scores.values())
    assert judged.opinions[0].judges == ()


def test_a_part_is_judged_and_the_rest_learned(tmp_path, server):
    quality = np.random.default_rng(0).random(300)
    server.answer = lambda body: scored(body, lambda name, number: 1 + round(4 * quality[number]))
    candidates = [candidate(number, topic=f"t{number % 5}", agent=False) for number in range(300)]
    judged = judging(tmp_path, server, judge_sample=0.3).judge(
        candidates, signals=quality[:, None] + np.random.default_rng(1).normal(0, 0.03, (300, 1))
    )
    assert server.answered == judged.facts["n_judged"] == 90 == len({j.id for j in judged.judgements})
    learned = judged.facts["learned"]["on_topic"]
    assert learned["learnable"] and learned["rmse"] < 0.5 and "typical error" in learned["summary"]
    rest = [o for o in judged.opinions if not o.judges]
    assert len(rest) == 210 and all(f.state == "unscored" and f.score is not None for o in rest for f in o.findings)
    told = [abs(o.scores["judge_on_topic"] - q) for o, q in zip(judged.opinions, quality, strict=True)]
    assert max(told) < 0.4


def test_what_cannot_be_learned_has_no_score(tmp_path, server):
    noise = np.random.default_rng(0).integers(1, 6, 200)
    server.answer = lambda body: scored(body, lambda name, number: int(noise[number]))
    judged = judging(tmp_path, server, judge_sample=0.5).judge(
        [candidate(number, agent=False) for number in range(200)], signals=np.random.default_rng(1).random((200, 2))
    )
    assert not judged.facts["learned"]["on_topic"]["learnable"] and "not learnable" in judged.warnings[-1]
    rest = [o for o in judged.opinions if not o.judges]
    assert len(rest) == 100 and all(score is None for o in rest for score in o.scores.values())


def test_only_the_wanted_candidates_are_judged(tmp_path, server):
    judged = judging(tmp_path, server).judge([candidate(number) for number in range(9)], which=[1, 4])
    assert [bool(opinion.findings) for opinion in judged.opinions] == [n in (1, 4) for n in range(9)]
    assert server.answered == 2


def test_a_judge_that_prefers_what_is_asked_first_is_found(tmp_path, server):
    def favouring(body):
        names, number = asked_of(body), number_of(body)
        return json.dumps(
            {name: {"reason": "r", "score": 2 + number % 2 + 2 * (place == 0)} for place, name in enumerate(names)}
        )

    server.answer = favouring
    judged = judging(tmp_path, server, order_sample=0.5).judge([candidate(number) for number in range(60)])
    order = judged.facts["judges"][0]["order"]
    assert order["on_topic"]["matters"] and order["complete"]["matters"] and not order["faithful"]["matters"]
    assert any("reordered" in text for text in judged.warnings) and server.answered == 90


def test_two_judges_agree_or_not(tmp_path):
    script = tmp_path / "judges.py"
    script.write_text(
        "import json, re\n"
        "def said(request, score):\n"
        '    names = re.findall(r\'"(\\w+)": \\{"reason"\', request.messages[0][1])\n'
        "    return json.dumps({name: {'reason': 'r', 'score': score} for name in names})\n"
        "def n(request): return int(re.search(r'number (\\d+)', request.messages[-1][1])[1])\n"
        "def one(request, rng): return said(request, 1 + n(request) % 5)\n"
        "def two(request, rng): return said(request, 1 + n(request) % 5)\n"
        "def three(request, rng): return said(request, int(rng.integers(1, 6)))\n"
    )
    pool = [candidate(number, agent=False) for number in range(80)]
    alike = judging(tmp_path, judges=[f"scripted:{script}:one", f"scripted:{script}:two"]).judge(pool)
    assert alike.facts["agreement"]["on_topic"]["alpha"] == 1 and not alike.warnings
    apart = judging(tmp_path, judges=[f"scripted:{script}:one", f"scripted:{script}:three"]).judge(pool)
    assert abs(apart.facts["agreement"]["on_topic"]["alpha"]) < 0.3 and "do not agree" in apart.warnings[-1]
    unscored = [f for o in apart.opinions for f in o.findings if "disagree" in f.detail]
    assert unscored and all(f.state == "unscored" for f in unscored)
    with pytest.raises(ConfigError, match="twice"):
        judging(tmp_path, judges=[f"scripted:{script}:one"] * 2).judge(pool)


def test_an_estimate_sends_nothing(tmp_path, server):
    wired = judging(tmp_path, server, order_sample=0.5)
    (found,) = wired.estimate([candidate(number) for number in range(50)])
    assert found.calls == 75 and found.cost > 0 and server.asked == []


def test_the_identity_follows_what_shapes_the_scores(tmp_path, server):
    identity = judging(tmp_path, server).identity
    assert identity == judging(tmp_path, server, concurrency=2, budget=9.0).identity
    assert identity != judging(tmp_path, server, floor=2).identity
    assert judging(tmp_path).identity == "none"
