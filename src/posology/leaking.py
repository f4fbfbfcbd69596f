"""Leaks into the holdout: what to reject of a pool, and an audit of any two files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from posology.config import Config
from posology.conversations.reading import Columns, Reading, read
from posology.embedding.cache import VectorCache
from posology.embedding.embedder import Embedder
from posology.embedding.encoders import make_encoder
from posology.errors import InputError
from posology.progress import Progress, Silent
from posology.records import Conversation, Rejection
from posology.store import SCHEMA_VERSION
from posology.verification.leakage.check import EXACT, NEAR, PARAPHRASE, Leakage, leakage
from posology.verification.leakage.sets import SetTest


def rejections(rows: Sequence[Conversation], found: Leakage) -> list[Rejection]:
    """A rejection for each leaked row, in order."""
    return [
        Rejection(row.id, leak.check, leak.detail, leak.other_id, leak.score, leak.threshold)
        for row, leak in zip(rows, found.leaks, strict=True)
        if leak is not None
    ]


def summary(found: Leakage, baseline: int) -> dict[str, Any]:
    """The figures of a leakage check, as JSON: counts, limits, the test of the whole set, and what they mean.

    Args:
        found: The findings.
        baseline: How many real training rows there were to set the limits.
    """
    counts = Counter(leak.check for leak in found.leaks if leak is not None)
    whole = found.whole_set
    return {
        "leaked": {name: counts[name] for name in (EXACT, NEAR, PARAPHRASE)},
        "paraphrases_by_row": found.by_row and found.limits.get("paraphrase") is not None,
        "limits": {name: limit and asdict(limit) for name, limit in found.limits.items()},
        "whole_set": whole and {**asdict(whole), "leans": whole.leans},
        "notes": list(_notes(found, baseline)),
    }


@dataclass(frozen=True, slots=True)
class Audit:
    """What an audit of two files found.

    Attributes:
        rows: The rows that were audited.
        against: How many held-out rows they were held against.
        baseline: How many real training rows set the limits.
        found: The findings.
        rejections: The leaked rows.
    """

    rows: Sequence[Conversation]
    against: int
    baseline: int
    found: Leakage
    rejections: list[Rejection]

    def to_json(self) -> dict[str, Any]:
        """One JSON object; ids, never text."""
        return {
            "schema_version": SCHEMA_VERSION,
            "rows": len(self.rows),
            "against": self.against,
            "baseline": self.baseline,
            **summary(self.found, self.baseline),
            "found": [asdict(rejection) for rejection in self.rejections],
        }


def audit(
    suspect: Path,
    against: Path,
    baseline: Path | None,
    config: Config,
    *,
    vectors: bool = True,
    progress: Progress | None = None,
) -> Audit:
    """Looks in one file for what another one holds.

    Args:
        suspect: Rows to be trained on.
        against: The holdout or test set.
        baseline: Real training rows known to be apart from it, which say how near honest rows come; None: fixed limits.
        config: How files are read, what of a conversation is compared, and the encoder.
        vectors: Whether to embed, for paraphrases and the test of the whole set.
        progress: Told how each file was understood.

    Raises:
        InputError: A file is missing or broken, or two of them are the same.
        ModelError: The encoder is missing.
    """
    progress = progress or Silent()
    readings = {name: _read(name, path, config, progress) for name, path in (("A", suspect), ("B", against))}
    if baseline is not None:
        readings["baseline"] = _read("baseline", baseline, config, progress)
    names = {reading.sha256: name for name, reading in readings.items()}
    if len(names) < len(readings):
        twins = [
            name
            for name, reading in readings.items()
            if list(r.sha256 for r in readings.values()).count(reading.sha256) > 1
        ]
        raise InputError(
            f"{' and '.join(twins)} are the same file.",
            remedy="Name the rows to be trained on, the rows that test, and, apart from both, real training rows.",
        )
    embedder = _embedder(config) if vectors else None
    rows, held = readings["A"].conversations, readings["B"].conversations
    real = readings["baseline"].conversations if baseline is not None else ()
    found = leakage(rows, held, real, rule=config.text.rule, embed=embedder.encode_texts if embedder else None)
    return Audit(rows, len(held), len(real), found, rejections(rows, found))


def _read(name: str, path: Path, config: Config, progress: Progress) -> Reading:
    reading = read(
        path,
        columns=Columns(**config.data.columns.model_dump()),
        format=config.data.format,
        source="real",
        on_error=config.data.on_error,
        require_topic=False,
    )
    progress.note(f"{name}: {path}: {'; '.join(reading.understood.lines)}")
    if reading.bad_rows:
        progress.warn(f"{name}: {len(reading.bad_rows)} bad rows were skipped.")
    return reading


def _embedder(config: Config) -> Embedder:
    settings = config.embedding
    encoder = make_encoder(settings.encoder, base_url=settings.base_url, api_key_env=settings.api_key_env)
    return Embedder(encoder, rule=config.text.rule, cache=VectorCache() if settings.cache else None)


def _notes(found: Leakage, baseline: int) -> list[str]:
    notes = []
    few = f"{baseline:,} real training rows are too few to show" if baseline else "no real training rows show"
    if found.limits.get("wording") is None:
        notes.append(
            f"{few} how near honest rows come to the test: fixed limits were used. Name real rows that are known to be "
            "apart from it as the baseline (--baseline real.jsonl)."
        )
    if not found.by_row:
        see = "" if found.whole_set is None else "; see the test of the whole set"
        notes.append(f"single messages cannot be called paraphrases here: cannot tell{see}.")
    elif found.limits.get("paraphrase") is None:
        notes.append("too few real training rows to call paraphrases: cannot tell.")
    if found.whole_set is not None:
        notes.append(_set_note(found.whole_set))
    return notes


def _set_note(whole: SetTest) -> str:
    found, chance = f"{whole.nearest_held_out:.0%}", f"{whole.expected:.0%}"
    share = f"{found} of rows have a held-out row as their nearest real one, {chance} by chance"
    if whole.leans:
        return f"the set as a whole leans towards the test (p = {whole.p_value:.2g}): {share}."
    return f"the set as a whole does not lean towards the test (p = {whole.p_value:.2g}): {share}."
