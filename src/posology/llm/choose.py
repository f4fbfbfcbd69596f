"""Chat models by name: `openai:NAME`, `anthropic:NAME`, `local:`, `scripted:module:function`."""

from __future__ import annotations

import os
from pathlib import Path

from posology.errors import ConfigError
from posology.llm.contract import ChatModel

KINDS = ("openai", "anthropic", "local", "scripted")
KEYS = {"openai": "OPENAI_API_KEY", "anthropic": "ANTHROPIC_API_KEY"}


def make_model(spec: str, *, base_url: str | None = None, api_key_env: str | None = None, seed: int = 0) -> ChatModel:
    """The chat model that a name stands for. Nothing is sent or loaded yet where that can wait.

    Args:
        spec: `openai:NAME` for anything that speaks the OpenAI format, `anthropic:NAME`, `local:` for the embedded
            model or `local:FILE.gguf` for another, `scripted:module:function` or `scripted:FILE.json` for tests.
        base_url: The server's address, for the first two.
        api_key_env: The environment variable with its key, for the first two.
        seed: Of a script's random numbers.

    Raises:
        ConfigError: The name or an address makes no sense.
        ModelError: The embedded model is not there.
    """
    kind, _, name = spec.partition(":")
    if kind not in KINDS or (kind != "local" and not name):
        raise ConfigError(
            f"{spec!r} names no model.", remedy="Write one of openai:NAME, anthropic:NAME, local:, scripted:M:F."
        )
    if kind in ("local", "scripted") and base_url is not None:
        raise ConfigError(f"{spec} takes no base_url.", remedy="Leave it out, or use openai:NAME.")
    if kind == "openai":
        from posology.llm.openai_compatible import OpenAICompatible

        return OpenAICompatible(name, base_url=base_url, api_key_env=api_key_env or KEYS[kind])
    if kind == "anthropic":
        from posology.llm.anthropic import Anthropic

        return Anthropic(name, base_url=base_url, api_key_env=api_key_env or KEYS[kind])
    if kind == "scripted":
        from posology.llm.scripted import load

        return load(name, seed=seed)
    from posology.llm.local import LocalModel

    return LocalModel(Path(name) if name else None)


def missing_key(spec: str, *, base_url: str | None = None, api_key_env: str | None = None) -> str | None:
    """The environment variable that should hold the key of a model, if it is not set; None where nothing is missing.

    Args:
        spec: The model, as `make_model` takes it.
        base_url: Where its server is; one of your own may want no key.
        api_key_env: The variable, if it is not the usual one.

    Raises:
        ConfigError: It is not set, and the provider certainly wants a key.
    """
    kind = spec.partition(":")[0]
    if kind not in KEYS:
        return None
    name = api_key_env or KEYS[kind]
    if os.environ.get(name, "").strip():
        return None
    if base_url is None:
        raise ConfigError(f"the environment variable {name} is not set.", remedy=f"Put the key for {kind} into it.")
    return name
