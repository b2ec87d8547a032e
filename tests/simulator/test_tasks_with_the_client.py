"""Every task's own prompts, through the project's own client, are answered right."""

import json
from dataclasses import dataclass

import pytest
from pydantic import BaseModel, create_model
from simulator.invented import BELL, CHAIN, PASSAGES, as_messages

from distil_dagster.data.folder import JobFolder
from distil_dagster.data.normalise import parse_messages
from distil_dagster.llm.requests import Answered, Request, answer_text
from distil_dagster.prompts import render
from distil_dagster.simulator import SimulatedTeacher
from distil_dagster.tasks.base import GenerationRequest, Shown, Valid
from distil_dagster.tasks.registry import task_for
from distil_dagster.tasks.shots import teacher_turns

TASKS = {
    "museum": "question-answering-open-book",
    "reading": "question-answering",
    "facts": "question-answering-closed-book",
    "workshop": "tool-calling-closed-book",
    "counter": "multi-turn-tool-calling-closed-book",
}
WANTED = {
    "museum": GenerationRequest(4, context=PASSAGES["kites"]),
    "reading": GenerationRequest(4),
    "facts": GenerationRequest(4, context=PASSAGES["clocks"]),
    "workshop": GenerationRequest(4, label="rent_bicycle"),
    "counter": GenerationRequest(4, label="book_repair"),
}


class Text(BaseModel):
    answer: str


@dataclass(frozen=True)
class Play:
    """One task, its test rows, and a client that asks the simulated teacher of its folder."""

    name: str
    task: object
    rows: list
    ask_all: object

    def ask(self, messages, schema, schema_name="answer"):
        (answer,) = self.ask_all(
            [Request("m", tuple(messages), schema=schema, schema_name=schema_name if schema else "", temperature=0.0)],
            "test",
        )
        assert isinstance(answer, Answered), answer
        return answer


@pytest.fixture(params=sorted(TASKS))
def play(request, client):
    folder = request.getfixturevalue(f"{request.param}_folder")
    job = JobFolder(folder)
    with SimulatedTeacher(folder) as teacher:
        task = task_for(TASKS[request.param], job.job_description())
        yield Play(request.param, task, job.test().examples, client(teacher).ask)


def test_the_teacher_answers_every_turn_of_the_test_rows(play):
    task = play.task
    for row in play.rows:
        for turn in task.turns(row):
            answer = play.ask(task.teacher_prompt(turn), task.answer_schema())
            assert task.parse_prediction(answer_text(answer)).text == task.parse_prediction(turn.answer).text


def test_worked_examples_before_the_question_confuse_nobody(play):
    task, row = play.task, play.rows[0]
    (system, *rest), shot = task.teacher_prompt(row), task.turns(row)[0]
    answer = play.ask([system, *teacher_turns(task, [shot, shot]), *rest], task.answer_schema())
    assert task.parse_prediction(answer_text(answer)).text == task.parse_prediction(row.answer).text


def test_relabelling_gives_the_whole_answer(play):
    task, row = play.task, play.rows[0]
    answer = play.ask(task.relabel_prompt(row), task.relabel_schema())
    assert task.read_relabelled(answer_text(answer)).text == task.whole_answer(row)


def decided(play, row, template, schema_name, schema, **values):
    task = play.task
    prompt = render(
        f"traces/{template}",
        system_prompt=task.teacher_prompt(row)[0]["content"],
        messages=task.conversation_shown(row),
        **values,
    )
    answer = play.ask([{"role": "user", "content": prompt}], schema, schema_name)
    return task.read_relabelled(answer_text(answer)).text


def test_the_right_candidate_is_decided_on(play):
    row, schema = play.rows[0], play.task.relabel_schema() or Text
    right = play.task.whole_answer(row)
    wrong = (
        right.replace("Friday", "Monday").replace("Tuesday", "Monday").replace("metres", "miles").replace("Bay", "Cay")
    )
    assert wrong != right
    with_reason = create_model("Decided", __base__=schema, reason=(str, ...))
    candidates = [wrong, wrong, right]
    decision = decided(
        play, row, "aggregate", "aggregated_answer", with_reason, candidates=candidates, logged_answer=wrong
    )
    assert decision == right


def test_an_invalid_answer_is_repaired(play):
    row, schema = play.rows[0], play.task.relabel_schema() or Text
    repaired = decided(play, row, "repair", "repaired_answer", schema, answer="?", problem="no answer")
    assert repaired == play.task.whole_answer(row)


def test_generated_examples_are_valid_and_of_what_was_asked_for(play):
    task, wanted = play.task, WANTED[play.name]
    prompt = task.generation_prompt(wanted, Shown(positives=play.rows, guidelines=[("complexity", "simple")]))
    answer = play.ask([{"role": "user", "content": prompt}], task.generated_schema(wanted), "generated_examples")
    made = task.read_generated(answer.parsed, wanted)
    assert len(made) == 4
    assert all(isinstance(task.validate(example, 5000), Valid) for example in made)
    assert all(wanted.label is None or wanted.label in task.labels_in(example) for example in made)


def test_a_trace_is_scored(counter_folder, client):
    traces = [(1, as_messages(BELL)), (2, as_messages(CHAIN))]
    prompt = render("traces/score", task_description="Serve.", labels={}, instructions=None, traces=traces)
    score = create_model("Score", id=(int, ...), relevance=(int, ...), coherence=(int, ...), reason=(str, ...))
    scores = create_model("Scores", scores=(list[score], ...))
    with SimulatedTeacher(counter_folder) as teacher:
        wanted = Request(
            "m", ({"role": "user", "content": prompt},), schema=scores, schema_name="trace_scores", temperature=0.0
        )
        (answer,) = client(teacher).ask([wanted], "test")
    assert [(row.relevance, row.coherence) for row in answer.parsed.scores] == [(5, 5), (5, 4)]


def test_a_logged_conversation_reaches_the_scores_as_it_was_normalised(counter_folder):
    """Ids and arguments may change their form on the way, but nothing that a conversation is recognised by."""
    from distil_dagster.data.messages import as_openai
    from distil_dagster.simulator.turns import turns_of

    messages = as_messages(CHAIN)
    assert turns_of(as_openai(parse_messages(messages))) == turns_of(messages)
    assert json.loads(turns_of(messages)[1].text) == CHAIN[1]
