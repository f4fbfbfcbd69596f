"""From conversations to a collapse diagnosis: of one synthetic set, or of every arm of a sweep beside its accuracy."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from posology import fingerprint
from posology.collapse.advice import advise
from posology.collapse.bags import Rows
from posology.collapse.diagnosis import Diagnosis, diagnose
from posology.collapse.examples import Find, missing, over_produced
from posology.collapse.picture import picture
from posology.collapse.table import Table, make_table
from posology.config import Config
from posology.conversations.docs import read_docs
from posology.conversations.reading import Columns, Reading, read
from posology.embedding.cache import VectorCache
from posology.embedding.embedder import Embedder
from posology.embedding.encoders import make_encoder
from posology.errors import InputError
from posology.inputs import SOURCE_OF, Material, required
from posology.prints import Prints
from posology.progress import Progress, Silent
from posology.records import Conversation, TextRule
from posology.report.collapse_page import build, write_page
from posology.report.pages import link_pages
from posology.store import RunFolder, write_json

RESULT, PICTURE, PAGE = "collapse.json", "picture.json", "collapse.html"
LARGEST = 10_000  # rows a side that are looked at; draws are far smaller, so more would change nothing but the time

Embed = Callable[[Sequence[Conversation]], NDArray[np.float32]]
Key = TypeVar("Key")


@dataclass(frozen=True, slots=True)
class Findings:
    """A diagnosis with what makes it useful.

    Attributes:
        diagnosis: Indicators and verdicts.
        missing: What synthetic text lacks.
        over_produced: What it has too much of.
        picture: The numbers behind the pictures.
        texts: By id, the texts of the rows that are named.
        sampled: By side, how many rows were looked at, of those that were more than `LARGEST`.
    """

    diagnosis: Diagnosis
    missing: tuple[Find, ...]
    over_produced: tuple[Find, ...]
    picture: Mapping[str, Any]
    texts: Mapping[str, str]
    sampled: Mapping[str, int]

    def to_json(self) -> dict[str, Any]:
        """The content of `collapse/collapse.json`; no conversation text in it."""
        return self.diagnosis.to_json() | {
            "advice": [advice.to_json() for advice in advise(self.diagnosis, self.missing)],
            "missing": [find.to_json() for find in self.missing],
            "over_produced": [find.to_json() for find in self.over_produced],
            "sampled": dict(self.sampled),
        }

    def write(
        self, folder: Path, facts: Mapping[str, Any] | None = None, *, title: str | None = None
    ) -> dict[str, Any]:
        """Writes result, picture and page into a folder.

        Args:
            folder: The stage's folder.
            facts: Further fields of the result.
            title: Heading of the page.

        Returns:
            The content of the result file.
        """
        result = self.to_json() | dict(facts or {})
        finds = {"missing": self.missing, "over_produced": self.over_produced}
        phrases = {(side, i): find.phrase for side, rows in finds.items() for i, find in enumerate(rows) if find.phrase}
        write_json(folder / RESULT, result)
        write_json(folder / PICTURE, self.picture)
        write_page(folder / PAGE, build(result, self.picture, self.texts, phrases, title=title))
        return result


def find_collapse(
    real: Sequence[Conversation],
    synthetic: Sequence[Conversation],
    embed: Embed,
    rule: TextRule,
    *,
    documents: Iterable[str] = (),
    planned: Collection[str] | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Findings:
    """Judges a synthetic set, with examples and pictures.

    Args:
        real: Real conversations, training or whatever may be looked at: never the holdout.
        synthetic: Synthetic ones.
        embed: Text to unit vectors.
        rule: What a conversation's text is.
        documents: Texts of the company, whose words are no misspellings.
        planned: Topics that were to be covered; None for all of real data.
        seed: Decides every draw.
        progress: Told of what is left out.

    Raises:
        InputError: Fewer than 20 texts with words on either side.
    """
    given = {"real": real, "synthetic": synthetic}
    rng = np.random.default_rng(seed)
    taken = {side: _some(rows, rng) for side, rows in given.items()}
    sampled = {side: len(rows) for side, rows in taken.items() if len(rows) < len(given[side])}
    for side, size in sampled.items():
        (progress or Silent()).note(
            f"{side}: {size:,} of {len(given[side]):,} conversations are looked at, drawn at random"
        )
    table = _table(taken["real"], taken["synthetic"], embed, rule, documents)
    diagnosis = diagnose(table, planned=planned, seed=seed)
    lacking = tuple(missing(table, table.real, table.synthetic, seed=seed))
    excess = tuple(over_produced(table, table.real, table.synthetic, seed=seed))
    named = {id for find in (*lacking, *excess) for id in find.ids}
    return Findings(
        diagnosis,
        lacking,
        excess,
        picture(table, table.real, table.synthetic, seed=seed),
        {c.id: text for c, text in zip(table.conversations, table.texts, strict=True) if c.id in named},
        sampled,
    )


def diagnose_arms(
    real: Sequence[Conversation],
    arms: Mapping[Key, Sequence[Conversation]],
    embed: Embed,
    rule: TextRule,
    *,
    planned: Collection[str] | None = None,
    seed: int = 0,
) -> dict[Key, Diagnosis]:
    """The same indicators for the synthetic part of every arm, features computed once for the rows that arms share.

    Args:
        real: Real training conversations.
        arms: By arm (a dose, say), its synthetic conversations.
        embed: Text to unit vectors.
        rule: What a conversation's text is.
        planned: Topics that were to be covered; None for all of real data.
        seed: Decides every draw.

    Returns:
        By arm, in the order given; arms with too few texts to judge are left out.
    """
    from posology.collapse.sampling import SMALLEST

    judged = {key: rows for key, rows in arms.items() if sum(bool(rule.text(c)) for c in rows) >= SMALLEST}
    if not judged or sum(bool(rule.text(c)) for c in real) < SMALLEST:
        return {}
    pool = list({c.id: c for rows in judged.values() for c in rows}.values())
    table = _table(real, pool, embed, rule, ())
    row_of = {c.id: len(real) + place for place, c in enumerate(pool)}

    def rows_of(arm: Sequence[Conversation]) -> Rows:
        return np.array([row_of[c.id] for c in arm], np.intp)

    return {key: diagnose(table, rows_of(rows), planned=planned, seed=seed) for key, rows in judged.items()}


def first_to_move(by_dose: Mapping[float, Diagnosis]) -> list[tuple[float, str]]:
    """Which indicators leave the range of real text at which dose, the lowest dose first, then the farthest out.

    An indicator counts from the lowest dose from which on it never comes back.
    """
    doses = sorted(by_dose)
    moved: list[tuple[float, float, str]] = []
    for name in {reading.indicator.name for found in by_dose.values() for reading in found.faults}:
        out = [by_dose[dose].verdict_of(name) not in (None, "ok") for dose in doses]
        if not out[-1]:
            continue
        start = len(out) - next((i for i, moved_here in enumerate(reversed(out)) if not moved_here), len(out))
        there = next(r for r in by_dose[doses[start]].readings if r.indicator.name == name)
        moved.append((doses[start], -abs(there.deviation), name))
    return [(dose, name) for dose, _, name in sorted(moved)]


def _table(
    real: Sequence[Conversation],
    synthetic: Sequence[Conversation],
    embed: Embed,
    rule: TextRule,
    documents: Iterable[str],
) -> Table:
    return make_table(real, synthetic, embed([*real, *synthetic]), rule, documents=documents)


def _some(rows: Sequence[Conversation], rng: np.random.Generator) -> Sequence[Conversation]:
    if len(rows) <= LARGEST:
        return rows
    return [rows[i] for i in np.sort(rng.choice(len(rows), LARGEST, replace=False))]


def collapse(config: Config, progress: Progress | None = None, *, seed: int = 0) -> dict[str, Any]:
    """The verb: reads both files, judges, and writes `collapse/` of the run folder.

    Where the run folder holds a finished split of this very real data, its holdout is left out.

    Args:
        config: `data.real` and `data.synthetic` are needed; topics in them are not.
        progress: Told what happens.
        seed: Decides every draw.

    Returns:
        The content of `collapse/collapse.json`.

    Raises:
        UsageError: A file is not named.
        InputError: One is missing, broken, the other one, or too small to judge.
    """
    progress = progress or Silent()
    settings = config.embedding
    encoder = make_encoder(settings.encoder, base_url=settings.base_url, api_key_env=settings.api_key_env)
    embedder = Embedder(encoder, rule=config.text.rule, cache=VectorCache() if settings.cache else None)
    with RunFolder(config.out) as folder:
        stage, start = folder.stage("collapse"), time.perf_counter()
        real, synthetic = (_reading(config, name, progress) for name in ("real", "synthetic"))
        if real.sha256 == synthetic.sha256:
            raise InputError(
                "--real and --synthetic are the same file.", file=config.data.real, remedy="Give each its own."
            )
        rows = _without_holdout(config, real, folder, embedder, progress)
        findings = find_collapse(
            rows,
            [replace(c, source="synthetic") for c in synthetic.conversations],
            lambda given: embedder.encode(given, lambda done, total: progress.step("embedding", done, total)),
            config.text.rule,
            documents=[section.text for section in read_docs(config.data.docs)] if config.data.docs else (),
            seed=seed,
            progress=progress,
        )
        inputs = {"real": real.sha256, "synthetic": synthetic.sha256}
        facts = {"identity": {"inputs": inputs, "encoder": embedder.identity, "seed": seed}}
        stage.begin()
        result = findings.write(stage.folder, facts, title=config.report.title)
        link_pages(config.out)
        for warning in result["warnings"]:
            progress.warn(warning)
        stage.finish(
            fingerprint.of("collapse", **inputs, encoder=embedder.identity, seed=seed, real_rows=len(rows)),
            files=[RESULT, PICTURE, PAGE],
            timings={"total": time.perf_counter() - start},
            inputs=inputs,
            seeds=[seed],
            warnings=result["warnings"],
        )
    return result


def _reading(config: Config, name: str, progress: Progress) -> Reading:
    """One file, with or without topics."""
    data = config.data
    path = required(getattr(data, name), name)
    columns = Columns(**data.columns.model_dump())
    reading = read(
        path,
        columns=columns,
        format=data.format,
        source=SOURCE_OF[name],
        on_error=data.on_error,
        require_topic=False,
    )
    progress.note(f"{name}: {path}: {'; '.join(reading.understood.lines)}")
    made_up = [c.id for c in reading.conversations if c.source == "synthetic"]
    if name == "real" and made_up:
        raise InputError(
            f"{len(made_up)} rows say that they are synthetic.",
            file=path,
            remedy="--real is for real customers: take these rows out, or correct their field `source`.",
        )
    return reading


def _without_holdout(
    config: Config, real: Reading, folder: RunFolder, embedder: Embedder, progress: Progress
) -> Sequence[Conversation]:
    """Real rows less those that the split in the run folder keeps for evaluation, whatever it was made with."""
    stage = folder.stage("split")
    if stage.manifest is None:
        return real.conversations
    try:
        split = Prints(config, Material(config.data), embedder.identity, "").split
    except InputError:  # data without topics is not split
        split = ""
    if not stage.is_done(split):
        held = set(stage.manifest["holdout"].values())
        rest = [c for c in real.conversations if fingerprint.of_conversation(c)[:16] not in held]
        if n_held := len(real.conversations) - len(rest):
            progress.note(f"real: {n_held:,} held-out rows of {stage.folder} are not looked at")
        return rest
    train = read(stage.folder / "train.jsonl", source="real").conversations
    progress.note(f"real: the {len(train):,} training rows of {stage.folder}; its holdout is not looked at")
    return train
