from posology.report import collapse_plots, recursion_page
from posology.report.collapse_page import build, by_family, cards, headline


def reading(name, verdict="ok", deviation=0.0, family="affect"):
    return {
        "name": name,
        "family": family,
        "title": f"the {name}",
        "value": 0.5,
        "ci95": [0.4, 0.6],
        "null_mean": 0.5,
        "null_ci95": [0.3, 0.7],
        "deviation": deviation,
        "verdict": verdict,
        "note": "",
    }


def result(*readings, **more):
    return {
        "n_real": 100,
        "n_synthetic": 50,
        "compared": {"full": 50, "topic": 50, "none": 50},
        "limit": 3.2,
        "indicators": list(readings),
        "unscored": [],
        "collapsed": any(row["verdict"] in ("narrow", "flat") for row in readings),
        "warnings": [],
        "advice": [],
        "missing": [],
        "over_produced": [],
        **more,
    }


PICTURE = {
    "map": {"real": [[0.0, 0.0], [1.0, 1.0]], "synthetic": [[0.5, 0.2]]},
    "distributions": [{"name": "words", "edges": [1, 2, 4], "real": [0.5, 0.5], "synthetic": [1.0, 0.0]}],
}


def test_the_verdict_in_one_sentence():
    assert "no further" in headline(result(reading("mood")))
    said = headline(result(reading("mood", "flat", -9.0), reading("names", "narrow", 20.0), reading("length")))
    assert said.startswith(
        "Synthetic text is narrower and flatter: 2\N{NO-BREAK SPACE}indicators of 3 moved, the names"
    )


def test_the_score_card_has_a_field_a_family():
    rows = [reading("a", "flat", -4.0), reading("b", family="lexical"), reading("c")]
    assert [(card.name, card.total, card.faults) for card in cards(rows)] == [
        ("affect", 2, ("flat",)),
        ("lexical", 1, ()),
    ]
    assert [row["name"] for row in by_family(rows)["affect"]] == ["a", "c"]


def test_the_page_escapes_texts_and_holds_no_script():
    finds = [{"kind": "opening", "count": 9, "ids": ["x1"], "topics": ["a & b"]}]
    page = build(
        result(reading("mood", "flat", -9.0), over_produced=finds, warnings=["few <rows>"], unscored=["turns"]),
        PICTURE,
        {"x1": "hello <script>alert(1)</script> \ud83d"},
        {("over_produced", 0): "hello <b>"},
    )
    assert "<script" not in page
    assert "hello &lt;script&gt;" in page
    assert "hello &lt;b&gt;" in page
    assert "few &lt;rows&gt;" in page
    assert page.count("<svg") == 4 + 1  # two figures for two widths, and a mark for the reading
    page.encode("utf-8")


def test_a_page_without_anything_to_show():
    page = build(result(reading("mood")), {**PICTURE, "distributions": []}, {}, {})
    assert "Nothing stands out." in page
    assert "Nothing: no indicator moved." in page


def test_values_beyond_the_picture_are_arrows():
    assert "<circle" in collapse_plots.plane(3.0, 3.2)
    assert "<path" in collapse_plots.plane(90.0, 3.2)
    assert "--red" in collapse_plots.plane(-4.0, 3.2)
    assert "--blue" in collapse_plots.plane(-2.0, 3.2)


def generation(number, accuracy, diversity=None):
    return {
        "generation": number,
        "n_candidates": 10 * number,
        "n_written": 10 * number,
        "n_mixture": 10,
        "n_real": 10 if not number else 0,
        "topics": 3,
        "accuracy": accuracy,
        "tail_recall": None,
        "delta": {"mean": accuracy - 0.9, "ci95": [-0.5, -0.3]},
        "diversity": diversity,
        "moved": ["vendi"] * 9,
    }


def test_the_loop_page_draws_what_was_measured():
    run = {
        "policy": "replace",
        "verify": False,
        "generations": [generation(0, 0.9), generation(1, 0.5, {"vendi": {"value": 4.0, "real": 5.0}})],
        "status": "collapsing",
        "verdict": "replace: worse.",
    }
    whole = {"generator": "g", "n_real": 10, "holdout": {"n": 20}, "runs": [run]}
    page = recursion_page.build(whole)
    assert "Vendi score of what was written" in page
    assert "Recall on rare topics" not in page  # never measured
    assert "and 1 more" in page
    assert "replace: worse." in page
    assert "Rejected" not in page
    assert 'aria-label="Warnings"' not in page
    short = recursion_page.build({**whole, "runs": [{**run, "warnings": ["verification left 5 of the 10 rows"]}]})
    assert 'aria-label="Warnings"' in short and "left 5 of the 10 rows" in short
    gone = [{**row, "rejected": {"label_agreement": 4, "truncated": 1}} for row in run["generations"]]
    assert "label agreement 8, truncated 2." in recursion_page.build({**whole, "runs": [{**run, "generations": gone}]})
    assert "Holding" in recursion_page.build({**whole, "runs": [{**run, "status": "holding"}]})
