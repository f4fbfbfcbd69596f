"""Evaluator contamination in a verified run: does a judge favour what its own family wrote?"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from posology.collapse.contamination import contamination
from posology.conversations.reading import read
from posology.errors import InputError, UsageError
from posology.records import Conversation
from posology.verification.families import origin
from posology.verification.labels import read_labels

SCHEMA_VERSION = 1
REAL = "real customers"


def favour(
    run: Path,
    judge: str | None = None,
    against: str | None = None,
    *,
    labels: Path | None = None,
    families: Mapping[str, str] | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """Measures the self-preference of one judge of a verified run against another one.

    A text is the judge's own where a model of its family wrote it, as its `generator` says. Scores are means over the
    criteria that both judges scored.

    Args:
        run: The run folder; its candidates were judged by both.
        judge: The judge in question; None: the one whose family wrote some of the candidates.
        against: The other one; None: the one that is left.
        labels: Human labels of some candidates, which hold quality constant.
        families: Declared bases of models, as in `verify.families`.
        seed: Of the bootstrap.

    Returns:
        What `posology contamination --json` prints.

    Raises:
        UsageError: The run was not judged, or it does not follow which judges are meant.
        InputError: Labels are broken.
    """
    scores = _scores(run / "verify" / "judgements.jsonl")
    files = [place for name in ("passed", "rejected") if (place := run / "verify" / f"{name}.jsonl").stat().st_size]
    texts = {c.id: c for file in files for c in read(file).conversations}
    wrote = {id: _writer(c) for id, c in texts.items()}
    kin = {name: {w for w in set(wrote.values()) if _related(name, w, families)} for name in scores}
    judge, against = _chosen(judge, against, kin)
    both = sorted(id for id in scores[judge].keys() & scores[against].keys() if id in texts)
    pairs = [_means(scores[judge][id], scores[against][id]) for id in both]
    quality = None
    if labels is not None:
        good = {label.id: float(label.good) for label in read_labels(labels, texts.keys())}
        quality = np.array([good.get(id, np.nan) for id in both])
    found = contamination(
        np.array([own for own, _ in pairs]),
        np.array([other for _, other in pairs]),
        np.array([wrote[id] in kin[judge] for id in both], dtype=bool),
        quality=quality,
        arms=[wrote[id] for id in both],
        seed=seed,
    )
    return {"schema_version": SCHEMA_VERSION, "judge": judge, "against": against, "n": len(both), **found.to_json()}


def _scores(path: Path) -> dict[str, dict[str, dict[str, int]]]:
    """Scores by criterion, by judge and candidate."""
    found: dict[str, dict[str, dict[str, int]]] = {}
    for row in _rows(path):
        if row["state"] == "scored":
            found.setdefault(row["judge"], {})[row["id"]] = row["scores"]
    if len(found) < 2:
        raise UsageError(
            f"{path.parent.parent} holds the scores of {len(found)} judges; two are compared.",
            remedy="Run `posology verify` with two --judge, one of them of the generator's family "
            "(verify.allow_same_family: true lets it judge).",
        )
    return found


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    try:
        with path.open(encoding="utf-8") as lines:
            yield from map(json.loads, lines)
    except FileNotFoundError:
        return
    except ValueError as error:
        raise InputError("this is no judgement.", file=path, remedy="Run `posology verify` again.") from error


def _writer(candidate: Conversation) -> str:
    return REAL if candidate.source == "real" else str(candidate.meta.get("generator") or "an unknown model")


def _related(judge: str, writer: str, families: Mapping[str, str] | None) -> bool:
    """Whether a judge is of the family of who wrote."""
    if writer == REAL:
        return False
    one, other = (origin(name, declared=families) for name in (judge, writer))
    return bool(set(one.families) & set(other.families))


def _chosen(judge: str | None, against: str | None, kin: Mapping[str, set[str]]) -> tuple[str, str]:
    """The two judges that are meant."""
    for name in (judge, against):
        if name is not None and name not in kin:
            raise UsageError(f"no judge is called {name!r}.", remedy=f"There are {', '.join(sorted(kin))}.")
    related = [name for name in sorted(kin) if kin[name] and name != against]
    judge = judge or (related[0] if len(related) == 1 else None)
    independent = [name for name in sorted(kin) if name != judge and not kin[name]]
    against = against or (independent[0] if len(independent) == 1 else None)
    if judge is None or against is None or judge == against:
        raise UsageError(
            "it does not follow which two judges are compared.",
            remedy=f"Name them with --judge and --against; there are {', '.join(sorted(kin))}.",
        )
    return judge, against


def _means(own: Mapping[str, int], other: Mapping[str, int]) -> tuple[float, float]:
    """Mean scores over the criteria that both gave; NaN without any."""
    shared: Sequence[str] = sorted(own.keys() & other.keys())
    if not shared:
        return float("nan"), float("nan")
    return float(np.mean([own[name] for name in shared])), float(np.mean([other[name] for name in shared]))
