import json

from distil_dagster.data.examples import Example
from distil_dagster.data.job import JobDescription
from distil_dagster.data.messages import Message
from distil_dagster.evaluation.teacher import ask_teacher
from distil_dagster.llm.requests import Failed
from distil_dagster.tasks.question_answering import QuestionAnswering


def example(question: str, answer: str) -> Example:
    return Example(messages=(Message(role="user", content=question), Message(role="assistant", content=answer)))


SHOTS = [example("my invoice", "bills"), example("my courier", "parcels")]


def test_the_teacher_sees_the_system_prompt_the_examples_and_the_question(task, scripted):
    client = scripted(lambda _: {"answer": "garden"})
    answers = ask_teacher(task, [example("my roses", "garden")], SHOTS, "deepseek.v3.1", client)
    (request,) = client.asked
    assert [message["role"] for message in request.messages] == [
        "system",
        "user",
        "assistant",
        "user",
        "assistant",
        "user",
    ]
    assert request.messages[-1]["content"] == "my roses"
    assert json.loads(request.messages[2]["content"]) == {"answer": "bills"}
    assert request.schema_name == "answer"
    assert (answers.texts, answers.failures) == (["garden"], {})


def test_a_row_without_an_answer_is_empty_and_says_why(task, scripted):
    client = scripted(
        lambda request: (
            Failed("timeout", "too slow", "k") if "7" in request.messages[-1]["content"] else {"answer": "bills"}
        )
    )
    answers = ask_teacher(task, [example("row 6", "bills"), example("row 7", "bills")], [], "deepseek.v3.1", client)
    assert answers.texts == ["bills", ""]
    assert answers.failures == {1: "timeout: too slow"}


def test_a_teacher_that_may_write_freely_is_given_no_form(scripted):
    task = QuestionAnswering(JobDescription(task_description="Answer.", input_description="A question."))
    client = scripted(lambda _: "at noon")
    answers = ask_teacher(task, [example("When?", "at noon")], SHOTS[:1], "deepseek.v3.1", client)
    (request,) = client.asked
    assert (request.schema, request.schema_name) == (None, "")
    assert request.messages[2] == {"role": "assistant", "content": "bills"}
    assert answers.texts == ["at noon"]


def test_a_teacher_of_tools_reads_them_in_the_system_prompt_and_answers_with_a_call(boat_task, boat_hire, scripted):
    row = boat_task.turns(boat_hire(3))[1]
    client = scripted(lambda _: {"answer": {"name": "hire_boat", "parameters": {"boat": "Heron 3", "hours": 3}}})
    answers = ask_teacher(boat_task, [row], [boat_hire(2)], "deepseek.v3.1", client)
    (request,) = client.asked
    assert "find_boat" in request.messages[0]["content"]
    assert request.tools == ()
    # The example is a whole conversation; the row's own follows, up to the call that is asked for.
    assert len(request.messages) == 1 + 5 + 4
    assert boat_task.parse_prediction(answers.texts[0]).text == row.answer
