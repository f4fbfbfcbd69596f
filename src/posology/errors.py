"""Everything that posology raises on purpose.

    PosologyError            exit code 1
    ├── UsageError           exit code 2: a flag or argument makes no sense
    ├── ConfigError          exit code 2: posology.yaml is wrong
    ├── InputError           exit code 2: a data file is missing or broken; names file and line
    ├── ExtraMissing         exit code 2: an optional package is not installed; names the extra
    ├── ModelError           weights are missing, damaged or cannot be fetched
    ├── StoreError           the run folder cannot be written, is locked or is damaged
    ├── TrainingError        a trainer failed
    └── BudgetReached        exit code 4: work is saved, money is spent

Every message says the cause; `remedy` says what to do about it. Conversation text never stands in a message: ids,
files and lines do.
"""

from __future__ import annotations

from pathlib import Path


class PosologyError(Exception):
    """Base of all errors that a user can do something about.

    Args:
        message: The cause, one sentence.
        remedy: What to do, one sentence.
    """

    exit_code = 1

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}".strip()


class UsageError(PosologyError):
    """A flag or an argument makes no sense."""

    exit_code = 2


class ConfigError(PosologyError):
    """The configuration file is wrong."""

    exit_code = 2


class InputError(PosologyError):
    """A data file is missing, empty or broken.

    Args:
        message: The cause.
        file: The file it was found in.
        line: Its line (or row) number, counted from 1.
        remedy: What to do.
    """

    exit_code = 2

    def __init__(
        self, message: str, *, file: Path | str | None = None, line: int | None = None, remedy: str = ""
    ) -> None:
        where = "" if file is None else f"{file}: " if line is None else f"{file}, line {line}: "
        super().__init__(f"{where}{message}", remedy=remedy)
        self.reason = message
        self.file = None if file is None else str(file)
        self.line = line


class ExtraMissing(PosologyError):
    """An optional package is not installed."""

    exit_code = 2

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f"this needs the package {package!r}.", remedy=f"Install it: pip install 'posology[{extra}]'.")


class ModelError(PosologyError):
    """Weights are missing, damaged or cannot be fetched."""


class StoreError(PosologyError):
    """The run folder cannot be written, is in use, or is damaged."""


class TrainingError(PosologyError):
    """A trainer failed."""


class BudgetReached(PosologyError):
    """The budget is spent; what was paid for is saved."""

    exit_code = 4
