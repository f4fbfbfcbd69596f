"""Whatever is wrong with the input, the user learns file, line and remedy, and nothing is lost."""

import json
import shutil

import pytest

GOOD = [
    {"id": f"{topic}-{i}", "messages": [{"role": "user", "content": f"{text} number {i}"}], "topic": topic}
    for topic, text in (
        ("parcel", "where is my parcel"),
        ("refund", "i want my money back"),
        ("size", "boots too small"),
    )
    for i in range(12)
]


def lines(rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


def with_row(row, at=20):
    rows = list(GOOD)
    rows[at] = row
    return rows


@pytest.fixture
def files(tmp_path):
    """Sound files: real, synthetic, holdout."""
    real = tmp_path / "real.jsonl"
    real.write_text(lines(GOOD))
    synthetic = tmp_path / "synthetic.jsonl"
    more = [
        {**row, "id": "s" + row["id"], "messages": [{"role": "user", "content": f"please, {i} {row['topic']} thing"}]}
        for i, row in enumerate(GOOD)
    ]
    synthetic.write_text(lines(more))
    holdout = tmp_path / "holdout.jsonl"
    held = [
        {"id": f"h{i}", "messages": [{"role": "user", "content": text}], "topic": topic}
        for i, (topic, text) in enumerate(
            [("parcel", "has it been sent yet"), ("refund", "when do you pay me"), ("size", "do you have bigger ones")]
            * 7
        )
    ]
    holdout.write_text(lines(held))
    return tmp_path


@pytest.fixture
def sweep(posology, files):
    """Runs a small sweep on the files; keyword arguments replace flags."""

    def run(**flags):
        given = {
            "real": files / "real.jsonl",
            "synthetic": files / "synthetic.jsonl",
            "holdout": files / "holdout.jsonl",
        }
        given |= {"encoder": "lexical", "seeds": 1, "doses": "0,0.3", "out": files / "run"} | flags
        args = [
            part
            for name, value in given.items()
            if value is not None
            for part in (f"--{name.replace('_', '-')}", value)
        ]
        return posology("sweep", "--quiet", *args)

    return run


def test_sound_files_give_a_verdict(sweep, files):
    outcome = sweep()
    assert outcome.code == 0, outcome.err
    result = json.loads((files / "run" / "sweep" / "dose_response.json").read_text())
    assert [(a["dose"], a["kind"]) for a in result["arms"]] == [(0, "selected"), (0.3, "selected"), (0.3, "random")]


BROKEN = {
    "empty": (b"", "has no rows|is empty", None),
    "json": (lines(GOOD[:20]).encode() + b'{"id": "x", "messages": [\n' + lines(GOOD[20:]).encode(), "JSON", 21),
    "latin1": (
        lines(GOOD[:5]).encode()
        + '{"id":"x","topic":"size","messages":[{"role":"user","content":"\xe9t\xe9"}]}\n'.encode("latin-1"),
        "UTF-8|utf-8",
        6,
    ),
    "no messages": (lines(with_row({"id": "x", "topic": "size"})).encode(), "messages", 21),
    "unknown role": (
        lines(with_row({"id": "x", "topic": "size", "messages": [{"role": "butler", "content": "hi"}]})).encode(),
        "role",
        21,
    ),
    "empty topic": (
        lines(with_row({"id": "x", "topic": " ", "messages": [{"role": "user", "content": "hi"}]})).encode(),
        "topic",
        21,
    ),
    "duplicate id": (lines(with_row({**GOOD[20], "id": GOOD[3]["id"]})).encode(), "parcel-3", 21),
}


@pytest.mark.parametrize("which", ["real", "synthetic", "holdout"])
@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_file_is_named_with_its_line(sweep, files, case, which):
    content, words, line = BROKEN[case]
    (files / f"{which}.jsonl").write_bytes(content)
    outcome = sweep()
    assert outcome.code == 2
    assert f"{which}.jsonl" in outcome.err
    assert any(word in outcome.err for word in words.split("|")), outcome.err
    if line is not None:
        assert f"line {line}" in outcome.err
    assert "Traceback" not in outcome.err


def test_no_file(sweep, files):
    outcome = sweep(real=files / "reel.jsonl")
    assert outcome.code == 2 and "reel.jsonl" in outcome.err and "real.jsonl" in outcome.err


def test_no_real_data_at_all(posology, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    outcome = posology("sweep", "--quiet")
    assert outcome.code == 2 and "--real" in outcome.err


def test_bad_rows_can_be_skipped_and_are_counted(sweep, files):
    (files / "real.jsonl").write_text(lines(with_row({"id": "x", "topic": ""})))
    outcome = sweep(on_error="skip")
    assert outcome.code == 0, outcome.err
    result = json.loads((files / "run" / "sweep" / "dose_response.json").read_text())
    assert any("1 bad row" in warning for warning in result["warnings"])


def test_one_topic(sweep, files):
    (files / "real.jsonl").write_text(lines([row for row in GOOD if row["topic"] == "size"]))
    outcome = sweep()
    assert outcome.code == 2 and "one topic" in outcome.err and "'size'" in outcome.err


def test_a_holdout_topic_that_nothing_can_teach(sweep, files):
    rows = (files / "holdout.jsonl").read_text() + lines(
        [{"id": "odd", "topic": "sise", "messages": [{"role": "user", "content": "which size do i take"}]}]
    )
    (files / "holdout.jsonl").write_text(rows)
    outcome = sweep()
    assert outcome.code == 2 and "'sise'" in outcome.err and "spelling" in outcome.err


def test_a_holdout_topic_that_only_the_pool_teaches_is_a_warning(sweep, files):
    for name in ("holdout", "synthetic"):
        with (files / f"{name}.jsonl").open("a") as handle:
            handle.write(
                lines(
                    [
                        {
                            "id": f"g{name}",
                            "topic": "gift",
                            "messages": [{"role": "user", "content": f"gift card {name}"}],
                        }
                    ]
                )
            )
    outcome = sweep()
    assert outcome.code == 0, outcome.err
    result = json.loads((files / "run" / "sweep" / "dose_response.json").read_text())
    assert any("'gift'" in warning and "no real training example" in warning for warning in result["warnings"])


def test_the_training_file_as_holdout(sweep, files):
    outcome = sweep(holdout=files / "real.jsonl")
    assert outcome.code == 2 and "same file" in outcome.err
    shutil.copy(files / "real.jsonl", files / "copy.jsonl")
    with (files / "copy.jsonl").open("a") as handle:
        handle.write("\n")
    outcome = sweep(holdout=files / "copy.jsonl")
    assert outcome.code == 2 and "holdout" in outcome.err


def test_training_rows_that_stand_in_the_holdout_are_removed_and_reported(sweep, files):
    with (files / "holdout.jsonl").open("a") as handle:
        handle.write(lines([{**GOOD[0], "id": "leak"}]))
    assert sweep().code == 0
    rejected = [json.loads(line) for line in (files / "run" / "split" / "rejected.jsonl").read_text().splitlines()]
    assert [(row["id"], row["reason"], row["other_id"]) for row in rejected] == [("parcel-0", "leaked_exact", "leak")]
    train = (files / "run" / "split" / "train.jsonl").read_text()
    assert '"parcel-0"' not in train


@pytest.mark.parametrize(
    ("doses", "words"), [("0,1.5", "outside 0..1"), ("a lot", "not a dose"), ("-0.1", "outside 0..1")]
)
def test_doses_that_are_none(sweep, doses, words):
    outcome = sweep(doses=doses)
    assert outcome.code == 2 and words in outcome.err


@pytest.mark.parametrize(
    ("flag", "value", "words"),
    [
        ("encoder", "word2vec", "no encoder"),
        ("trainer", "forest", "unknown trainer"),
        ("format", "xml", "format"),
        ("seeds", "0", "seed"),
        ("roles", "customer", "unknown roles"),
    ],
)
def test_settings_that_are_none(sweep, flag, value, words):
    outcome = sweep(**{flag: value})
    assert outcome.code == 2 and words in outcome.err


def test_an_unknown_flag_is_bad_usage(posology):
    assert posology("sweep", "--dosis", "1").code == 2


def test_a_missing_encoder_says_how_to_get_it(sweep, monkeypatch, tmp_path):
    monkeypatch.setenv("POSOLOGY_HOME", str(tmp_path / "empty"))
    outcome = sweep(encoder="minilm")
    assert outcome.code == 1 and "posology models pull minilm" in outcome.err


def test_a_full_disk_keeps_what_is_finished(sweep, files, monkeypatch):
    import errno
    import os

    calls = {"n": 0}
    real_fsync = os.fsync

    def full(descriptor):
        calls["n"] += 1
        if calls["n"] > 12:
            raise OSError(errno.ENOSPC, "No space left on device")
        real_fsync(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    outcome = sweep()
    assert outcome.code == 1 and "no room left" in outcome.err and "Free some space" in outcome.err
    kept = (files / "run" / "split" / "manifest.json").stat().st_mtime_ns
    monkeypatch.setattr(os, "fsync", real_fsync)
    assert sweep().code == 0
    assert (files / "run" / "split" / "manifest.json").stat().st_mtime_ns == kept
    assert not list((files / "run").rglob("*.part"))


def test_a_half_written_run_folder_is_completed(sweep, files):
    assert sweep().code == 0
    before = (files / "run" / "sweep" / "dose_response.json").read_bytes()
    (files / "run" / "sweep" / "manifest.json").write_text('{"fingerprint": "')
    (files / "run" / "select" / "selected.jsonl").unlink()
    (files / "run" / "gaps" / "probe.json").write_text('{"fingerprint"')
    broken = next((files / "run" / "sweep" / "variants").glob("*/predictions.npz"))
    broken.write_bytes(b"half")
    assert sweep().code == 0
    assert (files / "run" / "sweep" / "dose_response.json").read_bytes() == before


def test_a_run_folder_that_is_in_use(sweep, files):
    from posology.store import RunFolder

    with RunFolder(files / "run"):
        outcome = sweep()
    assert outcome.code == 1 and "another posology process" in outcome.err and "--out" in outcome.err


def test_a_run_folder_that_is_a_file(sweep, files):
    (files / "run").write_text("")
    outcome = sweep()
    assert outcome.code == 1 and "Traceback" not in outcome.err
