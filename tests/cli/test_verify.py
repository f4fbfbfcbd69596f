"""`posology verify` on the command line."""

import json
from pathlib import Path

import pytest

from posology.conversations.writing import write
from support import talk

WORDS = "boots tent lamp stove rope coat glove map torch flask".split()


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def rows(name, start, n, source):
        said = ("I want my money back for the", "when does my parcel arrive with the")
        return [
            talk(
                f"{name}{k}",
                f"{said[k % 2]} {WORDS[k % 10]} and {WORDS[k // 10 % 10]} number {k}",
                ("refund", "delivery")[k % 2],
                source,
            )
            for k in range(start, start + n)
        ]

    pool = rows("s", 900, 30, "synthetic")
    pool[0] = talk("s900", "I want my money back, [Customer Name]", "refund", "synthetic")
    write(rows("r", 0, 60, "real"), "real.jsonl")
    write(rows("h", 500, 10, "real"), "holdout.jsonl")
    write(pool, "pool.jsonl")
    write([pool[0]], "bad.jsonl")
    return ["--real", "real.jsonl", "--holdout", "holdout.jsonl", "--encoder", "lexical", "-q"]


def test_the_result_is_told_to_people_and_to_programs(posology, files):
    told = posology("verify", *files, "--synthetic", "pool.jsonl")
    assert told.code == 0, told.err
    assert "of 30 candidates passed" in told.out and "placeholder" in told.out
    assert "could not judge anything: leaked_paraphrase" in told.out and "faithful" in told.out
    found = posology("verify", *files, "--synthetic", "pool.jsonl", "--json").json
    assert found["n_candidates"] == 30 and found["rejected"]["placeholder"] == 1
    assert found["pass_rate"] == pytest.approx(found["n_passed"] / 30)


def test_nothing_left_is_a_failure(posology, files):
    done = posology("verify", *files, "--synthetic", "bad.jsonl")
    assert done.code == 1 and "all 1 candidates were rejected" in done.err
    assert json.loads(Path("run/verify/verdicts.jsonl").read_text())["reasons"]


def test_without_a_pool_or_with_an_unknown_detector(posology, files):
    missing = posology("verify", *files)
    assert missing.code == 2 and "--synthetic" in missing.err
    Path("posology.yaml").write_text("verify: {detector: guess}\n")
    assert posology("verify", *files, "--synthetic", "pool.jsonl").code == 2
