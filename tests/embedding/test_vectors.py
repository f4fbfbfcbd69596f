import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from posology.embedding.vectors import ForeignEncoder, unit_rows
from posology.errors import ModelError


@given(hnp.arrays(np.float32, hnp.array_shapes(min_dims=2, max_dims=2), elements=st.floats(-1e3, 1e3, width=32)))
def test_rows_have_length_one_or_none(matrix):
    lengths = np.linalg.norm(unit_rows(matrix), axis=1)
    assert ((np.abs(lengths - 1) < 1e-4) | (np.linalg.norm(matrix, axis=1) < 1e-15)).all()
    assert unit_rows(matrix).dtype == np.float32


def test_the_input_is_left_alone():
    matrix = np.array([[3, 4], [0, 0]], dtype=np.float32)
    assert unit_rows(matrix).tolist() == pytest.approx(np.array([[0.6, 0.8], [0, 0]]))
    assert matrix.tolist() == [[3, 4], [0, 0]]


class Scripted(ForeignEncoder):
    def __init__(self, *answers):
        super().__init__("scripted")
        self.answers = list(answers)

    def encode(self, texts):
        return self._checked(self.answers.pop(0), len(texts))


def test_the_width_is_learned_once():
    encoder = Scripted([[3, 4]], [[1, 0], [0, 2]])
    assert encoder.dim == 2
    assert encoder.encode(["a", "b"]).tolist() == [[1, 0], [0, 1]]
    assert encoder.dim == 2 and not encoder.answers


@pytest.mark.parametrize(
    "answer",
    [None, [], "text", [[1, 2]], [[1, 2], [3]], [[1, 2], None], [[1, np.nan], [1, 2]], [[1, np.inf], [1, 2]], [1, 2],
     [[], []], [[[1]], [[2]]], {"a": 1}],
)  # fmt: skip
def test_nonsense_is_refused(answer):
    with pytest.raises(ModelError, match="scripted answered 2 texts"):
        Scripted(answer).encode(["secret one", "secret two"])


def test_a_width_that_changes_is_refused():
    encoder = Scripted([[1, 2]], [[1, 2, 3]])
    encoder.encode(["a"])
    with pytest.raises(ModelError):
        encoder.encode(["b"])
