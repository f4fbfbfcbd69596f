"""What the report says in sentences: the verdict, its caveat, reasons, notes below figures, glossary and method.

Kept apart from the template so that each sentence can be tested against the numbers it speaks of.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from posology.report import formatting as fmt
from posology.report.results import Arm, DoseResponse, Labels, Status, TopicRow
from posology.report.verification import Question, Summary

SYMBOLS: dict[Status, str] = {"better": "\u2713", "no_worse": "\u2248", "inconclusive": "?", "harmful": "\u2715"}
WORDS: dict[Status, str] = {
    "better": "Better",
    "no_worse": "No worse",
    "inconclusive": "Inconclusive",
    "harmful": "Harmful",
}

REASONS = {
    "leaked_exact": "the same text stands in the holdout; training on it would make the evaluation worthless",
    "leaked_near": "nearly the same text stands in the holdout",
    "leaked_semantic": "a paraphrase of a holdout conversation",
    "duplicate_of_real": "says again what a real training example says",
    "duplicate_in_pool": "the same text stands in the pool already",
    "no_text": "no customer's text to learn from",
    "leaked_paraphrase": "says what a holdout conversation says, in other words",
    "label_agreement": "real examples say that it belongs to another topic",
    "roles": "customer and agent do not take turns",
    "empty_turn": "a turn without text",
    "repeated_turn": "a turn that was said before",
    "placeholder": "a placeholder such as [Name] was left in",
    "disclaimer": "the agent speaks as a language model, or declines",
    "meta_talk": "speaks about the text itself",
    "markup": "holds markup where people write plain text",
    "truncated": "breaks off in the middle",
    "repetition": "goes round in circles",
    "politeness_loop": "the two cannot stop thanking each other",
    "faithful": "the agent states figures that stand in no document",
    "real_datum": "holds a personal datum of a real customer",
    "verbatim_span": "repeats a real customer's words at length",
    "personal_data": "holds personal data that could be anybody's",
    "judge_on_topic": "judges say that it is about another topic",
    "judge_faithful": "judges say that the agent departs from the documents",
    "judge_realistic_customer": "judges say that no customer writes like this",
    "judge_helpful_agent": "judges say that the agent does not help",
    "judge_complete": "judges say that it is not whole",
    "low_composite": "its scores are too low taken together",
}

GLOSSARY = (
    ("Dose", "The share of synthetic conversations in a training set: synthetic / (real + synthetic)."),
    ("Arm", "One dose, trained once per seed and evaluated on the same holdout as every other arm."),
    (
        "Selected",
        "The arm takes synthetic conversations in the order of priority that selection gave them.",
    ),
    (
        "Random control",
        "An arm with as many synthetic conversations, picked from the pool at random. If the selected arm does not beat"
        " it, the gain comes from the amount of data and not from choosing.",
    ),
    ("Holdout", "Real conversations set apart before anything else; no model has learned from them."),
    ("Real only", "Dose 0: the same trainer on the real conversations alone. Every other arm is held against it."),
    ("Point", "A percentage point: from 74 % to 77 % are 3 points."),
    (
        "Simultaneous 95 % interval",
        "A range for the true difference, made wide enough that in 95 of 100 such sweeps the ranges of all arms hold at"
        " once. Looking at many arms and reporting the best is thereby already allowed for.",
    ),
    ("Adjusted p", "How surprising the difference would be if there were none, allowing for the number of arms."),
    ("Macro recall", "Recall averaged over topics, each topic counting the same however rare."),
    ("Tail recall", "Recall averaged over the topics with the fewest real examples."),
    ("ECE", "Expected calibration error: how far stated confidence and actual accuracy are apart; 0 is best."),
    ("P(best)", "In what share of bootstrap draws this dose had the highest accuracy."),
    ("Cliff", "A proven fall in accuracy from one dose to the next higher one."),
)


@dataclass(frozen=True, slots=True)
class KeyNumber:
    """One of the three numbers under the verdict."""

    label: str
    value: str
    detail: str


def dose_in_words(arm: Arm) -> str:
    """The dose reached, and the one asked for where the pool was too small."""
    asked = f" (of {fmt.dose(arm.dose)} asked for)" if arm.n_pool_short else ""
    return f"{fmt.dose(arm.told_dose)}{asked}"


def headline(result: DoseResponse) -> str:
    """The verdict in one sentence."""
    status, focus = result.recommendation.status, result.focus
    if focus is None:
        return "Keep real data only: no arm holds synthetic data."
    how_far = f"{fmt.percent(result.real_only.accuracy.mean)} to {fmt.percent(focus.accuracy.mean)}"
    if status == "better":
        what = "Add synthetic data to" if result.design == "augment" else "Replace real data by synthetic to"
        return f"{what} a dose of {dose_in_words(focus)}: accuracy on real customers rises from {how_far}."
    if status == "no_worse" and result.recommendation.dose:
        return f"A dose of {dose_in_words(focus)} is no worse than real data only; that it is better is not shown."
    return {
        "no_worse": "Keep real data only: synthetic data does little harm, but no dose is shown to be better.",
        "inconclusive": "Keep real data only: this holdout cannot tell whether synthetic data helps or harms.",
        "harmful": f"Keep real data only: synthetic data does harm, accuracy falls from {how_far}"
        f" at a dose of {dose_in_words(focus)}.",
    }.get(status, "Keep real data only.")


def caveat(result: DoseResponse) -> str | None:
    """What a reader must not conclude; None for a proven gain."""
    status, focus = result.recommendation.status, result.focus
    if status == "better" or focus is None:
        return None
    if status == "harmful":
        return (
            "Do not train on this pool as it is. See below which topics lost and what was rejected, verify more"
            " strictly or generate anew, and sweep again."
        )
    resolvable = result.holdout.smallest_resolvable_difference
    said = "This is not a proof that synthetic data does nothing."
    if resolvable is not None:
        said += (
            f" A difference below {fmt.span(resolvable)} cannot be told from zero with"
            f" {fmt.plural(result.holdout.n, 'holdout conversation')}."
        )
    return f"{said}{_larger_holdout(result, abs(focus.delta_vs_real_only.mean))}"


def _larger_holdout(result: DoseResponse, observed: float) -> str:
    """How large a holdout would settle a difference of about the size that was seen."""
    rows = result.power.detectable if result.power else []
    useful = [row for row in rows if row.n_for_80 is not None and row.n_for_80 > result.holdout.n]
    if not useful:
        return ""
    row = min(useful, key=lambda row: abs(row.difference - observed))
    return (
        f" To find a true difference of {fmt.span(row.difference, 0)} 4 times in 5 takes about"
        f" {fmt.count(row.n_for_80)} holdout conversations."
    )


def key_numbers(result: DoseResponse) -> list[KeyNumber]:
    """The three numbers under the verdict."""
    base, focus, holdout = result.real_only, result.focus, result.holdout
    if focus is None:
        first = KeyNumber("Accuracy with real data only", fmt.percent(base.accuracy.mean), _plain_interval(base))
    else:
        kept = "" if result.recommendation.dose == focus.dose else " (not recommended)"
        delta = focus.delta_vs_real_only
        first = KeyNumber(
            f"Accuracy, real only \u2192 at {fmt.dose(focus.told_dose)}{kept}",
            f"{fmt.percent(base.accuracy.mean)} \u2192 {fmt.percent(focus.accuracy.mean)}",
            f"{fmt.points(delta.mean)}, simultaneous 95 % interval {fmt.interval(delta.ci95)}",
        )
    return [
        first,
        KeyNumber(
            "Smallest difference this holdout resolves",
            fmt.span(holdout.smallest_resolvable_difference),
            "anything smaller cannot be told from zero",
        ),
        KeyNumber("Real conversations held out", fmt.count(holdout.n), _holdout_detail(result)),
    ]


def _plain_interval(arm: Arm) -> str:
    return f"95 % interval {fmt.interval(arm.accuracy.ci95)}" if arm.accuracy.ci95 else ""


def _holdout_detail(result: DoseResponse) -> str:
    groups = result.holdout.n_groups
    distinct = f"{fmt.count(groups)} of them distinct; " if groups and groups != result.holdout.n else ""
    return f"{distinct}every arm trained with {fmt.plural(len(result.seeds), 'seed')}"


def pool_note(result: DoseResponse) -> str | None:
    """Which doses the pool was too small for."""
    short = [arm for arm in result.selected if arm.n_pool_short]
    if not short:
        return None
    said = [
        f"{fmt.dose(arm.dose)} reached {fmt.dose(arm.actual_dose)} ({fmt.count(arm.n_pool_short)} missing)"
        for arm in short
    ]
    return f"The pool was too small for {fmt.plural(len(short), 'dose')}: {fmt.listing(said)}."


def design_sentence(result: DoseResponse) -> str:
    """What a dose does to the training set."""
    if result.design == "replace":
        return "The training set keeps its size; synthetic conversations replace real ones until the dose is reached."
    return "All real conversations stay in the training set; synthetic ones are added until the dose is reached."


def topic_summary(rows: Sequence[TopicRow]) -> str:
    """How many topics rose, fell and stayed."""
    changes = [row.change for row in rows if row.change is not None]
    rose, fell = sum(c > 1e-9 for c in changes), sum(c < -1e-9 for c in changes)
    stayed, missing = len(changes) - rose - fell, len(rows) - len(changes)
    said = f"{rose} of {fmt.plural(len(changes), 'measured topic')} rose, {fell} fell, {stayed} stayed."
    if missing:
        said += f" {fmt.plural(missing, 'topic')} {'has' if missing == 1 else 'have'} no holdout conversation."
    return said


def topic_caution(rows: Sequence[TopicRow]) -> str:
    """How little one topic says by itself."""
    sizes = sorted(row.n_holdout for row in rows if row.n_holdout)
    if not sizes:
        return ""
    middle = sizes[len(sizes) // 2]
    return (
        f"Read the pattern, not single rows: a typical topic has {fmt.plural(middle, 'holdout conversation')}, so one"
        f" answer more or less moves its recall by {fmt.span(1 / middle, 0)}."
    )


_TOPIC = {"own": "kept where they were", "other": "moved to the other topic", "neither": "rejected as neither"}
_RETOLD = {"yes": "rejected as retold", "no": "kept as another story"}


def reason_in_words(code: str) -> str:
    """A rejection's code for people; a code that is not known here loses its underscores."""
    return REASONS.get(code, code.replace("_", " "))


