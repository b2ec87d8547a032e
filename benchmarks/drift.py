"""How often the check for drift cries wolf, how often it finds drift that is there, and how long it takes.

Real traces, at most 400 of a data set, are split at random into old and new ones: what is then found is a false alarm.
For power, the new ones are changed before they are compared. New traces are as many as the old ones, or as few as
`--few`.

    python benchmarks/drift.py --cases FOLDER --rounds 40
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from distil_dagster.config.pipeline import DataSettings
from distil_dagster.data.examples import SetAside
from distil_dagster.data.messages import Message
from distil_dagster.job import open_job
from distil_dagster.tasks.base import Task, Unusable
from distil_dagster.traces.drift import Drift, drift_between
from distil_dagster.traces.ingest import SplitTrace, Traces, ingest_traces

CONFIGS = Path(__file__).parents[1] / "configs"
EXAMPLE = CONFIGS.parent / "examples" / "ticket_routing"
FEWEST_TRACES = 200
MOST_TRACES = 400
SETTINGS = DataSettings()
UNREADABLE_SHARE = 0.2


@dataclass(frozen=True)
class Material:
    """The traces of one data set, and its task."""

    name: str
    task: Task
    rows: list[SplitTrace]

    def labels(self, row: SplitTrace) -> set[str]:
        """The classes or tools of a trace."""
        examples = self.task.examples_of(row.messages)
        if isinstance(examples, Unusable):
            return set()
        return {label for example in examples for label in self.task.labels_in(example)}


@dataclass(frozen=True)
class Halves:
    """Old and new traces, and lines of each that cannot be read."""

    old: Sequence[SplitTrace]
    new: Sequence[SplitTrace]
    unreadable: int = 0


Change = Callable[[Material, Halves, Sequence[SplitTrace], Random], Halves | None]


def as_they_are(_: Material, halves: Halves, __: Sequence[SplitTrace], ___: Random) -> Halves:
    """No drift."""
    return halves


def other_mix(material: Material, halves: Halves, _: Sequence[SplitTrace], random: Random) -> Halves | None:
    """Every second label comes a third as often."""
    seldom = set(_common(material)[::2])
    if len(seldom) < 2:
        return None
    kept = [row for row in halves.new if not material.labels(row) & seldom or random.random() < 1 / 3]
    return Halves(halves.old, kept)


def new_label(material: Material, halves: Halves, _: Sequence[SplitTrace], __: Random) -> Halves | None:
    """One label of middling frequency is not among the old traces."""
    common = _common(material)
    if len(common) < 3:
        return None
    unseen = common[len(common) // 2]
    return Halves([row for row in halves.old if unseen not in material.labels(row)], halves.new)


def other_requests(share: float) -> Change:
    """A share of the new users ask what those of another data set ask; the logged answers stay."""

    def change(_: Material, halves: Halves, others: Sequence[SplitTrace], random: Random) -> Halves:
        asked = iter(random.sample(others, min(len(others), len(halves.new))))
        return Halves(
            halves.old,
            [
                _with_questions(row, lambda _: _question(next(asked))) if random.random() < share else row
                for row in halves.new
            ],
        )

    return change


def longer_texts(_: Material, halves: Halves, __: Sequence[SplitTrace], random: Random) -> Halves:
    """A third of the new users write half as much again, in words of another user."""

    def longer(row: SplitTrace) -> SplitTrace:
        if random.random() >= 1 / 3:
            return row
        more = _question(random.choice(halves.new))
        return _with_questions(row, lambda text: f"{text} {more[: len(text) // 2]}")

    return Halves(halves.old, [longer(row) for row in halves.new])


def unreadable_lines(_: Material, halves: Halves, __: Sequence[SplitTrace], ___: Random) -> Halves:
    """A fifth of the new lines cannot be read."""
    return Halves(halves.old, halves.new, round(len(halves.new) * UNREADABLE_SHARE / (1 - UNREADABLE_SHARE)))


CHANGES: Mapping[str, Change] = {
    "none (false alarms)": as_they_are,
    "every second label a third as often": other_mix,
    "one label is new": new_label,
    "a fifth ask as in another data set": other_requests(0.2),
    "half ask as in another data set": other_requests(0.5),
    "a third are half as long again": longer_texts,
    "a fifth of the lines is unreadable": unreadable_lines,
}


def materials(cases: Path | None) -> Iterator[Material]:
    """The project's example and every folder of `cases` that holds traces."""
    jobs = [(CONFIGS / "quickstart.yaml", EXAMPLE)]
    jobs += [(path, path.parent) for path in sorted(cases.glob("*/config.yaml"))] if cases else []
    for config, folder in jobs:
        job = open_job(config, {"data": {"path": str(folder.resolve())}})
        if job.folder.traces is None:
            continue
        settings, length = job.config.trace_processing, job.max_total_length
        traces = ingest_traces(job.folder.traces, job.task, settings, max_total_length=length, seed=0)
        if len(traces.rows) >= FEWEST_TRACES:
            yield Material(folder.name, job.task, sorted(traces.rows, key=lambda row: row.line))


