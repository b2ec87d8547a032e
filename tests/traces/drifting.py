"""Traces in memory, for tests of drift."""

from collections.abc import Iterable
from random import Random

from distil_dagster.data.examples import SetAside
from distil_dagster.data.job import JobDescription
from distil_dagster.data.messages import Message
from distil_dagster.tasks.classification import Classification
from distil_dagster.traces.ingest import SplitTrace, Traces

PLACES = ("Bath", "Ely", "York", "Leeds", "Hull", "Truro", "Ripon", "Wells")
OPENINGS = ("Hello, ", "Good day. ", "Please help: ", "", "To whom it may concern: ")
ASKS = {
    "bills": ("my invoice from {} is too high", "the sum you billed in {} is wrong", "I paid the {} bill twice"),
    "parcels": ("where is my parcel to {}", "nothing was delivered in {}", "the courier to {} lost my box"),
    "garden": ("my roses in {} look ill", "when to prune apples near {}", "the lawn in {} is yellow"),
}
LETTERS = Classification(JobDescription(task_description="Sort letters.", classes_description=dict.fromkeys(ASKS, "")))
EQUAL_SHARES = {"bills": 1, "parcels": 1, "garden": 1}


def row(text: str, label: str, line: int = 1) -> SplitTrace:
    messages = (Message(role="user", content=text), Message(role="assistant", content=label))
    return SplitTrace(part="train", file="traces.jsonl", line=line, messages=messages)


def letters(seed: int, count: int, shares: dict[str, int] = EQUAL_SHARES) -> list[tuple[str, str]]:
    """Different letters and their labels; `shares` says how often each label comes."""
    random = Random(seed)
    found = {}
    while len(found) < count:
        (label,) = random.choices(list(shares), weights=list(shares.values()))
        body = random.choice(ASKS[label]).format(random.choice(PLACES))
        found[f"{random.choice(OPENINGS)}{body}, case {random.randrange(10**6)}"] = label
    return list(found.items())


def traces(pairs: Iterable[tuple[str, str]], unreadable: int = 0) -> Traces:
    rows = [row(text, label, line) for line, (text, label) in enumerate(pairs, start=1)]
    aside = [
        SetAside(file="traces.jsonl", line=len(rows) + n, reason="not_json", raw=f"{{ {n}") for n in range(unreadable)
    ]
    return Traces(rows, aside, len(rows) + unreadable)