def verification_sentence(summary: Summary) -> str:
    """How many candidates passed, and what the others failed first."""
    if not summary.n_candidates:
        return "There was no candidate to verify."
    share = fmt.percent(summary.n_passed / summary.n_candidates)
    said = f"{fmt.count(summary.n_passed)} of {fmt.plural(summary.n_candidates, 'candidate')} passed ({share})"
    said += f", {fmt.count(summary.n_relabelled)} of them under another topic." if summary.n_relabelled else "."
    if summary.rejected:
        first = [f"{reason_in_words(code)} ({fmt.count(n)})" for code, n in list(summary.rejected.items())[:3]]
        said += f" Most frequent first reasons to reject: {'; '.join(first)}."
    return said


def judges(summary: Summary) -> list[str]:
    """Who judged, whether judges agree, and what they said of candidates in doubt; empty without judges."""
    judging = summary.judging
    if judging is None:
        return []
    said = []
    for judge in judging.judges:
        states = sorted(judge.states.items(), key=lambda item: (item[0] != "scored", item[0]))
        went = ", ".join(f"{state.replace('_', ' ')} {fmt.count(n)}" for state, n in states)
        said.append(f"{judge.name}: {went or 'nothing to judge'}.")
        if judge.always is not None:
            said[-1] += f" It gives everything a {judge.always}, so its scores do not count."
    if agreed := [f"{name} {one.alpha:.2f}" for name, one in judging.agreement.items() if one.alpha is not None]:
        said.append(f"Agreement of the judges (Krippendorff's alpha): {', '.join(agreed)}.")
    for words, answers, one in (
        ("which topic it is", _TOPIC, judging.questions.topic),
        ("whether a held-out conversation is retold", _RETOLD, judging.questions.retells),
    ):
        if one.in_doubt:
            said.append(_settled(words, answers, one))
    return said


