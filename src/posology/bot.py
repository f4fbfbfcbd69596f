"""The FAQ bot: a trained variant and the docs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from posology.conversations.docs import read_docs
from posology.embedding.embedder import Embedder
from posology.embedding.encoders import make_encoder
from posology.errors import UsageError
from posology.exporting import config_of
from posology.records import Conversation, DocSection, Message
from posology.report.results import load
from posology.store import read_json
from posology.sweeping import INDEX
from posology.training.contract import Variant, make_trainer


@dataclass(frozen=True, slots=True)
class Answer:
    """What the bot says.

    Attributes:
        topics: The most probable topics with their probabilities, best first.
        section: The docs section of the best topic, else the nearest one; None without docs.
    """

    topics: tuple[tuple[str, float], ...]
    section: DocSection | None

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        section = self.section
        return {
            "topic": self.topics[0][0],
            "probability": round(self.topics[0][1], 4),
            "topics": [{"topic": topic, "probability": round(p, 4)} for topic, p in self.topics],
            "section": None
            if section is None
            else {"file": section.file, "heading": section.heading, "text": section.text},
        }


class Bot:
    """Answers customers' messages.

    Args:
        variant: A trained model.
        embedder: For finding the nearest section.
        docs: Sections of the support documentation.
    """

    def __init__(self, variant: Variant, embedder: Embedder, docs: Sequence[DocSection] = ()) -> None:
        self._variant, self._embedder, self._docs = variant, embedder, docs

    @classmethod
    def open(cls, place: Path, docs: Path | None = None) -> Bot:
        """Opens a variant of a finished sweep.

        Args:
            place: A run folder, whose recommended dose is taken, or one folder of `RUN/sweep/variants`.
            docs: The folder of docs; None takes that of the sweep, if it still stands.

        Raises:
            UsageError: There is no variant at `place`.
        """
        sweep = place / "sweep" if (place / "sweep").is_dir() else place.parent.parent
        if not (sweep / INDEX).is_file():
            raise UsageError(f"{place} holds no trained variant.", remedy="Name a run folder with a finished sweep.")
        config = config_of(sweep.parent)
        folder = place if place.parent.name == "variants" else sweep / "variants" / recommended(sweep)
        settings = config.embedding
        encoder = make_encoder(settings.encoder, base_url=settings.base_url, api_key_env=settings.api_key_env)
        embedder = Embedder(encoder, rule=config.text.rule, cache=None)
        variant = make_trainer(config.sweep.trainer, embedder).load(folder)
        docs = docs or (config.data.docs if config.data.docs and config.data.docs.is_dir() else None)
        return cls(variant, embedder, read_docs(docs) if docs else ())

    def answer(self, message: str, *, top: int = 3) -> Answer:
        """Answers one message.

        Raises:
            UsageError: The message is empty.
        """
        if not message.strip():
            raise UsageError("the message is empty.", remedy='Write it in quotes: posology ask "where is my parcel?"')
        conversation = Conversation("message", (Message(self._embedder.rule.roles[0], message),))
        predictions = self._variant.predict([conversation])
        probabilities = predictions.probabilities[0]
        best = probabilities.argsort()[::-1][:top]
        topics = tuple((predictions.topics[i], float(probabilities[i])) for i in best)
        return Answer(topics, self._section(topics[0][0], message))

    def _section(self, topic: str, message: str) -> DocSection | None:
        if not self._docs:
            return None
        named = next((section for section in self._docs if section.topic == topic), None)
        if named is not None:
            return named
        vectors = self._embedder.encode_texts([message, *(f"{s.heading}\n{s.text}" for s in self._docs)])
        return self._docs[int((vectors[1:] @ vectors[0]).argmax())]


def recommended(sweep: Path) -> str:
    """The key of the variant that a sweep recommends; its folder is `sweep/variants/KEY`."""
    dose = load(sweep.parent).recommendation.dose
    rows = read_json(sweep / INDEX)["variants"]
    return str(next(row["variant"] for row in rows if row["dose"] == dose and row["kind"] == "selected"))
