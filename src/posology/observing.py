"""From conversations to what the monitor knows of them: the deployed variant, and signs of how people write."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posology import fingerprint
from posology.bot import recommended
from posology.collapse import surface
from posology.config import load
from posology.conversations.reading import read
from posology.embedding.cache import VectorCache
from posology.embedding.embedder import Embedder
from posology.embedding.encoders import make_encoder
from posology.errors import PosologyError, StoreError, UsageError
from posology.exporting import config_of
from posology.generation.language import language_of
from posology.inputs import CANDIDATES, Material
from posology.mixture.arms import mixture
from posology.monitor.checks import ROLES, Norms
from posology.monitor.windows import Floats, Window, labels
from posology.progress import Progress, Silent
from posology.records import Conversation, topics_of
from posology.selecting import controls
from posology.store import SETTINGS, RunFolder, read_json
from posology.sweeping import INDEX
from posology.swept import check_unchanged, require_sweep
from posology.training.contract import Variant, make_trainer

MOOD = ("mood", "arousal", "frustrated")
MESS = ("typos", "lower_case", "shouting", "unpunctuated", "repeated_marks", "emoji", "fragments", "incoherent")
FAR_QUANTILE = 0.05  # the share of training examples that are far from every other one
MOST_EXAMPLES = 10_000  # training examples that "near" is looked for among
QUERIES = 2_000  # of them, whose nearest others say what near is
USUAL = 0.01  # the share of training texts from where on their language is a usual one
OVERLONG = 2  # times the longest training text
ROWS_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True)
class Deployed:
    """Which variant is meant.

    Attributes:
        key: Its name in the index of the sweep, or of its folder.
        folder: Where its files are.
        known: Whether it is one of the sweep's own.
    """

    key: str
    folder: Path
    known: bool


class Observer:
    """Sees conversations with the eyes of one variant.

    It stays the one that the baseline was made with, whatever is deployed later: two models that share the topics
    differently would look like a drift of the traffic.

    Args:
        run: The run folder, its sweep finished.
        variant: A key of `RUN/sweep/variants`, or a folder that the same trainer saved a variant in; None takes the
            recommended one.
        progress: Told how embedding gets on.

    Raises:
        StoreError: The split or the selection is not what the sweep was run on, or the sweep's index is damaged.
        UsageError: The folder holds no finished sweep, or there is no such variant.
    """

    def __init__(self, run: Path, variant: str | None = None, progress: Progress | None = None) -> None:
        require_sweep(run)
        self.run, self.config = run, config_of(run)
        check_unchanged(run)
        self.deployed = _deployed(run, variant)
        settings = self.config.embedding
        encoder = make_encoder(settings.encoder, base_url=settings.base_url, api_key_env=settings.api_key_env)
        self.embedder = Embedder(encoder, rule=self.config.text.rule, cache=VectorCache() if settings.cache else None)
        self._trainer = make_trainer(self.config.sweep.trainer, self.embedder)
        self.model = self._trainer.load(self.deployed.folder)
        self._progress = progress or Silent()

    def other(self, variant: str) -> tuple[str, Variant]:
        """Another variant of the same trainer: its key and the model.

        Raises:
            UsageError: There is no such variant.
        """
        found = _deployed(self.run, variant)
        return found.key, self._trainer.load(found.folder)

    # -- what the run folder holds -------------------------------------------------------------------------------------

    @cached_property
    def real(self) -> Sequence[Conversation]:
        """Real training conversations."""
        return read(self.run / "split" / "train.jsonl").conversations

    @cached_property
    def holdout(self) -> Sequence[Conversation]:
        """The held-out real conversations."""
        return read(self.run / "split" / "holdout.jsonl").conversations

    @cached_property
    def pool(self) -> Sequence[Conversation]:
        """The accepted synthetic conversations, in priority order."""
        file = self.run / "select" / "selected.jsonl"
        return read(file, source="synthetic").conversations if file.is_file() and file.stat().st_size else ()

    @cached_property
    def training(self) -> Sequence[Conversation]:
        """What the variant was trained on; of one that is not the sweep's own, what the recommended one was."""
        key = self.deployed.key if self.deployed.known else recommended(self.run / "sweep")
        index = read_json(self.run / "sweep" / INDEX)["variants"]
        row = next(row for row in index if row["variant"] == key)
        return mixture(
            row["dose"],
            row["kind"],
            row["seed"],
            design=self.config.mix.design,
            real=self.real,
            ranked=self.pool,
            pool=self._controls() if row["kind"] == "random" and row["dose"] > 0 else None,
            synthetic_weight=self.config.mix.synthetic_weight or 1.0,  # the index holds what was learned
        ).conversations

    def _controls(self) -> Sequence[Conversation]:
        """What the sweep drew its controls from: the pool itself, which the run folder names but does not hold.

        Raises:
            StoreError: The pool is gone, or no longer what the sweep was run on.
        """
        if not self.pool:
            return ()
        try:
            settings = load(self.run / SETTINGS)
            material = Material(settings.data, generated=self.run / "generate" / CANDIDATES)
            if material.sha256("synthetic") == self._swept["inputs"].get("synthetic"):
                return controls(material.conversations("synthetic"), self.run / "select" / "rejected.jsonl")
        except (PosologyError, OSError, KeyError):
            pass  # missing or broken: no longer what it was
        raise StoreError(
            f"the variant was trained on a random part of a pool that is no longer what {self.run} was swept with.",
            remedy="Put the file back, run `posology sweep` again, or name a variant of the kind `selected`.",
        )

    @property
    def _swept(self) -> Mapping[str, Any]:
        """The manifest of the sweep."""
        manifest = RunFolder(self.run).stage("sweep").manifest
        if manifest is None:
            raise StoreError(f"{self.run} holds no finished sweep.", remedy="Run `posology sweep` first.")
        return manifest

    @cached_property
    def examples(self) -> Sequence[Conversation]:
        """The training examples that "near" is looked for among: all, or so many drawn at random."""
        if len(self.training) <= MOST_EXAMPLES:
            return self.training
        drawn = np.random.default_rng(0).choice(len(self.training), MOST_EXAMPLES, replace=False)
        return [self.training[i] for i in np.sort(drawn)]

    @property
    def topics(self) -> tuple[str, ...]:
        """The labels that real, synthetic or held-out conversations carry."""
        return tuple(topics_of([*self.real, *self.pool, *self.holdout]))

    @cached_property
    def identity(self) -> dict[str, str]:
        """What a baseline must share with a later check: encoder, text rule, and what the variant learned from."""
        return {
            "encoder": self.embedder.encoder.identity,
            "text_rule": self.embedder.rule.identity,
            "sweep": str(self._swept["fingerprint"]),
            "training": fingerprint.of_conversations(self.real),
            "learned": fingerprint.of_conversations(self.training),
        }

    # -- what it sees --------------------------------------------------------------------------------------------------

    def vectors(self, conversations: Sequence[Conversation]) -> Floats:
        """Unit vectors, shape (n, d)."""
        return self.embedder.encode(conversations, lambda done, n: self._progress.step("embedding", done, n))

    @cached_property
    def norms(self) -> Norms:
        """What is usual among training examples."""
        texts = [self.config.text.rule.text(c) for c in self.examples]
        languages = Counter(language for text in texts if (language := language_of(text)))
        usual = tuple(sorted(name for name, times in languages.items() if times >= USUAL * languages.total()))
        longest = max((len(surface.words_of(text)) for text in texts), default=1)
        return Norms(self._near(), usual, OVERLONG * longest)

    def window(self, conversations: Sequence[Conversation], *, labelled: bool = False) -> Window:
        """What the monitor knows of them.

        Args:
            conversations: At least one.
            labelled: Take their own topics instead of the predicted ones.
        """
        rule = self.config.text.rule
        texts = [rule.text(c) for c in conversations]
        languages = [language_of(text) or "" for text in texts]
        vectors, predictions = self.vectors(conversations), self.model.predict(conversations)
        features = self._features(conversations, texts)
        column = {name: features[:, i].astype(np.float32) for i, name in enumerate(surface.COLUMNS)}
        return Window(
            ids=labels([c.id for c in conversations]),
            vectors=vectors,
            topics=labels([c.label for c in conversations] if labelled else predictions.best),
            confidence=predictions.confidence.astype(np.float32),
            similarity=_nearest(vectors, self.vectors(self.examples)),
            words=np.array([len(surface.words_of(text)) for text in texts], dtype=np.int64),
            language=labels(languages),
            layout=np.array([re.match(ROLES, roles(c)) is not None for c in conversations], dtype=np.bool_),
            mood={name: column[name] for name in MOOD},
            mess={name: column[name] for name in MESS},
        )

    def _features(self, conversations: Sequence[Conversation], texts: Sequence[str]) -> NDArray[np.float64]:
        """Signs of how people feel and write, shape (n, columns); whether there is a typo is told by training texts."""
        rule = self.config.text.rule
        rows = []
        for conversation in conversations:
            turns = [m.content.strip() for m in conversation.messages if m.role in rule.roles][: rule.max_turns]
            spoken = sum(m.role in ("user", "assistant") for m in conversation.messages)
            rows.append(surface.row_features([turn for turn in turns if turn], spoken))
        features = np.array(rows, dtype=np.float64).reshape(len(rows), len(surface.COLUMNS))
        known = [surface.words_of(rule.text(c)) for c in self.real]
        misspelt = surface.misspelt_rows([*known, *map(surface.words_of, texts)], len(known))
        features[:, surface.COLUMNS.index("typos")] = misspelt[len(known) :]
        return features

    def _near(self) -> float:
        """The cosine that all but a few training examples have to their nearest other one."""
        vectors = self.vectors(self.examples)
        if len(vectors) < 2:
            return 0.0
        drawn = np.random.default_rng(0).permutation(len(vectors))[:QUERIES]
        found = []
        for start in range(0, len(drawn), ROWS_AT_ONCE):
            rows = drawn[start : start + ROWS_AT_ONCE]
            cosines = vectors[rows] @ vectors.T
            cosines[np.arange(len(rows)), rows] = -1.0
            found.append(cosines.max(axis=1))
        return float(np.quantile(np.concatenate(found), FAR_QUANTILE))


def roles(conversation: Conversation) -> str:
    """The roles of a conversation in order."""
    return " ".join(message.role for message in conversation.messages)


def _nearest(vectors: Floats, examples: Floats) -> Floats:
    """Cosine of each row to its nearest example, shape (n,)."""
    blocks = [(vectors[i : i + ROWS_AT_ONCE] @ examples.T).max(axis=1) for i in range(0, len(vectors), ROWS_AT_ONCE)]
    return np.concatenate(blocks) if blocks else np.empty(0, np.float32)


def _deployed(run: Path, variant: str | None) -> Deployed:
    """Finds the variant that is meant."""
    variants = run / "sweep" / "variants"
    if variant is None:
        variant = recommended(run / "sweep")
    keys = {str(row["variant"]) for row in read_json(run / "sweep" / INDEX)["variants"]}
    if variant in keys and (variants / variant).is_dir():
        return Deployed(variant, variants / variant, known=True)
    folder = Path(variant)
    if (folder / "variant.json").is_file():
        return Deployed(folder.resolve().name, folder, known=False)
    raise UsageError(
        f"there is no variant {variant!r}.",
        remedy=f"Name a key of {variants}, or a folder that a variant was saved in.",
    )
