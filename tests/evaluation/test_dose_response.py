import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from posology.evaluation.dose_response import EvaluationSettings, evaluate

FAST = EvaluationSettings(draws=300)
N = 240


@pytest.fixture
def sweep(arm_of, topics):
    """Evaluates arms that are right on the easiest share; returns the response."""
    rng = np.random.default_rng(0)
    truth = rng.integers(len(topics) - 1, size=N)  # the last topic is not in the holdout
    difficulty = rng.random(N)
    counts = {topic: 3 + 10 * k for k, topic in enumerate(topics)}

    def run(shares, controls=None, seeds=1, settings=FAST, **changes):
        noise = np.random.default_rng(1)

        def right(share):
            return difficulty + 0.03 * noise.standard_normal((seeds, N)) < share

        arms = [arm_of(dose, right(share), truth) for dose, share in shares.items()]
        arms += [arm_of(dose, right(share), truth, "random") for dose, share in (controls or {}).items()]
        synthetic = {dose: {topics[0]: 7} for dose in shares}
        given = {"n_synthetic_by_topic": synthetic, "settings": settings, **changes}
        return evaluate(arms, truth, np.arange(N), topics, counts, **given)

    run.truth = truth
    return run


STORY = {0.0: 0.72, 0.3: 0.85, 0.5: 0.79, 1.0: 0.52}


def test_the_story_is_told(sweep):
    parts = sweep(STORY, controls={0.3: 0.80}, seeds=2).to_json()
    assert parts["recommendation"]["status"] == "better"
    assert parts["recommendation"]["dose"] == 0.3
    assert parts["cliff"]["detected"]
    assert parts["cliff"]["dose"] == 1.0
    assert parts["holdout"]["n"] == parts["holdout"]["n_groups"] == N
    assert 0.02 < parts["holdout"]["smallest_resolvable_difference"] < 0.08
    assert [(a["dose"], a["kind"]) for a in parts["arms"]] == [
        (0.0, "selected"),
        (0.3, "selected"),
        (0.3, "random"),
        (0.5, "selected"),
        (1.0, "selected"),
    ]
    assert parts["metric"] == "accuracy"
    assert len(parts["curve"]["doses"]) == 41


def test_the_file_is_plain_json_with_the_agreed_keys(sweep):
    response = sweep(STORY, controls={0.3: 0.8})
    parts = json.loads(json.dumps(response.to_json(), allow_nan=False))
    assert parts.keys() == {
        "metric",
        "holdout",
        "arms",
        "recommendation",
        "cliff",
        "curve",
        "topics",
        "confusions",
    }
    for arm in parts["arms"]:
        assert arm.keys() == {
            "dose",
            "kind",
            "actual_dose",
            "n_real",
            "n_synthetic",
            "n_pool_short",
            "accuracy",
            "macro_recall",
            "tail_recall",
            "delta_vs_real_only",
            "delta_vs_random",
            "mcnemar_p",
            "ece",
        }
        assert arm["delta_vs_real_only"].keys() == {"mean", "ci95", "p_adjusted"}
        for metric in ("accuracy", "macro_recall", "tail_recall"):
            low, high = arm[metric]["ci95"]
            assert 0 <= low <= arm[metric]["mean"] <= high <= 1


def test_dose_zero_is_compared_with_itself(sweep):
    first = sweep(STORY).to_json()["arms"][0]
    assert first["delta_vs_real_only"] == {"mean": 0.0, "ci95": [0.0, 0.0], "p_adjusted": 1.0}
    assert first["mcnemar_p"] == 1
    assert first["delta_vs_random"] is None


def test_a_control_is_compared_where_there_is_one(sweep):
    arms = sweep(STORY, controls={0.3: 0.75}).arms
    with_control = [a for a in arms if a.delta_vs_random is not None]
    assert [(a.arm.dose, a.arm.kind) for a in with_control] == [(0.3, "selected")]
    control = next(a for a in arms if a.arm.kind == "random")
    expected = with_control[0].accuracy.mean - control.accuracy.mean
    assert with_control[0].delta_vs_random.mean == pytest.approx(expected)
    assert with_control[0].delta_vs_random.low > 0


def test_controls_cannot_be_recommended(sweep):
    response = sweep({0.0: 0.72, 0.3: 0.72}, controls={0.3: 0.95})
    assert response.recommendation.dose == 0
    assert response.recommendation.prob_best.keys() == {0.0, 0.3}


def test_topics_are_compared_at_the_recommended_dose(sweep, topics):
    response = sweep(STORY)
    assert response.compared_dose == 0.3
    rows = {row.topic: row for row in response.topics}
    assert list(rows) == list(topics)
    assert rows[topics[-1]].n_holdout == 0
    assert rows[topics[-1]].recall_compared is None
    assert rows[topics[0]].n_synthetic == 7
    assert rows[topics[1]].n_synthetic == 0
    held = [row for row in response.topics if row.n_holdout]
    mean = sum(row.recall_real_only * row.n_holdout for row in held) / N
    assert mean == pytest.approx(response.arms[0].accuracy.mean)
    assert all(change.before > change.after for change in response.confusions)


def test_topics_are_compared_at_the_best_dose_if_none_is_recommended(sweep):
    response = sweep({0.0: 0.72, 0.3: 0.60, 0.5: 0.62}, n_synthetic_by_topic=None)
    assert response.recommendation.status == "harmful"
    assert response.compared_dose == 0.5
    assert response.topics[0].n_synthetic is None


