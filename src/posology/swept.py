"""What a finished sweep stands on: a run folder must not mix it with another split or selection."""

from __future__ import annotations

from pathlib import Path

from posology.errors import StoreError, UsageError
from posology.store import RunFolder


def require_sweep(run: Path) -> None:
    """Makes sure that a folder is a run with a finished sweep.

    Raises:
        UsageError: It is not.
    """
    if RunFolder(run).stage("sweep").manifest is None:
        raise UsageError(f"{run} holds no finished sweep.", remedy="Name a run folder, or run `posology sweep` first.")


def check_unchanged(run: Path) -> None:
    """Makes sure that a run folder holds what its sweep was run on.

    A later split or selection in the same folder would mix training and holdout rows.

    Raises:
        StoreError: The split or the selection is another one.
    """
    for name in ("split", "select"):
        if not is_swept(run, name):
            raise StoreError(f"{run / name} is not what the sweep was run on.", remedy="Run the sweep again.")


def keep_split(run: Path) -> None:
    """Makes sure that no sweep rests on the split that is about to be replaced.

    Raises:
        UsageError: One does.
    """
    if is_swept(run, "split"):
        raise UsageError(
            f"{run / 'split'} is what the sweep was run on; these inputs or settings would replace it by another.",
            remedy="Give the inputs and options of the sweep, or another --out; `posology split` replaces it.",
        )


def is_swept(run: Path, name: str) -> bool:
    """Whether a sweep was finished on what the stage `name` holds now."""
    folder = RunFolder(run)
    behind = (folder.stage("sweep").manifest or {}).get("stages", {})
    return name in behind and folder.stage(name).is_done(behind[name])
