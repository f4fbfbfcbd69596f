"""The dose-response figure: accuracy over the dose, and below it the recall on tail topics.

The bars of the upper panel are the simultaneous intervals of the *paired difference* from real only, drawn around the
arm's accuracy: a bar that clears the line of real only is a difference that this holdout shows. Intervals of each
accuracy by itself would be wider, and whether they overlap would say little, since all arms answer the same holdout.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from markupsafe import Markup

from posology.report import figures
from posology.report import formatting as fmt
from posology.report.figures import BLUE, INK, MUTED, PAPER, RED, RUST, Frame, Panel
from posology.report.results import Arm, DoseResponse

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TOP = 66  # two rows of labels above the upper panel
FOOT = 58  # tick labels in two rows, and the name of the axis
DODGE = 9  # pixels by which a control stands beside its arm


@dataclass(frozen=True, slots=True)
class Look:
    """How one kind of arm is drawn: colour, shape and dash all differ."""

    colour: str
    marker: str
    fill: str
    size: float
    dash: tuple[float, ...] | None


LOOKS = {
    "selected": Look(BLUE, "o", BLUE, 8, None),
    "random": Look(RED, "D", PAPER, 6.5, (2.5, 2)),
}


@dataclass(frozen=True, slots=True)
class _Mark:
    x: float
    y: float
    low: float | None
    high: float | None


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


def axis_range(result: DoseResponse) -> tuple[float, float]:
    """The accuracies at the two ends of the upper panel's vertical axis."""
    marks = [_difference_mark(result, arm, 0.0) for arm in result.arms]
    values = [value for mark in marks for value in (mark.y, mark.low, mark.high) if value is not None]
    if result.curve is not None:
        values += [*result.curve.low, *result.curve.high]
    low, high = figures.limits(values)
    return max(low, 0.0), high


def has_tail(result: DoseResponse) -> bool:
    """Whether any arm measured tail topics."""
    return any(arm.tail_recall is not None for arm in result.arms)


def _draw(result: DoseResponse, frame: Frame) -> Figure:
    tail = has_tail(result)
    main_panel = Panel(TOP, 300 if frame.name == "wide" else 270)
    tail_panel = Panel(TOP + main_panel.height + 50, 110)
    bottom = tail_panel if tail else main_panel
    canvas = figures.canvas(frame, bottom.top + bottom.height + FOOT)
    right = max(arm.actual_dose for arm in result.arms) or 1.0
    shift = right * DODGE / frame.inner if result.controls else 0.0

    ax = figures.axes(canvas, frame, main_panel)
    ax.set_xlim(-right * 0.03, right * 1.03 + shift)
    ax.set_ylim(*axis_range(result))
    _cliff(ax, result, frame, main_panel)
    _recommended(ax, result, frame, main_panel)
    _curve(ax, result)
    for arm in [*result.controls, *result.selected]:
        _mark(ax, arm.kind, _difference_mark(result, arm, shift))
    _real_only(ax, result.real_only.accuracy.mean)
    _scales(ax, result, frame)
    _heading(ax, frame, "Accuracy, %", "vs real only, points", offset=45)

    if tail:
        ax.tick_params(axis="x", length=0, labelbottom=False)
        below = figures.axes(canvas, frame, tail_panel)
        below.set_xlim(ax.get_xlim())
        _line_down(below, result.recommended.actual_dose, above=0)
        _tail(below, result, frame, shift)
        ax = below
    _dose_axis(ax, result, frame, right)
    return canvas


def _difference_mark(result: DoseResponse, arm: Arm, shift: float) -> _Mark:
    """The arm's accuracy, with the interval of its difference hung around real only."""
    side = shift if arm.kind == "random" else 0.0
    y, base, ci95 = arm.accuracy.mean, result.real_only.accuracy.mean, arm.delta_vs_real_only.ci95
    if ci95 is None or arm is result.real_only:
        return _Mark(arm.actual_dose + side, y, None, None)
    return _Mark(arm.actual_dose + side, y, base + ci95[0], base + ci95[1])


def _mark(ax: Axes, kind: str, mark: _Mark) -> None:
    look = LOOKS[kind]
    if mark.low is not None and mark.high is not None:
        style = (0, look.dash) if look.dash else "-"
        ax.plot([mark.x, mark.x], [mark.low, mark.high], color=look.colour, linewidth=1.8, linestyle=style, zorder=4)
    ax.plot(
        [mark.x], [mark.y], look.marker, markersize=look.size, markerfacecolor=look.fill,
        markeredgecolor=look.colour, markeredgewidth=1.6, zorder=5, clip_on=False,
    )  # fmt: skip


def _curve(ax: Axes, result: DoseResponse) -> None:
    curve = result.curve
    if curve is None or not curve.doses:
        return
    ax.fill_between(curve.doses, curve.low, curve.high, color=BLUE, alpha=0.11, linewidth=0, zorder=1)
    ax.plot(curve.doses, curve.mean, color=BLUE, linewidth=1.4, alpha=0.6, zorder=3)


def _real_only(ax: Axes, level: float) -> None:
    ax.axhline(level, color=INK, linewidth=1.2, linestyle=(0, (6, 3)), zorder=2)


def _recommended(ax: Axes, result: DoseResponse, frame: Frame, panel: Panel) -> None:
    arm = result.recommended
    x = arm.actual_dose
    _line_down(ax, x, above=6 / panel.height)
    name = f"recommended: {fmt.dose(arm.told_dose)}" if arm.dose else "recommended: real only"
    _above(ax, frame, x, name, row=9, colour=INK)


