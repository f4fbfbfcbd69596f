"""What an encoder is, and how one is chosen by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from posology.errors import ConfigError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CHOICES = ("minilm", "lexical", "fastembed:NAME", "sentence-transformers:NAME[@REVISION]", "openai:NAME")


class Encoder(Protocol):
    """Turns texts into vectors. A vector depends on its text alone, never on the other texts of the call."""

    @property
    def identity(self) -> str:
        """Names the model, its version and everything else that shapes vectors: equal identity, equal vectors."""
        ...

    @property
    def dim(self) -> int:
        """The width of the vectors."""
        ...

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors of texts, shape (n, dim).

        Raises:
            ModelError: The model is not there, or fails.
        """
        ...


def make_encoder(spec: str, *, base_url: str | None = None, api_key_env: str = "OPENAI_API_KEY") -> Encoder:
    """The encoder that a configuration names. No model is loaded, and nothing is sent, before the first text.

    Args:
        spec: `minilm` (bundled), `lexical` (no weights at all), `fastembed:NAME`, `sentence-transformers:NAME`
            (NAME may be a folder, or end in `@REVISION`), or `openai:NAME` for any server that speaks that format.
        base_url: Where the `openai` server is, up to and with `/v1`; None for OpenAI itself.
        api_key_env: The environment variable that holds its key.

    Raises:
        ConfigError: No such encoder, or a setting that does not go with it.
        ExtraMissing: Its package is not installed.
    """
    kind, _, name = spec.partition(":")
    if base_url is not None and kind != "openai":
        raise ConfigError(
            f"the encoder {spec!r} takes no base_url.", remedy="Remove it, or choose an encoder openai:NAME."
        )
    if spec == "minilm":
        from posology.embedding.minilm import MiniLM

        return MiniLM()
    if spec == "lexical":
        from posology.embedding.lexical import Lexical

        return Lexical()
    if name and kind == "fastembed":
        from posology.embedding.packages import FastEmbed

        return FastEmbed(name)
    if name and kind == "sentence-transformers":
        from posology.embedding.packages import SentenceTransformers

        return SentenceTransformers(name)
    if name and kind == "openai":
        from posology.embedding.remote import OpenAICompatible

        return OpenAICompatible(name, base_url=base_url, api_key_env=api_key_env)
    raise ConfigError(f"there is no encoder {spec!r}.", remedy=f"There are: {', '.join(CHOICES)}.")
