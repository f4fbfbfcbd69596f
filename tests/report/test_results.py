import json

import pytest

from posology.errors import StoreError
from posology.report import results


@pytest.mark.parametrize("status", ["better", "no_worse", "inconclusive", "harmful"])
def test_every_status_is_read(document, status):
    result = results.parse(document(status))
    assert result.recommendation.status == status
    assert result.real_only.dose == 0
    assert [arm.dose for arm in result.controls] == [arm.dose for arm in result.selected[1:]]
    assert len(result.topics.rows) == 77


def test_only_the_core_is_required(document):
    result = results.parse(document("inconclusive", optional=False))
    assert result.curve is None
    assert result.labels is None
    assert result.rejected == {}


def test_unknown_keys_are_ignored(document):
    assert results.parse(document() | {"later": {"x": 1}}).design == "augment"


@pytest.mark.parametrize(
    ("status", "options", "dose"),
    [
        ("better", {}, 0.3),  # recommended
        ("inconclusive", {}, 0.3),  # compared by topic
        ("inconclusive", {"optional": False}, 0.2),  # highest accuracy
        ("harmful", {"doses": (0.0,)}, None),
        ("better", {"pool": 0}, None),  # arms without any synthetic row
    ],
)
def test_the_report_speaks_of_one_arm(document, status, options, dose):
    value = document(status, **options)
    if options.get("doses") == (0.0,) or options.get("pool") == 0:
        value["recommendation"]["dose"] = 0.0
    focus = results.parse(value).focus
    assert (focus and focus.dose) == dose


def test_a_short_pool_is_told_by_the_dose_reached(document):
    arm = results.parse(document(pool=600)).focus
    assert (arm.dose, arm.n_pool_short) == (0.3, 257)
    assert arm.told_dose == arm.actual_dose < 0.24


def test_probabilities_are_found_whatever_the_key_looks_like(document):
    value = document()
    value["recommendation"]["prob_best"] = {"0": 0.1, "0.30": 0.6, "rest": 0.3}
    result = results.parse(value)
    assert result.probability_best(0.3) == 0.6
    assert result.probability_best(0.5) is None


def broken(change):
    def apply(value):
        change(value)
        return value

    return apply


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda v: [v], "damaged"),
        (lambda v: v | {"schema_version": 2}, "schema_version"),
        (lambda v: {k: x for k, x in v.items() if k != "arms"}, "arms"),
        (lambda v: v | {"arms": v["arms"][1:]}, "no arm with real data only"),
        (lambda v: v | {"arms": v["arms"] + v["arms"][:1]}, "stands twice"),
        (lambda v: v | {"arms": []}, "no arm with real data only"),
        (lambda v: v | {"recommendation": {"dose": 0.9, "status": "better"}}, "not among the arms"),
        (lambda v: v | {"recommendation": {"dose": 0.3, "status": "superb"}}, "recommendation.status"),
        (lambda v: v | {"holdout": {"n": 0}}, "holdout.n"),
        (lambda v: v | {"holdout": {"n": float("nan")}}, "holdout.n"),
        (broken(lambda v: v["curve"]["mean"].pop()), "differ in length"),
        (broken(lambda v: v["arms"][3].update(actual_dose=1.4)), "arms.3.actual_dose"),
        (broken(lambda v: v["arms"][3]["accuracy"].update(mean=float("inf"))), "arms.3.accuracy.mean"),
    ],
)
def test_a_damaged_result_is_refused_with_the_place(document, damage, said):
    with pytest.raises(StoreError, match="damaged") as caught:
        results.parse(damage(document()))
    assert said in str(caught.value)
    assert caught.value.remedy


def test_a_missing_or_broken_file_is_a_store_error(tmp_path, document):
    with pytest.raises(StoreError, match="missing"):
        results.load(tmp_path)
    path = tmp_path / results.FILE
    path.parent.mkdir()
    path.write_text(json.dumps(document())[:-40])
    with pytest.raises(StoreError, match="damaged"):
        results.load(tmp_path)


def test_the_law_of_the_learning_curve():
    assert results.Fit(a=0.9, b=2.0, c=0.5).accuracy(400) == pytest.approx(0.8)
