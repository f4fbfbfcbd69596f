"""What every encoder does to its vectors before it hands them out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from posology.errors import ModelError


def unit_rows(matrix: NDArray[np.floating]) -> NDArray[np.float32]:
    """Rows scaled to length 1, shape (n, dim); a row of zeros, which has no direction, stays."""
    rows = np.asarray(matrix, dtype=np.float32)
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    norms[norms == 0] = 1
    unit: NDArray[np.float32] = rows / norms
    return unit


class ForeignEncoder(ABC):
    """Base of encoders whose vectors come from somebody else's model: what comes is checked, the width is learned.

    Args:
        identity: Names the model and everything that shapes its vectors.
    """

    def __init__(self, identity: str) -> None:
        self.identity = identity
        self._dim: int | None = None

    @property
    def dim(self) -> int:
        """The width of the vectors; before the first text this asks the model for one vector."""
        if self._dim is None:
            self.encode(["dimension"])
        assert self._dim is not None
        return self._dim

    @abstractmethod
    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors of texts, shape (n, dim)."""

    def _checked(self, raw: object, count: int) -> NDArray[np.float32]:
        """Unit rows of what the model answered.

        Raises:
            ModelError: Not `count` finite vectors of one width.
        """
        try:
            rows = np.asarray(raw, dtype=np.float32)
        except (TypeError, ValueError):
            rows = np.empty(0, dtype=np.float32)
        width = self._dim or (rows.shape[1] if rows.ndim == 2 else 0)
        if rows.shape != (count, width) or width == 0 or not np.isfinite(rows).all():
            raise ModelError(
                f"{self.identity} answered {count} texts with something other than {count} vectors of numbers of one "
                "width.",
                remedy="Check that the model is an embedding model.",
            )
        self._dim = width
        return unit_rows(rows)