def _line_down(ax: Axes, x: float, *, above: float) -> None:
    ax.plot(
        [x, x], [0, 1 + above], transform=ax.get_xaxis_transform(), color=MUTED, linewidth=1, clip_on=False, zorder=1.5
    )


def _above(ax: Axes, frame: Frame, x: float, text: str, *, row: int, colour: str) -> None:
    """A bold label above the axes, `row` pixels up, where no mark can be hidden by it."""
    ax.annotate(
        text, (x, 1), (figures.inside(ax, frame, x, text), row), xycoords=ax.get_xaxis_transform(),
        textcoords="offset pixels", ha="center", va="baseline", fontsize=frame.text, fontweight=700, color=colour,
    )  # fmt: skip


def _cliff(ax: Axes, result: DoseResponse, frame: Frame, panel: Panel) -> None:
    """Shades the step from the last good dose to the one beyond the cliff."""
    arms = result.selected
    after = next((i for i, arm in enumerate(arms) if i and arm.dose == result.cliff.dose), None)
    if not result.cliff.detected or after is None:
        return
    start, end = arms[after - 1].actual_dose, arms[after].actual_dose
    ax.axvspan(start, end, 0, 1 + 20 / panel.height, facecolor=RED, alpha=0.10, linewidth=0, zorder=0.5, clip_on=False)
    drop = "" if result.cliff.drop is None else f": {fmt.points(-abs(result.cliff.drop))}"
    _above(ax, frame, (start + end) / 2, f"cliff{drop}", row=24, colour=RUST)


def _scales(ax: Axes, result: DoseResponse, frame: Frame) -> None:
    """Accuracy on the left; the difference from real only, in points, on the right."""
    low, high = ax.get_ylim()
    left = figures.ticks(low, high, 7)
    ax.set_yticks(left, [fmt.decimal(round(value * 100, 1)) for value in left])
    base = result.real_only.accuracy.mean
    other = ax.secondary_yaxis("right")
    other.spines["right"].set_visible(False)
    steps = figures.ticks(low - base, high - base, 7)
    # A step whose label would touch that of real only is left out.
    shown = [step for step in steps if step == 0 or abs(step) > 0.05 * (high - low)]
    labels = [
        "real only" if step == 0 else fmt.signed(step, 0 if step * 100 == round(step * 100) else 1) for step in shown
    ]
    other.set_yticks([base + step for step in shown], labels)
    other.tick_params(labelsize=frame.text, labelcolor=MUTED, color=MUTED, length=4, pad=4)


def _heading(ax: Axes, frame: Frame, left: str, right: str | None = None, *, offset: int) -> None:
    """Names of the vertical axes, written level above them where they are read first."""
    ax.annotate(
        left, (0, 1), (-frame.left + 2, offset), xycoords="axes fraction", textcoords="offset pixels",
        fontsize=frame.text, color=MUTED, ha="left", va="baseline",
    )  # fmt: skip
    if right:
        ax.annotate(
            right, (1, 1), (frame.right - 2, offset), xycoords="axes fraction", textcoords="offset pixels",
            fontsize=frame.text, color=MUTED, ha="right", va="baseline",
        )  # fmt: skip


def _tail(ax: Axes, result: DoseResponse, frame: Frame, shift: float) -> None:
    marks = []
    for arm in [*result.controls, *result.selected]:
        if arm.tail_recall is not None:
            side = shift if arm.kind == "random" else 0.0
            low, high = arm.tail_recall.ci95 or (None, None)
            marks.append((arm.kind, _Mark(arm.actual_dose + side, arm.tail_recall.mean, low, high)))
    values = [value for _, mark in marks for value in (mark.y, mark.low, mark.high) if value is not None]
    low_end, high_end = figures.limits(values)
    ax.set_ylim(max(low_end, -0.02), min(high_end, 1.02))
    for kind, mark in marks:
        _mark(ax, kind, mark)
    if result.real_only.tail_recall is not None:
        _real_only(ax, result.real_only.tail_recall.mean)
    steps = figures.ticks(*ax.get_ylim(), 3)
    ax.set_yticks(steps, [fmt.decimal(round(value * 100, 1)) for value in steps])
    most = result.topics.tail_max_real if result.topics else None
    rare = f" (at most {most} real)" if most is not None else ""
    _heading(ax, frame, f"Recall on tail topics{rare}, %", offset=14)


def _dose_axis(ax: Axes, result: DoseResponse, frame: Frame, right: float) -> None:
    """A tick at every measured dose; below the dose, how many synthetic conversations it took."""
    sizes: dict[float, int] = {}
    for arm in result.selected:
        sizes.setdefault(arm.actual_dose, arm.n_synthetic)
    per_unit = frame.inner / (right * 1.06)
    shown = figures.spaced(list(sizes), per_unit=per_unit, gap=frame.gap, keep=[result.recommended.actual_dose])
    ax.set_xticks(shown, [fmt.dose(x) for x in shown])
    ax.set_xticks([x for x in sizes if x not in shown], minor=True)
    ax.tick_params(axis="x", which="minor", length=3, color=MUTED)
    for x in shown:
        ax.annotate(
            f"+{fmt.count(sizes[x])}", (x, 0), (0, -34), xycoords=ax.get_xaxis_transform(),
            textcoords="offset pixels", ha="center", va="baseline", fontsize=frame.text - 1, color=MUTED,
        )  # fmt: skip
    name = "Dose reached: share of synthetic conversations (how many below)"
    ax.annotate(
        name if frame.name == "wide" else "Dose: share of synthetic (how many below)", (0, 0), (-frame.left + 2, -53),
        xycoords="axes fraction", textcoords="offset pixels", fontsize=frame.text, color=MUTED, ha="left",
    )  # fmt: skip
