"""Knowledge of a folder whose right answers are written down: traces with gold answers, train and test rows."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from distil_dagster.errors import DataError
from distil_dagster.simulator.call import last_text
from distil_dagster.simulator.knowledge import QuestionAnswer, Scores, normalised
from distil_dagster.simulator.wording import reworded

GOLD_FILE = "gold.jsonl"
TRACES_FILE = "traces.jsonl"
TRAIN_FILE = "train.jsonl"
TEST_FILE = "test.jsonl"

# What a careful reader would score by the kind of noise; a wrong but whole answer is no incoherence.
_SCORES: Mapping[str, Scores] = {
    "clean": Scores(5, 5, "A fitting request with a fitting answer."),
    "duplicate": Scores(5, 5, "A fitting request with a fitting answer."),
    "wrong_label": Scores(5, 4, "A fitting request; the answer looks doubtful."),
    "irrelevant": Scores(1, 4, "The request has nothing to do with the job."),
    "corrupted": Scores(4, 1, "The conversation is damaged."),
}
_UNKNOWN = Scores(3, 3, "The conversation is not among those that the simulator knows.")
# Token-set similarity, 0 to 100, from which a question is taken for a rewording of a known one.
_LIKE_A_KNOWN_QUESTION = 80.0
_TRIES = 20
_SAME_WORDING = 0.9


@dataclass(frozen=True)
class GoldTrace:
    """One logged conversation with what is known about it."""

    user: str
    assistant: str
    question: str
    answer: str | None
    noise: str


class GoldKnowledge:
    """Answers, scores and new examples out of gold files.

    New examples are rewordings of the training questions and of the traces' questions, never of the test file's. Where
    a folder has no test file, the traces that become the test set are among them: figures are then flattering.
    """

    def __init__(
        self, traces: Sequence[GoldTrace], train: Sequence[QuestionAnswer], test: Sequence[QuestionAnswer]
    ) -> None:
        self._scores = _scores_by_conversation(traces)
        logged = [QuestionAnswer(trace.question, trace.answer) for trace in traces if trace.answer is not None]
        self._answers = {normalised(pair.question): pair.answer for pair in (*logged, *train, *test)}
        # A damaged question is asked as it was logged, but its right answer is that of the whole one.
        for trace in traces:
            if trace.answer is not None and trace.user.strip():
                self._answers.setdefault(normalised(trace.user), trace.answer)
        self._pool = _questions_by_class([*train, *logged], {normalised(pair.question) for pair in test})

    @classmethod
    def of(cls, folder: Path) -> GoldKnowledge:
        """Read a folder with `traces.jsonl` and `gold.jsonl`, and `train.jsonl` and `test.jsonl` where there are any.

        Raises:
            DataError: a file is missing or malformed, or the two do not align.
        """
        logged, gold = _lines(folder / TRACES_FILE), _lines(folder / GOLD_FILE)
        if len(logged) != len(gold):
            raise DataError(
                f"{folder}: {TRACES_FILE} has {len(logged)} lines, {GOLD_FILE} {len(gold)}; they must align"
            )
        traces = [_gold_trace(trace, known) for trace, known in zip(logged, gold, strict=True)]
        return cls(traces, _pairs(folder / TRAIN_FILE), _pairs(folder / TEST_FILE))

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes that have questions to generate from."""
        return tuple(self._pool)

    def answer(self, question: str) -> str | None:
        """The answer to a known question or to a rewording of one."""
        from rapidfuzz import fuzz, process

        wanted = normalised(question)
        if wanted in self._answers:
            return self._answers[wanted]
        found = process.extractOne(
            wanted, self._answers.keys(), scorer=fuzz.token_set_ratio, score_cutoff=_LIKE_A_KNOWN_QUESTION
        )
        return self._answers[found[0]] if found else None

    def other_answer(self, question: str, random: Random) -> str:
        """Any class but the right one."""
        right = self.answer(question)
        return random.choice([name for name in self.classes if name != right] or list(self.classes))

    def relevance_and_coherence(self, messages: Sequence[Mapping[str, Any]]) -> Scores:
        """The scores that fit the noise of the trace; looked up by both texts, then by the user's alone."""
        user, assistant = normalised(last_text(messages, "user")), normalised(last_text(messages, "assistant"))
        return self._scores.get((user, assistant)) or self._scores.get((user, None)) or _UNKNOWN

    def generate(
        self, class_name: str, count: int, random: Random, exemplars: Sequence[QuestionAnswer]
    ) -> list[QuestionAnswer]:
        """Rewordings of the class's known questions that are no exemplars, each of another one while they last."""
        shown = {normalised(exemplar.question) for exemplar in exemplars}
        pool = self._pool.get(class_name, ())
        unseen = [question for question in pool if normalised(question) not in shown] or list(pool)
        if not unseen:
            return []
        random.shuffle(unseen)
        bases = [unseen[place % len(unseen)] for place in range(count)]
        return [QuestionAnswer(_clearly_reworded(base, random), class_name) for base in bases]


def _clearly_reworded(question: str, random: Random) -> str:
    from rapidfuzz.distance import Indel

    words = question.casefold().split()
    candidate = question
    for _ in range(_TRIES):
        candidate = reworded(question, random)
        if Indel.normalized_similarity(words, candidate.casefold().split()) < _SAME_WORDING:
            break
    return candidate


def _scores_by_conversation(traces: Sequence[GoldTrace]) -> dict[tuple[str, str | None], Scores]:
    scores: dict[tuple[str, str | None], Scores] = {}
    for trace in traces:
        known = _SCORES.get(trace.noise, _UNKNOWN)
        user, assistant = normalised(trace.user), normalised(trace.assistant)
        scores.setdefault((user, assistant), known)
        best = scores.get((user, None), known)
        scores[(user, None)] = max(best, known, key=lambda score: score.relevance + score.coherence)
    return scores


def _questions_by_class(pairs: Sequence[QuestionAnswer], held_out: set[str]) -> dict[str, tuple[str, ...]]:
    seen, found = set(held_out), dict[str, list[str]]()
    for pair in pairs:
        if normalised(pair.question) not in seen:
            seen.add(normalised(pair.question))
            found.setdefault(pair.answer, []).append(pair.question)
    return {name: tuple(questions) for name, questions in sorted(found.items())}


def _gold_trace(trace: Mapping[str, Any], gold: Mapping[str, Any]) -> GoldTrace:
    messages = [message for message in trace.get("messages", ()) if isinstance(message, dict)]
    noise = str(gold.get("orig_noise") or gold["noise"])
    return GoldTrace(
        user=last_text(messages, "user"),
        assistant=last_text(messages, "assistant"),
        question=str(gold.get("question") or ""),
        answer=gold.get("answer"),
        noise=noise,
    )


def _pairs(path: Path) -> list[QuestionAnswer]:
    return [QuestionAnswer(row["question"], row["answer"]) for row in _lines(path)] if path.is_file() else []


def _lines(path: Path) -> list[dict[str, Any]]:
    try:
        # Only \n ends a record: U+2028 and its like may stand inside a string.
        return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line.strip()]
    except FileNotFoundError:
        raise DataError(f"{path}: missing; the simulator reads the right answers from it") from None
    except ValueError as error:
        raise DataError(f"{path}: not JSON Lines: {error}") from None
