import shutil

import pytest

from monitor_support import customers, swept, traffic_file


@pytest.fixture(scope="package")
def finished(tmp_path_factory):
    """A run folder with a finished sweep, and files of traffic beside it."""
    folder = tmp_path_factory.mktemp("monitor")
    swept(folder / "run")
    traffic_file(folder / "reference.jsonl", customers(400, 100))
    traffic_file(folder / "week.jsonl", customers(60, 101))
    traffic_file(folder / "drift.jsonl", customers(60, 102, shares=(0.1, 0.1, 0.8)))
    return folder


@pytest.fixture(scope="package")
def begun(finished):
    """The same with a baseline; nothing may be checked in it, see `run`."""
    pytest.importorskip("great_expectations", reason="the extra `monitor` is not installed", exc_type=ImportError)
    from posology.config import Data
    from posology.monitor import baseline
    from posology.monitoring import begin

    draws, baseline.DRAWS = baseline.DRAWS, 600
    begin(finished / "run", Data(traffic=finished / "reference.jsonl"), window=60)
    yield finished
    baseline.DRAWS = draws


@pytest.fixture
def run(begun, tmp_path):
    """A run folder of the test's own, with a baseline."""
    shutil.copytree(begun / "run", tmp_path / "run")
    return tmp_path / "run"


class Quick:
    """Computes checks as a validation does, without Great Expectations, its rules for rows and its pages."""

    def __init__(self, folder):
        self.docs = folder / "docs.html"

    def validate(self, kind, frame, measure, thresholds, *, name, day):
        from posology.monitor.great import Validation

        return Validation(dict(measure(frame)), ())


@pytest.fixture
def quick(monkeypatch):
    """Leaves Great Expectations out, for tests of what does not concern it."""
    monkeypatch.setattr("posology.monitoring.Expectations", Quick)
