"""What the monitor knows of n conversations: a few columns each, never their text.

Reference traffic is kept in this form, so that a run folder holds no customer's words for the monitor's sake.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from posology.errors import StoreError
from posology.store import writing

if TYPE_CHECKING:
    from pandas import DataFrame

Floats = NDArray[np.float32]
Labels = NDArray[np.str_]
Flags = NDArray[np.bool_]
Rows = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Window:
    """Conversations of one period, as the checks see them; every array has a row a conversation.

    Attributes:
        ids: Shape (n,).
        vectors: Shape (n, d): unit vectors; zero for a conversation without text.
        topics: Shape (n,): what the deployed variant takes each for.
        confidence: Shape (n,): the probability that it gives that topic.
        similarity: Shape (n,): cosine to the nearest training example.
        words: Shape (n,): words of the counted turns.
        language: Shape (n,): a code, or the empty string where a text is too short to tell.
        layout: Shape (n,): whether roles and turns are as they should be.
        mood: Numbers that say how people feel, by name; each shape (n,).
        mess: Numbers that say how carelessly they write, likewise.
    """

    ids: Labels
    vectors: Floats
    topics: Labels
    confidence: Floats
    similarity: Floats
    words: NDArray[np.int64]
    language: Labels
    layout: Flags
    mood: Mapping[str, Floats]
    mess: Mapping[str, Floats]

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, rows: Rows) -> Window:
        """Some of the conversations, in the given order."""
        arrays = {name: getattr(self, name)[rows] for name in _ARRAYS}
        signs: dict[str, Any] = {
            kind: {name: column[rows] for name, column in getattr(self, kind).items()} for kind in _SIGNS
        }
        return Window(**arrays, **signs)

    def sample(self, size: int, seed: int) -> Window:
        """At most `size` conversations, drawn at random in the order in which they stand."""
        if size >= len(self):
            return self
        drawn = np.random.default_rng(seed).choice(len(self), size, replace=False)
        return self.take(np.sort(drawn))

    def frame(self, **more: Sequence[str | None]) -> DataFrame:
        """A table with a row a conversation, for Great Expectations; `from_frame` reads it.

        Args:
            **more: Further columns.
        """
        import pandas as pd

        columns: dict[str, Any] = {FRAMED.get(name, name): getattr(self, name) for name in _COLUMNS}
        columns |= {f"{kind}.{name}": column for kind in _SIGNS for name, column in getattr(self, kind).items()}
        columns |= {f"v{i:04}": self.vectors[:, i] for i in range(self.vectors.shape[1])}
        return pd.DataFrame({**columns, **more})

    @classmethod
    def from_frame(cls, frame: DataFrame) -> Window:
        """What `frame` wrote."""
        arrays: dict[str, Any] = {
            name: frame[FRAMED.get(name, name)].to_numpy(dtype=_KINDS.get(name)) for name in _COLUMNS
        }
        for name in ("ids", "topics", "language"):
            arrays[name] = labels(arrays[name])
        arrays["vectors"] = frame[[c for c in frame.columns if _VECTOR.fullmatch(str(c))]].to_numpy(dtype=np.float32)
        signs: dict[str, Any] = {
            kind: _signs(kind, frame.columns, lambda name: frame[name].to_numpy()) for kind in _SIGNS
        }
        return cls(**arrays, **signs)

    def save(self, path: Path) -> None:
        """Writes the arrays, without pickle; whole or not at all.

        Raises:
            StoreError: The file cannot be written.
        """
        arrays: dict[str, Any] = {name: getattr(self, name) for name in _ARRAYS}
        arrays |= {f"{kind}.{name}": column for kind in _SIGNS for name, column in getattr(self, kind).items()}
        with writing(path, binary=True) as handle:
            np.savez_compressed(handle, **arrays)

    @classmethod
    def load(cls, path: Path) -> Window:
        """What `save` wrote.

        Raises:
            StoreError: The file is missing or damaged.
        """
        try:
            with path.open("rb") as handle, np.load(handle, allow_pickle=False) as kept:
                signs: dict[str, Any] = {kind: _signs(kind, kept.files, kept.__getitem__) for kind in _SIGNS}
                return cls(**{name: kept[name] for name in _ARRAYS}, **signs)
        except FileNotFoundError as error:
            raise StoreError(f"{path} is missing.", remedy="Make the baseline with `posology monitor init`.") from error
        except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
            raise StoreError(f"{path} is damaged.", remedy="Make it anew with `posology monitor init`.") from error


_ARRAYS = ("ids", "vectors", "topics", "confidence", "similarity", "words", "language", "layout")
_COLUMNS = tuple(name for name in _ARRAYS if name != "vectors")
_SIGNS = ("mood", "mess")
_KINDS: Mapping[str, Any] = {"words": np.int64, "layout": np.bool_, "confidence": np.float32, "similarity": np.float32}
_VECTOR = re.compile(r"v\d{4,}")
FRAMED: Mapping[str, str] = {"ids": "id", "topics": "predicted"}  # names of columns in a frame


def _signs(kind: str, names: Iterable[str], column: Callable[[str], Any]) -> dict[str, Floats]:
    """The columns of one kind of sign, by the name of the sign."""
    return {name.removeprefix(f"{kind}."): column(name) for name in names if name.startswith(f"{kind}.")}


def labels(values: Sequence[str]) -> Labels:
    """Names as an array; of no names, an empty one."""
    return np.array(list(values), dtype=np.str_)
