import pytest
from synthesis.teachers import example, passage, row

from distil_dagster.data.job import JobDescription
from distil_dagster.errors import DataError
from distil_dagster.synthesis.contexts import contexts_for
from distil_dagster.tasks.closed_book import ClosedBookQuestionAnswering
from distil_dagster.tasks.open_book import OpenBookQuestionAnswering
from distil_dagster.traces.seeds import SeedData

JOB = JobDescription(task_description="Answer questions about lighthouses.")
CLOSED, OPEN = ClosedBookQuestionAnswering(JOB), OpenBookQuestionAnswering(JOB)


def seeds(train=(), test=(), unstructured=()):
    return SeedData(list(train), list(test), list(unstructured), [], [])


@pytest.mark.parametrize("question_answering", [CLOSED, OPEN])
def test_the_unstructured_texts_are_the_contexts_each_once(question_answering):
    rows = [row(passage(1), 1), row(passage(2), 2), row(passage(1), 3), row(" \n", 4, images=("http://a/b.png",))]
    train = [example("How high?", "3", context=passage(9))]
    assert contexts_for(question_answering, seeds(train, unstructured=rows)) == rows[:2]


def test_contexts_of_training_seeds_stand_in_where_the_student_sees_contexts():
    train = [example(f"{n}?", "3", f"train.jsonl:{n}", context=passage(n % 2)) for n in range(4)]
    test = [example("9?", "3", "test.jsonl:1", context=passage(9))]
    found = contexts_for(OPEN, seeds(train, test))
    assert [(context.text, context.source) for context in found] == [
        (passage(0), "train.jsonl:0"),
        (passage(1), "train.jsonl:1"),
    ]


@pytest.mark.parametrize("question_answering", [CLOSED, OPEN])
def test_no_context_at_all_is_an_error_that_says_what_to_give(question_answering):
    test = [example("9?", "3", context=passage(9))]
    with pytest.raises(DataError, match=r"unstructured\.jsonl or unstructured\.csv with a column `context`") as error:
        contexts_for(question_answering, seeds([example("1?", "3")], test))
    assert question_answering.name in str(error.value)
    assert ("training rows" in str(error.value)) == (question_answering is OPEN)


def test_other_tasks_have_no_contexts(task):
    assert contexts_for(task, seeds(unstructured=[row("letters", 1)])) == []
