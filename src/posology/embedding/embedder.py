"""The embedder: conversations in, vectors out, each distinct text embedded once.

It is made once by the pipeline and handed to every stage, so that gaps, selection, the leakage check and all arms of a
sweep share the same vectors.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from posology.embedding.cache import VectorCache
from posology.embedding.encoders import Encoder
from posology.records import Conversation, TextRule

Progress = Callable[[int, int], None]

CHUNK = 128  # texts embedded between two writes to the cache: what a kill can lose; one request to a server
DEFAULT_RULE = TextRule()
_EMPTY = b""


class Embedder:
    """Embeds conversations through a memory and a cache.

    A text with nothing but white space is never shown to the encoder and gets the zero vector: its cosine with
    everything is 0, which says "no evidence" instead of making all empty texts alike. A lone surrogate, which is no
    valid text, is embedded as a question mark.

    Args:
        encoder: What makes the vectors.
        rule: Which turns of a conversation are its text.
        cache: Vectors of earlier runs, None to do without.
    """

    def __init__(self, encoder: Encoder, *, rule: TextRule = DEFAULT_RULE, cache: VectorCache | None = None) -> None:
        self.encoder = encoder
        self.rule = rule
        self._cache = cache
        self._rows: dict[bytes, int] = {}
        self._vectors: NDArray[np.float32] | None = None  # the first len(_rows) + 1 rows are in use; row 0 is zero

    @property
    def identity(self) -> str:
        """Everything that shapes the vectors of conversations, for fingerprints."""
        return f"{self.encoder.identity}|{self.rule.identity}"

    def encode(self, conversations: Sequence[Conversation], progress: Progress | None = None) -> NDArray[np.float32]:
        """Unit vectors of conversations, shape (n, dim), by their text under the rule.

        Args:
            conversations: What to embed.
            progress: Called with distinct new texts done and their total; not at all if every text is known already.

        Raises:
            ModelError: The encoder's model is missing or fails; vectors that were finished are in the cache.
        """
        return self.encode_texts([self.rule.text(conversation) for conversation in conversations], progress)

    def encode_texts(self, texts: Sequence[str], progress: Progress | None = None) -> NDArray[np.float32]:
        """Unit vectors of plain texts, shape (n, dim); everything else as in `encode`."""
        sound = [text.encode("utf-8", "replace") if text.strip() else b"" for text in texts]
        keys = [hashlib.sha256(text).digest() if text else _EMPTY for text in sound]
        new = {key: text.decode() for key, text in zip(keys, sound, strict=True) if text and key not in self._rows}
        if new:
            self._learn(new, progress)
        if self._vectors is None:
            return np.zeros((len(texts), self.encoder.dim), dtype=np.float32)
        vectors: NDArray[np.float32] = self._vectors[[self._rows.get(key, 0) for key in keys]]
        return vectors

    def encode_topics(self, topics: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors of topics' names, read as words (`card_lost` says "card lost"), shape (n, dim)."""
        return self.encode_texts([" ".join(re.split(r"[\s_\-./]+", topic)).strip() for topic in topics])

    def _learn(self, new: dict[bytes, str], progress: Progress | None) -> None:
        """Finds the vectors of new texts in the cache, and embeds the rest."""
        keys = list(new)
        done = 0
        if self._cache is not None:
            positions, vectors = self._cache.look_up(self.encoder.identity, keys)
            self._keep([keys[i] for i in positions], vectors)
            done = len(positions)
        # Long texts first: texts of one length share a batch, and the time left is not promised too short.
        rest = sorted((key for key in keys if key not in self._rows), key=lambda key: -len(new[key]))
        if progress is not None:
            progress(done, len(keys))
        for start in range(0, len(rest), CHUNK):
            chunk = rest[start : start + CHUNK]
            vectors = self.encoder.encode([new[key] for key in chunk])
            if self._cache is not None:
                self._cache.store(self.encoder.identity, chunk, vectors)
            self._keep(chunk, vectors)
            done += len(chunk)
            if progress is not None:
                progress(done, len(keys))

    def _keep(self, keys: Sequence[bytes], vectors: NDArray[np.float32]) -> None:
        if not keys:
            return
        if len(vectors) != len(keys):
            raise ValueError(f"{self.encoder.identity} made {len(vectors)} vectors of {len(keys)} texts")
        if self._vectors is None:
            self._vectors = np.zeros((1, vectors.shape[1]), dtype=np.float32)
        start = len(self._rows) + 1
        end = start + len(keys)
        if end > len(self._vectors):
            grown = np.zeros((max(end, 2 * len(self._vectors)), self._vectors.shape[1]), dtype=np.float32)
            grown[:start] = self._vectors[:start]
            self._vectors = grown
        self._vectors[start:end] = vectors
        self._rows.update(zip(keys, range(start, end), strict=True))
