"""Encoders that other packages bring: fastembed and sentence-transformers, each an extra."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posology.embedding.vectors import ForeignEncoder
from posology.errors import ExtraMissing, ModelError, PosologyError
from posology.models.home import home
from posology.models.weights import sha256_of

BATCH = 32


class FastEmbed(ForeignEncoder):
    """A model of the fastembed package, which keeps its weights under our home.

    The package's version is part of the identity: releases have changed how they pool the same model.

    Args:
        name: A model that fastembed lists, for example `BAAI/bge-small-en-v1.5`.

    Raises:
        ExtraMissing: fastembed is not installed.
    """

    def __init__(self, name: str) -> None:
        try:
            import fastembed
        except ImportError as error:
            raise ExtraMissing("fastembed", "fastembed") from error
        super().__init__(f"fastembed:{name}:{getattr(fastembed, '__version__', 'unknown')}")
        self._name = name
        self._package = fastembed

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors of texts, shape (n, dim).

        Raises:
            ModelError: There is no such model, it cannot be fetched, or it fails.
        """
        if not texts:
            return np.zeros((0, self.dim), dtype=np.float32)
        with _foreign(self.identity, "embed"):
            rows = list(self._model.embed(list(texts), batch_size=BATCH))
        return self._checked(rows, len(texts))

    @cached_property
    def _model(self) -> Any:  # noqa: ANN401 - an optional package has no types here
        with _foreign(self.identity, "load"):
            return self._package.TextEmbedding(model_name=self._name, cache_dir=str(home() / "fastembed"))


class SentenceTransformers(ForeignEncoder):
    """A model of the sentence-transformers package.

    A local folder is known by its content, a name by its `@REVISION`. A name without one is taken for a model that
    does not change: pin the revision of one that may.

    Args:
        name: `NAME` or `NAME@REVISION` of a published model, or a folder.

    Raises:
        ExtraMissing: sentence-transformers is not installed.
    """

    def __init__(self, name: str) -> None:
        try:
            import sentence_transformers
        except ImportError as error:
            raise ExtraMissing("sentence-transformers", "sentence-transformers") from error
        folder = Path(name)
        if folder.is_dir():
            self._name, self._revision = name, None
            super().__init__(f"sentence-transformers:{folder.name}:{_content(folder)}")
        else:
            self._name, _, revision = name.partition("@")
            self._revision = revision or None
            super().__init__(f"sentence-transformers:{name}")
        self._package = sentence_transformers

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors of texts, shape (n, dim).

        Raises:
            ModelError: There is no such model, it cannot be fetched, or it fails.
        """
        if not texts:
            return np.zeros((0, self.dim), dtype=np.float32)
        with _foreign(self.identity, "embed"):
            rows = self._model.encode(list(texts), batch_size=BATCH, convert_to_numpy=True, show_progress_bar=False)
        return self._checked(rows, len(texts))

    @cached_property
    def _model(self) -> Any:  # noqa: ANN401 - an optional package has no types here
        with _foreign(self.identity, "load"):
            return self._package.SentenceTransformer(self._name, revision=self._revision)


def _content(folder: Path) -> str:
    """A short hash of the names and the content of all files under a folder."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(f"{path.relative_to(folder).as_posix()}\0{sha256_of(path)}\0".encode())
    return digest.hexdigest()[:32]


@contextmanager
def _foreign(identity: str, doing: str) -> Iterator[None]:
    """The one place where whatever another package raises becomes ours.

    Only the loader's own words are passed on, without addresses: what fails while embedding may quote a conversation.
    """
    try:
        yield
    except PosologyError:
        raise
    except Exception as error:
        words = re.sub(r"\b[a-z+]+://\S+", "…", str(error)).strip().partition("\n")[0][:200]
        said = f"{type(error).__name__}: {words}" if doing == "load" and words else type(error).__name__
        raise ModelError(
            f"{identity} cannot {doing} ({said}).",
            remedy="Check the name of the model, and that it was downloaded once with network."
            if doing == "load"
            else "Check that the model is an embedding model.",
        ) from (error if doing == "load" else None)
