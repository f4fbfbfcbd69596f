from collections import Counter

import numpy as np
import pytest

from posology.errors import UsageError
from posology.generation.habits import Casting, Habits, draw_habits, measured
from posology.generation.material import gather, sections_of
from posology.generation.personas import Persona, built_in
from posology.generation.plan import Choices, counted, make_plan

WANTED = {"refund": 30, "return": 10}


def plan(material, habits, seed=0, mode="dialogue", **options):
    return make_plan(WANTED, material, Choices(habits, built_in(), **options), mode=mode, seed=seed)


def combination(row):
    return (row.persona.name, row.channel, row.outcome, row.register, row.casing, row.typos, row.mood)


def test_every_topic_gets_what_it_wants_and_topics_take_turns(material, habits):
    rows = plan(material, habits)
    assert Counter(row.topic for row in rows) == WANTED
    assert [row.topic for row in rows[:4]] == ["refund", "return", "refund", "return"]
    assert len({row.id for row in rows}) == len({row.seed for row in rows}) == 40


def test_equal_seeds_give_equal_plans_and_others_do_not(material, habits):
    assert plan(material, habits, 3) == plan(material, habits, 3)
    assert plan(material, habits, 3) != plan(material, habits, 4)


def test_no_combination_repeats_before_all_are_used(habits):
    people = [Persona(f"p{n}", "x") for n in range(5)]
    casting = Casting(people, ("chat", "mail"), ("resolved", "escalated", "unresolved"), np.random.default_rng(0))
    rng = np.random.default_rng(1)
    used = {habit: Counter() for habit in habits}
    for _ in range(300):
        habit = habits[int(rng.integers(2))]
        used[habit][casting.next(habit)] += 1
        for counts in used.values():
            assert not counts or max(counts.values()) == 1 or len(counts) == 30
            assert not counts or max(counts.values()) - min(counts.values()) <= (len(counts) == 30)


def test_all_personas_write_before_one_writes_again(material, habits):
    rows = make_plan({"refund": 68}, material, Choices(habits[:1], built_in()), mode="dialogue")
    assert len({row.persona for row in rows}) == len(built_in()) == 68
    rows = make_plan({"refund": 700}, material, Choices(habits, built_in()), mode="dialogue")
    assert len(set(map(combination, rows))) == 700


def test_drawn_habits_follow_the_measured_distribution():
    rng = np.random.default_rng(0)
    registers = rng.choice(["formal", "plain", "casual"], 500, p=[0.1, 0.6, 0.3])
    moods = rng.choice(["negative", "neutral"], 500, p=[0.2, 0.8])
    population = [
        Habits(str(registers[n]), "normal", "", str(moods[n]), int(rng.integers(2, 9)), int(rng.integers(3, 40)))
        for n in range(500)
    ]
    for n in (10, 200, 1500):
        drawn = draw_habits(population, n, np.random.default_rng(n))
        assert len(drawn) == n
        measured_share = Counter(habit.register for habit in population)
        for value, times in Counter(habit.register for habit in drawn).items():
            assert abs(times / n - measured_share[value] / 500) <= 1.01 / n
    drawn = draw_habits(population, 500, rng)
    assert Counter(drawn) == Counter(population)
    assert drawn != sorted(population)


def test_habits_are_taken_from_real_conversations(real):
    found = measured(real, {"mood": ["urgent"] * 12, "length": ["x"] * 12}, dialogues=True)
    assert found[1] == Habits("", "", "", "urgent", 3, 7)
    single = [c.__class__(c.id, c.messages[:1], c.topic) for c in real]
    assert {habit.turns for habit in measured(single, {}, dialogues=True)} == {2, 4, 6}
    assert {habit.turns for habit in measured(single, {}, dialogues=False)} == {1}
    with pytest.raises(ValueError, match="12 conversations, but 2 values of mood"):
        measured(real, {"mood": ["a", "b"]}, dialogues=True)


def test_without_real_data_there_is_nothing_to_measure(material):
    with pytest.raises(UsageError, match="no real conversation"):
        plan(material, [])


def test_examples_are_masked_and_belong_to_the_topic(material, habits, real):
    rows = plan(material, habits)
    topics = {conversation.id: conversation.topic for conversation in real}
    for row in rows:
        assert 1 <= len(row.examples) <= 4
        assert len(set(row.examples)) == len(row.examples)
        assert {topics[example.id] for example in row.examples} == {row.topic}
        assert not any("Peter Pan" in example.text or "AB-123456" in example.text for example in row.examples)
    assert {example.id for row in rows for example in row.examples} == set(topics)
    assert material.masked == {"name": 1, "number": 1}


def test_docs_come_by_topic_and_else_by_nearness(material):
    assert sections_of("refund", material) == ["returns.md#Refund times"]
    assert sections_of("shipping", material) == []
    vectors = np.eye(3, dtype=np.float32)
    nearest = sections_of("shipping", material, np.array([0.1, 0.2, 0.97], np.float32), vectors)
    assert nearest == ["delivery.md#Costs", "returns.md#Labels"]
    with pytest.raises(ValueError, match="3 sections"):
        sections_of("shipping", material, vectors[0], vectors[:2])


def test_names_that_stand_twice_stay_apart(real, docs):
    doubled = (*docs, type(docs[0])("returns.md", "Labels", "other", "Another text."))
    material = gather(real, doubled, [{"name": "Boots", "p": "1"}, {"name": "Boots", "p": "2"}], dialogues=False)
    assert list(material.sections)[-1] == "returns.md#Labels (2)"
    assert list(material.products) == ["Boots", "Boots (2)"]
    assert material.examples["refund"][0].text == "Where is my refund, it has been two weeks now?"


def test_a_topic_without_examples_or_docs_is_planned_too(material, habits):
    (row,) = make_plan({"new topic": 1}, material, Choices(habits, built_in()), mode="dialogue")
    assert row.examples == row.docs == ()


def test_messages_have_one_turn_and_no_outcome(material, habits):
    rows = plan(material, habits, mode="message")
    assert {(row.turns, row.outcome) for row in rows} == {(1, "")}
    assert counted(rows)["topic"] == WANTED
