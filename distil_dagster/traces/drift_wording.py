"""How drift is put for people: which words and labels differ most, in sentences with figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from distil_dagster.traces.identity import text_key
from distil_dagster.traces.novelty import Side

_WORDS_NAMED = 5
_LABELS_NAMED = 3
_SEEN_TWICE = 2  # what is logged once is as often a slip of the logged model as something new
_NAME_SHOWN = 60


def label_counts(side: Side) -> Counter[str]:
    """How many traces of one side have each label."""
    return Counter(label for row in side.rows for label in row.labels)


def label_sentence(old: Side, new: Side) -> tuple[str, tuple[str, ...]]:
    """What changed most in the mix of labels, those never seen before named; and the labels that changed most."""
    before, now = label_counts(old), label_counts(new)
    changed = _most_changed(before, len(old.rows), now, len(new.rows))[:_WORDS_NAMED]
    first = changed[0]
    told = (
        f"{percent(now[first] / len(new.rows))} of the new traces are answered with {named(first)}, "
        f"{percent(before[first] / len(old.rows))} before."
    )
    unseen = [label for label, count in now.most_common() if count >= _SEEN_TWICE and not before[label]]
    if unseen:
        shown = ", ".join(f"{named(label)} ({now[label]})" for label in unseen[:_LABELS_NAMED])
        more = f" and {len(unseen) - _LABELS_NAMED} more" if len(unseen) > _LABELS_NAMED else ""
        told = f"{told} Never seen before: {shown}{more}."
    return told, tuple(changed)


def telling_words(before: Sequence[str], now: Sequence[str]) -> tuple[str, ...]:
    """The words whose share of texts changed most, each with both shares."""
    old, new = (Counter(word for text in texts for word in set(text_key(text).split())) for texts in (before, now))
    changed = _most_changed(old, len(before), new, len(now))[:_WORDS_NAMED]
    return tuple(
        f"{named(word)} stands in {percent(new[word] / len(now))} of the new texts, "
        f"{percent(old[word] / len(before))} before"
        for word in changed
    )


def named(name: str) -> str:
    """A word or label as it is shown: on one line, and cut where it is long."""
    line = " ".join(name.split())
    return f"`{line if len(line) <= _NAME_SHOWN else f'{line[: _NAME_SHOWN - 1]}…'}`"


def percent(share: float) -> str:
    """A share for people."""
    return f"{100 * share:.1f}%" if 0 < share < 0.1 else f"{100 * share:.0f}%"


def _most_changed(old: Counter[str], old_total: int, new: Counter[str], new_total: int) -> list[str]:
    """The names in the order of how much their shares differ, in standard errors; of equal ones those that grew."""

    def order(name: str) -> tuple[float, float, str]:
        share = (old[name] + new[name]) / (old_total + new_total)
        difference = new[name] / new_total - old[name] / old_total
        # A name in every text has no spread, and no difference either.
        in_errors = abs(difference) / max(share * (1 - share), 1e-12) ** 0.5
        return -round(in_errors, 9), -difference, name

    return sorted({*old, *new}, key=order)
