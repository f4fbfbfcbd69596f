"""The core types. Stages know these and nothing of each other.

This module imports nothing internal and nothing heavy: numpy appears in annotations only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Source = Literal["real", "synthetic"]
Design = Literal["augment", "replace"]
ArmKind = Literal["selected", "random"]
CheckState = Literal["pass", "fail", "unscored"]

ROLES: frozenset[str] = frozenset({"system", "developer", "user", "assistant", "tool", "function"})
EMPTY: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation, in the OpenAI chat format.

    Attributes:
        role: One of `ROLES`.
        content: The text of the turn. Content given as parts is joined here; the original stays in `extra`.
        extra: Every other field of the message (`name`, `tool_calls`, `tool_call_id`, ...), so that it survives a
            round trip. An `extra["content"]` is the original of a content that was not a plain string.
    """

    role: str
    content: str
    extra: Mapping[str, Any] = field(default_factory=lambda: EMPTY)


@dataclass(frozen=True, slots=True)
class Conversation:
    """A labelled (or, with `topic=None`, unlabelled) conversation between a customer and support.

    Attributes:
        id: Unique within its file.
        messages: The turns, in order; never empty.
        topic: The label that the bot is to learn, or None.
        source: Who wrote it: a real customer, or a generator.
        meta: Everything else that the row carried (persona, mood, generator, ...).
    """

    id: str
    messages: tuple[Message, ...]
    topic: str | None = None
    source: Source = "real"
    meta: Mapping[str, Any] = field(default_factory=lambda: EMPTY)

    @property
    def label(self) -> str:
        """The topic of a conversation that must have one.

        Raises:
            ValueError: It has none; readers called with `require_topic=True` never let such a row through.
        """
        if self.topic is None:
            raise ValueError(f"conversation {self.id!r} has no topic")
        return self.topic


@dataclass(frozen=True, slots=True)
class TextRule:
    """How a conversation becomes the one text that is embedded, compared and classified.

    Attributes:
        roles: Turns of these roles count; the customer's alone by default, since the bot answers before an agent does.
        max_turns: Only the first so many of these turns, None for all.
    """

    roles: tuple[str, ...] = ("user",)
    max_turns: int | None = None

    def text(self, conversation: Conversation) -> str:
        """The counted turns, one a line; the empty string if there are none."""
        turns = [m.content.strip() for m in conversation.messages if m.role in self.roles]
        return "\n".join(turn for turn in turns[: self.max_turns] if turn)

    @property
    def identity(self) -> str:
        """A short name for fingerprints and manifests."""
        return f"{'+'.join(self.roles)}:{self.max_turns or 'all'}"


@dataclass(frozen=True, slots=True)
class DocSection:
    """A section of the support documentation.

    Attributes:
        file: Name of the file, relative to the docs folder.
        heading: Its heading, without marks.
        topic: The label that a `Topic:` line gives it, or None.
        text: The body, without heading and `Topic:` line.
    """

    file: str
    heading: str
    topic: str | None
    text: str


@dataclass(frozen=True, slots=True)
class Rejection:
    """A row that was set aside, and why.

    Attributes:
        id: The id of the rejected row.
        reason: A short machine-readable name (`leaked_exact`, `leaked_near`, `duplicate_of_real`, ...).
        detail: One sentence for people, naming the other side by id.
        other_id: The row that it matched, if any.
        score: The similarity or distance that decided, if any.
        threshold: What the score was held against.
    """

    id: str
    reason: str
    detail: str
    other_id: str | None = None
    score: float | None = None
    threshold: float | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check says of one candidate. "Could not judge" is a state of its own, not a score of 0.

    Attributes:
        check: The name of the check (`label_agreement`, `leaked_near`, `faithful`, ...).
        state: `pass`, `fail` or `unscored`.
        score: What was measured, if anything was; its meaning and unit are the check's.
        threshold: What the score was held against.
        detail: One sentence for people; ids, topics and figures, never conversation text.
        other_id: The row that it matched, if any.
    """

    check: str
    state: CheckState
    score: float | None = None
    threshold: float | None = None
    detail: str = ""
    other_id: str | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What verification says of a candidate.

    Attributes:
        id: The candidate's id.
        findings: One a check that ran.
        scores: Scores in [0, 1], higher is better (`agreement`, `real_likeness`, a judge's criteria, ...); None where a
            judge could not judge.
        composite: Their weighted mean over what was scored, in [0, 1]; None if nothing was.
        topic: The topic after verification; another than the candidate's own if it was relabelled.
        verifier: Who judged: `data`, and the judges as `provider:model`.
    """

    id: str
    findings: tuple[Finding, ...]
    scores: Mapping[str, float | None]
    composite: float | None
    topic: str | None
    verifier: tuple[str, ...] = ("data",)

    @property
    def passed(self) -> bool:
        """Whether no check failed; a check that could not judge rejects nothing."""
        return all(finding.state != "fail" for finding in self.findings)

    @property
    def reasons(self) -> tuple[str, ...]:
        """The names of the failed checks, in the order in which they ran."""
        return tuple(finding.check for finding in self.findings if finding.state == "fail")


