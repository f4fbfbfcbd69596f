"""Where posology keeps weights and vectors between runs."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from posology.errors import ConfigError


def home() -> Path:
    """The folder for weights and cached vectors; it need not exist yet.

    `POSOLOGY_HOME` if set, else `~/Library/Caches/posology` on macOS, else `$XDG_CACHE_HOME/posology`, which is
    `~/.cache/posology` by default (XDG Base Directory Specification: a relative value is ignored).

    Raises:
        ConfigError: There is no home directory to start from.
    """
    chosen = os.environ.get("POSOLOGY_HOME", "").strip()
    try:
        if chosen:
            return Path(chosen).expanduser().absolute()
        if sys.platform == "darwin":
            return Path.home() / "Library" / "Caches" / "posology"
        xdg = Path(os.environ.get("XDG_CACHE_HOME", ""))
        return (xdg if xdg.is_absolute() else Path.home() / ".cache") / "posology"
    except RuntimeError as error:
        raise ConfigError(
            "there is no home directory to keep weights in.", remedy="Set POSOLOGY_HOME to a folder."
        ) from error
