import numpy as np
import pytest

from posology.embedding import minilm
from posology.embedding.minilm import MiniLM
from posology.errors import ModelError

TEXTS = [
    "Where is my card?",
    "My card has not arrived yet",
    "I want to close my account",
    "ok",
    "Pourquoi mon virement est-il en attente ?",
    "👍",
    "x",
    "the top-up failed " * 100,
]


@pytest.fixture
def encoder(minilm_home, monkeypatch):
    monkeypatch.setenv("POSOLOGY_HOME", str(minilm_home))
    return MiniLM(threads=1)


@pytest.mark.models
def test_meaning_is_near(encoder):
    card, late, close, *_ = encoder.encode(TEXTS)
    assert card @ late > 0.6 > 0.4 > card @ close


@pytest.mark.models
def test_shape_type_and_length(encoder):
    vectors = encoder.encode(TEXTS)
    assert vectors.shape == (len(TEXTS), MiniLM.dim) and vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert encoder.encode([]).shape == (0, MiniLM.dim)


@pytest.mark.models
def test_a_vector_depends_on_its_text_alone(encoder, monkeypatch):
    together = encoder.encode(TEXTS * 3)
    monkeypatch.setattr(minilm, "TOKENS_A_BATCH", 16)
    assert np.array_equal(encoder.encode(TEXTS * 3), together)
    assert np.array_equal(np.concatenate([encoder.encode([text]) for text in TEXTS]), together[-len(TEXTS) :])
    assert np.array_equal(MiniLM(threads=2).encode(TEXTS), together[: len(TEXTS)])


@pytest.mark.models
def test_only_the_first_256_tokens_are_seen(encoder):
    long, longer, other = encoder.encode(["word " * 254, "word " * 254 + "card " * 50, "word " * 253])
    assert np.array_equal(long, longer) and not np.array_equal(long, other)


@pytest.mark.models
def test_known_values(encoder):
    a, b = encoder.encode(["How do I reset my password?", "I forgot my password and need a new one"])
    assert a @ b == pytest.approx(0.7815, abs=2e-3)


def test_without_weights(monkeypatch, tmp_path):
    monkeypatch.setenv("POSOLOGY_HOME", str(tmp_path))
    with pytest.raises(ModelError, match="posology models pull minilm"):
        MiniLM().encode(["a"])


def test_the_identity_names_the_weights():
    assert MiniLM().identity == "minilm:8199be6f699a395f:be50c3628f2bf5bb:mean:256"


def test_batches_hold_one_length_each(monkeypatch):
    monkeypatch.setattr(minilm, "TOKENS_A_BATCH", 6)
    ids = [[0] * n for n in (3, 2, 3, 9, 2, 2, 2, 3)]
    batches = list(minilm._same_length(ids))
    assert batches == [[1, 4, 5], [6], [0, 2], [7], [3]]
    assert sorted(position for batch in batches for position in batch) == list(range(len(ids)))
