"""The bundled encoder: all-MiniLM-L6-v2 on onnxruntime, no torch.

Sentence-BERT (Reimers and Gurevych, 2019): mean over the token vectors, scaled to length 1.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from posology.embedding.vectors import unit_rows
from posology.models.catalogue import MINILM
from posology.models.weights import checked_path

if TYPE_CHECKING:
    from onnxruntime import InferenceSession
    from tokenizers import Tokenizer

MAX_TOKENS = 256  # what the model was trained on; the rest of a longer text is not seen
TOKENS_A_BATCH = 2048


class MiniLM:
    """all-MiniLM-L6-v2 with int8 weights, 384 dimensions.

    Texts of one token length share a batch, so nothing is padded, and a vector is the same to the bit whatever it is
    embedded together with. The identity names the weights by hash; the processor and the onnxruntime release, which
    move vectors by rounding only, are left out of it.

    Args:
        threads: Threads for one batch, None for all cores that this process may use.
    """

    dim = 384

    def __init__(self, threads: int | None = None) -> None:
        self._threads = threads
        hashes = ":".join(file.sha256[:16] for file in MINILM.files)
        self.identity = f"minilm:{hashes}:mean:{MAX_TOKENS}"

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors of texts, shape (n, 384).

        Raises:
            ModelError: The weights are not pulled, or damaged.
        """
        ids = [encoding.ids for encoding in self._tokenizer.encode_batch(list(texts))]
        vectors = np.zeros((len(ids), self.dim), dtype=np.float32)
        for batch in _same_length(ids):
            tokens = np.array([ids[i] for i in batch], dtype=np.int64)
            inputs = {
                "input_ids": tokens,
                "attention_mask": np.ones_like(tokens),
                "token_type_ids": np.zeros_like(tokens),
            }
            (hidden,) = self._session.run(["last_hidden_state"], inputs)
            vectors[batch] = unit_rows(hidden.mean(axis=1))
        return vectors

    @cached_property
    def _files(self) -> dict[str, Any]:
        return checked_path(MINILM.name)

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(self._files["tokenizer.json"]))
        tokenizer.enable_truncation(MAX_TOKENS)
        tokenizer.no_padding()
        return tokenizer

    @cached_property
    def _session(self) -> InferenceSession:
        import joblib
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self._threads or joblib.cpu_count()  # knows affinity and container limits
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # Idle threads that spin take the cores from everybody else, and from our own other processes.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        return onnxruntime.InferenceSession(str(self._files["model.onnx"]), options, providers=["CPUExecutionProvider"])


def _same_length(ids: Sequence[Sequence[int]]) -> Iterator[list[int]]:
    """Positions of token lists in batches of one length, at most `TOKENS_A_BATCH` tokens each (or one list)."""
    by_length: dict[int, list[int]] = {}
    for position, tokens in enumerate(ids):
        by_length.setdefault(len(tokens), []).append(position)
    for length, positions in sorted(by_length.items()):
        size = max(1, TOKENS_A_BATCH // length)
        for start in range(0, len(positions), size):
            yield positions[start : start + size]
