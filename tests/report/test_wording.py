import pytest

from posology.report import results, wording


def said(text):
    return text.replace("\u00a0", " ")


@pytest.mark.parametrize(
    ("status", "options", "expected"),
    [
        ("better", {}, "Add synthetic data to a dose of 30 %: accuracy on real customers rises from 74.5 % to 89.5 %."),
        ("better", {"design": "replace"}, "Replace real data by synthetic to a dose of 30 %: accuracy on"),
        ("better", {"pool": 600}, "Add synthetic data to a dose of 23.1 % (of 30 % asked for): accuracy on"),
        ("no_worse", {}, "Keep real data only: synthetic data does little harm, but no dose is shown to be better."),
        ("inconclusive", {}, "Keep real data only: this holdout cannot tell whether synthetic data helps or harms."),
        ("harmful", {}, "Keep real data only: synthetic data does harm, accuracy falls from 74.5 % to 59.5 %"),
    ],
)
def test_the_verdict_in_one_sentence(document, status, options, expected):
    assert said(wording.headline(results.parse(document(status, **options)))).startswith(expected)


def test_a_dose_that_is_no_worse_is_not_called_better(document):
    value = document("no_worse")
    value["recommendation"]["dose"] = 0.2
    headline = said(wording.headline(results.parse(value)))
    assert headline == "A dose of 20 % is no worse than real data only; that it is better is not shown."


def test_nothing_measured_is_said_so(document):
    result = results.parse(document("inconclusive", doses=(0.0,)) | {"curve": None, "topics": None})
    assert wording.headline(result) == "Keep real data only: no arm holds synthetic data."
    assert wording.caveat(result) is None
    assert wording.key_numbers(result)[0].value == "74.5\u00a0%"


def test_only_a_proven_gain_goes_without_caveat(document):
    assert wording.caveat(results.parse(document("better"))) is None
    assert "Do not train on this pool" in wording.caveat(results.parse(document("harmful")))
    for status in ("no_worse", "inconclusive"):
        caveat = said(wording.caveat(results.parse(document(status))))
        assert "not a proof" in caveat
        assert "below 6.1 points" in caveat
        assert "difference of 3 points 4 times in 5 takes about 1,480 holdout conversations" in caveat


def test_the_key_numbers(document):
    first, second, third = wording.key_numbers(results.parse(document("inconclusive")))
    assert said(first.label) == "Accuracy, real only → at 30 % (not recommended)"
    assert said(first.value) == "74.5 % → 77.0 %"
    assert said(first.detail) == "+2.5 points, simultaneous 95 % interval [\u22123.7, 8.7]"
    assert said(second.value) == "6.1 points"
    assert third.value == "200"
    assert said(third.detail) == "198 of them distinct; every arm trained with 5 seeds"


def test_topics_are_summed_up_and_doubted(document):
    rows = results.parse(document()).topics.rows
    summary = said(wording.topic_summary(rows))
    numbers = [int(word) for word in summary.replace(",", "").split() if word.isdigit()]
    assert numbers[0] + numbers[2] + numbers[3] == numbers[1] == 76
    assert "1 topic has no holdout conversation" in summary
    assert "has 3 holdout conversations, so one answer more or less moves its recall by 33 points" in said(
        wording.topic_caution(rows)
    )
    assert wording.topic_caution([]) == ""


def test_reasons_in_words():
    assert wording.reason_in_words("leaked_near") == "nearly the same text stands in the holdout"
    assert wording.reason_in_words("too_short_for_us") == "too short for us"


def test_labels_and_money(document):
    labels = results.parse(document()).labels
    assert wording.labels_sentence(labels).startswith(labels.note)
    assert f"At $4 a label that is ${labels.saved:,.0f}." in wording.labels_sentence(labels)
    free = labels.model_copy(update={"note": "", "saved": None, "equivalent_labels": 640})
    assert said(wording.labels_sentence(free)) == "The gain equals about 640 further real labels."


def test_the_method_speaks_of_this_sweep(document):
    augment, replace = (results.parse(document(design=design)) for design in ("augment", "replace"))
    assert "All real conversations stay" in wording.method(augment)[0]
    assert "keeps its size" in wording.method(replace)[0]
    assert any("smooth curve" in text for text in wording.method(augment))
    assert len(wording.method(results.parse(document(optional=False)))) == 3
