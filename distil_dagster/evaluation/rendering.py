"""From figures and other people's texts to safe Markdown and HTML."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distil_dagster.evaluation.statistics import Interval

if TYPE_CHECKING:
    from jinja2 import Environment

_TEMPLATES = Path(__file__).parent / "templates"
_MARKDOWN_ACTIVE = re.compile(
    r"[\\`*|\[\]~]"  # emphasis, code, links, cells
    r"|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])"  # emphasis at the edge of a word
    r"|^[#=]|^[+-](?=[\s-]|$)|^\d{1,9}[.)](?=\s|$)"  # headings, lists and rules at the start of a line
    r"|://|(?<=www)\."  # bare links
)
_HTML_ACTIVE = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def render_html(**values: Any) -> str:
    """The report as one HTML file; every value is escaped."""
    return _html_environment().get_template("report.html.j2").render(**values)


def render_markdown(**values: Any) -> str:
    """The report as Markdown; every value is one line that neither formats nor leaves its table cell."""
    return _markdown_environment().get_template("report.md.j2").render(**values)


def markdown_text(value: object) -> str:
    """Any text as one line of Markdown that shows it as it is: no markup, no HTML, no link, safe in a table cell.

    Line breaks become spaces. Underscores inside words stay, as they are not markup there.
    """
    line = " ".join(str(value).split())
    line = "".join(_HTML_ACTIVE.get(character, character) for character in line)
    return _MARKDOWN_ACTIVE.sub(_harmless, line)


def score(value: float | None) -> str:
    """Three decimals; a dash for what is not known."""
    return "–" if value is None else f"{value:.3f}"


def signed(value: float) -> str:
    """Three decimals with a sign."""
    return f"{value:+.3f}".replace("-", "−")


def interval(value: Interval) -> str:
    """`0.880–0.940`."""
    return f"{value.low:.3f}–{value.high:.3f}"


def signed_interval(value: Interval) -> str:
    """`−0.010 to +0.060`."""
    return f"{signed(value.low)} to {signed(value.high)}"


def p_value(value: float) -> str:
    """Three decimals; `< 0.001` below."""
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def money(value: float) -> str:
    """US dollars: cents from one dollar on, four decimals below."""
    return f"${value:,.2f}" if value >= 1 else f"${value:.4f}"


def number(value: float) -> str:
    """A whole number with thousands separated."""
    return f"{value:,.0f}"


def shortened(text: str, length: int = 400) -> str:
    """The text, cut with an ellipsis where it is longer than `length` characters."""
    return text if len(text) <= length else f"{text[: length - 1].rstrip()}…"


def abridged(text: str, length: int = 400) -> str:
    """The text, cut in its middle where it is longer: what is asked stands at the end of a conversation or document."""
    beginning = length // 3
    return text if len(text) <= length else f"{text[:beginning].rstrip()} … {text[beginning + 3 - length :].lstrip()}"


_FILTERS: Mapping[str, Callable[..., str]] = {
    function.__name__: function
    for function in (score, signed, interval, signed_interval, p_value, money, number, shortened, abridged)
}


def _harmless(match: re.Match[str]) -> str:
    found = match.group()
    if found == "://":
        return ":&#47;&#47;"
    if found[0].isdigit():
        return f"{found[:-1]}\\{found[-1]}"
    return f"\\{found}"


@cache
def _html_environment() -> Environment:
    return _environment(autoescape=True)


@cache
def _markdown_environment() -> Environment:
    # `finalize` sees every value that a template prints, so none can be forgotten.
    return _environment(autoescape=False, finalize=markdown_text)


def _environment(**options: Any) -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(  # noqa: S701 - the Markdown template escapes by its own rules
        loader=FileSystemLoader(_TEMPLATES),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        **options,
    )
    environment.filters.update(_FILTERS)
    return environment
