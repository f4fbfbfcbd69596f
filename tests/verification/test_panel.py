"""Several judges: one opinion, how far they agree, what else their scores follow."""

import numpy as np
import pytest

from posology.verification.judging.agreement import agreement
from posology.verification.judging.bias import length_effect, order_effects, uninformative
from posology.verification.judging.panel import Limits, opinion, scaled, table
from posology.verification.judging.replies import Judgement

X = np.nan


def said(judge="j", id="c", state="scored", **scores):
    return Judgement(id, judge, state, tuple(scores) or ("a",), {k: v for k, v in scores.items() if v is not None})


def test_scores_are_averaged_and_held_against_the_floor():
    found = opinion([said("one", a=4, b=2), said("two", a=5, b=3)])
    assert [(f.check, f.state, f.score, f.threshold) for f in found.findings] == [
        ("judge_a", "pass", 4.5, 3.0),
        ("judge_b", "fail", 2.5, 3.0),
    ]
    assert found.scores == {"judge_a": 0.875, "judge_b": 0.375} and found.judges == ("one", "two")
    assert opinion([said(b=2)], Limits(floor=2)).findings[0].state == "pass"


def test_disagreement_is_unscored_and_not_zero():
    (finding,) = (found := opinion([said("one", a=1), said("two", a=4)])).findings
    assert finding.state == "unscored" and finding.score == 2.5 and found.scores == {"judge_a": None}
    assert opinion([said("one", a=1), said("two", a=4)], Limits(disagreement=3)).findings[0].state == "fail"


def test_one_judge_without_scores_does_not_spoil_the_other():
    found = opinion([said("one", a=4), said("two", state="refused")])
    assert found.findings[0].score == 4 and found.judges == ("one",)
    (finding,) = opinion([said("one", state="refused"), said("two", state="malformed")]).findings
    assert finding.state == "unscored" and "malformed, refused" in finding.detail


def test_ignored_judges_count_for_nothing():
    assert opinion([said("one", a=2), said("five", a=5)], ignored=["five"]).findings[0].score == 2
    assert opinion([said("five", a=5)], ignored=["five"]).findings[0].state == "unscored"


def test_nobody_was_asked():
    assert opinion([]).findings == ()
    assert scaled(1) == 0 and scaled(5) == 1
    assert np.isnan(table([None, said(a=3)], ["a", "b"])).tolist() == [[True, True], [False, True]]


# Krippendorff (2011): four observers, twelve units, five values; alpha is 0.815 for ordinal data.
EXAMPLE = np.array(
    [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, X, X, X],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, X, 3],
        [X, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, X],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, X],
    ]
)


def test_alpha_is_the_published_one():
    found = agreement(EXAMPLE)
    assert found.alpha == pytest.approx(0.815, abs=5e-4) and found.n == 11
    assert found.ci95[0] < 0.815 < found.ci95[1] <= 1


def test_alpha_at_its_ends():
    rng = np.random.default_rng(0)
    scores = rng.integers(1, 6, 400).astype(float)
    assert (
        agreement(np.stack([scores, scores])).alpha == 1 and agreement(np.stack([scores, scores])).verdict == "reliable"
    )
    chance = agreement(np.stack([scores, rng.permutation(scores)]))
    assert abs(chance.alpha) < 0.12 and chance.verdict == "unreliable"
    assert agreement(np.stack([scores, 6 - scores])).alpha < -0.5


@pytest.mark.parametrize(
    "scores", [np.full((2, 9), 5.0), np.full((2, 3), X), np.array([[1.0, 2], [X, X]]), np.zeros((2, 0))]
)
def test_agreement_that_cannot_be_told(scores):
    found = agreement(scores)
    assert found.alpha is None and found.ci95 is None and found.verdict == "cannot tell"


def test_a_judge_that_says_one_thing_is_uninformative():
    assert uninformative([said(a=5, b=5) for _ in range(20)]) == 5
    assert uninformative([said(a=5, b=5) for _ in range(19)]) is None, "too few to tell"
    assert uninformative([said(a=5, b=1 + n % 5) for n in range(40)]) is None
    assert uninformative([said(a=5)] * 200 + [said(a=1)]) == 5
    assert uninformative([]) is None


def test_order_effects_need_size_and_certainty():
    rng = np.random.default_rng(1)
    there = [said(id=str(n), a=int(rng.integers(2, 5)), b=3) for n in range(80)]
    noisy = [
        said(id=j.id, a=int(np.clip(j.scores["a"] + rng.integers(-1, 2), 1, 5)), b=3 - (n % 4 == 0))
        for n, j in enumerate(there)
    ]
    found = order_effects(there, noisy)
    assert not found["a"].matters and found["a"].changed > 0.3
    assert found["b"].matters and found["b"].shift == 0.25 and found["b"].n == 80
    assert order_effects(there, []) == {} and order_effects(there, noisy[:2]) == {}


def test_length_beyond_quality():
    rng = np.random.default_rng(0)
    quality, n = rng.normal(size=300), 300
    lengths = np.exp(quality + rng.normal(size=n))
    fair = quality + 0.3 * rng.normal(size=n)
    swayed = fair + np.log(lengths)
    others = np.column_stack([quality, np.where(rng.random(n) < 0.2, X, quality)])
    honest, biased = length_effect(fair, lengths, others), length_effect(swayed, lengths, others)
    assert honest.correlation > 0.5 and not honest.matters, "good texts are longer here; that is no bias"
    assert biased.matters and biased.partial > 0.5
    assert length_effect(np.full(n, 5.0), lengths, others) is None
    assert length_effect(fair[:9], lengths[:9], others[:9]) is None
    assert length_effect(np.full(n, X), lengths, others) is None
