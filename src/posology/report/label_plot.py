"""The labels figure: what real data alone reaches, and where it would reach what the dose reached.

The law `a - b * n^-c` is drawn firm over the measured sizes and dashed beyond them, where it is a forecast.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from markupsafe import Markup

from posology.report import figures
from posology.report import formatting as fmt
from posology.report.figures import BLUE, INK, MUTED, PAPER, Frame, Panel
from posology.report.results import DoseResponse, Labels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

HEADROOM = 1.15  # how far the horizontal axis runs beyond the last thing on it


def figure(result: DoseResponse) -> Markup | None:
    """Draws the figure for both widths; None where no learning curve was measured."""
    labels = result.labels
    if labels is None or not labels.learning_curve:
        return None
    return figures.both(
        "labels", lambda frame: _draw(result, labels, frame), title="Real labels alone", description=describe(labels)
    )


def describe(labels: Labels) -> str:
    """The figure in words."""
    said = [f"{fmt.plural(p.n_real, 'real label')}: {fmt.percent(p.accuracy)}." for p in labels.learning_curve]
    if labels.equivalent_labels is not None:
        said.append(f"The dose equals {fmt.count(labels.equivalent_labels)} more real labels.")
    return " ".join(said)


def _draw(result: DoseResponse, labels: Labels, frame: Frame) -> Figure:
    panel = Panel(28, 250 if frame.name == "wide" else 230)
    canvas = figures.canvas(frame, panel.top + panel.height + 46)
    ax = figures.axes(canvas, frame, panel)
    points = sorted(labels.learning_curve, key=lambda point: point.n_real)
    at_hand, focus = points[-1].n_real, result.focus
    goal = at_hand + labels.equivalent_labels if labels.equivalent_labels else None
    end = (goal or at_hand) * HEADROOM
    level = None
    if focus is not None:
        # The gain is read off the law, so it starts from the law and not from the last square.
        base = labels.fit.accuracy(at_hand) if labels.fit else result.real_only.accuracy.mean
        level = base + focus.delta_vs_real_only.mean

    values = [value for point in points for value in (point.accuracy, *(point.ci95 or ()))]
    values += [level] if level is not None else []
    ax.set_xlim(-end * 0.01, end)
    ax.set_ylim(*figures.limits(values, margin=0.1))
    for point in points:
        if point.ci95 is not None:
            ax.plot([point.n_real] * 2, point.ci95, color=INK, linewidth=1.5, zorder=3)
        ax.plot([point.n_real], [point.accuracy], "s", markersize=6.5, color=INK, zorder=4)
    _law(ax, labels, points[0].n_real, at_hand, end)
    if level is not None and focus is not None:
        gain = fmt.points(focus.delta_vs_real_only.mean)
        _target(ax, frame, level, f"with {fmt.dose(focus.told_dose)} synthetic: {gain}")
        if goal:
            _equivalent(ax, frame, goal, level, f"{fmt.count(labels.equivalent_labels)} more labels")
    _axes(ax, frame, [point.n_real for point in points], goal)
    return canvas


def _law(ax: Axes, labels: Labels, start: float, at_hand: float, end: float) -> None:
    if labels.fit is None:
        return
    for low, high, dash in ((max(start, 1), at_hand, "-"), (at_hand, end, (0, (4, 3)))):
        sizes = [low + (high - low) * i / 60 for i in range(61)]
        ax.plot(sizes, [labels.fit.accuracy(n) for n in sizes], color=INK, linewidth=1.3, linestyle=dash, zorder=2)


def _target(ax: Axes, frame: Frame, level: float, name: str) -> None:
    ax.axhline(level, color=BLUE, linewidth=1.5, zorder=1.5)
    ax.annotate(
        name, (0, level), (4, 6), xycoords=ax.get_yaxis_transform(), textcoords="offset pixels", ha="left",
        va="baseline", fontsize=frame.text, fontweight=700, color=BLUE,
    )  # fmt: skip


def _equivalent(ax: Axes, frame: Frame, goal: float, level: float, name: str) -> None:
    low, _ = ax.get_ylim()
    ax.plot([goal, goal], [low, level], color=BLUE, linewidth=1.2, linestyle=(0, (2, 2)), zorder=2)
    ax.plot([goal], [level], "o", markersize=9, color=BLUE, markeredgecolor=PAPER, markeredgewidth=1.5, zorder=5)
    ax.annotate(
        f"= {name}", (goal, low), (-6, 10), xycoords="data", textcoords="offset pixels", ha="right", va="baseline",
        fontsize=frame.text, fontweight=700, color=BLUE,
    )  # fmt: skip


def _axes(ax: Axes, frame: Frame, sizes: list[int], goal: float | None) -> None:
    steps = figures.ticks(*ax.get_ylim(), 5)
    ax.set_yticks(steps, [fmt.decimal(round(value * 100, 1)) for value in steps])
    left, right = ax.get_xlim()
    wanted = [0.0, *sizes, *([goal] if goal else [])]
    keep = [goal, float(max(sizes))] if goal else [float(max(sizes))]
    shown = figures.spaced(wanted, per_unit=frame.inner / (right - left), gap=frame.gap, keep=keep)
    ax.set_xticks(shown, [fmt.count(x) for x in shown])
    for text, where in (("Accuracy, %", (0, 1, 14)), ("Real labels", (0, 0, -42))):
        ax.annotate(
            text, where[:2], (-frame.left + 2, where[2]), xycoords="axes fraction", textcoords="offset pixels",
            ha="left", va="baseline", fontsize=frame.text, color=MUTED,
        )  # fmt: skip
