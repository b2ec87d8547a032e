"""How long it takes to compare new texts with all that was kept, as generation does, beside a loop over all pairs.

Texts are compared through `SimilarityIndex` at the default threshold. The plain loop is `rouge-score` on every pair;
that would take hours, so that it is timed on a sample of pairs in the same minute and extrapolated. The ratio of the
two is what counts, for absolute times say more about the machine. Memory is what the process needs at its peak beyond
the texts themselves. A sample of the matches must have the similarity that `rouge-score` gives; for a sample of the new
texts of the first size, `rouge-score` also goes through all kept ones, and must find none that is more alike.

    python benchmarks/similarity.py --sizes 10000 100000
"""

from __future__ import annotations

import argparse
import itertools
import json
import multiprocessing
import resource
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from distil_dagster.synthesis.similarity import Match, SimilarityIndex, Vocabulary

THRESHOLD = 0.95
ALLOWED_ERROR = 1e-12
SYLLABLES = ("ba", "ce", "di", "fo", "gu", "ha", "je", "ki", "lo", "mu", "na", "ing", "ed", "er", "ation", "ly", "s")
MATCHES_CHECKED = 500


class Author:
    """Writes texts whose lengths and words are distributed like those of people's requests, from a seed.

    Words follow Zipf's law; lengths are log-normal with a median of 16 words. One text in ten is an earlier one with up
    to three words changed, added or left out, and one in ten names a number, as references and dates do.
    """

    def __init__(self, seed: int, vocabulary: int = 30_000) -> None:
        self._random = Random(seed)
        self._words = [
            "".join(self._random.choices(SYLLABLES, k=self._random.randint(1, 4))) for _ in range(vocabulary)
        ]
        self._weights = list(itertools.accumulate(1 / (rank + 3) for rank in range(vocabulary)))

    def write(self, count: int, given: Sequence[str] = ()) -> list[str]:
        """So many texts in random order: the given ones as far as they reach, and new ones, or variations of those."""
        texts = self._random.sample(given, min(count, len(given)))
        while len(texts) < count:
            vary = texts and (given or self._random.random() < 0.1)
            texts.append(self._varied(self._random.choice(texts)) if vary else self._new())
        self._random.shuffle(texts)
        return texts

    def _new(self) -> str:
        words = self._choose(max(3, round(self._random.lognormvariate(2.8, 0.5))))
        if self._random.random() < 0.1:
            words.append(str(self._random.randrange(10**6)))
        return " ".join(words).capitalize() + self._random.choice(".?!")

    def _varied(self, text: str) -> str:
        words = text.split()
        for _ in range(self._random.randint(0, 3)):
            place = self._random.randrange(len(words) + 1)
            words[place : place + self._random.randint(0, 1)] = self._choose(self._random.randint(0, 1))
        return " ".join(words)

    def _choose(self, count: int) -> list[str]:
        return self._random.choices(self._words, cum_weights=self._weights, k=count)


def questions_in(folder: Path) -> list[str]:
    """What users ask in the JSON lines files of a job's folder, or of a folder of such, each once."""
    texts: dict[str, None] = {}
    for path in sorted(folder.rglob("*.jsonl")):
        for line in path.read_text(encoding="utf-8", errors="replace").split("\n"):
            try:
                record = json.loads(line)
            except ValueError:
                continue
            texts.update(dict.fromkeys(_asked(record) if isinstance(record, dict) else ()))
    return list(texts)


def _asked(record: dict[str, Any]) -> Iterator[str]:
    turns = record.get("messages") or record.get("input")
    said = [turn.get("content") for turn in turns if isinstance(turn, dict)] if isinstance(turns, list) else []
    for text in (record.get("question"), record.get("context"), *said):
        if isinstance(text, str) and text.strip():
            yield text


@cache
def _scorer() -> Any:
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer(["rougeL"], use_stemmer=True)


def rouge_l(kept: str, new: str) -> float:
    """ROUGE-L F1 by the package `rouge-score`."""
    return float(_scorer().score(kept, new)["rougeL"].fmeasure)


@dataclass(frozen=True)
class Measured:
    """One size, measured: seconds, seconds of the plain loop by extrapolation, megabytes, matches, disagreements."""

    seconds: float
    plain_seconds: float
    megabytes: float
    matches: int
    wrong: list[str]