def test_dose_zero_alone_is_a_sweep(sweep):
    parts = sweep({0.0: 0.7}).to_json()
    assert parts["recommendation"]["status"] == "inconclusive"
    assert parts["curve"] is None
    assert parts["topics"]["compared_dose"] is None
    assert parts["topics"]["rows"][0]["recall_compared"] is None
    assert parts["confusions"] == []
    assert parts["recommendation"]["prob_best"] == {"0": 1.0}


def test_an_empty_pool_is_inconclusive(arm_of, topics):
    truth = np.arange(N) % 5
    right = np.arange(N) < 100
    arms = [arm_of(0.0, right, truth), arm_of(0.3, ~right, truth, actual_dose=0.0, n_synthetic=0, n_pool_short=43)]
    response = evaluate(arms, truth, np.arange(N), topics, {}, settings=FAST)
    assert response.recommendation.status == "inconclusive"
    assert "No arm holds any synthetic data" in response.recommendation.reason


def test_no_tail_topic_in_the_holdout_gives_null(sweep):
    parts = sweep(STORY, settings=EvaluationSettings(draws=300, tail_max_real=1)).to_json()
    assert all(arm["tail_recall"] is None for arm in parts["arms"])
    assert parts["topics"]["tail_max_real"] == 1


def test_the_next_dose_is_new(sweep):
    proposal = sweep({0.0: 0.72, 0.3: 0.85, 1.0: 0.52}).propose()
    assert proposal.dose not in (0.0, 0.3, 1.0)
    assert sweep({0.0: 0.72, 0.3: 0.85}).propose(highest=0.25).dose <= 0.25


def test_same_input_same_output(sweep):
    assert sweep(STORY, seeds=3).to_json() == sweep(STORY, seeds=3).to_json()


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 1000))
def test_order_of_arms_conversations_and_topics_does_not_matter(arm_of_any, seed):
    rng = np.random.default_rng(seed)
    names = [f"t{k}" for k in range(5)]
    truth = rng.integers(5, size=80)
    groups = rng.integers(60, size=80)
    predicted = {dose: np.where(rng.random(80) < 0.7, truth, rng.integers(5, size=80)) for dose in (0.0, 0.3, 0.5)}
    real = {name: int(rng.integers(10)) for name in names}
    order, rename = rng.permutation(80), rng.permutation(5)
    doses = rng.permutation([0.0, 0.3, 0.5])
    here = evaluate([arm_of_any(d, p) for d, p in predicted.items()], truth, groups, names, real, settings=FAST)
    there = evaluate(
        [arm_of_any(d, rename[predicted[d][order]]) for d in doses.tolist()],
        rename[truth[order]],
        groups[order],
        [names[k] for k in np.argsort(rename)],
        real,
        settings=FAST,
    )
    first, second = here.to_json(), there.to_json()
    first["topics"]["rows"].sort(key=lambda row: row["topic"])
    second["topics"]["rows"].sort(key=lambda row: row["topic"])
    assert_same(first, second)


def assert_same(first, second):
    """Equal, numbers up to the last digit that is written."""
    if isinstance(first, dict):
        assert first.keys() == second.keys()
        first, second = list(first.values()), list(second.values())
    if isinstance(first, list):
        assert len(first) == len(second)
        for one, other in zip(first, second, strict=True):
            assert_same(one, other)
    else:
        assert first == (pytest.approx(second, abs=2e-6) if isinstance(second, float) else second)


@pytest.fixture(scope="session")
def arm_of_any():
    from posology.records import ArmResult

    def make(dose, predicted):
        row = predicted[None].astype(np.int32)
        return ArmResult(dose, "selected", dose, 100, 10, 0, (0,), row, np.full(row.shape, 0.5, np.float32))

    return make


def broken(arm_of, truth, case):
    right = np.ones(N, dtype=bool)
    zero, some = arm_of(0.0, right, truth), arm_of(0.3, right, truth)
    return {
        "no dose 0": [some],
        "none": [],
        "only a control of dose 0": [arm_of(0.0, right, truth, "random"), some],
        "twice": [zero, some, some],
        "seeds": [zero, arm_of(0.3, np.stack([right, right]), truth)],
        "length": [zero, arm_of(0.3, right[1:], truth[1:])],
        "index": [zero, arm_of(0.3, right, truth + 50)],
    }[case]


@pytest.mark.parametrize("case", ["no dose 0", "none", "only a control of dose 0", "twice", "seeds", "length", "index"])
def test_what_makes_no_sense_is_refused(arm_of, topics, case):
    truth = np.arange(N) % 5
    with pytest.raises(ValueError, match=r"dose 0|twice|fit|range"):
        evaluate(broken(arm_of, truth, case), truth, np.arange(N), topics, {})


def test_truth_and_groups_must_fit(arm_of, topics):
    truth = np.arange(N) % 5
    with pytest.raises(ValueError, match="one length"):
        evaluate([arm_of(0.0, truth >= 0, truth)], truth, np.arange(N - 1), topics, {})
    empty = truth[:0]
    with pytest.raises(ValueError, match="one length"):
        evaluate([arm_of(0.0, empty >= 0, empty)], empty, empty, topics, {})


@pytest.mark.parametrize("wrong", [{"draws": 10}, {"margin": 1.0}, {"margin": -0.1}])
def test_settings_are_checked(wrong):
    with pytest.raises(ValueError, match="draws"):
        EvaluationSettings(**wrong)
