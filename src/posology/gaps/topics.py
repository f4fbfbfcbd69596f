"""Which topics are thin or weak, and how many examples each wants."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from posology.gaps.allocation import DEFAULT, Allocation, TopicStats, topic_sequence
from posology.gaps.proportions import wilson
from posology.records import EMPTY, Conversation, Gap

THIN = 10  # real examples below which a topic is called thin
CONFUSED = 3  # wrong answers for the same other topic before it is named


def topic_stats(
    train: Sequence[Conversation],
    predicted: Sequence[str | None],
    *,
    known_topics: Mapping[str, str] = EMPTY,
    folds: int = 5,
) -> list[TopicStats]:
    """Counts what the allocation learns from.

    Args:
        train: Real, labelled training conversations.
        predicted: For each, the topic that a model said which had not seen it; None where no model could.
        known_topics: Topics that docs or configuration name (values are not looked at).
        folds: Folds of the cross-validation.

    Returns:
        One entry a topic, sorted by name.

    Raises:
        ValueError: The two sequences differ in length, or a conversation has no topic.
    """
    if len(train) != len(predicted):
        raise ValueError(f"{len(train)} conversations but {len(predicted)} predictions")
    real = Counter(c.label for c in train)
    scored = Counter(c.label for c, said in zip(train, predicted, strict=True) if said is not None)
    correct = Counter(c.label for c, said in zip(train, predicted, strict=True) if said == c.topic)
    return [
        # A stratified fold takes ceil(n / folds) of a topic's n examples away from the model.
        TopicStats(topic, n, scored[topic], correct[topic], n_seen=n + (-n // folds))
        for topic in sorted(real.keys() | known_topics.keys())
        for n in (real[topic],)
    ]


def topic_gaps(
    train: Sequence[Conversation],
    predicted: Sequence[str | None],
    *,
    known_topics: Mapping[str, str] = EMPTY,
    budget: int,
    allocation: Allocation = DEFAULT,
    folds: int = 5,
) -> list[Gap]:
    """Judges every topic and shares the budget out among them.

    Args:
        train: Real, labelled training conversations.
        predicted: For each, the topic that a model said which had not seen it; None where no model could, as for the
            only example of a topic.
        known_topics: Topics that docs or configuration name, each with where it stands ("docs cards.md"): those without
            a real example are gaps too.
        budget: How many examples may be asked for in all.
        allocation: The rule by which they are shared out.
        folds: Folds of the cross-validation behind `predicted`.

    Returns:
        One gap a topic, the most wanted first, then the thinnest, then by name.

    Raises:
        ValueError: The sequences differ in length, a conversation has no topic, or the budget is negative.
    """
    stats = topic_stats(train, predicted, known_topics=known_topics, folds=folds)
    want = Counter(topic_sequence(stats, budget, allocation=allocation))
    n_scored = sum(s.n_scored for s in stats)
    overall = sum(s.n_correct for s in stats) / n_scored if n_scored else 0.0
    mistaken: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for conversation, said in zip(train, predicted, strict=True):
        if said is not None and said != conversation.topic:
            mistaken[conversation.label][said] += 1
    gaps = [
        Gap(
            topic=s.topic,
            n_real=s.n_real,
            recall=s.n_correct / s.n_scored if s.n_scored else None,
            recall_ci95=wilson(s.n_correct, s.n_scored) if s.n_scored else None,
            want=want[s.topic],
            reason=_reason(s, overall, want[s.topic], mistaken[s.topic], known_topics.get(s.topic)),
        )
        for s in stats
    ]
    return sorted(gaps, key=lambda gap: (-gap.want, gap.n_real, gap.topic))


def _reason(stats: TopicStats, overall: float, want: int, mistaken: Counter[str], named_in: str | None) -> str:
    """What was counted, then what follows from it."""
    if stats.n_real == 0:
        return f"no real example; named in {named_in}" + ("" if want else ", beyond the budget")
    counted = f"{stats.n_real} real example{'s' if stats.n_real > 1 else ''}"
    thin = stats.n_real < THIN
    if not stats.n_scored:
        return f"{counted}; recall could not be measured: {_judgement(thin, False, want)}"
    low, high = wilson(stats.n_correct, stats.n_scored)
    # Weak beyond what chance explains: the whole interval lies below the recall over all topics.
    weak = high < overall
    measured = f"{counted}; recall {stats.n_correct / stats.n_scored:.2f} [{low:.2f}, {high:.2f}]"
    return f"{measured}: {_judgement(thin, weak, want)}{_confusion(mistaken) if weak else ''}"


def _judgement(thin: bool, weak: bool, want: int) -> str:
    if thin or weak:
        found = " and ".join(word for word, holds in (("thin", thin), ("weak", weak)) if holds)
        return found if want else f"{found}, beyond the budget"
    return "next to be filled" if want else "enough"


def _confusion(mistaken: Counter[str]) -> str:
    """The topic that a weak one is taken for, if that happens again and again."""
    other, times = min(mistaken.items(), key=lambda item: (-item[1], item[0]), default=("", 0))
    return f"; {times} times taken for {other}" if times >= CONFUSED else ""


def topic_warnings(stats: Sequence[TopicStats], gaps: Sequence[Gap]) -> list[str]:
    """What a reader of the gaps should know before trusting them.

    Args:
        stats: From `topic_stats`.
        gaps: From `topic_gaps` on the same data.

    Returns:
        Sentences; empty if all is well.
    """
    warnings = [
        f"'{a}' has no real example, but '{b}' differs only in case or punctuation: one topic or two?"
        for a, b in _namesakes(stats)
    ]
    left_out = sum(gap.n_real == 0 and gap.want == 0 for gap in gaps)
    if left_out:
        warnings.append(f"Topics without a real example that got none of the budget: {left_out}. Raise the budget.")
    if stats and not any(s.n_scored for s in stats):
        warnings.append("No recall could be measured: every topic has too few real examples to cross-validate.")
    return warnings


def _namesakes(stats: Sequence[TopicStats]) -> list[tuple[str, str]]:
    """Pairs of a topic without real examples and one with, equal but for case and punctuation."""
    letters = {s.topic: "".join(c for c in s.topic.casefold() if c.isalnum()) for s in stats}
    real = {letters[s.topic]: s.topic for s in stats if s.n_real and letters[s.topic]}
    return [(s.topic, real[letters[s.topic]]) for s in stats if not s.n_real and letters[s.topic] in real]
