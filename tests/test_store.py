import errno
import os

import pytest

from posology.errors import StoreError
from posology.store import RunFolder, read_json, write_json, write_jsonl, writing


def test_a_file_appears_only_when_whole(tmp_path):
    target = tmp_path / "a" / "rows.jsonl"
    write_jsonl(target, [{"x": 1}])
    with pytest.raises(RuntimeError), writing(target) as handle:
        handle.write("half")
        raise RuntimeError
    assert target.read_text() == '{"x": 1}\n'
    assert [p.name for p in target.parent.iterdir()] == ["rows.jsonl"]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_is_told_and_leaves_no_rest(tmp_path, monkeypatch, code):
    def full(_):
        raise OSError(code, "no room")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match="no room left"):
        write_json(tmp_path / "x.json", {"a": 1})
    assert list(tmp_path.iterdir()) == []


def test_nan_is_refused(tmp_path):
    with pytest.raises(ValueError, match="Out of range"):
        write_json(tmp_path / "x.json", {"a": float("nan")})


def test_missing_and_damaged_files_are_told_apart(tmp_path):
    with pytest.raises(StoreError, match="missing"):
        read_json(tmp_path / "none.json")
    (tmp_path / "half.json").write_text('{"a":')
    with pytest.raises(StoreError, match="damaged"):
        read_json(tmp_path / "half.json")


def test_two_runs_in_one_folder_are_kept_apart(tmp_path):
    with RunFolder(tmp_path / "run"):
        with pytest.raises(StoreError, match=f"another posology process .*{os.getpid()}"), RunFolder(tmp_path / "run"):
            pass
    with RunFolder(tmp_path / "run"):
        pass


def test_a_stage_is_done_only_with_its_manifest_its_fingerprint_and_its_files(tmp_path):
    stage = RunFolder(tmp_path).stage("split")
    write_json(stage.folder / "a.json", 1)
    assert not stage.is_done("f")
    stage.finish("f", files=["a.json"], timings={"total": 1.23456})
    assert stage.is_done("f") and not stage.is_done("g")
    assert stage.manifest["timings"] == {"total": 1.235} and stage.manifest["posology"]
    (stage.folder / "a.json").unlink()
    assert not stage.is_done("f")
    (stage.folder / "manifest.json").write_text("{")
    assert stage.manifest is None


def test_what_a_kill_left_half_written_is_cleared_away_and_nothing_else(tmp_path):
    stage = RunFolder(tmp_path).stage("generate")
    write_jsonl(stage.folder / "plan.jsonl", [{"x": 1}])
    write_jsonl(stage.folder / "batches" / "job.jsonl", [{"x": 1}])
    for folder in (stage.folder, stage.folder / "batches"):
        (folder / ".candidates.jsonl.8sj2.part").write_text('{"x"')
    stage.begin()
    assert sorted(p.name for p in stage.folder.rglob("*") if p.is_file()) == ["job.jsonl", "plan.jsonl"]


def test_unknown_stages_are_a_bug(tmp_path):
    with pytest.raises(ValueError, match="no stage"):
        RunFolder(tmp_path).stage("splat")
