"""posology collapse and posology recurse, from files to results."""

import json

import pytest

from collapse_support import people
from posology.conversations.writing import write


@pytest.fixture
def files(tmp_path):
    write(people(260, 1), tmp_path / "real.jsonl")
    write(people(120, 2, "synthetic", ("card", "app")), tmp_path / "synthetic.jsonl")
    return tmp_path


@pytest.fixture
def collapse(posology, files):
    def run(*more, **flags):
        given = {"real": files / "real.jsonl", "synthetic": files / "synthetic.jsonl", "out": files / "run", **flags}
        named = [part for name, value in given.items() for part in (f"--{name}", value)]
        return posology("collapse", *named, "--encoder", "lexical", "--quiet", *more)

    return run


def test_json_and_files(collapse, files):
    done = collapse("--json")
    assert done.code == 0
    assert done.json["collapsed"] is True
    assert "topics_missing" in done.json["first_to_move"]
    assert (done.json["n_real"], done.json["n_synthetic"]) == (260, 120)
    stored = json.loads((files / "run" / "collapse" / "collapse.json").read_text())
    assert stored == done.json
    manifest = json.loads((files / "run" / "collapse" / "manifest.json").read_text())
    assert manifest["stage"] == "collapse"
    assert set(manifest["files"]) == {"collapse.json", "collapse.html", "picture.json"}
    assert collapse("--json").json == done.json


def test_a_table_for_people(collapse):
    done = collapse()
    assert done.code == 0
    assert "Synthetic text is narrower" in done.out
    assert "real texts of missing topics" in done.out
    assert "Plan rows for the topics that have none: " in done.out


def test_the_holdout_of_a_finished_split_is_left_out(posology, collapse, files):
    assert collapse("--json").json["n_real"] == 260
    (files / "settings.yaml").write_text("embedding: {encoder: lexical}\nsplit: {holdout_size: 60}\n")
    settings = ("--config", files / "settings.yaml", "-q")
    assert posology("split", "--real", files / "real.jsonl", "--out", files / "run", *settings).code == 0
    held = {json.loads(line)["id"] for line in (files / "run" / "split" / "holdout.jsonl").read_text().splitlines()}
    result = collapse("--json", *settings).json
    assert result["n_real"] == 260 - len(held)
    assert not held & {id for find in result["missing"] for id in find["ids"]}
    assert collapse("--json", "-q").json["n_real"] == 260 - len(held), "whatever settings the split was made with"


