"""What a long stage tells whoever watches: the command line draws it, the library keeps silent."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Receives news of a run. Calls may come from several threads."""

    def step(self, label: str, done: int, total: int, detail: str = "") -> None:
        """`done` of `total` units of the step `label` are finished; `detail` is a few words on how."""

    def note(self, text: str) -> None:
        """Something worth a line."""

    def warn(self, text: str) -> None:
        """Something that the user should act on or know when reading the result."""


class Silent:
    """Tells nobody."""

    def step(self, label: str, done: int, total: int, detail: str = "") -> None:
        """Ignores a step."""

    def note(self, text: str) -> None:
        """Ignores a note."""

    def warn(self, text: str) -> None:
        """Ignores a warning; it stands in the result file all the same."""
