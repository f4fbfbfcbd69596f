"""posology leakage: any two files."""

import json

import pytest

TEXTS = [
    "my kettle leaks at the handle since yesterday, what can I do",
    "where is the violin that I ordered in March",
    "please send the invoice of the garden ladder to my office",
    "I was charged twice for one and the same pillow",
]


def row(id, text, topic="a"):
    return {"id": id, "messages": [{"role": "user", "content": text}], "topic": topic}


@pytest.fixture
def files(tmp_path):
    """A pool with one copy, one near copy and one clean row; a holdout; real rows."""
    rows = {
        "pool": [
            row("copy", TEXTS[0].upper()),
            row("near", TEXTS[2].replace("send", "sent")),
            row("clean", "do you ship to Norway"),
        ],
        "held": [row(f"h{k}", text) for k, text in enumerate(TEXTS)],
        "real": [row(f"r{k}", f"question {k} about {k * 7919 % 997} lamps") for k in range(120)],
    }
    for name, own in rows.items():
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(r) + "\n" for r in own))
    return {name: tmp_path / f"{name}.jsonl" for name in rows}


def test_json_names_the_leaked_rows_and_no_text(posology, files):
    done = posology(
        "leakage", files["pool"], files["held"], "--baseline", files["real"], "--no-vectors", "--json", "-q"
    )
    assert done.code == 0
    found = done.json
    assert found["leaked"] == {"leaked_exact": 1, "leaked_near": 1, "leaked_paraphrase": 0}
    assert [(r["id"], r["reason"], r["other_id"]) for r in found["found"]] == [
        ("copy", "leaked_exact", "h0"),
        ("near", "leaked_near", "h2"),
    ]
    assert (found["rows"], found["against"], found["baseline"]) == (3, 4, 120) and found["limits"]["wording"][
        "n"
    ] == 120
    assert "invoice" not in done.out


def test_the_set_is_tested_where_there_is_a_baseline(posology, files):
    arguments = ("leakage", files["pool"], files["held"], "--encoder", "lexical", "--json", "-q")
    assert posology(*arguments).json["whole_set"] is None
    whole = posology(*arguments, "--baseline", files["real"]).json["whole_set"]
    assert whole["n"] == 3 and 0 < whole["p_value"] <= 1


def test_people_get_a_table_and_what_it_means(posology, files):
    done = posology("leakage", files["pool"], files["held"], "--no-vectors")
    assert (
        "3 rows against 4: 1 copies, 1 near copies" in done.out and "cannot tell" in done.out and "baseline" in done.out
    )


def test_files_may_have_other_formats_and_no_topics(posology, files, tmp_path):
    table = tmp_path / "train.csv"
    table.write_text("id,text\n1,hello there\n2,where is the violin that I ordered in March?\n")
    found = posology("leakage", table, files["held"], "--no-vectors", "--json", "-q").json
    assert found["leaked"]["leaked_exact"] == 1 and found["rows"] == 2


def test_the_same_file_twice_and_a_missing_one(posology, files, tmp_path):
    same = posology("leakage", files["held"], files["held"], "-q")
    assert same.code == 2 and "A and B are the same file" in same.err
    missing = posology("leakage", tmp_path / "none.jsonl", files["held"], "-q")
    assert missing.code == 2 and "none.jsonl" in missing.err
    empty = tmp_path / "empty.jsonl"
    empty.write_text("")
    assert posology("leakage", empty, files["held"], "-q").code == 2


def test_leaks_can_fail_a_build(posology, files):
    leaked = ("leakage", files["pool"], files["held"], "--no-vectors", "--fail-on-leaks")
    assert posology(*leaked).code == 1
    assert posology("leakage", files["real"], files["held"], "--no-vectors", "--fail-on-leaks").code == 0


def test_notes_name_the_baseline_and_no_test_that_was_not_made(posology, files):
    arguments = ("leakage", files["pool"], files["held"], "--encoder", "lexical", "--json", "-q")
    notes = " ".join(posology(*arguments).json["notes"])
    assert "--baseline" in notes and "see the test of the whole set" not in notes
    notes = " ".join(posology(*arguments, "--baseline", files["real"]).json["notes"])
    assert "--baseline" not in notes and "see the test of the whole set" in notes
