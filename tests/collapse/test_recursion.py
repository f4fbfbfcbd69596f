from collections import Counter

import numpy as np
import pytest

from collapse_support import people
from posology.collapse.continuation import continuation, first_line
from posology.collapse.recursion import run_loop
from posology.collapse.surrogate import Trigrams
from posology.records import TextRule

RULE = TextRule()


@pytest.fixture(scope="module")
def start():
    return people(120, 4)


def loop(start, policy, **more):
    given = {"generations": 3, "policy": policy, "rule": RULE, "seed": 1} | more
    return list(run_loop(start, given.pop("fit", Trigrams.fit), **given))


def test_replace_forgets_real_data_and_accumulate_keeps_it(start):
    replaced, accumulated = loop(start, "replace"), loop(start, "accumulate")
    assert [len(g.mixture) for g in replaced] == [120] * 4
    assert [sum(c.source == "real" for c in g.mixture) for g in replaced] == [120, 0, 0, 0]
    assert [len(g.mixture) for g in accumulated] == [120, 240, 360, 480]
    assert all(g.mixture[:120] == tuple(start) for g in accumulated)


def test_subsample_keeps_the_size_and_part_of_real_data(start):
    mixtures = [g.mixture for g in loop(start, "accumulate-subsample")]
    real = [sum(c.source == "real" for c in mixture) for mixture in mixtures]
    assert [len(mixture) for mixture in mixtures] == [120] * 4
    assert real[0] == 120 > real[1] > real[3] > 0
    assert real[1] == pytest.approx(60, abs=15)


def test_ids_are_unique_and_rows_say_who_wrote_them(start):
    last = loop(start, "accumulate")[-1].mixture
    assert len({c.id for c in last}) == len(last)
    assert {c.source for c in last if c.meta.get("generation")} == {"synthetic"}


def test_the_same_seed_gives_the_same_loop(start):
    assert loop(start, "replace") == loop(start, "replace")
    assert loop(start, "replace") != loop(start, "replace", seed=2)


def test_verification_chooses_among_twice_as_many(start):
    seen = []

    def verify(candidates):
        seen.append(len(candidates))
        return candidates[::3]

    turns = loop(start, "replace", verify=verify)
    assert seen[0] == pytest.approx(240, abs=10)
    assert len(turns[1].written) == -(-seen[0] // 3)
    assert turns[1].n_candidates == seen[0]


def test_the_loop_ends_where_nothing_usable_is_written(start):
    assert [g.number for g in loop(start, "replace", verify=lambda candidates: [])] == [0]

    class Mute:
        def write(self, topics, rng):
            return [" "] * len(topics)

    assert len(loop(start, "accumulate", fit=lambda texts, topics: Mute())) == 1


def test_trigrams_write_words_of_their_topic():
    texts = ["my card is lost", "my card is stolen", "the app is slow", "the app is down"]
    topics = ["card", "card", "app", "app"]
    model = Trigrams.fit(texts * 5, topics * 5)
    written = model.write(["card"] * 40, np.random.default_rng(0))
    assert sum("card" in text for text in written) > 30
    assert set(" ".join(written).split()) <= set(" ".join(texts).split())


def test_trigrams_keep_turns_apart_and_know_unseen_topics():
    model = Trigrams.fit(["where is it\nplease hurry up"] * 3, ["a"] * 3)
    assert model.write(["a", "new"], np.random.default_rng(0)) == ["where is it\nplease hurry up"] * 2


def test_a_topic_that_is_no_longer_drawn_is_gone_for_good():
    rare = people(200, 1)
    lone = [c for c in rare if c.topic == "app"][:1]
    rest = [c for c in rare if c.topic != "app"]
    counts = [Counter(c.topic for c in g.mixture)["app"] for g in loop([*rest, *lone], "replace", generations=8)]
    gone = counts.index(0) if 0 in counts else len(counts)
    assert not any(counts[gone:])


def test_a_model_goes_on_with_a_list_of_the_topic():
    prompts = []

    def ask(sent):
        prompts.extend(sent)
        return [' "one more"\n- and another', "", "\n- next"]

    model = continuation(ask)(["a one", "a two", "b one"], ["a", "a", "b_c"])
    assert model.write(["a", "b_c", "none"], np.random.default_rng(0)) == ["one more", "", "next"]
    assert sorted(prompts[0].splitlines()[2:]) == ["-", "- a one", "- a two"]
    assert prompts[1].startswith("Messages that customers wrote to support about b c:")
    assert prompts[2].endswith("\n\n-")


@pytest.mark.parametrize(
    ("reply", "line"), [("", ""), (" - hello ", "hello"), ('\n\n* "hi"\nmore', "hi"), ("- \n-", "")]
)
def test_first_line(reply, line):
    assert first_line(reply) == line


@pytest.mark.parametrize(
    ("ci95", "asked", "status"),
    [
        ([-0.4, -0.3], 1, "collapsing"),
        ([-0.12, -0.05], 1, "eroding"),
        ([-0.02, 0.01], 1, "holding"),
        ([-0.02, 0.01], 2, "collapsing"),  # it ended early
    ],
)
def test_what_a_loop_is_called(ci95, asked, status):
    from posology.recursing import _run

    rows = [{"generation": i, "accuracy": 0.8, "delta": {"mean": 0.0, "ci95": ci95}} for i in range(2)]
    assert _run("replace", False, rows, asked)["status"] == status
