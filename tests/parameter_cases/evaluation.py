"""What the parameters of `evaluation` change."""

from small_runs import Runs

from parameter_cases.registry import Cases

cases = Cases()


@cases("num_few_shot_examples")
def the_teacher_is_shown_so_many_examples_and_one_of_each_class(runs: Runs) -> None:
    assert _examples_shown(runs, "receipts", 0) == 0
    assert _examples_shown(runs, "receipts", 2) == 2
    assert _examples_shown(runs, "letters", 0) == 0
    assert _examples_shown(runs, "letters", 1) == 3
    assert _examples_shown(runs, "letters", 5) == 5


def _examples_shown(runs: Runs, job: str, count: int) -> int:
    outcome = runs(job, "teacher", evaluation={"num_few_shot_examples": count})
    requests = outcome.asked("teacher evaluation")
    assert len(requests) == len(outcome.seeds.test)
    (shown,) = {sum(message["role"] == "assistant" for message in request.messages) for request in requests}
    seeds = {example.question: example.answer for example in outcome.seeds.train}
    questions = [message["content"] for message in requests[0].messages if message["role"] == "user"][:-1]
    assert len(questions) == shown
    assert set(questions) <= set(seeds)
    if shown and outcome.job.task.classes:
        assert {seeds[question] for question in questions} == set(outcome.job.task.classes)
    return shown


@cases("llm_as_a_judge_model_name")
def the_named_model_judges(runs: Runs) -> None:
    for name in ("openai.gpt-oss-120b", "deepseek.v3.1"):
        outcome = runs("receipts", "teacher", evaluation={"llm_as_a_judge_model_name": name})
        assert {request.model for request in outcome.asked("judging")} == {name}
        assert {request.model for request in outcome.asked("teacher evaluation")} == {"openai.gpt-oss-120b"}


@cases("expand_tool_calling_turns")
def a_conversation_is_tested_at_each_of_its_calls_or_at_the_last(runs: Runs) -> None:
    expanded = runs("conversations", "teacher", evaluation={"expand_tool_calling_turns": True})
    whole = runs("conversations", "teacher", evaluation={"expand_tool_calling_turns": False})
    calls = [sum(bool(message.tool_calls) for message in example.messages) for example in whole.seeds.test]
    assert len(whole.teacher.rows) == len(calls)
    assert len(expanded.teacher.rows) == sum(calls) > len(calls)
    assert len(expanded.asked("teacher evaluation")) > len(whole.asked("teacher evaluation"))
    assert [row.answer for row in whole.teacher.rows] == [example.answer for example in whole.seeds.test]
