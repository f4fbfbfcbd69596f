"""Human labels: reading, measuring, thresholds, sessions in the terminal."""

import json

import numpy as np
import pytest

from posology.calibrating import calibrated
from posology.config import Verify
from posology.errors import InputError, StoreError
from posology.labelling import Labelling
from posology.records import Conversation, DocSection, Finding, Message, Verdict
from posology.verification.calibration import calibrate
from posology.verification.labels import Label, read_labels, weights_of
from posology.verification.measures import measure
from posology.verification.precision import threshold

X = np.nan


def pool(n, seed=0, power=(2.0, 1.0, 0.0)):
    """Scores that know quality more or less, and whether each is good."""
    rng = np.random.default_rng(seed)
    quality = rng.normal(size=n)
    good = quality + 0.5 * rng.normal(size=n) > -0.4
    scores = 1 / (1 + np.exp(-(quality[:, None] * np.array(power) + rng.normal(size=(n, len(power))))))
    return [{f"s{j}": float(value) for j, value in enumerate(row)} for row in scores], good


def lines(path, *rows):
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


class TestLabels:
    KNOWN = ("a", "b", "c")

    def test_read(self, tmp_path):
        file = lines(
            tmp_path / "l",
            {"id": "a", "good": True, "note": "x"},
            "",
            {"id": "b", "good": False, "stratum": 0, "of": 9},
        )
        assert read_labels(file, self.KNOWN) == [Label("a", True), Label("b", False, 0, 9)]

    @pytest.mark.parametrize(
        ("bad", "said"),
        [
            ({"id": "z", "good": True}, "line 2: 'z' is no candidate"),
            ({"id": "a", "good": False}, "line 2: 'a' has a label already, on line 1"),
            ({"id": "b", "good": "yes"}, "line 2: this is no label"),
            ({"id": "b"}, "line 2: this is no label"),
            ({"id": 3, "good": True}, "line 2: this is no label"),
            ({"id": "b", "good": True, "of": "many"}, "line 2: this is no label"),
            ("{half", "line 2: this is no label"),
            ("[1]", "line 2: this is no label"),
        ],
    )
    def test_broken_lines_are_named(self, tmp_path, bad, said):
        with pytest.raises(InputError, match=said):
            read_labels(lines(tmp_path / "l", {"id": "a", "good": True}, bad), self.KNOWN)

    def test_one_kind_alone_teaches_nothing(self, tmp_path):
        file = lines(tmp_path / "l", {"id": "a", "good": True}, {"id": "b", "good": True})
        with pytest.raises(InputError, match="calls all 2 candidates good"):
            read_labels(file, self.KNOWN)
        with pytest.raises(InputError, match="holds no labels"):
            read_labels(lines(tmp_path / "e"), self.KNOWN)
        with pytest.raises(InputError, match="no such file"):
            read_labels(tmp_path / "nowhere", self.KNOWN)
        assert len(read_labels(file, self.KNOWN, started=True)) == 2
        assert read_labels(tmp_path / "nowhere", self.KNOWN, started=True) == []

    def test_weights_bring_strata_back_to_their_size(self):
        labels = [Label("a", True, 0, 30), Label("b", True, 0, 30), Label("c", False, 1, 5)]
        assert weights_of(labels) == pytest.approx(np.array([15, 15, 5]) * 3 / 35)
        assert weights_of([Label("a", True), Label("b", False)]).tolist() == [1, 1]


