"""The verify stage in a run folder: what it writes, what a sweep makes of it, and when nothing is left."""

import json
import random
import re
from dataclasses import replace

import pytest

from chat_server import ChatServer
from posology.config import load
from posology.conversations.reading import read
from posology.conversations.writing import write
from posology.errors import ConfigError, PosologyError, StoreError
from posology.outcomes import after, counted, nothing_left, why_rejected
from posology.pipeline import Pipeline
from posology.records import Finding, Message
from posology.verification.leakage.check import leakage
from posology.verification.verdicts import read_verdicts, verdict
from support import talk
from verification_replies import scored

TOPICS = {"parcel": "where is my parcel", "refund": "i want my money back", "size": "these boots are too small"}
SYLLABLES = "ba ke li mo nu ra se ti vo zu pe ga dri sto fla".split()


def rows(prefix, n, source="real"):
    rng = random.Random(prefix)
    return [
        talk(
            f"{prefix}{t}{i}", f"{text} " + " ".join("".join(rng.choices(SYLLABLES, k=3)) for _ in range(6)), t, source
        )
        for t, text in TOPICS.items()
        for i in range(n)
    ]


def answered(row, text):
    return replace(row, messages=(*row.messages, Message("assistant", text)))


@pytest.fixture
def files(tmp_path):
    pool, holdout = rows("s", 14, "synthetic"), rows("h", 12)
    real = [*rows("r", 30), talk("canary", "my mail is otto@brackwell.org and i want my money back", "refund")]
    pool[0] = replace(pool[0], messages=holdout[0].messages)
    pool[1] = answered(pool[1], "As an AI language model, I cannot help.")
    pool[2] = answered(pool[2], "Delivery costs £9.")
    pool[3] = answered(pool[3], "Delivery costs £5.")
    pool[14] = talk(pool[14].id, "the refund goes to otto@brackwell.org", "refund", "synthetic")
    pool[28] = replace(pool[28], topic="refund")
    write(real, tmp_path / "real.jsonl")
    write(pool, tmp_path / "pool.jsonl")
    write(holdout, tmp_path / "holdout.jsonl")
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.md").write_text("# Parcels\nTopic: parcel\n\nDelivery costs £5.\n")
    return tmp_path


def settings(files, out="run", **changes):
    base = {
        "data.real": files / "real.jsonl",
        "data.synthetic": files / "pool.jsonl",
        "data.holdout": files / "holdout.jsonl",
        "data.docs": files / "docs",
        "embedding.encoder": "lexical",
        "mix.doses": "0,0.2",
        "sweep.seeds": 1,
        "sweep.bootstrap": 300,
        "sweep.learning_curve": False,
        "out": files / out,
    }
    return load(None, base | changes)


def verified(files, out="run", **changes):
    with Pipeline(settings(files, out, **changes)) as pipeline:
        return pipeline.verify(), {v.id: v for v in pipeline.verdicts}


def test_each_planted_defect_is_named(files):
    facts, verdicts = verified(files)
    reasons = {id: v.reasons for id, v in verdicts.items()}
    assert reasons["sparcel0"][0] == "leaked_exact"
    assert "disclaimer" in reasons["sparcel1"]
    assert reasons["sparcel2"] == ("faithful",) and reasons["sparcel3"] == ()
    assert "real_datum" in reasons["srefund0"]
    (label,) = [finding for finding in verdicts["ssize0"].findings if finding.check == "label_agreement"]
    assert label.score < 0.05 and "size" in label.detail
    assert facts["n_candidates"] == 42 and facts["n_passed"] >= 36
    assert facts["privacy"]["n_protected"] == 1 and facts["leakage"]["whole_set"] is not None
    assert facts["checks"]["faithful"] == {"pass": 2, "fail": 1, "unscored": 39}


def test_what_is_somebodys_own_is_not_even_a_control(files):
    pool = list(read(files / "pool.jsonl").conversations)
    pool[15] = talk(pool[15].id, "As an AI language model, I write to otto@brackwell.org", "refund", "synthetic")
    write(pool, files / "pool.jsonl")
    with Pipeline(settings(files)) as pipeline:
        drawn = {c.id for c in pipeline.controls}
    assert drawn
    assert not drawn & {"sparcel0", "srefund0", "srefund1"}, "leaked, a real datum, and one with another defect too"
    assert "sparcel1" in drawn, "what is merely bad may be drawn"


