import subprocess
import sys

import pytest

from posology.embedding.encoders import CHOICES, make_encoder
from posology.errors import ConfigError, ExtraMissing


@pytest.mark.parametrize(("spec", "dim"), [("minilm", 384), ("lexical", 512)])
def test_bundled_encoders_are_known_without_weights(spec, dim, monkeypatch, tmp_path):
    monkeypatch.setenv("POSOLOGY_HOME", str(tmp_path / "none"))
    encoder = make_encoder(spec)
    assert encoder.dim == dim
    assert encoder.identity.startswith(f"{spec}:") and encoder.identity == make_encoder(spec).identity
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("spec", ["", "bert", "minilm:large", "lexical:", "fastembed", "fastembed:", "openai:", ":x"])
def test_unknown_encoders(spec):
    with pytest.raises(ConfigError) as caught:
        make_encoder(spec)
    assert all(choice in caught.value.remedy for choice in CHOICES)


@pytest.mark.parametrize("package", ["fastembed", "sentence-transformers"])
def test_extras_that_are_not_installed(package, monkeypatch):
    monkeypatch.setitem(sys.modules, package.replace("-", "_"), None)
    with pytest.raises(ExtraMissing, match=rf"posology\[{package}\]"):
        make_encoder(f"{package}:some/model")


def test_a_base_url_goes_with_a_server_only():
    with pytest.raises(ConfigError, match="no base_url"):
        make_encoder("minilm", base_url="http://localhost:1/v1")


def test_names_may_hold_colons():
    assert make_encoder("openai:nomic:v1.5", base_url="http://localhost:1/v1").identity == (
        "openai:nomic:v1.5@http://localhost:1/v1"
    )


def test_choosing_loads_nothing_heavy():
    code = (
        "import sys; from posology.embedding.encoders import make_encoder; make_encoder('minilm'); "
        "make_encoder('lexical'); "
        "print([m for m in ('onnxruntime', 'tokenizers', 'sklearn', 'scipy') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
