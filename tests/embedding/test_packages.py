import sys
from types import ModuleType

import numpy as np
import pytest

from posology.embedding.encoders import make_encoder
from posology.errors import ModelError


@pytest.fixture
def fastembed(monkeypatch, tmp_path):
    module = ModuleType("fastembed")
    module.__version__ = "0.9.9"
    module.made = []

    class TextEmbedding:
        def __init__(self, model_name, cache_dir):
            if model_name == "no/such":
                raise ValueError("Model no/such is not supported\nlook at https://hub.example/list")
            module.made.append((model_name, cache_dir))

        def embed(self, documents, batch_size):
            if "boom" in documents:
                raise RuntimeError("cannot embed: boom")
            yield from (np.array([len(text), 1.0, 0.0]) for text in documents)

    module.TextEmbedding = TextEmbedding
    monkeypatch.setitem(sys.modules, "fastembed", module)
    monkeypatch.setenv("POSOLOGY_HOME", str(tmp_path / "home"))
    return module


@pytest.fixture
def sentence_transformers(monkeypatch):
    module = ModuleType("sentence_transformers")
    module.made = []

    class SentenceTransformer:
        def __init__(self, name, revision):
            if name == "no/such":
                raise OSError("no/such is not a model; see https://hub.example/models")
            module.made.append((name, revision))

        def encode(self, texts, batch_size, convert_to_numpy, show_progress_bar):
            assert convert_to_numpy and not show_progress_bar
            return np.array([[len(text), 1.0] for text in texts])

    module.SentenceTransformer = SentenceTransformer
    monkeypatch.setitem(sys.modules, "sentence_transformers", module)
    return module


def test_fastembed(fastembed, tmp_path):
    encoder = make_encoder("fastembed:BAAI/bge-small-en-v1.5")
    assert encoder.identity == "fastembed:BAAI/bge-small-en-v1.5:0.9.9"
    assert not fastembed.made
    vectors = encoder.encode(["a", "abc"])
    assert vectors.dtype == np.float32 and vectors.shape == (2, 3) == (2, encoder.dim)
    assert np.allclose(vectors[1], np.array([3, 1, 0]) / np.sqrt(10))
    assert encoder.encode([]).shape == (0, 3)
    assert fastembed.made == [("BAAI/bge-small-en-v1.5", str(tmp_path / "home" / "fastembed"))]


def test_a_model_that_does_not_load(fastembed, sentence_transformers):
    with pytest.raises(ModelError, match=r"cannot load.*is not supported") as caught:
        make_encoder("fastembed:no/such").encode(["a"])
    assert "hub.example" not in str(caught.value)
    with pytest.raises(ModelError, match=r"cannot load.*not a model; see …") as caught:
        make_encoder("sentence-transformers:no/such").encode(["a"])
    assert "hub.example" not in str(caught.value)


def test_a_failure_while_embedding_quotes_no_text(fastembed):
    with pytest.raises(ModelError, match=r"cannot embed \(RuntimeError") as caught:
        make_encoder("fastembed:m").encode(["boom"])
    assert "boom" not in str(caught.value) and caught.value.__cause__ is None and caught.value.__suppress_context__


def test_sentence_transformers(sentence_transformers):
    encoder = make_encoder("sentence-transformers:org/name@abc123")
    assert encoder.identity == "sentence-transformers:org/name@abc123"
    assert encoder.dim == 2
    assert np.allclose(encoder.encode(["abc"]), np.array([[3, 1]]) / np.sqrt(10))
    assert make_encoder("sentence-transformers:org/name").encode([]).shape == (0, 2)
    assert sentence_transformers.made == [("org/name", "abc123"), ("org/name", None)]


def test_a_folder_is_known_by_its_content(sentence_transformers, tmp_path):
    folder = tmp_path / "mine@home"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "weights").write_bytes(b"1")
    spec = f"sentence-transformers:{folder}"
    first = make_encoder(spec)
    assert first.identity == make_encoder(spec).identity and str(tmp_path) not in first.identity
    first.encode(["a"])
    assert sentence_transformers.made == [(str(folder), None)]
    (folder / "sub" / "weights").write_bytes(b"2")
    assert make_encoder(spec).identity != first.identity