def measure(size: int, seed: int, cases: Path | None, pairs: int, checked: int) -> Measured:
    """Compare `size` new texts with `size` kept ones."""
    texts = Author(seed).write(2 * size, questions_in(cases) if cases else ())
    kept, new = texts[:size], texts[size:]
    rouge_l("warm words", "warm words")
    SimilarityIndex(THRESHOLD, Vocabulary()).most_similar("warm words")
    before = _peak_megabytes()
    started = time.perf_counter()
    index = SimilarityIndex(THRESHOLD, Vocabulary())
    for number, text in enumerate(kept):
        index.add(str(number), text)
    matches = [index.most_similar(text) for text in new]
    seconds, megabytes = time.perf_counter() - started, _peak_megabytes() - before
    random = Random(seed)
    plain = _seconds_of_pair(kept, new, pairs, random) * size * size
    wrong = [*_wrong(kept, new, matches, random), *_missed(kept, new, matches, checked, random)]
    return Measured(seconds, plain, megabytes, sum(match is not None for match in matches), wrong)


def _peak_megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _seconds_of_pair(kept: Sequence[str], new: Sequence[str], pairs: int, random: Random) -> float:
    """Seconds that `rouge-score` takes for one pair, on average over a sample."""
    sample = [(random.choice(kept), random.choice(new)) for _ in range(pairs)]
    started = time.perf_counter()
    for one, other in sample:
        rouge_l(one, other)
    return (time.perf_counter() - started) / pairs


def _wrong(kept: Sequence[str], new: Sequence[str], matches: Sequence[Match | None], random: Random) -> Iterator[str]:
    """Matches whose similarity is not what `rouge-score` gives, on a sample."""
    matched = [(text, match) for text, match in zip(new, matches, strict=True) if match]
    for text, match in random.sample(matched, min(MATCHES_CHECKED, len(matched))):
        if abs(rouge_l(kept[int(match.name)], text) - match.similarity) > ALLOWED_ERROR:
            yield f"{text!r}: {match}"


def _missed(
    kept: Sequence[str], new: Sequence[str], matches: Sequence[Match | None], checked: int, random: Random
) -> Iterator[str]:
    """Where going through all kept texts finds another likeness; half of the sample are texts that matched."""
    matched = [at for at, match in enumerate(matches) if match]
    unmatched = [at for at, match in enumerate(matches) if not match]
    half = checked // 2
    for at in random.sample(matched, min(half, len(matched))) + random.sample(unmatched, min(half, len(unmatched))):
        best = max(rouge_l(text, new[at]) for text in kept)
        match = matches[at]
        found = match.similarity if match else THRESHOLD
        if best > found + ALLOWED_ERROR:
            yield f"{new[at]!r}: {match}, but one is {best!r} alike"


def _in_process_of_its_own(size: int, seed: int, cases: Path | None, pairs: int, checked: int) -> Measured:
    """What `measure` gives; a new process for each, as a process's peak of memory never falls."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(measure, (size, seed, cases, pairs, checked))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--pairs", type=int, default=5000, help="pairs that the plain loop is timed on")
    parser.add_argument(
        "--checked", type=int, default=20, help="new texts that the plain loop goes through all kept for"
    )
    parser.add_argument("--cases", type=Path, help="a folder of JSON lines whose questions are used, and varied")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    print("| new and kept | seconds | plain loop, extrapolated | ratio | MB | matches | disagreements |")
    print("|---|---|---|---|---|---|---|")
    wrong: list[str] = []
    for place, size in enumerate(arguments.sizes):
        checked = 0 if place else arguments.checked
        found = _in_process_of_its_own(size, arguments.seed, arguments.cases, arguments.pairs, checked)
        ratio = found.plain_seconds / found.seconds
        print(
            f"| {size} | {found.seconds:.2f} | {found.plain_seconds:.0f} | {ratio:.0f} | {found.megabytes:.0f} "
            f"| {found.matches} | {len(found.wrong)} |",
            flush=True,
        )
        wrong += found.wrong
    if wrong:
        raise SystemExit("\n".join(["the index and rouge-score differ:", *wrong[:10]]))


if __name__ == "__main__":
    main()
