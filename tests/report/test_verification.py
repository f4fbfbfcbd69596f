"""The section on verification: counts, distributions, examples side by side, privacy."""

import json

import pytest

from posology.report import build, wording
from posology.report.marks import histogram
from posology.report.verification import SHOWN, Summary, verification

MANIFEST = {
    "stage": "verify",
    "n_candidates": 100,
    "n_passed": 80,
    "n_relabelled": 2,
    "pass_rate": 0.8,
    "rejected": {"truncated": 12, "real_datum": 8},
    "checks": {
        "truncated": {"pass": 88, "fail": 12, "unscored": 0},
        "faithful": {"pass": 0, "fail": 0, "unscored": 100},
        "real_datum": {"pass": 92, "fail": 8, "unscored": 0},
    },
    "distributions": {"composite": {"passed": [0, 30, 50], "rejected": [20, 0, 0]}},
    "privacy": {"detector": "builtin", "n_protected": 41, "span_words": 12},
    "warnings": ["The check of independence was overridden: both are Claude."],
}


def row(n, composite, **more):
    return {"id": f"c{n}", "topic": "t", "messages": [{"role": "user", "content": f"text <b>{n}</b>"}]} | (
        {"composite": composite} | more
    )


@pytest.fixture
def run(make_run):
    folder = make_run()
    stage = folder / "verify"
    stage.mkdir()
    (stage / "manifest.json").write_text(json.dumps(MANIFEST))
    (stage / "passed.jsonl").write_text("\n".join(json.dumps(row(n, n / 80)) for n in range(80)) + "\nnonsense\n")
    bad = [row(n, 0.5 - n / 1000, reason="truncated", detail="breaks off") for n in range(100, 120)]
    (stage / "rejected.jsonl").write_text("\n".join(map(json.dumps, bad)))
    return folder


def test_the_best_and_the_worst_are_found(run):
    found = verification(run, MANIFEST)
    assert [r["id"] for r in found.best] == ["c79", "c78", "c77", "c76"]
    assert [r["id"] for r in found.worst] == ["c119", "c118", "c117", "c116"] and SHOWN == 4
    assert found.silent == ["faithful"]


def test_rows_without_scores_are_shown_last_and_in_their_order(run):
    rows = [row(0, None), row(1, None), row(2, 0.1)]
    (run / "verify" / "passed.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (run / "verify" / "rejected.jsonl").write_text("\n".join(map(json.dumps, rows)))
    found = verification(run, MANIFEST)
    assert [r["id"] for r in found.best] == ["c2", "c0", "c1"] == [r["id"] for r in found.worst]


def test_the_section_stands_in_the_page(run):
    page = build.build(run)
    assert 'id="verification"' in page and 'href="#verification"' in page
    assert "80 of 100" in page.replace("\u00a0", " ") and "2 of them under another topic" in page
    assert "Kept, best scored" in page and "Rejected, worst scored" in page
    assert "text &lt;b&gt;79&lt;/b&gt;" in page and "<b>79</b>" not in page
    assert "breaks off in the middle" in page and "41" in page and "runs of 12 words" in page
    assert "overridden" in page[: page.index("<main>")]


def test_judges_and_their_answers_are_told(run):
    judged = {
        "judges": [
            {"name": "openai:<b>", "states": {"malformed": 2, "scored": 78}, "always": None},
            {"name": "local:x", "states": {"scored": 80}, "always": 5},
        ],
        "agreement": {"on_topic": {"alpha": 0.812, "verdict": "reliable"}, "complete": {"alpha": None}},
        "questions": {
            "topic": {"in_doubt": 9, "asked": 9, "settled": {"own": 4, "other": 3}},
            "retells": {"in_doubt": 1, "asked": 0, "settled": {}},
        },
    }
    (run / "verify" / "manifest.json").write_text(json.dumps(MANIFEST | {"judging": judged}))
    page = build.build(run).replace("\u00a0", " ")
    assert "openai:&lt;b&gt;: scored 78, malformed 2." in page and "gives everything a 5" in page
    assert "on_topic 0.81." in page and "4 kept where they were, 3 moved to the other topic, 2 left to the data" in page
    assert "Of 1 candidate data could not tell whether a held-out conversation is retold; no judge was shown" in page
    assert wording.judges(Summary(n_candidates=1, n_passed=1)) == []


def test_without_verification_the_page_says_so(make_run):
    page = build.build(make_run())
    assert "verify/manifest.json is missing, so this part is left out." in page


@pytest.mark.parametrize("manifest", [{}, {"n_candidates": -1, "n_passed": 0}, {"n_candidates": 3, "n_passed": "x"}])
def test_a_manifest_of_another_shape_costs_its_section_only(run, manifest):
    (run / "verify" / "manifest.json").write_text(json.dumps(manifest))
    assert verification(run, manifest) is None
    assert "so this part is left out" in build.build(run)


def test_nothing_verified_and_nothing_checked_are_said():
    empty = Summary(n_candidates=0, n_passed=0)
    assert wording.verification_sentence(empty) == "There was no candidate to verify."
    assert wording.privacy(empty) == ["Candidates were not checked for personal data."]


def test_columns_share_one_scale():
    mark = str(histogram([1, 0, 4], [0, 0, 4]))
    assert mark.count('class="fill"') == 2 and mark.count('class="hollow"') == 1
    assert str(histogram([], [])).startswith("<svg")
