"""Pictures of a report as PNG bytes, in a light and a dark palette.

Figures are built as objects and never through pyplot, so nothing here changes matplotlib's global state.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from distil_dagster.evaluation.classification import NOT_A_CLASS, ClassificationReport
from distil_dagster.evaluation.report_input import Chart
from distil_dagster.traces.drift import Drift, LabelCount

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_DOTS_PER_INCH = 150
_COUNTS_SHOWN_UP_TO = 30
_LABELS_SHOWN = 12


@dataclass(frozen=True)
class Palette:
    """The colours of a picture: of paper, text and lines, from nothing to everything, and of curves."""

    paper: str
    text: str
    muted: str
    line: str
    ramp: tuple[str, str, str]
    text_on_full: str
    curves: tuple[str, ...]


LIGHT = Palette(
    paper="#ffffff",
    text="#1b2130",
    muted="#5f6b80",
    line="#dfe4ec",
    ramp=("#f6f8fc", "#8fb3e8", "#1d4f9c"),
    text_on_full="#ffffff",
    curves=("#2563b0", "#d9622b", "#2c8a5b", "#8a4fb5"),
)
DARK = Palette(
    paper="#171c26",
    text="#e6eaf2",
    muted="#9aa6ba",
    line="#2d3545",
    ramp=("#1d2431", "#2f5b97", "#8fc0ff"),
    text_on_full="#0f1520",
    curves=("#74aefc", "#f29a68", "#6cc79a", "#c598e8"),
)


def confusion_picture(report: ClassificationReport, palette: Palette) -> bytes:
    """The confusion matrix as PNG: counts in the cells, coloured by the share of the row's class."""
    from matplotlib.colors import LinearSegmentedColormap

    rows, columns = report.classes, (*report.classes, NOT_A_CLASS)
    cell = max(0.16, min(0.62, 9 / len(columns)))
    figure, axes = _figure(len(columns) * cell + 2.6, len(rows) * cell + 2.2, palette)
    shares = [[count / max(1, sum(row)) for count in row] for row in report.confusion]
    colours = LinearSegmentedColormap.from_list("shares", list(palette.ramp))
    axes.imshow(shares, cmap=colours, vmin=0.0, vmax=1.0, aspect="equal")
    font = max(4.0, min(9.0, cell * 16))
    axes.set_xticks(range(len(columns)), [_short(name) for name in columns], rotation=45, ha="right", fontsize=font)
    axes.set_yticks(range(len(rows)), [_short(name) for name in rows], fontsize=font)
    axes.set_xlabel("predicted", color=palette.muted, fontsize=9)
    axes.set_ylabel("reference", color=palette.muted, fontsize=9)
    axes.axvline(len(rows) - 0.5, color=palette.muted, linewidth=1.2)
    _separate_cells(axes, len(rows), len(columns), palette)
    if len(rows) <= _COUNTS_SHOWN_UP_TO:
        _write_counts(axes, report, shares, palette)
    return _png(figure)


def chart_picture(chart: Chart, palette: Palette) -> bytes:
    """Curves over training steps as PNG."""
    from matplotlib.ticker import MaxNLocator

    figure, axes = _figure(6.4, 3.4, palette)
    for curve, colour in zip(chart.curves, _repeated(palette.curves, len(chart.curves)), strict=True):
        steps, values = [step for step, _ in curve.points], [value for _, value in curve.points]
        marker = "o" if len(steps) < 25 else None
        axes.plot(steps, values, color=colour, linewidth=1.8, marker=marker, markersize=3.5, label=curve.label)
    axes.set_xlabel("step", color=palette.muted, fontsize=9)
    axes.set_ylabel(chart.y_label, color=palette.muted, fontsize=9)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(axis="y", color=palette.line, linewidth=0.8)
    axes.set_axisbelow(True)
    if len(chart.curves) > 1:
        axes.legend(frameon=False, labelcolor=palette.text, fontsize=9)
    return _png(figure)


def drift_picture(drift: Drift, palette: Palette = LIGHT) -> bytes:
    """Old traces beside new ones as PNG: the labels whose shares differ most, and the lengths of texts."""
    changed = _most_changed(drift)
    height = max(3.4, 0.34 * len(changed) + 1.2)
    figure, panels = _panels(10.4, height, palette, 2) if changed else _panels(6.4, height, palette, 1)
    if changed:
        _draw_labels(panels[0], drift, changed, palette)
    _draw_lengths(panels[-1], drift, palette)
    if drift.lengths:
        panels[-1].legend(loc="upper left", frameon=False, labelcolor=palette.text, fontsize=9)
    return _png(figure)