def compared(material: Material, halves: Halves, seed: int) -> Drift:
    """The check itself, on traces in memory."""
    aside = [SetAside(file="new", line=n, reason="wrong_format", raw=f"{{{n}") for n in range(halves.unreadable)]
    before = Traces(list(halves.old), [])
    return drift_between(before, Traces(list(halves.new), aside), material.task, SETTINGS, seed=seed)


def found(
    material: Material, change: Change, others: Sequence[SplitTrace], few: int | None, rounds: int
) -> list[Drift]:
    """The results of all rounds; none where the change does not fit the data."""
    results = []
    for seed in range(rounds):
        random = Random(seed)
        rows = random.sample(material.rows, len(material.rows))
        cut = few or len(rows) // 2
        halves = change(material, Halves(rows[cut:], rows[:cut]), others, random)
        if halves is None:
            break
        results.append(compared(material, halves, seed))
    return results


def report(material: Material, others: Sequence[SplitTrace], few: int, rounds: int) -> None:
    """One line a change: the share of rounds with drift, for equal halves and for few new traces, and by which test."""
    for name, change in CHANGES.items():
        cells = []
        for size in (None, few):
            drifts = found(material, change, others, size, rounds)
            tests = Counter(test.name for drift in drifts for test in drift.found)
            by = ", ".join(f"{test} {count}" for test, count in tests.most_common())
            cells.append(f"{sum(drift.drifted for drift in drifts)}/{len(drifts)} | {by}" if drifts else "– | ")
        print(f"| {material.name} | {name} | {' | '.join(cells)} |", flush=True)


def time_many(material: Material, lines: int) -> None:
    """Seconds for half as many old traces among `lines` ones."""
    random = Random(1)
    rows = [
        _with_questions(random.choice(material.rows), lambda text: f"{text} {random.getrandbits(64):x}")
        for _ in range(lines)
    ]
    started = time.perf_counter()
    drift = drift_between(Traces(rows[: lines // 2], []), Traces(rows, []), material.task, SETTINGS, seed=1)
    print(f"{drift.old} old and {drift.new} new of {lines} lines: {time.perf_counter() - started:.1f} s")


def _common(material: Material) -> list[str]:
    """Labels that at least 3% of the traces have, from the most frequent on."""
    counts = Counter(label for row in material.rows for label in material.labels(row))
    return [label for label, count in counts.most_common() if count >= 0.03 * len(material.rows)]


def _question(row: SplitTrace) -> str:
    return next(message.content for message in row.messages if message.role == "user" and message.content.strip())


def _with_questions(row: SplitTrace, changed: Callable[[str], str]) -> SplitTrace:
    def turn(message: Message) -> Message:
        return message.model_copy(update={"content": changed(message.content)}) if message.role == "user" else message

    return row.model_copy(update={"messages": tuple(map(turn, row.messages))})


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=Path, help="a folder of job folders with traces, each with its config.yaml")
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--few", type=int, default=60, help="how many new traces there are where they are few")
    parser.add_argument("--lines", type=int, default=100_000, help="lines to time the check on")
    arguments = parser.parse_args()
    held = list(materials(arguments.cases))
    time_many(held[0], arguments.lines)
    print(f"| Data | Change | Halves | by | {arguments.few} new | by |")
    print("|---|---|---|---|---|---|")
    for material in held:
        others = [row for other in held if other is not material for row in other.rows] or material.rows
        report(material, others, arguments.few, arguments.rounds)


if __name__ == "__main__":
    main()
