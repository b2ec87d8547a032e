from __future__ import annotations

import struct

import pytest

from distil_dagster.evaluation.classification import classification_report
from distil_dagster.evaluation.plots import DARK, LIGHT, Palette, chart_picture, confusion_picture
from distil_dagster.evaluation.report_input import Chart, Curve


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


def test_drawing_leaves_matplotlibs_settings_alone() -> None:
    import matplotlib

    before = dict(matplotlib.rcParams)
    chart_picture(Chart("Loss", "loss", (Curve("training", ((0, 1.0), (5, 0.5))),)), DARK)
    assert dict(matplotlib.rcParams) == before
