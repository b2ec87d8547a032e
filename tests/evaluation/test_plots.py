from __future__ import annotations

import struct

import pytest

from distil_dagster.evaluation.classification import classification_report
from distil_dagster.evaluation.plots import DARK, LIGHT, Palette, chart_picture, confusion_picture, drift_picture
from distil_dagster.evaluation.report_input import Chart, Curve
from distil_dagster.traces.drift import Drift, LabelCount, LengthCount


def size(png: bytes) -> tuple[int, int]:
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", png[16:24])
    return width, height


@pytest.mark.parametrize("palette", [LIGHT, DARK])
@pytest.mark.parametrize("count", [2, 10, 80])
def test_a_confusion_matrix_of_any_size_becomes_a_picture(count: int, palette: Palette) -> None:
    classes = [f"class_{number}" for number in range(count)]
    report = classification_report(classes, [*classes[1:], "none"], classes)
    width, height = size(confusion_picture(report, palette))
    assert 300 < width < 3_000
    assert 300 < height < 3_000


@pytest.mark.filterwarnings("ignore:Glyph .* missing")
def test_class_names_are_text_and_not_mathematics() -> None:
    classes = ["$x_{", "a$b$c", "x" * 200, "日本"]
    assert size(confusion_picture(classification_report(classes, classes, classes), LIGHT))


def test_the_same_figures_give_the_same_bytes() -> None:
    report = classification_report(["a", "b"], ["a", "a"], ["a", "b"])
    assert confusion_picture(report, LIGHT) == confusion_picture(report, LIGHT)
    assert confusion_picture(report, LIGHT) != confusion_picture(report, DARK)


def test_more_curves_than_colours_are_drawn_as_well() -> None:
    curves = tuple(Curve(f"run {number}", ((0, number), (1, number + 1))) for number in range(6))
    assert size(chart_picture(Chart("Loss", "loss", curves), DARK))


def test_a_chart_without_points_is_empty_and_no_error() -> None:
    assert size(chart_picture(Chart("Loss", "loss", (Curve("training", ()),)), LIGHT))


def drift(labels: list[tuple[str, int, int]], lengths: list[tuple[int, int, int, int]]) -> Drift:
    return Drift(
        tests=[],
        labels=[LabelCount(label=label, old=old, new=new) for label, old, new in labels],
        lengths=[LengthCount(start=start, end=end, old=old, new=new) for start, end, old, new in lengths],
        old=sum(old for _, _, old, _ in lengths),
        new=sum(new for *_, new in lengths),
        unchanged=0,
        old_unreadable=0,
        new_unreadable=0,
        alpha=0.01,
    )


LENGTHS = [(0, 1, 3, 0), (1, 20, 30, 2), (20, 400, 9, 60)]


@pytest.mark.parametrize("palette", [LIGHT, DARK])
@pytest.mark.parametrize("count", [1, 5, 90])
def test_drift_becomes_a_picture_for_any_number_of_labels(count: int, palette: Palette) -> None:
    labels = [(f"label $ {number}\nof many {'x' * number}", number, 90 - number) for number in range(count)]
    width, height = size(drift_picture(drift(labels, LENGTHS), palette))
    assert 1_000 < width < 2_000
    assert 400 < height < 1_000


def test_without_labels_the_lengths_alone_are_drawn() -> None:
    narrow, _ = size(drift_picture(drift([], LENGTHS)))
    unused, _ = size(drift_picture(drift([("never", 0, 0)], LENGTHS)))
    wide, _ = size(drift_picture(drift([("bills", 1, 2)], LENGTHS)))
    assert narrow == unused < wide


def test_the_labels_drawn_are_those_whose_share_changed_most() -> None:
    quiet = [(f"quiet {number}", 1, 1) for number in range(40)]
    loud, quieter = ("loud", 0, 60), ("quiet 40", 1, 1)
    drawn = drift_picture(drift([*quiet, loud], LENGTHS))
    assert drawn == drift_picture(drift([*quiet, quieter, loud], LENGTHS))
    assert drawn != drift_picture(drift([*quiet, quieter], LENGTHS))


def test_drift_of_nothing_is_empty_and_no_error() -> None:
    assert size(drift_picture(drift([], [])))


def test_drawing_leaves_matplotlibs_settings_alone() -> None:
    import matplotlib

    before = dict(matplotlib.rcParams)
    chart_picture(Chart("Loss", "loss", (Curve("training", ((0, 1.0), (5, 0.5))),)), DARK)
    assert dict(matplotlib.rcParams) == before
