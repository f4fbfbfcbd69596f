from pathlib import Path

import pytest

from posology.errors import ConfigError
from posology.models import home as module
from posology.models.home import home


@pytest.fixture
def linux(monkeypatch, tmp_path):
    monkeypatch.setattr(module.sys, "platform", "linux")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("POSOLOGY_HOME", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    return tmp_path


def test_the_variable_wins(linux, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "/elsewhere")
    monkeypatch.setenv("POSOLOGY_HOME", "~/weights")
    assert home() == linux / "weights"


def test_a_relative_variable_is_made_absolute(linux, monkeypatch):
    monkeypatch.chdir(linux)
    monkeypatch.setenv("POSOLOGY_HOME", "weights")
    assert home() == linux / "weights"


def test_defaults(linux, monkeypatch):
    assert home() == linux / ".cache" / "posology"
    monkeypatch.setenv("POSOLOGY_HOME", "  ")
    assert home() == linux / ".cache" / "posology"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert home() == linux / ".cache" / "posology"
    monkeypatch.setenv("XDG_CACHE_HOME", "/big/cache")
    assert home() == Path("/big/cache/posology")


def test_macos(linux, monkeypatch):
    monkeypatch.setattr(module.sys, "platform", "darwin")
    assert home() == linux / "Library" / "Caches" / "posology"


def test_no_home_at_all(linux, monkeypatch):
    def fail():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", fail)
    with pytest.raises(ConfigError, match="Set POSOLOGY_HOME"):
        home()