def _settled(words: str, answers: Mapping[str, str], question: Question) -> str:
    """What became of candidates in doubt."""
    in_doubt = fmt.plural(question.in_doubt, "candidate")
    if not question.asked:
        return f"Of {in_doubt} data could not tell {words}; no judge was shown them, and what data said stands."
    told = [f"{fmt.count(question.settled[name])} {said}" for name, said in answers.items() if name in question.settled]
    if left := question.in_doubt - sum(question.settled.values()):
        told.append(f"{fmt.count(left)} left to the data")
    return f"Of {in_doubt} data could not tell {words}, and judges were asked: {', '.join(told)}."


def privacy(summary: Summary) -> list[str]:
    """What was looked for, and what was found."""
    found, about = summary.checks, summary.privacy
    if not {"real_datum", "verbatim_span", "personal_data"} & found.keys():
        return ["Candidates were not checked for personal data."]

    def rejected(check: str) -> str:
        return fmt.count(found[check].fail) if check in found else "not looked for"

    said = []
    if about.span_words:
        said.append(
            f"{fmt.plural(about.n_protected, 'personal datum', 'personal data')} of real customers (holdout included)"
            f" were looked for in every candidate, and runs of {about.span_words} words and more that stand in one real"
            " conversation alone; that length is the shortest that real customers hardly ever share."
        )
    said.append(
        f"Rejected for a real customer's datum: {rejected('real_datum')}; for a real customer's words:"
        f" {rejected('verbatim_span')}; for personal data that look like somebody's: {rejected('personal_data')}."
        " What is spelled out, and names without a cue, no pattern finds."
    )
    return said


