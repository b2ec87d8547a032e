"""What the parameters of `base` change."""

import json
import shutil
from pathlib import Path

import pytest
from small_runs import Runs

from distil_dagster.errors import ConfigError
from distil_dagster.simulator.options import Options
from distil_dagster.training.weights import student_weights
from parameter_cases.registry import Cases

cases = Cases()


@cases("task")
def the_task_decides_what_an_example_is(runs: Runs) -> None:
    shown = runs("passages", "synthetic", base={"task": "question-answering-open-book"})
    asked = runs("passages", "synthetic", base={"task": "question-answering"})
    assert all(example.context and "Context:" not in example.question for example in shown.seeds.train)
    assert all(example.context is None and "Context:" in example.question for example in asked.seeds.train)

    classified = runs("letters", "synthetic")
    assert {row.as_example().answer for row in classified.synthetic.accepted} == set(classified.job.task.classes)
    known = runs("knowledge", "synthetic")
    assert all(row.as_example().context is None for row in known.synthetic.accepted)
    assert all(request.blocks("context") for request in known.asked("synthesis"))
    called = runs("requests", "synthetic")
    assert all(
        len(row.messages) == 2 and row.messages[-1].tool_calls and "name" in json.loads(row.as_example().answer)
        for row in called.synthetic.accepted
    )
    talked = runs("conversations", "synthetic")
    assert all(len(row.messages) > 2 for row in talked.synthetic.accepted)
    assert all(message.tool_calls for row in talked.synthetic.accepted for message in row.messages[1::2])
    for outcome in (shown, asked, classified, known, called, talked):
        assert len(outcome.synthetic.accepted) == 12, outcome.synthetic.rejections()


@cases("student_model_name")
def the_weights_of_the_named_student_are_the_ones_to_train(runs: Runs) -> None:
    folders = {name: str(_student(runs, name)) for name in ("Llama-3.2-1B-Instruct", "Qwen3-0.6B")}
    for name, folder in folders.items():
        job = runs("letters", "traces", base={"student_model_name": name}, data={"students": folders}).job
        assert str(student_weights(job.config.base.student_model_name, job.students).folder) == folder
    with pytest.raises(ConfigError, match=r"base\.student_model_name"):
        runs("requests", "traces", base={"student_model_name": "SmolLM2-135M-Instruct"})


def _student(runs: Runs, name: str) -> Path:
    return shutil.copytree(runs.student, runs.new_folder(name), dirs_exist_ok=True)


@cases("teacher_model_name")
def the_teacher_writes_the_examples_and_is_measured(runs: Runs) -> None:
    for name in ("openai.gpt-oss-120b", "Qwen3-235B-A22B-Instruct-2507"):
        written = runs("letters", "synthetic", base={"teacher_model_name": name})
        assert {request.model for request in written.asked("synthesis")} == {name}
        measured = runs("letters", "teacher", base={"teacher_model_name": name})
        assert {request.model for request in measured.asked("teacher evaluation")} == {name}


@cases("random_seed")
def equal_seeds_draw_alike_other_seeds_otherwise_and_null_anew(runs: Runs) -> None:
    def draws(seed: int | None, repetition: int = 0) -> tuple:
        outcome = runs("letters", "synthetic", repetition=repetition, base={"random_seed": seed})
        lines = [(row.part, row.line) for row in outcome.traces.rows]
        return lines, [(row.guidelines, row.exemplars, row.messages) for row in outcome.synthetic.accepted]

    assert draws(7, repetition=1) == draws(7)
    for one, other in ((draws(7), draws(8)), (draws(None), draws(None, repetition=1))):
        assert one[0] != other[0]
        assert one[1] != other[1]


@cases("llm_num_parallel_requests")
def so_many_requests_are_in_flight_and_never_more(runs: Runs) -> None:
    slow, settings = Options(latency=0.05), {"generation_in_single_call": 1}
    for parallel in (1, 3):
        base = {"llm_num_parallel_requests": parallel}
        for phase in ("synthetic", "teacher"):
            assert runs("receipts", phase, options=slow, base=base, synthgen=settings).most_in_flight == parallel
