import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from posology.embedding.cache import VectorCache
from posology.embedding.embedder import CHUNK, Embedder
from posology.embedding.lexical import Lexical
from posology.errors import ModelError
from posology.records import Conversation, Message, TextRule


class Counting:
    """The lexical encoder, with a record of what it was asked for, and a failure on demand."""

    def __init__(self, identity="counting", fail_after=None):
        self.identity = identity
        self.calls = []
        self.fail_after = fail_after
        self.dim = Lexical.dim

    @property
    def asked(self):
        return [text for call in self.calls for text in call]

    def encode(self, texts):
        if self.fail_after is not None and len(self.calls) >= self.fail_after:
            raise ModelError("it broke")
        self.calls.append(list(texts))
        return Lexical().encode(texts)


def conversation(number, *turns):
    return Conversation(str(number), tuple(Message(role, text) for role, text in turns))


def test_each_distinct_text_is_embedded_once():
    encoder = Counting()
    embedder = Embedder(encoder)
    first = embedder.encode_texts(["a card", "a loan", "a card"])
    assert sorted(encoder.asked) == ["a card", "a loan"]
    second = embedder.encode_texts(["a loan", "a fee", "a card"])
    assert sorted(encoder.asked) == ["a card", "a fee", "a loan"]
    assert np.array_equal(first[[1, 0]], second[[0, 2]]) and np.array_equal(first[0], first[2])
    assert np.array_equal(second, Lexical().encode(["a loan", "a fee", "a card"]))


def test_the_rule_makes_the_text():
    talk = conversation(1, ("user", "my card"), ("assistant", "which one?"), ("user", "the blue one"))
    encoder = Counting()
    Embedder(encoder).encode([talk])
    Embedder(encoder, rule=TextRule(max_turns=1)).encode([talk])
    Embedder(encoder, rule=TextRule(roles=("user", "assistant"))).encode([talk])
    assert encoder.asked == ["my card\nthe blue one", "my card", "my card\nwhich one?\nthe blue one"]


def test_the_identity_names_encoder_and_rule():
    assert Embedder(Counting("x")).identity == "x|user:all"
    assert Embedder(Counting("x"), rule=TextRule(max_turns=2)).identity == "x|user:2"


def test_empty_texts_are_zero_and_never_sent():
    encoder = Counting()
    vectors = Embedder(encoder).encode_texts(["", "card", " \n", "\u2003"])
    assert encoder.asked == ["card"]
    assert not vectors[[0, 2, 3]].any() and vectors[1].any()


def test_nothing_but_empty_texts():
    silent = conversation(1, ("assistant", "hello?"))
    encoder = Counting()
    assert Embedder(encoder).encode([silent]).tolist() == [[0.0] * encoder.dim]
    assert Embedder(encoder).encode([]).shape == (0, encoder.dim)
    assert not encoder.calls


def test_a_lone_surrogate_does_no_harm():
    encoder = Counting()
    vectors = Embedder(encoder).encode_texts(["card \ud83d", "card ?"])
    assert encoder.asked == ["card ?"] and np.array_equal(vectors[0], vectors[1])


def test_progress_counts_distinct_new_texts():
    texts = [f"text number {i}" for i in range(2 * CHUNK + 10)]
    embedder, seen = Embedder(Counting()), []
    embedder.encode_texts([*texts, *texts, ""], lambda done, total: seen.append((done, total)))
    total = len(texts)
    assert seen == [(0, total), (CHUNK, total), (2 * CHUNK, total), (total, total)]
    embedder.encode_texts(texts, lambda *_: pytest.fail("everything is known"))


def test_a_second_process_embeds_nothing(tmp_path):
    texts = [f"text number {i}" for i in range(CHUNK + 10)]
    first, second, seen = Counting(), Counting(), []
    cache = tmp_path / "vectors.sqlite"
    before = Embedder(first, cache=VectorCache(cache)).encode_texts(texts)
    after = Embedder(second, cache=VectorCache(cache)).encode_texts(
        texts[::-1], lambda done, total: seen.append((done, total))
    )
    assert len(first.asked) == len(texts) and not second.calls
    assert np.array_equal(before[::-1], after)
    assert seen == [(len(texts), len(texts))]


def test_the_cache_belongs_to_the_encoder(tmp_path):
    cache, other = VectorCache(tmp_path / "vectors.sqlite"), Counting("other")
    Embedder(Counting("one"), cache=cache).encode_texts(["card"])
    Embedder(other, cache=cache).encode_texts(["card"])
    assert other.asked == ["card"]


def test_a_failure_loses_at_most_one_chunk(tmp_path):
    texts = [f"text number {i}" for i in range(4 * CHUNK)]
    cache = VectorCache(tmp_path / "vectors.sqlite")
    failing = Embedder(Counting(fail_after=3), cache=cache)
    with pytest.raises(ModelError):
        failing.encode_texts(texts)
    rest = Counting()
    vectors = Embedder(rest, cache=cache).encode_texts(texts)
    assert len(rest.asked) == CHUNK
    assert np.array_equal(vectors, Lexical().encode(texts))
    failing.encoder.fail_after = None
    assert np.array_equal(failing.encode_texts(texts), vectors)


def test_an_encoder_that_miscounts_is_a_bug():
    encoder = Counting()
    encoder.encode = lambda texts: np.zeros((1, 4), dtype=np.float32)
    with pytest.raises(ValueError, match="1 vectors of 2 texts"):
        Embedder(encoder).encode_texts(["a", "b"])


def test_the_answer_is_the_callers_own():
    embedder = Embedder(Counting())
    embedder.encode_texts(["card"])[:] = 7
    assert np.array_equal(embedder.encode_texts(["card"]), Lexical().encode(["card"]))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(st.text(max_size=6), max_size=6), max_size=4))
def test_rows_follow_texts_however_they_come(calls):
    embedder = Embedder(Counting())
    for texts in calls:
        vectors = embedder.encode_texts(texts)
        clean = [text.encode("utf-8", "replace").decode() if text.strip() else "" for text in texts]
        assert np.array_equal(vectors, Lexical().encode(clean))
