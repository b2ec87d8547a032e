"""The simulator understands what the pipeline really sends: its own prompts, through its own client."""

from random import Random
from typing import Literal

import pytest
from pydantic import BaseModel

from distil_dagster.data.examples import Example
from distil_dagster.data.job import read_job_description
from distil_dagster.data.messages import Message
from distil_dagster.evaluation.judging import JudgeCase, judge_prompt
from distil_dagster.llm.requests import Answered, Request
from distil_dagster.prompts import render
from distil_dagster.simulator import Faults, Options, SimulatedTeacher
from distil_dagster.tasks.base import GenerationRequest, Shown
from distil_dagster.tasks.classification import Classification

MAIL = "I would like my money back because the app rejected my password."
MESSAGES = [{"role": "user", "content": MAIL}]


class Answer(BaseModel):
    answer: str


class TraceScore(BaseModel):
    id: int
    relevance: int
    coherence: int
    reason: str


class TraceScores(BaseModel):
    scores: list[TraceScore]


class Verdict(BaseModel):
    reason: str
    verdict: Literal["good", "bad"]


@pytest.fixture(scope="module")
def job(example_folder):
    return read_job_description(example_folder)


@pytest.fixture(scope="module")
def task(job):
    return Classification(job)


@pytest.fixture(scope="module")
def example_teacher(example_folder):
    with SimulatedTeacher(example_folder) as teacher:
        yield teacher


def request(name, schema, prompt, model="zai.glm-5", sample=0):
    return Request(
        model, ({"role": "user", "content": prompt},), schema=schema, schema_name=name, temperature=0.5, sample=sample
    )


def parsed(answers):
    assert all(isinstance(answer, Answered) for answer in answers), answers
    return [answer.parsed for answer in answers]


def test_the_task_prompt_is_answered(example_teacher, client, task):
    messages = ({"role": "system", "content": task.system_prompt()}, *MESSAGES)
    asked = Request("a", messages, schema=task.answer_schema(), schema_name="answer", temperature=0.0, max_tokens=100)
    (answer,) = parsed(client(example_teacher).ask([asked], "test"))
    assert answer.answer == "account_access"


def test_the_scoring_prompt_is_answered(example_teacher, client, job, task):
    irrelevant = [
        {"role": "user", "content": "Who won the football match?"},
        {"role": "assistant", "content": "billing"},
    ]
    logged = [*MESSAGES, {"role": "assistant", "content": "returns"}]
    prompt = render(
        "traces/score",
        task_description=job.task_description,
        labels=task.label_descriptions,
        instructions=None,
        traces=[(1, logged), (2, irrelevant)],
    )
    (found,) = parsed(client(example_teacher).ask([request("trace_scores", TraceScores, prompt)], "test"))
    assert [(row.id, row.relevance, row.coherence) for row in found.scores] == [(1, 5, 4), (2, 1, 4)]


def test_the_aggregation_prompt_is_answered(example_teacher, client, task):
    prompt = render(
        "traces/aggregate",
        system_prompt=task.system_prompt(),
        messages=MESSAGES,
        candidates=["returns", "returns", "account_access"],
        logged_answer="returns",
    )
    (found,) = parsed(client(example_teacher).ask([request("aggregated_answer", Answer, prompt)], "test"))
    assert found.answer == "account_access"


def test_the_repair_prompt_is_answered(example_teacher, client, task):
    prompt = render(
        "traces/repair",
        system_prompt=task.system_prompt(),
        messages=MESSAGES,
        answer="Team: account access",
        problem="not a class",
    )
    (found,) = parsed(client(example_teacher).ask([request("repaired_answer", Answer, prompt)], "test"))
    assert found.answer == "account_access"


def test_the_compression_prompt_is_answered(example_teacher, client, job):
    class Shortened(BaseModel):
        task_description: str

    prompt = render("traces/compress", task_description=job.task_description)
    asked = request("compressed_job_description", Shortened, prompt)
    (found,) = parsed(client(example_teacher).ask([asked], "test"))
    assert found.task_description.startswith("Route a mail")


def example(question, answer):
    return Example(messages=(Message(role="user", content=question), Message(role="assistant", content=answer)))


def test_the_generation_prompt_is_answered(example_teacher, client, task, rules):
    wanted = GenerationRequest(count=4, label="delivery")
    shown = Shown(
        positives=[example("My parcel never arrived.", "delivery")],
        negatives=[example("I was charged twice.", "billing")],
        unlabelled=["Please cancel my plan."],
        guidelines=[("complexity", "simple")],
    )
    prompt = task.generation_prompt(wanted, shown)
    asked = request("generated_examples", task.generated_schema(wanted), prompt)
    (found,) = parsed(client(example_teacher).ask([asked], "test"))
    made = task.read_generated(found, wanted)
    assert [(row.answer, rules.team(row.question)) for row in made] == [("delivery", "delivery")] * 4


@pytest.mark.parametrize(("prediction", "verdict"), [("account_access", "good"), ("returns", "bad")])
def test_the_judging_prompt_is_answered(example_teacher, client, job, prediction, verdict):
    case = JudgeCase(question=MAIL, reference="account_access", prediction=prediction, context=None)
    (found,) = parsed(client(example_teacher).ask([request("verdict", Verdict, judge_prompt(job, case))], "test"))
    assert found.verdict == verdict


def test_a_client_gets_through_refusals_failures_and_garbled_answers(example_folder, client, task, rules):
    random = Random(9)
    mails = [mail for team in rules.classes for mail in rules.mails(team, 10, random)]
    system = {"role": "system", "content": task.system_prompt()}
    requests = [
        Request(
            "a",
            (system, {"role": "user", "content": mail}),
            schema=task.answer_schema(),
            schema_name="answer",
            temperature=0.0,
        )
        for mail in mails
    ]
    options = Options(faults=Faults(refuse=0.1, fail=0.1, garble=0.05), retry_after=0.01)
    with SimulatedTeacher(example_folder, options) as teacher:
        answers = client(teacher).ask(requests, "test")
        outcomes = teacher.stats()["by_outcome"]
    right = [
        isinstance(answer, Answered) and answer.parsed.answer == rules.team(mail)
        for answer, mail in zip(answers, mails, strict=True)
    ]
    assert sum(right) / len(right) > 0.9
    assert {"answered", "refused", "failed", "garbled"} <= set(outcomes)