def _most_changed(drift: Drift) -> list[LabelCount]:
    """The labels whose shares differ most, the largest difference first."""
    held = [count for count in drift.labels if count.old or count.new]
    return sorted(held, key=lambda count: -abs(_share(count.new, drift.new) - _share(count.old, drift.old)))[
        :_LABELS_SHOWN
    ]


def _draw_labels(axes: Axes, drift: Drift, labels: Sequence[LabelCount], palette: Palette) -> None:
    places = range(len(labels))
    old = [100 * _share(count.old, drift.old) for count in labels]
    new = [100 * _share(count.new, drift.new) for count in labels]
    before, now = palette.muted, palette.curves[1]
    axes.barh([place - 0.19 for place in places], old, height=0.36, color=before)
    axes.barh([place + 0.19 for place in places], new, height=0.36, color=now)
    axes.set_yticks(places, [_short(" ".join(count.label.split())) for count in labels], fontsize=8)
    axes.invert_yaxis()
    axes.set_xlabel("% of traces", color=palette.muted, fontsize=9)
    axes.grid(axis="x", color=palette.line, linewidth=0.8)
    axes.set_axisbelow(True)


def _draw_lengths(axes: Axes, drift: Drift, palette: Palette) -> None:
    from matplotlib.ticker import NullLocator

    edges = [*(max(1, count.start) for count in drift.lengths), *(count.end for count in drift.lengths[-1:])]
    old = [100 * _share(count.old, drift.old) for count in drift.lengths]
    new = [100 * _share(count.new, drift.new) for count in drift.lengths]
    if edges:
        axes.stairs(old, edges, color=palette.muted, fill=True, alpha=0.45, label=f"{drift.old:,} before")
        axes.stairs(new, edges, color=palette.curves[1], linewidth=1.8, label=f"{drift.new:,} new")
        axes.set_xscale("log")
    axes.set_xticks(edges[::4], [f"{edge:,}" for edge in edges[::4]])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("characters of the user's text", color=palette.muted, fontsize=9)
    axes.set_ylabel("% of traces", color=palette.muted, fontsize=9)
    axes.grid(axis="y", color=palette.line, linewidth=0.8)
    axes.set_axisbelow(True)


def _share(count: int, total: int) -> float:
    return count / max(1, total)


def _figure(width: float, height: float, palette: Palette) -> tuple[Figure, Axes]:
    figure, (axes,) = _panels(width, height, palette, 1)
    return figure, axes


def _panels(width: float, height: float, palette: Palette, count: int) -> tuple[Figure, list[Axes]]:
    """A figure with panels side by side."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=_DOTS_PER_INCH, facecolor=palette.paper, layout="constrained")
    FigureCanvasAgg(figure)
    panels = [figure.add_subplot(1, count, place + 1, facecolor=palette.paper) for place in range(count)]
    for axes in panels:
        axes.tick_params(colors=palette.text, length=0, labelsize=9)
        for side in ("top", "right", "left", "bottom"):
            axes.spines[side].set_visible(False)
    return figure, panels


def _separate_cells(axes: Axes, rows: int, columns: int, palette: Palette) -> None:
    axes.set_xticks([column - 0.5 for column in range(columns + 1)], minor=True)
    axes.set_yticks([row - 0.5 for row in range(rows + 1)], minor=True)
    axes.grid(which="minor", color=palette.paper, linewidth=1.5)
    axes.tick_params(which="minor", length=0)


def _write_counts(
    axes: Axes, report: ClassificationReport, shares: Sequence[Sequence[float]], palette: Palette
) -> None:
    for row, counts in enumerate(report.confusion):
        for column, count in enumerate(counts):
            if count:
                colour = palette.text_on_full if shares[row][column] > 0.6 else palette.text
                axes.text(column, row, str(count), ha="center", va="center", color=colour, fontsize=8)


def _short(name: str) -> str:
    # matplotlib reads dollar signs as mathematics.
    return (name if len(name) <= 34 else f"{name[:33]}…").replace("$", r"\$")


def _repeated(colours: Sequence[str], count: int) -> list[str]:
    return [colours[index % len(colours)] for index in range(count)]


def _png(figure: Any) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", facecolor=figure.get_facecolor(), metadata={"Software": None})
    return buffer.getvalue()
