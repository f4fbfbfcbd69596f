"""Does a judge favour its own family's texts? Planted and not planted, over many simulated trials."""

import numpy as np
import pytest

from posology.collapse import contamination as module
from posology.collapse.contamination import contamination


@pytest.fixture(autouse=True)
def fewer_resamples(monkeypatch):
    monkeypatch.setattr(module, "RESAMPLES", 200)


def trial(seed, planted, *, with_quality=True, n=120, better=0.3):
    """Two judges with scales and noise of their own; the related one's family writes better texts, too."""
    rng = np.random.default_rng(seed)
    own = np.arange(2 * n) < n
    truth = rng.normal(3.2, 0.8, 2 * n) + better * own
    related = np.clip(np.round(truth + rng.normal(0, 0.6, 2 * n) + planted * own), 1, 5)
    other = np.clip(np.round(3.2 + 0.8 * (truth - 3.2) + rng.normal(0, 0.6, 2 * n)), 1, 5)
    human = truth + rng.normal(0, 0.3, 2 * n)
    arms = np.where(own, "mine", "theirs")
    return contamination(related, other, own, quality=human if with_quality else None, arms=arms, seed=seed)


@pytest.mark.parametrize("with_quality", [True, False])
def test_a_planted_half_point_is_found(with_quality):
    found = [trial(seed, 0.5, with_quality=with_quality) for seed in range(200)]
    assert sum(one.verdict == "self-preference" for one in found) >= 190
    assert np.mean([one.gap for one in found]) == pytest.approx(0.5, abs=0.08)
    assert found[0].controlled == ("quality" if with_quality else "other judge")
    assert "own family" in next(one for one in found if one.verdict == "self-preference").warnings[0]


@pytest.mark.parametrize("with_quality", [True, False])
def test_without_any_it_is_silent(with_quality):
    found = [trial(seed, 0.0, with_quality=with_quality) for seed in range(200)]
    assert sum(one.verdict == "self-preference" for one in found) <= 12
    assert abs(np.mean([one.gap for one in found])) < 0.04
    assert not any(one.reversals for one in found)


def test_better_texts_alone_are_no_self_preference():
    found = [trial(seed, 0.0, better=1.0) for seed in range(40)]
    assert sum(one.verdict == "self-preference" for one in found) <= 4


def test_rankings_that_change_are_named():
    rng = np.random.default_rng(0)
    truth = np.repeat([3.0, 3.6, 2.0], 150) + rng.normal(0, 0.5, 450)
    arms = np.repeat(["mine", "theirs", "weak"], 150)
    own = arms == "mine"
    related, other = truth + 1.2 * own + rng.normal(0, 0.4, 450), truth + rng.normal(0, 0.4, 450)
    found = contamination(related, other, own, quality=truth, arms=arms)
    (pair,) = found.reversals
    assert (pair.first, pair.second) == ("mine", "theirs") and pair.by_related > 0 > pair.by_other and pair.ci95[0] > 0
    assert found.rankings == {"related": ("mine", "theirs", "weak"), "other": ("theirs", "mine", "weak")}
    assert any("ranking of arms" in text for text in found.warnings) and found.to_json()["verdict"] == "self-preference"


def test_texts_of_one_prompt_are_drawn_together():
    rng = np.random.default_rng(1)
    prompt = np.repeat(np.arange(20), 20)
    own = np.repeat(np.arange(20) < 10, 20)
    shared = rng.normal(0, 1, 20)[prompt]
    related, other = 3 + shared + rng.normal(0, 0.1, 400), 3 + rng.normal(0, 0.1, 400)
    apart = contamination(related, other, own)
    together = contamination(related, other, own, groups=[str(p) for p in prompt])
    assert np.diff(together.ci95)[0] > 2.5 * np.diff(apart.ci95)[0]


def test_too_little_to_tell():
    few = contamination(np.ones(12), np.ones(12), np.arange(12) < 3)
    assert few.verdict == "cannot tell" and few.gap is None and few.warnings == []
    alone = contamination(np.ones(30), np.ones(30), np.ones(30, dtype=bool), arms=["a"] * 30)
    assert alone.verdict == "cannot tell" and alone.rankings == {"related": ("a",), "other": ("a",)}
    nothing = contamination(np.zeros(0), np.zeros(0), np.zeros(0, dtype=bool), arms=[])
    assert nothing.verdict == "cannot tell"


def test_gaps_and_constants():
    rng = np.random.default_rng(0)
    own = np.arange(60) < 30
    related = rng.normal(3, 0.2, 60) + own
    related[::10] = np.nan
    found = contamination(related, np.full(60, 3.0), own, quality=np.full(60, 2.0))
    assert found.n_own == 27 and found.n_other == 27 and found.gap == pytest.approx(1, abs=0.2)
    same = contamination(np.full(60, 5.0), np.full(60, 3.0), own)
    assert same.gap == pytest.approx(0) and same.verdict == "none found"


def test_lengths_must_match():
    with pytest.raises(ValueError, match="one length"):
        contamination(np.ones(3), np.ones(4), np.ones(3, dtype=bool))