@dataclass(frozen=True, slots=True)
class Gap:
    """A topic, how well it is covered by real data, and how many examples it wants.

    Attributes:
        topic: The label.
        n_real: Real training examples.
        recall: Cross-validated recall in [0, 1], None where there is nothing to measure it on.
        recall_ci95: Its Wilson interval, None likewise.
        want: How many further examples to ask for.
        reason: Why, in words.
    """

    topic: str
    n_real: int
    recall: float | None
    recall_ci95: tuple[float, float] | None
    want: int
    reason: str


@dataclass(frozen=True, slots=True)
class Mixture:
    """A training set: the real and the synthetic conversations of one arm and seed.

    Attributes:
        dose: The dose that was asked for, in [0, 1].
        kind: `selected` follows the priority order, `random` is the same-size control.
        design: `augment` or `replace`.
        seed: The seed of this repetition.
        real: Real training conversations.
        synthetic: Synthetic ones, in priority order (or as drawn, for a control).
        n_pool_short: How many synthetic ones the pool lacked for the dose.
        synthetic_weight: How much a synthetic example weighs in training; a real one weighs 1.
    """

    dose: float
    kind: ArmKind
    design: Design
    seed: int
    real: tuple[Conversation, ...]
    synthetic: tuple[Conversation, ...]
    n_pool_short: int = 0
    synthetic_weight: float = 1.0

    @property
    def actual_dose(self) -> float:
        """n_synthetic / (n_real + n_synthetic), 0 for an empty mixture."""
        n = len(self.real) + len(self.synthetic)
        return len(self.synthetic) / n if n else 0.0

    @property
    def conversations(self) -> tuple[Conversation, ...]:
        """Real first, then synthetic: the order of `weights`."""
        return self.real + self.synthetic

    @property
    def weights(self) -> list[float]:
        """One training weight a conversation, in the order of `conversations`."""
        return [1.0] * len(self.real) + [self.synthetic_weight] * len(self.synthetic)


@dataclass(frozen=True, slots=True)
class Predictions:
    """What a variant says of n conversations.

    Attributes:
        topics: The K labels the variant knows, in the order of the columns.
        probabilities: Shape (n, K), rows sum to 1.
    """

    topics: tuple[str, ...]
    probabilities: NDArray[np.float32]

    @property
    def best(self) -> list[str]:
        """The most probable topic of each conversation."""
        return [self.topics[i] for i in self.probabilities.argmax(axis=1)]

    @property
    def confidence(self) -> NDArray[np.float32]:
        """The probability of `best`, shape (n,)."""
        result: NDArray[np.float32] = self.probabilities.max(axis=1)
        return result


@dataclass(frozen=True, slots=True)
class ArmResult:
    """What the variants of one arm said of every holdout conversation.

    Attributes:
        dose: The dose asked for.
        kind: `selected` or `random`.
        actual_dose: The dose reached, mean over seeds.
        n_real: Real conversations in the mixture.
        n_synthetic: Synthetic ones.
        n_pool_short: How many the pool lacked.
        seeds: The S seeds, in the order of the rows below.
        predicted: Shape (S, n): index into the sweep's list of topics.
        probability: Shape (S, n): probability of the predicted topic.
    """

    dose: float
    kind: ArmKind
    actual_dose: float
    n_real: int
    n_synthetic: int
    n_pool_short: int
    seeds: tuple[int, ...]
    predicted: NDArray[np.int32]
    probability: NDArray[np.float32]


def topics_of(conversations: Sequence[Conversation]) -> list[str]:
    """The distinct topics of labelled conversations, sorted."""
    return sorted({c.topic for c in conversations if c.topic is not None})
