from dataclasses import replace

import pytest

from collapse_support import people
from posology import collapsing
from posology.collapsing import diagnose_arms, find_collapse, first_to_move
from posology.conversations.reading import read
from posology.embedding.lexical import Lexical
from posology.records import Message, TextRule

RULE = TextRule()


def embed(conversations):
    return Lexical().encode([RULE.text(c) for c in conversations])


@pytest.fixture(scope="module")
def real():
    return people(300, 1)


def test_the_files_of_a_diagnosis(real, tmp_path):
    pool = people(80, 2, "synthetic", ("card", "app"))
    pool += [replace(c, id=f"{c.id}-c", messages=(Message("user", "I <b>want</b> it back now"),)) for c in pool[:20]]
    found = find_collapse(real, pool, embed, RULE)
    result = found.write(tmp_path, {"identity": {"seed": 0}}, title="A title")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["collapse.html", "collapse.json", "picture.json"]
    assert result["collapsed"] and result["advice"] and result["missing"] and result["over_produced"]
    told = (tmp_path / "collapse.json").read_text()
    page = (tmp_path / "collapse.html").read_text()
    assert "back now" not in told
    assert "I &lt;b&gt;want&lt;/b&gt; it back now" in page
    assert "<script" not in page and "http" not in page.replace("http-equiv", "")
    assert "A title" in page


def test_a_million_rows_are_looked_at_by_sample(real, monkeypatch):
    monkeypatch.setattr(collapsing, "LARGEST", 310)
    many = people(320, 3, "synthetic")
    told = []

    class Listening:
        def note(self, text):
            told.append(text)

        def step(self, *_):
            pass

        warn = note

    found = find_collapse(real, many, embed, RULE, progress=Listening())
    assert found.sampled == {"synthetic": 310}
    assert "310 of 320" in told[0]


def test_arms_get_the_indicators_of_a_set_of_their_own(real):
    pool = people(120, 2, "synthetic")
    arms = diagnose_arms(real, {0.1: pool[:10], 0.3: pool[:60], 0.5: pool}, embed, RULE)
    assert list(arms) == [0.3, 0.5]  # ten texts are too few to judge
    assert arms[0.5].n_synthetic == 120
    assert {r.indicator.name for r in arms[0.3].readings} == {r.indicator.name for r in arms[0.5].readings}


def test_what_moves_first_is_named_with_its_dose(real):
    good = people(100, 2, "synthetic")
    shouted = [replace(c, id=f"{c.id}-1", messages=(Message("user", c.messages[0].content.upper()),)) for c in good]
    copied = [replace(c, id=f"{c.id}-2") for c in shouted]
    arms = diagnose_arms(real, {0.5: [*shouted, *copied], 0.1: good, 0.3: shouted}, embed, RULE)
    moved = dict((name, dose) for dose, name in first_to_move(arms))
    assert moved["shouting"] == 0.3
    assert moved["near_copies"] == 0.5
    assert first_to_move(arms)[0][0] == 0.3
    assert first_to_move({}) == []


def test_too_little_real_data_leaves_arms_unjudged():
    few, pool = people(10, 1), people(50, 2, "synthetic")
    assert diagnose_arms(few, {0.3: pool}, embed, RULE) == {}


@pytest.mark.data
def test_on_real_conversations_the_synthetic_set_is_flatter(data_folder):
    real, pool = (read(data_folder / "twacs" / f"{name}.jsonl").conversations for name in ("labelled", "synthetic"))
    found = find_collapse(real, [replace(c, source="synthetic") for c in pool], embed, RULE)
    assert found.diagnosis.collapsed
    assert found.diagnosis.verdict_of("arousal") == "flat"
    assert found.diagnosis.verdict_of("told_by_surface") == "shifted"