def test_files_without_topics_are_fine(posology, files):
    for name in ("real", "synthetic"):
        rows = [json.loads(line) for line in (files / f"{name}.jsonl").read_text().splitlines()]
        bare = [{"id": row["id"], "messages": row["messages"]} for row in rows]
        (files / f"bare-{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in bare))
    paths = ("--real", files / "bare-real.jsonl", "--synthetic", files / "bare-synthetic.jsonl", "--out", files / "run")
    done = posology("collapse", *paths, "--encoder", "lexical", "--json", "-q")
    assert done.code == 0
    assert "topics_missing" in done.json["unscored"]


def test_wrong_inputs_are_told(collapse, files):
    (files / "empty.jsonl").write_text("")
    write(people(12, 3, "synthetic"), files / "few.jsonl")
    (files / "mute.jsonl").write_text(
        "".join(json.dumps({"id": f"m{i}", "messages": [{"role": "user", "content": "..."}]}) + "\n" for i in range(50))
    )
    for name, word in (("empty", "empty.jsonl"), ("few", "12 synthetic"), ("mute", "0 synthetic")):
        done = collapse("--json", synthetic=files / f"{name}.jsonl")
        assert done.code == 2, name
        assert word in done.err
        assert not done.out
    assert "the same file" in collapse(synthetic=files / "real.jsonl").err
    assert "say that they are synthetic" in collapse(real=files / "synthetic.jsonl", synthetic=files / "real.jsonl").err


def test_a_missing_flag(posology, files):
    done = posology("collapse", "--real", files / "real.jsonl", "--out", files / "run")
    assert done.code == 2
    assert "--synthetic" in done.err


def test_recurse(posology, files):
    paths = ("--real", files / "real.jsonl", "--holdout-size", 60, "--out", files / "run")
    flags = ("--generations", 2, "--policy", "accumulate", "--verify", "both", "--encoder", "lexical", "--json", "-q")
    done = posology("recurse", *paths, *flags)
    assert done.code == 0
    runs = done.json["runs"]
    assert [(run["policy"], run["verify"]) for run in runs] == [("accumulate", False), ("accumulate", True)]
    for run in runs:
        assert [row["generation"] for row in run["generations"]] == [0, 1, 2]
        assert run["generations"][0]["delta"]["mean"] == 0
        assert {"accuracy", "tail_recall", "topics", "diversity", "moved"} <= run["generations"][2].keys()
    for off, on in zip(*(run["generations"] for run in runs), strict=True):
        assert "rejected" not in off
        assert on["n_candidates"] >= on["n_written"] + sum(on["rejected"].values())
    assert runs[1]["generations"][1]["rejected"]
    assert json.loads((files / "run" / "recurse" / "recursion.json").read_text()) == done.json
    page = (files / "run" / "recurse" / "recursion.html").read_text()
    assert page.count("<svg") == 2
    assert "accumulate, verification on" in page


def test_recurse_leaves_the_split_of_a_sweep_alone(posology, files):
    (files / "settings.yaml").write_text("embedding: {encoder: lexical}\nsplit: {holdout_size: 60}\n")
    run, more = files / "run", ("--config", files / "settings.yaml", "--real", files / "real.jsonl", "-q")
    assert posology("split", *more, "--out", run).code == 0
    split = json.loads((run / "split" / "manifest.json").read_text())
    (run / "sweep").mkdir()
    swept = {"fingerprint": "s", "files": [], "stages": {"split": split["fingerprint"]}}
    (run / "sweep" / "manifest.json").write_text(json.dumps(swept))

    def content():
        return {file: file.read_bytes() for file in run.rglob("*") if file.is_file() and file.name != "run.lock"}

    before = content()
    for verb in (("recurse", "--generations", 1), ("gaps",)):
        done = posology(*verb, *more, "--out", run, "--holdout-size", 80)
        assert done.code == 2 and "was run on" in done.err and "--out" in done.err
        assert content() == before
    assert posology("recurse", "--generations", 1, *more, "--out", run).code == 0
    assert posology("split", *more, "--out", run, "--holdout-size", 80).code == 0  # on purpose
    assert json.loads((run / "split" / "manifest.json").read_text())["fingerprint"] != split["fingerprint"]


def test_recurse_says_when_verification_leaves_too_little(posology, files):
    paths = ("--real", files / "real.jsonl", "--holdout-size", 60, "--out", files / "run", "--encoder", "lexical")
    (files / "settings.yaml").write_text("select: {keep_rate: 0.2}\n")
    done = posology(
        "recurse", *paths, "--generations", 1, "--verify", "both", "--config", files / "settings.yaml", "--json"
    )
    plain, verified = done.json["runs"]
    written = verified["generations"][1]["n_written"]
    assert written < done.json["n_real"] and plain["warnings"] == []
    (warning,) = verified["warnings"]
    assert f"of the {done.json['n_real']} rows wanted a generation, verification left {written} in gen" in warning
    assert warning in done.json["warnings"]
    assert f"left {written} in generation 1" in " ".join(done.err.split())
    assert warning in (files / "run" / "recurse" / "recursion.html").read_text().split("Generation by generation")[0]


def test_pages_of_one_run_link_to_each_other(posology, collapse, files):
    assert collapse().code == 0
    paths = ("--real", files / "real.jsonl", "--holdout-size", 60, "--out", files / "run")
    assert posology("recurse", *paths, "--generations", 1, "--encoder", "lexical", "-q").code == 0
    pages = ("collapse/collapse.html", "recurse/recursion.html")
    for page, other in (pages, pages[::-1]):
        assert f'href="../{other}"' in (files / "run" / page).read_text(encoding="utf-8")


def test_recurse_with_a_model(posology, files, monkeypatch):
    (files / "writer.py").write_text(
        "def write(request, rng):\n    return '- my card ' + str(rng.random())[2:6] + ' is lost again'\n"
    )
    monkeypatch.syspath_prepend(files)
    paths = ("--real", files / "real.jsonl", "--holdout-size", 60, "--out", files / "run", "--encoder", "lexical")
    done = posology(
        "recurse", *paths, "--generations", 1, "--generator", "model", "--model", "scripted:writer:write", "--rows", 60,
        "--json", "-q",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert done.json["generator"] == "scripted:writer:write"
    assert done.json["runs"][0]["generations"][1]["n_written"] == 60
    assert (files / "run" / "ledger.sqlite").exists()


def test_recurse_needs_some_real_data(posology, files):
    write(people(50, 1), files / "small.jsonl")
    paths = ("--real", files / "small.jsonl", "--holdout-size", 20, "--out", files / "run", "--encoder", "lexical")
    done = posology("recurse", *paths, "-q")
    assert done.code == 2
    assert "the loop needs 40" in done.err
