"""Writes a mixture as a training set that explains itself: rows, manifest, dataset card."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from posology import __version__, fingerprint
from posology.conversations.writing import write
from posology.errors import UsageError
from posology.records import Conversation, Mixture
from posology.store import SCHEMA_VERSION, write_json, writing

ENDINGS = {
    "openai": ".jsonl",
    "trl": ".jsonl",
    "sharegpt": ".jsonl",
    "alpaca": ".jsonl",
    "prompt_completion": ".jsonl",
    "text_label": ".jsonl",
    "csv": ".csv",
    "tsv": ".tsv",
    "parquet": ".parquet",
    "hf": "",
}


def write_training_set(
    mixture: Mixture,
    folder: Path,
    format: str,
    *,
    rejected: Mapping[str, int],
    verdict: Mapping[str, Any] | None = None,
    licence: str | None = None,
    intended_use: str | None = None,
    notice: str | None = None,
) -> dict[str, Any]:
    """Writes `train` in the wanted format, `manifest.json` and a dataset card, `README.md`.

    Args:
        mixture: What to write.
        folder: Where to; made if missing. Files of an earlier export in it are replaced.
        format: One of `ENDINGS`.
        rejected: How many pool rows were set aside, by reason.
        verdict: The recommendation of the sweep that stands behind the dose, if there was one.
        licence: Of the data, for the card.
        intended_use: For the card.
        notice: What a user of the data must be told of its verification, such as judges that were not independent.

    Returns:
        The manifest.

    Raises:
        UsageError: No such format.
        StoreError: The folder cannot be written.
    """
    if format not in ENDINGS:
        raise UsageError(f"unknown format {format!r}.", remedy=f"Known: {', '.join(ENDINGS)}.")
    name = f"train{ENDINGS[format]}"
    if format == "hf":
        shutil.rmtree(folder / name, ignore_errors=True)
    (folder / "manifest.json").unlink(missing_ok=True)
    write(mixture.conversations, folder / name, format)
    facts: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "posology": __version__,
        "file": name,
        "format": format,
        "design": mixture.design,
        "dose": mixture.dose,
        "actual_dose": round(mixture.actual_dose, 6),
        "kind": mixture.kind,
        "seed": mixture.seed,
        "n_real": len(mixture.real),
        "n_synthetic": len(mixture.synthetic),
        "n_pool_short": mixture.n_pool_short,
        "synthetic_weight": mixture.synthetic_weight,
        "content": fingerprint.of_conversations(mixture.conversations),
        "generators": _counts(mixture.synthetic, "generator"),
        "rejected": dict(rejected),
        "verdict": None if verdict is None else dict(verdict),
        "licence": licence,
        "notice": notice,
    }
    with writing(folder / "README.md") as handle:
        handle.write(_card(mixture, facts, intended_use))
    write_json(folder / "manifest.json", facts)
    return facts


def _counts(conversations: Sequence[Conversation], key: str) -> dict[str, int]:
    return dict(sorted(Counter(str(c.meta.get(key, "not stated")) for c in conversations).items()))


def _card(mixture: Mixture, facts: Mapping[str, Any], intended_use: str | None) -> str:
    """The dataset card, with the metadata block that dataset hubs read."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    real, synthetic = Counter(c.label for c in mixture.real), Counter(c.label for c in mixture.synthetic)
    environment = Environment(
        loader=PackageLoader("posology.mixture"), undefined=StrictUndefined, trim_blocks=True, autoescape=False
    )
    return environment.get_template("card.md.j2").render(
        facts,
        intended_use=intended_use,
        topics=[(topic, real[topic], synthetic[topic]) for topic in sorted(real | synthetic)],
    )