class TestCalibration:
    def test_the_better_score_weighs_more(self):
        found = calibrate(*pool(600))
        assert found.fitted and found.weights["s0"] > found.weights["s1"] > found.weights["s2"] >= 0
        assert sum(found.weights.values()) == pytest.approx(1)
        assert found.loss["fitted"] < found.loss["configured"] < found.loss["base_rate"]
        by_name = {one.name: one for one in found.measures}
        assert by_name["s0"].auc > by_name["s1"].auc > 0.6 > by_name["s2"].auc
        assert found.whole.ece < 0.08 and found.whole.kappa > 0.4
        assert found.probability(0.9) > 0.5 > found.probability(0.1)

    def test_configured_weights_stay_where_fitting_does_not_help(self):
        scores, good = pool(40, power=(1.0, 1.0, 1.0), seed=4)
        found = calibrate(scores, good, weights={"s0": 1, "s1": 1, "s2": 1})
        assert found.fitted == (found.loss["fitted"] < found.loss["configured"])
        assert max(found.weights.values()) < 0.5

    def test_figures_are_those_of_unseen_candidates(self):
        rng = np.random.default_rng(0)
        scores = [{f"s{j}": float(value) for j, value in enumerate(row)} for row in rng.random((60, 12))]
        found = calibrate(scores, rng.random(60) < 0.5)
        assert found.whole.auc < 0.65 and found.loss["fitted"] > found.loss["base_rate"] - 0.02

    def test_gaps_in_scores(self):
        scores, good = pool(200)
        for place in range(0, 200, 3):
            scores[place] = {**scores[place], "s0": None}
        scores[0] = {}
        found = calibrate(scores, good, precision=0.8)
        assert {one.name: one.n for one in found.measures} == {"s0": 133, "s1": 199, "s2": 199}

    def test_one_of_a_kind(self):
        scores, _ = pool(20)
        assert calibrate(scores, [True] + [False] * 19).n_good == 1
        with pytest.raises(ValueError, match="both"):
            calibrate(scores, [True] * 20)
        with pytest.raises(ValueError, match="no candidate has a score"):
            calibrate([{}, {"a": None}], [True, False])

    def test_known_figures(self):
        truth = np.array([1, 1, 1, 0, 0, 0, 0, 0], dtype=bool)
        said = np.array([0.9, 0.9, 0.1, 0.9, 0.1, 0.1, 0.1, X])
        found = measure("x", said, truth, np.ones(8))
        assert (found.n, found.precision, found.recall) == (7, 2 / 3, 2 / 3)
        assert found.kappa == pytest.approx(5 / 12)
        assert found.ece == pytest.approx((abs(2.7 - 2) + abs(0.4 - 1)) / 7)
        assert found.auc == pytest.approx((2 * (3 + 0.5) + (3 * 0.5)) / 12)
        weighted = measure("x", said, truth, np.array([1, 1, 1, 4, 1, 1, 1, 1.0]))
        assert weighted.precision == 2 / 6

    def test_nothing_called_good(self):
        found = measure("x", np.zeros(4), np.array([True, False, True, False]), np.ones(4))
        assert found.precision is None and found.recall == 0 and found.kappa == 0


class TestThreshold:
    def truths(self, n, seed, slope=6.0):
        rng = np.random.default_rng(seed)
        values = rng.random(n)
        return values, rng.random(n) < 1 / (1 + np.exp(-slope * (values - 0.25)))

    def test_what_is_claimed_is_true(self):
        shown = wrong = 0
        values, good = self.truths(200_000, 0)
        for seed in range(1, 201):
            found = threshold(*self.truths(500, seed), np.ones(500), 0.9)
            if found.shown:
                shown += 1
                wrong += good[values >= found.value].mean() < 0.9
        assert shown > 150 and wrong <= 0.05 * 200

    def test_few_labels_cannot_show_it_and_that_is_said(self):
        found = threshold(np.linspace(0, 1, 50), np.arange(50) >= 20, np.ones(50), 0.95)
        assert not found.shown and found.value is not None and found.needed == 90 and found.precision >= 0.95
        assert "takes at least 90 kept labels" in found.summary

    def test_enough_good_labels_show_it(self):
        found = threshold(np.linspace(0, 1, 200), np.arange(200) >= 60, np.ones(200), 0.9)
        assert found.shown and found.lower >= 0.9 and found.recall == 1 and "with 95 % confidence" in found.summary

    def test_out_of_reach(self):
        found = threshold(np.linspace(0, 1, 100), np.arange(100) % 2 == 0, np.ones(100), 0.95)
        assert found.value is None and not found.shown and "no threshold" in found.summary
        nothing = threshold(np.full(3, X), np.array([True, False, True]), np.ones(3), 0.9)
        assert nothing.value is None and nothing.n_kept == 0

    def test_equal_composites_are_kept_together(self):
        values = np.r_[np.full(100, 0.8), np.full(100, 0.2)]
        good = np.r_[np.ones(100), np.arange(100) < 10].astype(bool)
        found = threshold(values, good, np.ones(200), 0.9)
        assert found.value == 0.8 and found.n_kept == 100

    def test_unequal_weights_count_for_less(self):
        values, good = np.linspace(0, 1, 120), np.ones(120, dtype=bool)
        good[:5] = False
        even = threshold(values, good, np.ones(120), 0.9)
        uneven = threshold(values, good, np.where(np.arange(120) % 10 == 0, 8.0, 0.2), 0.9)
        assert even.shown and even.lower > uneven.lower


def talk(number):
    return Conversation(f"c{number}", (Message("user", f"text {number}"),), f"t{number % 3}", "synthetic")


def judged(number, score, state="pass", judge_score=None):
    findings = [Finding("label_agreement", state)]
    scores = {"agreement": score}
    if judge_score is not None:
        findings.append(Finding("judge_on_topic", "pass", judge_score))
        scores["judge_on_topic"] = (judge_score - 1) / 4
    return Verdict(f"c{number}", tuple(findings), scores, score, f"t{number % 3}")


