import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from posology.embedding.lexical import DIM, Lexical

TEXTS = st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=40), min_size=1, max_size=8)


def test_near_spelling_is_near():
    same, near, far = Lexical().encode(["Where is my card?", "where is my new card", "Wann kommt das Paket an"])
    assert same @ near > 0.6 > 0.3 > abs(same @ far)


def test_shape_type_and_length():
    vectors = Lexical().encode(["one", "two three", "?", "日本語", "👍"])
    assert vectors.shape == (5, DIM) and vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)


def test_nothing():
    assert Lexical().encode([]).shape == (0, DIM)
    assert not Lexical().encode(["", " \n\t"]).any()


@settings(max_examples=25, deadline=None)
@given(TEXTS)
def test_a_vector_depends_on_its_text_alone(texts):
    together = Lexical().encode(texts)
    assert np.array_equal(together, np.concatenate([Lexical().encode([text]) for text in texts]))


def test_the_vectors_are_those_of_this_version():
    """A change here is a change of vectors: raise the version in the identity, or old caches mix with new ones."""
    assert Lexical.identity == "lexical:1:512"
    vector = Lexical().encode(["my card has not arrived"])[0]
    assert np.flatnonzero(vector)[:5].tolist() == PINNED_POSITIONS
    assert np.allclose(vector[PINNED_POSITIONS], PINNED_VALUES, atol=1e-5)


PINNED_POSITIONS = [1, 2, 4, 5, 7]
PINNED_VALUES = [0.056077, 0.056077, -0.056077, -0.056077, 0.056077]
