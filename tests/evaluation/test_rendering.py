from __future__ import annotations

import re
from html import unescape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distil_dagster.evaluation import rendering
from distil_dagster.evaluation.rendering import markdown_text
from distil_dagster.evaluation.statistics import Interval

NASTY = st.lists(
    st.sampled_from(
        [
            *"|\\`*_~[]()<>!#&;:/-+.=1a ",
            *[
                "<script>",
                "&lt;",
                "&#124;",
                "**b**",
                "](x)",
                "https://a.b",
                "www.a.b",
                "\n",
                "\n\n",
                "1. ",
                "---",
                "a@b.c",
            ],
        ]
    ),
    max_size=14,
).map("".join)


def shown(markdown: str) -> str:
    """What a reader of one paragraph or cell sees, and nothing but text in it."""
    from markdown_it import MarkdownIt

    html = MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(markdown)
    cell = re.search(r"<td>(.*?)</td>", html, re.DOTALL)
    inner = cell.group(1) if cell else html.strip().removeprefix("<p>").removesuffix("</p>")
    assert "<" not in inner, inner
    return unescape(inner)


@given(NASTY | st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=30))
def test_any_text_shows_as_it_is_in_a_table_cell(text: str) -> None:
    assert shown(f"| head |\n|---|\n| {markdown_text(text)} |\n") == " ".join(text.split())


@given(NASTY)
def test_any_text_shows_as_it_is_in_a_paragraph(text: str) -> None:
    collapsed = " ".join(text.split())
    if collapsed:
        assert shown(f"{markdown_text(text)}\n") == collapsed


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("card_arrival", "card_arrival"),
        ("_stressed_", "\\_stressed\\_"),
        ("a | b", "a \\| b"),
        ("line\nbreak", "line break"),
        ("<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;"),
        ("1. not a list", "1\\. not a list"),
        ("# no heading", "\\# no heading"),
        (0.5, "0.5"),
    ],
)
def test_markup_is_made_plain(text: object, expected: str) -> None:
    assert markdown_text(text) == expected


def test_numbers_are_written_for_reading() -> None:
    assert rendering.score(0.12345) == "0.123"
    assert rendering.score(None) == "–"
    assert rendering.signed(0.1) == "+0.100"
    assert rendering.signed(-0.1) == "−0.100"
    assert rendering.interval(Interval(0.1, 0.25)) == "0.100–0.250"
    assert rendering.signed_interval(Interval(-0.1, 0.25)) == "−0.100 to +0.250"
    assert rendering.p_value(0.0004) == "< 0.001"
    assert rendering.p_value(0.0421) == "0.042"
    assert rendering.money(0.01234) == "$0.0123"
    assert rendering.money(1234.5) == "$1,234.50"
    assert rendering.number(12345.0) == "12,345"


def test_long_texts_are_cut_with_an_ellipsis() -> None:
    assert rendering.shortened("a" * 400) == "a" * 400
    assert rendering.shortened("a" * 401) == "a" * 399 + "…"
    assert rendering.shortened("ab cd", 4) == "ab…"


@given(st.text(max_size=80), st.integers(6, 60))
def test_long_questions_keep_their_beginning_and_their_end(text: str, length: int) -> None:
    shown = rendering.abridged(text, length)
    if len(text) <= length:
        assert shown == text
    else:
        assert len(shown) <= length
        beginning, end = text[: length // 3].rstrip(), text[length // 3 + 3 - length :].lstrip()
        assert (shown.startswith(beginning), shown.endswith(end)) == (True, True)
        assert len(text) - len(shown) >= 1


def test_what_is_asked_last_in_a_long_conversation_is_shown() -> None:
    shown = rendering.abridged("first " + "and then " * 200 + "what now?")
    assert shown.startswith("first and then")
    assert shown.endswith("and then what now?")
    assert len(shown) <= 400
