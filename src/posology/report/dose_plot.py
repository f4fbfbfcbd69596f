"""The dose-response figure: accuracy over the dose, and below it the recall on tail topics.

The bars of the upper panel are the simultaneous intervals of the *paired difference* from real only, drawn around the
arm's accuracy: a bar that clears the line of real only is a difference that this holdout shows. Intervals of each
accuracy by itself would be wider, and whether they overlap would say little, since all arms answer the same holdout.
"""

from __future__ import annotations

from markupsafe import Markup

from posology.report import figures
from posology.report import formatting as fmt
from posology.report.canvas import BLUE, INK, MUTED, PAPER, RED, RUST, Canvas
from posology.report.figures import Frame
from posology.report.panel import Look, Panel, limits, ticks
from posology.report.results import Arm, Bounds, DoseResponse

TOP = 66  # two rows of labels above the upper panel
FOOT = 60  # tick labels in two rows, and the name of the axis
GAP, TAIL = 50, 110  # the lower panel's distance from the upper one, and its height
DODGE = 9  # pixels by which a control stands beside its arm
LOOKS = {
    "selected": Look(BLUE, "circle", BLUE, 4),
    "random": Look(RED, "diamond", PAPER, 4.6, "4.5 3.6"),
}


def figure(result: DoseResponse) -> Markup:
    """Draws the figure for both widths."""
    return figures.both("dose", lambda frame: _draw(result, frame), title="Dose-response", description=describe(result))


def describe(result: DoseResponse) -> str:
    """The figure in words, arm by arm."""
    said = [f"Real only: {fmt.percent(result.real_only.accuracy.mean)}."]
    for arm in result.selected[1:]:
        delta = arm.delta_vs_real_only
        said.append(
            f"Dose {fmt.dose(arm.dose)}: {fmt.percent(arm.accuracy.mean)}, {fmt.points(delta.mean)} from real only,"
            f" simultaneous 95 % interval {fmt.interval(delta.ci95)}."
        )
    for arm in result.controls:
        said.append(f"Random control at {fmt.dose(arm.dose)}: {fmt.percent(arm.accuracy.mean)}.")
    return " ".join(said)


def _difference_ends(result: DoseResponse, arm: Arm) -> Bounds | None:
    """The interval of the arm's difference, hung around the accuracy of real only."""
    base, ci95 = result.real_only.accuracy.mean, arm.delta_vs_real_only.ci95
    return None if ci95 is None or arm is result.real_only else (base + ci95[0], base + ci95[1])


def axis_range(result: DoseResponse) -> Bounds:
    """The accuracies at the two ends of the upper panel's vertical axis."""
    values = [v for arm in result.arms for v in (arm.accuracy.mean, *(_difference_ends(result, arm) or ()))]
    if result.curve is not None:
        values += [*result.curve.low, *result.curve.high]
    low, high = limits(values)
    return max(low, 0.0), high


def has_tail(result: DoseResponse) -> bool:
    """Whether any arm measured tail topics."""
    return any(arm.tail_recall is not None for arm in result.arms)


def _tail_range(result: DoseResponse) -> Bounds:
    recalls = [arm.tail_recall for arm in result.arms if arm.tail_recall is not None]
    low, high = limits([value for recall in recalls for value in (recall.mean, *(recall.ci95 or ()))])
    return max(low, -0.02), min(high, 1.02)


def _draw(result: DoseResponse, frame: Frame) -> Canvas:
    tail = has_tail(result)
    height = 300 if frame.name == "wide" else 270
    canvas = frame.canvas(TOP + height + (GAP + TAIL if tail else 0) + FOOT)
    most = max(arm.actual_dose for arm in result.arms) or 1.0
    left, right = frame.sides
    across = (-0.03 * most, (1.03 + (DODGE / (right - left) if result.controls else 0)) * most)
    panel = Panel(canvas, frame.sides, TOP, height, across=across, up=axis_range(result))
    _upper(panel, result)
    if tail:
        panel = Panel(canvas, frame.sides, panel.bottom + GAP, TAIL, across=across, up=_tail_range(result))
        _lower(panel, result)
    labels: dict[float, tuple[str, str]] = {}
    for arm in result.selected:
        labels.setdefault(arm.actual_dose, (fmt.dose(arm.actual_dose), f"+{fmt.count(arm.n_synthetic)}"))
    name = "Dose reached: share of synthetic conversations (how many below)"
    name = name if frame.name == "wide" else "Dose: share of synthetic (how many below)"
    panel.lower_axis(labels, name, keep=[result.recommended.actual_dose])
    return canvas


