"""Human labels: what a person says of candidates, one JSON object a line.

    {"id": "c-17", "good": true, "stratum": 3, "of": 120}

`stratum` and `of` come from `posology verify --label`: candidates of a stratum stand for all `of` that it has, so that
figures are those of the whole pool and not of what was chosen to be labelled. Without them, each label weighs the same.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posology.errors import InputError


@dataclass(frozen=True, slots=True)
class Label:
    """What a person says of a candidate.

    Attributes:
        id: The candidate.
        good: Whether the bot should be trained on it.
        stratum: The stratum that it was drawn from, if it was.
        of: How many candidates that stratum has.
    """

    id: str
    good: bool
    stratum: int | None = None
    of: int | None = None

    def to_json(self) -> dict[str, Any]:
        """A line of the file."""
        drawn = {} if self.stratum is None else {"stratum": self.stratum, "of": self.of}
        return {"id": self.id, "good": self.good, **drawn}


def read_labels(path: Path, known: Collection[str], *, started: bool = False) -> list[Label]:
    """Reads labels.

    Args:
        path: The file.
        known: Ids that a label may have.
        started: The file may still be missing, empty or one-sided: labelling goes on.

    Raises:
        InputError: It is missing or broken, names an id twice or one that is not known, or holds labels of one kind
            alone, from which nothing can be told; with the line.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError:
        if started:
            return []
        raise InputError("there is no such file.", file=path, remedy="Make one: posology verify --label 50.") from None
    except (OSError, UnicodeDecodeError):
        raise InputError("it cannot be read as UTF-8 text.", file=path, remedy="Give a JSONL file.") from None
    labels: list[Label] = []
    first: dict[str, int] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        label = _label(line, path, number)
        if label.id in first:
            raise InputError(
                f"{label.id!r} has a label already, on line {first[label.id]}.",
                file=path,
                line=number,
                remedy="Keep one of the two.",
            )
        if label.id not in known:
            raise InputError(
                f"{label.id!r} is no candidate of this run.",
                file=path,
                line=number,
                remedy="Take this line out, or name the pool that was labelled with --synthetic.",
            )
        first[label.id] = number
        labels.append(label)
    if not started:
        _check_both(labels, path)
    return labels


def weights_of(labels: Sequence[Label]) -> NDArray[np.float64]:
    """How many candidates each label stands for, scaled to a mean of 1; shape (n,)."""
    if any(label.of is None for label in labels):
        return np.ones(len(labels))
    labelled = Counter(label.stratum for label in labels)
    stands = np.array([(label.of or 1) / labelled[label.stratum] for label in labels])
    return np.asarray(stands / stands.mean())


def _label(line: str, path: Path, number: int) -> Label:
    try:
        row = json.loads(line)
        label = Label(row["id"], row["good"], row.get("stratum"), row.get("of"))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise _broken(path, number) from None
    if (
        not isinstance(label.id, str)
        or not isinstance(label.good, bool)
        or not (_count(label.stratum) and _count(label.of))
    ):
        raise _broken(path, number)
    return label


def _broken(path: Path, number: int) -> InputError:
    remedy = 'A line looks like {"id": "c-17", "good": true}.'
    return InputError("this is no label.", file=path, line=number, remedy=remedy)


def _count(value: object) -> bool:
    return value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= 0)


def _check_both(labels: Sequence[Label], path: Path) -> None:
    kinds = {label.good for label in labels}
    if len(kinds) == 2:
        return
    said = (
        "holds no labels" if not kinds else f"calls all {len(labels)} candidates {'good' if True in kinds else 'bad'}"
    )
    raise InputError(
        f"it {said}; to learn what is good, both kinds are needed.",
        file=path,
        remedy="Label more: posology verify --label 50.",
    )