class TestRun:
    def verdicts(self, n=120):
        rng = np.random.default_rng(0)
        return [
            judged(k, float(s), "fail" if s < 0.1 else "pass", int(1 + 4 * s) if k % 2 else None)
            for k, s in enumerate(rng.random(n))
        ]

    def test_figures_by_score_check_and_judge(self, tmp_path):
        verdicts = self.verdicts()
        labels = lines(tmp_path / "l", *({"id": v.id, "good": v.composite > 0.35} for v in verdicts))
        rows = [{"id": v.id, "judge": "openai:x", "scores": {"on_topic": 1 + int(4 * v.composite)}} for v in verdicts]
        lines(tmp_path / "judgements.jsonl", *rows, {**rows[0], "scores": {"on_topic": 5}})
        found = calibrated(verdicts, labels, tmp_path, Verify(), precision=0.9)
        names = [one["name"] for one in found["further"]]
        assert names == ["passed", "check label_agreement", "judge openai:x: on_topic"]
        assert found["further"][0]["recall"] == 1 and found["threshold"]["value"] is not None
        assert set(found["settings"]) == {"weights", "min_composite"}
        assert found["settings"]["min_composite"] <= found["threshold"]["value"]
        assert json.loads((tmp_path / "calibration.json").read_text()) == json.loads(json.dumps(found))

    def test_labelled_candidates_without_a_score(self, tmp_path):
        verdicts = [Verdict(f"c{k}", (), {"x": None}, None, "t") for k in range(4)]
        labels = lines(tmp_path / "l", *({"id": f"c{k}", "good": k > 1} for k in range(4)))
        with pytest.raises(InputError, match="has a score"):
            calibrated(verdicts, labels, tmp_path, Verify())

    def test_damaged_judgements(self, tmp_path):
        verdicts = self.verdicts(20)
        labels = lines(tmp_path / "l", *({"id": v.id, "good": v.composite > 0.5} for v in verdicts))
        lines(tmp_path / "judgements.jsonl", "{half")
        with pytest.raises(StoreError, match="damaged"):
            calibrated(verdicts, labels, tmp_path, Verify())


class TestLabelling:
    DOCS = (DocSection("f", "T0", "t0", "about t0"),)

    def session(self, tmp_path, wanted=6, n=40):
        verdicts = [judged(k, k / n, "fail" if k < 4 else "pass") for k in range(n)]
        return Labelling([talk(k) for k in range(n)], verdicts, tmp_path / "labels.jsonl", wanted, docs=self.DOCS)

    def run(self, session, keys):
        shown, left = [], iter(keys)
        return session.run(shown.append, lambda: next(left, "")), shown

    def test_answers_are_written_as_they_come(self, tmp_path):
        session = self.session(tmp_path)
        result, shown = self.run(session, "ynYxny n")
        assert result == {"n": 6, "n_good": 3, "wanted": 6, "labels": str(tmp_path / "labels.jsonl")}
        rows = [json.loads(line) for line in (tmp_path / "labels.jsonl").read_text().splitlines()]
        assert [row["good"] for row in rows] == [True, False, True, False, True, False]
        assert [one.conversation.id for one in shown] == [row["id"] for row in rows]
        assert all({"stratum", "of"} <= set(row) for row in rows)
        about = next(one for one in shown if one.conversation.topic == "t0")
        assert about.sections == self.DOCS and not hasattr(about, "scores")

    def test_undo_skip_and_quit(self, tmp_path):
        session = self.session(tmp_path)
        result, shown = self.run(session, "uyunsnuyq")
        ids = [one.conversation.id for one in shown]
        assert ids[0] == ids[1] == ids[3], "an undone candidate is asked again"
        rows = [json.loads(line) for line in (tmp_path / "labels.jsonl").read_text().splitlines()]
        assert [row["good"] for row in rows] == [False, True] and result["n"] == 2

    def test_a_session_goes_on_where_the_last_one_ended(self, tmp_path):
        self.run(self.session(tmp_path), "yn")
        session = self.session(tmp_path)
        result, shown = self.run(session, "yyyyyyyy")
        assert result["n"] == 6 and len(shown) == 4 and shown[0].done == 2
        assert len({label.id for label in session.labels}) == 6
        again, nothing = self.run(self.session(tmp_path), "y")
        assert again["n"] == 6 and not nothing

    def test_nothing_to_label(self, tmp_path):
        result, _ = self.run(Labelling([], [], tmp_path / "l", 5), "y")
        assert result["n"] == 0 and not (tmp_path / "l").exists()

    def test_labels_of_another_pool_are_refused(self, tmp_path):
        lines(tmp_path / "labels.jsonl", {"id": "other", "good": True})
        with pytest.raises(InputError, match="no candidate"):
            self.session(tmp_path)

    def test_without_any_composite(self, tmp_path):
        verdicts = [Verdict(f"c{k}", (), {}, None, "t") for k in range(10)]
        result, _ = self.run(Labelling([talk(k) for k in range(10)], verdicts, tmp_path / "l", 4), "ynyn")
        assert result["n"] == 4