def _upper(panel: Panel, result: DoseResponse) -> None:
    """Accuracy on the left; the difference from real only, in points, on the right."""
    panel.heading("Accuracy, %", "vs real only, points", above=45)
    _cliff(panel, result)
    panel.shares_axis(7)
    _curve(panel, result)
    _recommended(panel, result, above=6)
    arm, base = result.recommended, result.real_only.accuracy.mean
    name = f"recommended: {fmt.dose(arm.told_dose)}" if arm.dose else "recommended: real only"
    panel.canvas.text((panel.x(arm.actual_dose), panel.top - 9), name, INK, bold=True)
    _real_only(panel, base)
    for arm in [*result.controls, *result.selected]:
        delta = arm.delta_vs_real_only
        apart = f", {fmt.points(delta.mean)} from real only {fmt.interval(delta.ci95)}" if arm.n_synthetic else ""
        told = f"accuracy {fmt.percent(arm.accuracy.mean)}{apart}"
        _mark(panel, arm, arm.accuracy.mean, _difference_ends(result, arm), told)

    low, high = panel.up
    # A step whose label would touch that of real only is left out.
    steps = [step for step in ticks(low - base, high - base, 7) if abs(step) > 0.05 * (high - low)]
    labels = {base + step: fmt.signed(step, 0 if step * 100 == round(step * 100) else 1) for step in steps}
    panel.right_axis({base: "real only"} | labels)


def _lower(panel: Panel, result: DoseResponse) -> None:
    rare = f" (at most {result.topics.tail_max_real} real)" if result.topics else ""
    panel.heading(f"Recall on tail topics{rare}, %")
    panel.shares_axis(3)
    _recommended(panel, result, above=0)
    if result.real_only.tail_recall is not None:
        _real_only(panel, result.real_only.tail_recall.mean)
    for arm in [*result.controls, *result.selected]:
        if (recall := arm.tail_recall) is not None:
            told = f"tail recall {fmt.percent(recall.mean)} {fmt.interval(recall.ci95)}"
            _mark(panel, arm, recall.mean, recall.ci95, told)


def _mark(panel: Panel, arm: Arm, value: float, interval: Bounds | None, told: str) -> None:
    name = f"{fmt.dose(arm.actual_dose)} {arm.kind}" if arm.n_synthetic else "real only"
    aside = DODGE if arm.kind == "random" else 0
    panel.mark(arm.actual_dose, value, interval, LOOKS[arm.kind], f"{name}: {told}".strip(), aside=aside)


def _curve(panel: Panel, result: DoseResponse) -> None:
    if (curve := result.curve) is not None and curve.doses:
        low, high = (panel.points(curve.doses, edge) for edge in (curve.low, curve.high))
        panel.canvas.area([*low, *reversed(high)], BLUE, opacity=0.11)
        panel.canvas.line(panel.points(curve.doses, curve.mean), BLUE, width=1.4, opacity=0.6)


def _real_only(panel: Panel, value: float) -> None:
    panel.level(value, INK, width=1.2, dash="7 3.6")


def _recommended(panel: Panel, result: DoseResponse, *, above: float) -> None:
    x = panel.x(result.recommended.actual_dose)
    panel.canvas.line([(x, panel.bottom), (x, panel.top - above)], MUTED)


def _cliff(panel: Panel, result: DoseResponse) -> None:
    """Shades the step from the last good dose to the one beyond the cliff."""
    arms = result.selected
    after = next((i for i, arm in enumerate(arms) if i and arm.dose == result.cliff.dose), None)
    if not result.cliff.detected or after is None:
        return
    start, end, top = panel.x(arms[after - 1].actual_dose), panel.x(arms[after].actual_dose), panel.top - 20
    panel.canvas.area([(start, top), (end, top), (end, panel.bottom), (start, panel.bottom)], RED, opacity=0.1)
    drop = "" if result.cliff.drop is None else f": {fmt.points(-abs(result.cliff.drop))}"
    panel.canvas.text(((start + end) / 2, panel.top - 24), f"cliff{drop}", RUST, bold=True)
