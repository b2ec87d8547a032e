"""The project's own example: its files follow from its rules, and it is neither trivial nor broken."""

import json
import math
import re
import subprocess
import sys
from collections import Counter, defaultdict

import pytest

from distil_dagster.data.job import read_job_description
from distil_dagster.simulator.routing import Router
from distil_dagster.simulator.rules import Rules


def lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


@pytest.fixture(scope="module")
def known(example_folder):
    return lines(example_folder / "gold.jsonl")


@pytest.fixture(scope="module")
def table(rules) -> Rules:
    return rules.rules


def words(text):
    return set(re.findall(r"[a-z']+", text.casefold()))


class WordSpotter:
    """Naive Bayes over the words of a mail."""

    def __init__(self, rows):
        self.mails = Counter(team for _, team in rows)
        self.words = defaultdict(Counter)
        for mail, team in rows:
            self.words[team].update(words(mail))

    def team(self, mail):
        return max(self.mails, key=lambda team: self._log_probability(team, words(mail)))

    def _log_probability(self, team, found):
        total = self.mails[team]
        return math.log(total) + sum(math.log((self.words[team][word] + 0.3) / (total + 0.6)) for word in found)

    def accuracy(self, rows):
        return sum(self.team(mail) == team for mail, team in rows) / len(rows)


def test_its_files_come_out_the_same_byte_for_byte(example_folder, tmp_path):
    subprocess.run([sys.executable, example_folder / "make_traces.py", tmp_path], check=True)
    for name in ("traces.jsonl", "gold.jsonl"):
        assert (tmp_path / name).read_bytes() == (example_folder / name).read_bytes()


def test_its_files_are_small_enough_to_live_in_the_repository(example_folder):
    assert sum((example_folder / name).stat().st_size for name in ("traces.jsonl", "gold.jsonl")) < 600_000


def test_traces_and_gold_are_about_the_same_mails(example_folder, known):
    traces = lines(example_folder / "traces.jsonl")
    assert len(traces) == len(known) == 900
    for number, (trace, gold) in enumerate(zip(traces, known, strict=True), start=1):
        observed = [turn["content"] for turn in trace["messages"] if turn["role"] == "assistant"]
        assert gold["line"] == number
        assert observed == ([] if gold["observed"] is None else [gold["observed"]])
        assert [turn["role"] for turn in trace["messages"]][:2] == ["system", "user"]


def test_the_rules_give_the_gold_answer_of_every_mail(rules, known):
    assert all(rules.team(gold["question"]) == gold["answer"] for gold in known)


def test_the_job_description_names_the_teams(rules, example_folder):
    job = read_job_description(example_folder)
    assert set(job.classes_description) == set(rules.classes)
    assert job.llm_as_a_judge_instructions


def test_every_team_is_in_every_hundred_mails(rules, known):
    for start in range(0, 900, 100):
        assert {gold["answer"] for gold in known[start : start + 100]} == {*rules.classes, None}


def test_spotting_words_is_not_enough(known):
    rows = [(gold["question"], gold["answer"]) for gold in known if gold["answer"] and gold["noise"] != "duplicate"]
    assert 0.80 < WordSpotter(rows).accuracy(rows) < 0.96
    half = len(rows) // 2
    assert WordSpotter(rows[:half]).accuracy(rows[half:]) < 0.85


def test_only_dismissed_frames_hold_a_dismissing_mark(table):
    def marked(frame):
        return any(mark in frame.casefold() for mark in table.dismissing_marks)

    assert all(marked(frame) for frame in table.dismissed_frames)
    others = (*table.open_frames, *table.want_frames, *table.consequence_frames, *table.requests, *table.closings)
    asides = (*table.asides, *(denial for denials in table.denials.values() for denial in denials))
    assert not any(marked(frame) for frame in (*others, *asides))


def test_what_stands_beside_the_decisive_statement_states_nothing(table):
    router = Router(table)
    asides = (*table.asides, *(denial for denials in table.denials.values() for denial in denials))
    for phrase in (*asides, *table.requests, *table.closings, *table.greetings):
        filled = re.sub(r"\{(\w+)\}", lambda slot: table.slots.get(slot[1], ("1",))[0], phrase)
        assert router.statements(filled) == [], phrase


def test_wants_that_follow_from_a_problem_are_wants_of_their_team(table):
    for team, wants in table.consequence_wants.items():
        assert set(wants) <= set(table.wants[team])


def test_a_team_with_consequences_goes_after_every_team_with_problems(table):
    places = {team: place for place, team in enumerate(table.precedence)}
    assert min(places[team] for team in table.consequence_wants) > max(places[team] for team in table.problems)
