"""posology select: after verify, with nothing named but the run folder."""

import json

import pytest

WORDS = "amber birch cedar delta ember fjord grove heath inlet jetty knoll larch maple north ocean pearl quartz".split()
ASKED = {"parcel": "where is my parcel with the", "refund": "please send my money back for the"}


@pytest.fixture
def files(tmp_path):
    def write(name, n, start):
        rows = [
            {
                "id": f"{name}{topic}{i}",
                "messages": [{"role": "user", "content": f"{text} {WORDS[i % 17]} {WORDS[(i * 5 + start) % 17]} {i}"}],
                "topic": topic,
            }
            for topic, text in ASKED.items()
            for i in range(start, start + n)
        ]
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        return tmp_path / f"{name}.jsonl"

    return {"real": write("real", 20, 0), "holdout": write("holdout", 8, 40), "synthetic": write("synthetic", 12, 70)}


def flags(files):
    return [text for name, path in files.items() for text in (f"--{name}", path)]


def test_verified_candidates_are_selected_from_the_run_folder(posology, files, tmp_path):
    out = tmp_path / "run"
    done = posology("verify", *flags(files), "--encoder", "lexical", "--out", out, "--json")
    assert done.code in (0, 1), done.err  # this shop speaks from a list of words: all may be rejected
    done = posology(
        "select", "--run", out, "--no-verify", "--keep-rate", "1", "--near", "1", "--semantic", "1", "--json"
    )
    assert done.code == 0, done.err
    assert done.json["n_selected"] + sum(done.json["rejected"].values()) == done.json["n_pool"] == 24
    rows = [json.loads(line) for line in (out / "select" / "selected.jsonl").read_text().splitlines()]
    assert [row["rank"] for row in rows] == list(range(1, len(rows) + 1))


def test_rate_and_count_do_not_go_together(posology, files, tmp_path):
    done = posology("select", *flags(files), "--out", tmp_path / "run", "--keep-rate", "0.5", "--count", "3")
    assert done.code == 2 and "--keep-rate and --count" in done.err


def test_a_keep_rate_of_nothing_is_refused(posology, files, tmp_path):
    done = posology("select", *flags(files), "--out", tmp_path / "run", "--keep-rate", "0")
    assert done.code == 2 and "keep_rate" in done.err


def test_without_a_run_or_files_it_says_what_is_missing(posology, tmp_path):
    done = posology("select", "--out", tmp_path / "run")
    assert done.code == 2 and "--real" in done.err


def test_a_run_folder_that_is_not_there_is_not_made(posology, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = posology("select", "--run", "nope")
    assert done.code == 2 and "no run folder nope" in done.err and not (tmp_path / "nope").exists()


def test_a_wrong_value_of_a_flag_is_not_blamed_on_a_file(posology, files, tmp_path):
    settings = tmp_path / "posology.yaml"
    settings.write_text("select: {near: 3}\n")
    done = posology("select", "--config", settings, *flags(files), "--keep-rate", "1.5")
    assert done.code == 2 and "the settings: select.keep_rate" in done.err
    assert f"{settings}: select.near" in done.err and f"{settings}: select.keep_rate" not in done.err


def test_a_count_decides_alone_and_no_weight_is_learned_for_it(posology, files, tmp_path):
    out = tmp_path / "run"
    done = posology("select", *flags(files), "--encoder", "lexical", "--no-verify", "--count", "5", "--out", out, "-q")
    assert done.code == 0 and "keep rate 1 (the count decides)" in done.out, done.err
    assert not (out / "select" / "weight.json").exists()