def test_an_evaluator_of_the_generators_family_is_refused_in_a_finished_folder_too(files):
    verified(files)
    with pytest.raises(ConfigError, match="gpt"):
        verified(files, **{"verify.generator": "gpt-4.1", "verify.evaluator": "gpt-4o"})


def test_files_hold_every_candidate_once(files):
    facts, verdicts = verified(files)
    folder = files / "run" / "verify"
    lines = {
        name: [json.loads(line) for line in (folder / name).read_text().splitlines()]
        for name in ("verdicts.jsonl", "passed.jsonl", "rejected.jsonl")
    }
    assert [row["id"] for row in lines["verdicts.jsonl"]] == list(verdicts)
    assert {r["id"] for r in lines["passed.jsonl"]} | {r["id"] for r in lines["rejected.jsonl"]} == set(verdicts)
    assert len(lines["passed.jsonl"]) == facts["n_passed"]
    wrong = {row["id"]: row for row in lines["rejected.jsonl"]}
    assert wrong["sparcel0"]["reason"] == "leaked_exact" and wrong["sparcel0"]["other_id"] == "hparcel0"
    assert wrong["sparcel1"]["messages"], "rejected rows are kept whole"
    assert [v.reasons for v in read_verdicts(folder / "verdicts.jsonl")] == [v.reasons for v in verdicts.values()]


def test_judges_settle_what_data_leaves_in_doubt(files, monkeypatch):
    words = {topic: text.split()[-1] for topic, text in TOPICS.items()}

    def near(*args, **given):  # these messages are too short for paraphrases to be called by row
        return replace(leakage(*args, **given), doubts={5: 0, 6: 0})

    def answer(body):
        asked = body["messages"][-1]["content"]
        if "Second conversation" in asked:
            return json.dumps({"reason": "r", "answer": "yes" if pool[5].messages[0].content in asked else "no"})
        if "First topic" not in asked:
            return scored(body, lambda name, number: 4, number=0)
        first, said = re.search(r"First topic: (\w+)", asked)[1], asked.rpartition("customer:")[2]
        return json.dumps({"reason": "r", "answer": "first" if words[first] in said else "second"})

    monkeypatch.setattr("posology.verifying.leakage", near)
    pool = read(files / "pool.jsonl", source="synthetic").conversations
    server = ChatServer()
    server.answer = answer
    judges = {
        "verify.judges": ["openai:judge"],
        "verify.base_url": server.url,
        "verify.generator": "human",
        "verify.families": {"judge": "own", "human": "human"},
        "verify.order_sample": 0,
    }
    facts, verdicts = verified(files, **judges)
    with Pipeline(settings(files, "dry", **judges)) as dry:
        reckoned = dry.verification.dry_run(pool)
    server.close()
    asked = facts["judging"]["questions"]["topic"]
    assert 0 < asked["in_doubt"] == asked["asked"] == reckoned["n_in_doubt"]["topic"]
    retold = facts["judging"]["questions"]["retells"]
    assert retold["settled"] == {"no": 1, "yes": 1} and reckoned["questions"][0]["in_ledger"] == 0
    assert reckoned["questions"][0]["calls"] == asked["asked"] + 2
    assert verdicts[pool[5].id].reasons == ("leaked_paraphrase",) and not verdicts[pool[6].id].reasons
    assert verdicts[pool[5].id].verifier == ("data", "openai:judge")
    rulings = [json.loads(line) for line in (files / "run" / "verify" / "rulings.jsonl").read_text().splitlines()]
    assert len(rulings) == asked["asked"] + 2 and all(row["state"] == "answered" for row in rulings)
    for row in (row for row in rulings if row["question"] == "topic"):
        (finding,) = [f for f in verdicts[row["id"]].findings if f.check == "label_agreement"]
        assert "judges say" in finding.detail and finding.state == "pass", row
        assert "openai:judge" in verdicts[row["id"]].verifier


def test_a_second_run_reads_and_says_the_same(files):
    first, verdicts = verified(files)
    before = (files / "run" / "verify" / "verdicts.jsonl").read_bytes()
    second, again = verified(files)
    assert second == first
    assert [v.reasons for v in again.values()] == [v.reasons for v in verdicts.values()]
    verified(files, "other")
    assert (files / "other" / "verify" / "verdicts.jsonl").read_bytes() == before