def method(result: DoseResponse) -> list[str]:
    """How the numbers came about, a paragraph each."""
    trainer = f" ({result.trainer})" if result.trainer else ""
    curve = f"The smooth curve: {result.curve.method}." if result.curve and result.curve.method else ""
    return [
        f"{design_sentence(result)} The same trainer{trainer} was trained on every mixture with"
        f" {fmt.plural(len(result.seeds), 'seed')} and asked to name the topic of each of the"
        f" {fmt.plural(result.holdout.n, 'holdout conversation')}.",
        "All arms answer the same conversations, so differences are paired: conversation by conversation, averaged over"
        " seeds. Conversations that nearly repeat one another are resampled together, since they are not independent"
        " evidence. Intervals and p-values of all arms are adjusted together.",
        "A dose is called better only if its simultaneous interval lies above zero and the gain is no smaller than what"
        " the holdout resolves. Among the better doses the smallest within one standard error of the best is"
        " recommended, since it is cheaper and further from collapse. In doubt, real data only is kept.",
        *([curve] if curve else []),
    ]


CAVEATS = (
    "The holdout stands for the customers it was drawn from; if traffic changes, so may the result.",
    "The recommended dose was chosen on this holdout. The simultaneous intervals allow for that choice; the accuracy at"
    " the dose, taken by itself, is a little flattering.",
    "Another pool, another selection or another trainer has another dose-response: sweep again when one changes.",
    "Intervals cover the chance in which conversations were held out, not errors in the labels of the holdout.",
)


def labels_sentence(labels: Labels) -> str:
    """What the gain is worth in real labels, and in money."""
    said = labels.note
    if not said and labels.equivalent_labels is not None:
        said = f"The gain equals about {fmt.count(labels.equivalent_labels)} further real labels."
    if labels.saved is None or labels.label_cost is None:
        return said
    each, all_ = fmt.money(labels.label_cost, labels.currency), fmt.money(labels.saved, labels.currency)
    return f"{said} At {each} a label that is {all_}."
