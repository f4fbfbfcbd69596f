"""What verification and selection leave of what a generation of the self-consuming loop wrote."""

from dataclasses import replace
from pathlib import Path

import pytest

from collapse_support import people
from posology.apart import Parts
from posology.config import load
from posology.embedding.embedder import Embedder
from posology.embedding.lexical import Lexical
from posology.inputs import Material
from posology.judging import Judging
from posology.outcomes import passed
from posology.progress import Silent
from posology.records import Message, TextRule
from posology.screening import Screening
from posology.training.head import HeadTrainer
from posology.verifying import Verification


@pytest.fixture(scope="module")
def parts():
    return Parts(tuple(people(240, 1)), tuple(people(40, 2)))


@pytest.fixture(scope="module")
def head(parts):
    trainer = HeadTrainer(Embedder(Lexical(), rule=TextRule()))
    trainer.prepare(parts.train)
    return trainer


@pytest.fixture
def screening(parts, head, tmp_path):
    config = load(None, {"data.real": tmp_path / "real.jsonl", "out": tmp_path / "run"})
    return Screening(config, Material(config.data), parts, head.cross_validation, head.embedder)


@pytest.fixture
def written():
    return people(120, 3, "synthetic")


def test_wrong_rows_go_with_the_reason(screening, parts, written):
    leaked = replace(written[0], messages=parts.holdout[0].messages, topic=parts.holdout[0].topic)
    copied = replace(written[1], messages=parts.train[0].messages, topic=parts.train[0].topic)
    looping = replace(written[2], messages=(Message("user", "my card is lost, " * 12),), topic="card")
    kept = screening([leaked, copied, looping, *written[3:]])
    assert not {leaked.id, copied.id, looping.id} & {c.id for c in kept}
    (why,) = screening.told()
    assert why["leaked_exact"] == 1
    assert why["repetition"] == 1
    assert sum(n for reason, n in why.items() if reason.startswith("duplicate_of_real") or reason == "verbatim_span")
    assert sum(why.values()) == len(written) - len(kept)
    assert screening.told() == []


def test_another_topic_is_found_out(screening, written):
    other = {"card": "travel", "travel": "card", "app": "transfer", "transfer": "app"}
    wrong = [replace(c, topic=other[c.topic]) if i % 10 == 0 else c for i, c in enumerate(written)]
    kept = {c.id: c.topic for c in screening(wrong)}
    fooled = [c for c in wrong[::10] if kept.get(c.id) == c.topic]
    assert len(fooled) <= 3
    assert len(kept) >= 90


def test_it_is_the_verification_of_a_sweep(screening, parts, head, written, tmp_path):
    """Nothing is taken that `posology verify` would reject, and topics are those that it gives."""
    config = load(None, {"data.real": tmp_path / "real.jsonl", "out": tmp_path / "run"})
    judging = Judging(config, tmp_path / "ledger.sqlite")
    known = (config, Material(config.data), parts, head.embedder, judging, Silent())
    told = {c.id: c.topic for c in passed(written, Verification(*known).run(written).verdicts)}
    kept = {c.id: c.topic for c in screening(written)}
    assert kept.items() <= told.items()
    assert len(kept) > 0.8 * len(told)


def test_the_same_rows_give_the_same_order_and_not_that_in_which_they_came(screening, written):
    kept = screening(written)
    assert screening(written) == kept
    assert [c.id for c in kept] != [c.id for c in written if c.id in {k.id for k in kept}]


def test_turns_of_customers_alone_are_no_fault(screening, written):
    talks = [replace(c, messages=(*c.messages, Message("user", "are you there?"))) for c in written]
    assert len(screening(talks)) > 60
    assert "roles" not in screening.told()[0]


def test_nothing_written_and_nothing_left(screening, parts):
    assert screening([]) == []
    assert screening([replace(c, id=f"again-{c.id}", source="synthetic") for c in parts.holdout]) == []


def test_no_judge_is_asked(parts, head, written, tmp_path):
    config = load(None, {"data.real": Path("real.jsonl"), "out": tmp_path, "verify.judges": ["scripted:none:none"]})
    screening = Screening(config, Material(config.data), parts, head.cross_validation, head.embedder)
    assert screening(written)
    assert not (tmp_path / "ledger.sqlite").exists()