def test_what_shapes_verdicts_makes_them_anew(files):
    facts, _ = verified(files)
    skipped, verdicts = verified(files, **{"verify.skip": ["faithful"]})
    assert facts["fingerprint"] != skipped["fingerprint"]
    assert "faithful" not in skipped["checks"] and verdicts["sparcel2"].passed
    (files / "docs" / "a.md").write_text("# Parcels\nTopic: parcel\n\nDelivery costs £9.\n")
    assert verified(files)[1]["sparcel2"].passed


def test_a_sweep_uses_what_passed(files):
    with Pipeline(settings(files)) as pipeline:
        ranked = {c.id for c in pipeline.ranked}
        assert ranked <= {v.id for v in pipeline.verdicts if v.passed}
        result = pipeline.sweep()
    assert result["rejected"]["disclaimer"] == 1 and result["rejected"]["leaked_exact"] == 1
    with Pipeline(settings(files, "plain", **{"verify.enabled": False})) as pipeline:
        assert {"sparcel1", "sparcel2"} <= {c.id for c in pipeline.ranked} and "sparcel0" not in {
            c.id for c in pipeline.ranked
        }
        assert not (files / "plain" / "verify").exists()


def test_when_nothing_passes_the_error_says_why_and_the_rows_are_kept(files):
    pool = [answered(row, "As an AI language model, I cannot help.") for row in rows("s", 4, "synthetic")]
    write(pool, files / "pool.jsonl")
    with pytest.raises(PosologyError, match="all 12 candidates were rejected") as caught:
        verified(files)
    assert caught.value.exit_code == 1 and caught.value.remedy and "disclaimer" in str(caught.value)
    assert len((files / "run" / "verify" / "rejected.jsonl").read_text().splitlines()) == 12
    with Pipeline(settings(files)) as pipeline:
        assert any("pool is empty" in warning for warning in pipeline.sweep()["warnings"])


def test_damaged_verdicts_are_told(files):
    verified(files)
    (files / "run" / "verify" / "verdicts.jsonl").write_text("{\n")
    with pytest.raises(StoreError, match="damaged"):
        verified(files)


def test_a_pool_of_one_topic_and_a_holdout_of_one_row(files):
    write([row for row in rows("s", 6, "synthetic") if row.topic == "parcel"], files / "pool.jsonl")
    write(rows("h", 12)[:1], files / "holdout.jsonl")
    facts, _ = verified(files)
    assert facts["n_candidates"] == 6 and facts["n_passed"] >= 4


def test_unknown_checks_are_refused():
    with pytest.raises(ConfigError, match="unknown checks"):
        load(None, {"verify.skip": ["tone"]})


def test_counts_reasons_and_the_topic_afterwards():
    rows_ = [talk(str(n), "hello", "a", "synthetic") for n in range(3)]
    made = [
        verdict(rows_[0], [Finding("x", "pass")], {"x": 1.0}),
        verdict(rows_[1], [Finding("x", "fail"), Finding("y", "fail", 0.5, 0.7, "near h1", "h1")], {"x": 0.0}),
        verdict(rows_[2], [Finding("x", "unscored")], {"x": None}, topic="b"),
    ]
    facts = counted(made, rows_)
    assert (facts["n_passed"], facts["n_relabelled"], facts["rejected"]) == (2, 1, {"x": 1})
    assert facts["checks"]["x"] == {"pass": 1, "fail": 1, "unscored": 1}
    assert facts["distributions"]["x"]["passed"][-1] == 1 and facts["distributions"]["x"]["rejected"][0] == 1
    assert why_rejected(made[1]).reason == "x"
    with pytest.raises(ValueError, match="passed"):
        why_rejected(made[0])
    moved = after(rows_[2], "b")
    assert (moved.topic, moved.meta["relabelled_from"]) == ("b", "a") and after(rows_[0], "a") is rows_[0]
    assert counted([], [])["pass_rate"] is None
    told = nothing_left({"n_candidates": 3, "rejected": {"leaked_exact": 3}})
    assert "generate from training data alone" in told.remedy
