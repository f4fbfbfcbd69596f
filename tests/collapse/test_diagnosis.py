import json
from dataclasses import replace

import numpy as np
import pytest

from collapse_support import people, table_of
from posology.collapse.advice import advise
from posology.collapse.diagnosis import diagnose
from posology.collapse.examples import missing, over_produced
from posology.collapse.indicators import BY_NAME, FAMILIES
from posology.errors import InputError
from posology.records import Message


def said(conversation, change):
    return replace(conversation, messages=tuple(Message(m.role, change(m.content)) for m in conversation.messages))


def faults(real, synthetic, **more):
    return {reading.indicator.name: reading.verdict for reading in diagnose(table_of(real, synthetic), **more).faults}


def test_a_healthy_set_raises_no_alarm(real, healthy):
    found = diagnose(table_of(real, healthy))
    assert not found.faults
    assert not found.collapsed
    assert {reading.indicator.family for reading in found.readings} == set(FAMILIES)
    for reading in found.readings:
        low, high = reading.null_ci95
        assert low <= high
        assert reading.ci95[0] <= reading.value <= reading.ci95[1]


def test_the_result_is_json_without_text_and_the_same_twice(real, healthy):
    first, second = (diagnose(table_of(real, healthy), seed=3).to_json() for _ in range(2))
    assert json.dumps(first, allow_nan=False) == json.dumps(second)
    assert {"schema_version", "n_real", "n_synthetic", "indicators", "collapsed", "first_to_move"} <= first.keys()
    assert {"name", "family", "value", "null_ci95", "verdict", "note"} <= first["indicators"][0].keys()


@pytest.mark.parametrize(
    ("fault", "expected", "verdict"),
    [
        (lambda rows: rows[:100] + [replace(c, id=f"{c.id}-2") for c in rows[:100]], "near_copies", "narrow"),
        (lambda rows: people(200, 5, "synthetic", ("card", "app")), "topics_missing", "narrow"),
        (lambda rows: [said(c, lambda t: f"{t} My name is Emily Carter.") for c in rows], "names", "narrow"),
        (
            lambda rows: [said(c, lambda t: f"I would like some help with the {t.split()[0]} now") for c in rows],
            "openings",
            "narrow",
        ),
        (lambda rows: [said(c, lambda t: f"{t} Thank you kindly.") for c in rows], "polite", "flat"),
        (lambda rows: [said(c, str.upper) for c in rows], "shouting", "shifted"),
        (lambda rows: [said(c, lambda t: t.lower().rstrip("?!.") + ".") for c in rows], "unpunctuated", "flat"),
        (lambda rows: [replace(c, messages=c.messages * 3) for c in rows], "turns", "shifted"),
    ],
)
def test_faults_are_found_and_named(real, healthy, fault, expected, verdict):
    assert faults(real, fault(list(healthy)))[expected] == verdict


def test_flat_affect(real, healthy):
    calm = [
        said(c, lambda t: " ".join(w for w in t.replace("!", ".").split() if w.strip("?.") not in FELT))
        for c in healthy
    ]
    found = faults(real, calm)
    assert {"mood_spread", "arousal"} & found.keys()
    assert "flat" in found.values()


FELT = {"terrible", "great", "angry", "thanks", "ridiculous", "love", "Terrible", "please", "help", "still"}


def test_topics_that_were_not_planned_are_not_missed(real):
    narrow = people(200, 5, "synthetic", ("card", "app"))
    assert "topics_missing" not in faults(real, narrow, planned=["card", "app"])


def test_another_mix_of_topics_alone_is_no_fault(real):
    mix = [c for c in people(700, 6, "synthetic") if c.topic != "card" or c.id.endswith("7")][:300]
    assert not diagnose(table_of(real, mix)).collapsed


def test_data_without_topics_is_judged_too(real, healthy):
    bare = [[replace(c, topic=None) for c in rows] for rows in (real, healthy)]
    found = diagnose(table_of(*bare))
    assert {"topics_missing", "tail_missing"} <= set(found.unscored)
    assert not found.collapsed


