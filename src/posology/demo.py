"""What `posology demo` runs on: BANKING77 if it can be had, else the fictional sample shop; and the embedded model."""

from __future__ import annotations

import csv
import hashlib
import http.client
import importlib.util
import io
import os
import urllib.request
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from posology.config import Config, load
from posology.conversations.writing import write
from posology.errors import InputError, PosologyError
from posology.models.weights import checked_path
from posology.progress import Progress
from posology.projects import examples
from posology.records import Conversation, Message

ADDRESS = "https://raw.githubusercontent.com/PolyAI-LDN/task-specific-datasets/master/banking_data/{part}.csv"
#: sha256 over the sorted lines "text<TAB>topic" of each part, white space squeezed: a hash of the content.
CONTENT = {
    "train": "729f87f185a05f9ac3e4e2b70d46b9be54fd0ba2e8d9499cab57ea197b58ae91",
    "test": "e98a47c36419faf8f01253145bff57257b7b445c5c7c5d7b08ebe0145de156f6",
}
PATIENCE = 10.0  # seconds
N_REAL = 2000
TAIL = 4.6  # the most frequent topic has about e^TAIL = 100 times the rows of the rarest, as in the real long tail
MOST_BYTES = 8 << 20
EMBEDDED_DOSES = 3  # of a sweep of what the embedded model wrote: its pool is small


@dataclass(frozen=True, slots=True)
class DemoData:
    """What a demo runs on.

    Attributes:
        name: `banking77` or `larkfell`.
        note: One sentence that says what the data is.
        data: The `data` section of the configuration.
    """

    name: str
    note: str
    data: dict[str, str]

    def config(self, out: Path) -> Config:
        """The default settings on this data."""
        return load(None, {**{f"data.{name}": path for name, path in self.data.items()}, "out": out})

    def embedded(self, out: Path, count: int) -> Config:
        """Settings under which the embedded model writes the pool: so many messages, for the thinnest topics."""
        given = {f"data.{name}": path for name, path in self.data.items() if name != "synthetic"}
        asked = {"generate.model": "local:", "generate.mode": "continuation", "generate.count": count}
        return load(None, {**given, **asked, "sweep.adaptive": EMBEDDED_DOSES, "out": out})


def lacking() -> str | None:
    """What keeps the embedded model from writing; None if it is ready."""
    if importlib.util.find_spec("xllamacpp") is None:
        return "the extra `local` is not installed (pip install 'posology[local]')"
    try:
        checked_path("smollm2")
    except PosologyError:
        return "its weights are not here (posology models pull smollm2)"
    return None


def choose(out: Path, progress: Progress, *, sample: bool = False) -> DemoData:
    """Picks the most real data at hand.

    Args:
        out: The run folder; downloaded data is kept in its folder `data`.
        progress: Told what was tried.
        sample: Take the sample shop without looking further.
    """
    if sample:
        return _shop()
    folder = os.environ.get("POSOLOGY_DATA")
    if folder and (Path(folder) / "banking77" / "real.jsonl").is_file():
        return _local(Path(folder) / "banking77")
    try:
        return _downloaded(out / "data", progress)
    except (PosologyError, OSError, ValueError, http.client.HTTPException) as error:
        progress.note(f"BANKING77 cannot be had here ({type(error).__name__}), so the sample shop is taken.")
        return _shop()


def _shop() -> DemoData:
    folder = examples() / "larkfell"
    names = {"real": "real.jsonl", "synthetic": "synthetic.jsonl", "holdout": "holdout.jsonl", "docs": "docs"}
    note = (
        "This is Larkfell Outdoor, a fictional shop: 400 + 360 conversations written as a stand-in for real ones and "
        "400 as a stand-in for a generator's. It shows the tool, it proves nothing about your customers."
    )
    return DemoData("larkfell", note, {name: str(folder / file) for name, file in names.items()})


def _local(folder: Path) -> DemoData:
    names = {"real": "real.jsonl", "synthetic": "synthetic/frontier.jsonl", "holdout": "test.jsonl", "docs": "docs"}
    note = "This is BANKING77: 2,000 real messages to a bank, long-tailed, and its 3,080 official test messages."
    return DemoData("banking77", note, {name: str(folder / file) for name, file in names.items()})


def _downloaded(folder: Path, progress: Progress) -> DemoData:
    """Fetches BANKING77, checks it, and makes a long-tailed training set of it.

    Raises:
        InputError: The content is not what was pinned.
        OSError: No network.
    """
    progress.note("looking for BANKING77 (CC-BY-4.0) on the network")
    parts = {part: _fetch(part) for part in CONTENT}
    write(_long_tailed(parts["train"]), folder / "real.jsonl")
    write(parts["test"], folder / "holdout.jsonl")
    pool = examples() / "banking77" / "pool.jsonl"
    note = (
        "This is BANKING77: 2,000 of its real messages to a bank, drawn long-tailed, its 3,080 official test messages, "
        "and a pool of 770 messages written for this demo."
    )
    files = {"real": folder / "real.jsonl", "holdout": folder / "holdout.jsonl", "synthetic": pool}
    return DemoData("banking77", note, {name: str(path) for name, path in files.items()})


def _fetch(part: str) -> list[Conversation]:
    with urllib.request.urlopen(ADDRESS.format(part=part), timeout=PATIENCE) as answer:
        raw = answer.read(MOST_BYTES)
    rows = [(" ".join(row["text"].split()), row["category"]) for row in csv.DictReader(io.StringIO(raw.decode()))]
    if _content(rows) != CONTENT[part]:
        raise InputError(f"the {part} part of BANKING77 is not what was pinned.", remedy="Use --sample.")
    return [
        Conversation(f"b77-{part}-{i:05d}", (Message("user", text),), topic) for i, (text, topic) in enumerate(rows)
    ]


def _content(rows: Iterable[tuple[str, str]]) -> str:
    lines = sorted(f"{text}\t{topic}" for text, topic in rows)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _long_tailed(train: list[Conversation]) -> list[Conversation]:
    """Draws `N_REAL` rows so that topics fall off exponentially, in a seeded order of topics."""
    by_topic: dict[str, list[Conversation]] = defaultdict(list)
    for conversation in train:
        by_topic[conversation.label].append(conversation)
    rng = np.random.default_rng(0)
    topics = [str(topic) for topic in rng.permutation(sorted(by_topic))]
    share = np.exp(-TAIL * np.arange(len(topics)) / len(topics))
    wanted = np.maximum(1, np.round(N_REAL * share / share.sum())).astype(int)
    drawn: list[Conversation] = []
    for topic, count in zip(topics, wanted, strict=True):
        rows = by_topic[topic]
        drawn += [rows[i] for i in rng.permutation(len(rows))[:count]]
    return drawn