def test_one_topic(real):
    one = [[c for c in rows if c.topic == "card"] for rows in (real, people(300, 8, "synthetic"))]
    assert not diagnose(table_of(*one)).collapsed


def test_no_shared_topics_are_told(real):
    other = [replace(c, topic="unheard of") for c in people(100, 8, "synthetic")]
    found = diagnose(table_of(real, other))
    assert "too few topics" in found.warnings[0]
    assert found.verdict_of("topics_missing") == "narrow"


@pytest.mark.parametrize("side", ["real", "synthetic"])
def test_too_few_texts_are_refused(real, healthy, side):
    rows = {"real": real, "synthetic": healthy}
    rows[side] = rows[side][:19]
    with pytest.raises(InputError, match=f"19 {side} conversations") as caught:
        diagnose(table_of(**rows))
    assert caught.value.remedy


def test_texts_without_words_do_not_count(real, healthy):
    mute = [said(c, lambda _: "...") for c in healthy[:195]] + list(healthy[195:])
    with pytest.raises(InputError, match="5 synthetic"):
        diagnose(table_of(real, mute))


def test_twenty_texts_are_judged_with_a_warning(real, healthy):
    found = diagnose(table_of(real[:40], healthy[:20]))
    assert any("smaller faults" in text for text in found.warnings)


def test_equal_texts_everywhere_break_nothing(real):
    same = [said(c, lambda _: "where is my card") for c in people(60, 3, "synthetic")]
    found = diagnose(table_of(real, same))
    assert found.verdict_of("near_copies") == "narrow"
    assert diagnose(table_of([replace(c, source="real") for c in same], same)).collapsed is False


def test_arms_of_one_pool_share_a_table(real, healthy):
    table = table_of(real, healthy)
    arms = [table.synthetic[:60], table.synthetic]
    assert [diagnose(table, rows).n_synthetic for rows in arms] == [60, 200]
    assert diagnose(table, real=table.real[:300]).n_real == 300


def test_vectors_must_fit_the_rows(real):
    from posology.collapse.table import make_table
    from posology.records import TextRule

    with pytest.raises(ValueError, match="vectors"):
        make_table(real, [], np.zeros((3, 4), np.float32), TextRule())


def test_what_is_missing_and_what_is_too_much_is_shown_by_id(real):
    narrow = people(100, 5, "synthetic", ("card",))
    spoiled = narrow + [
        said(replace(c, id=f"{c.id}x"), lambda _: "I want my money back right now!") for c in narrow[:40]
    ]
    table = table_of(real, spoiled)
    lacking, excess = (find(table, table.real, table.synthetic) for find in (missing, over_produced))
    assert {find.topics[0] for find in lacking if find.kind == "topic"} == {"transfer", "travel", "app"}
    real_ids, made_ids = {c.id for c in real}, {c.id for c in spoiled}
    assert all(set(find.ids) <= real_ids for find in lacking)
    assert all(set(find.ids) <= made_ids for find in excess)
    copies = next(find for find in excess if find.kind == "copies")
    assert copies.count == 40
    opening = next(find for find in excess if find.kind == "opening")
    assert opening.phrase == "i want my"
    assert "money" not in json.dumps([find.to_json() for find in excess])
    advice = advise(diagnose(table), lacking)
    assert any("transfer" in piece.change for piece in advice)
    assert all(set(piece.because) <= BY_NAME.keys() for piece in advice)


def test_every_fault_leads_to_advice(real, healthy):
    shouted = [said(c, lambda t: f"{t.upper()}!!! \N{PERSEVERING FACE}") for c in healthy]
    found = diagnose(table_of(real, shouted))
    behind = {name for piece in advise(found, []) for name in piece.because}
    assert {reading.indicator.name for reading in found.faults} - {"topics_missing", "tail_missing"} <= behind
