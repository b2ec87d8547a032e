import re
from itertools import count

import pytest

from distil_dagster.config.sections import Synthgen
from distil_dagster.data.examples import Example
from distil_dagster.data.folder import UnstructuredRow
from distil_dagster.data.messages import Message
from distil_dagster.llm.requests import Failed
from distil_dagster.synthesis.loop import generate
from distil_dagster.traces.seeds import SeedData

WORDS = ["amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "heron", "islet", "jetty"]


def example(question, answer, source="train.jsonl:1"):
    return Example(
        messages=(Message(role="user", content=question), Message(role="assistant", content=answer)), source=source
    )


def sentence(number):
    """Sentences that share no word with each other."""
    return " ".join(f"{word}{number}" for word in WORDS)


def asked_for(request):
    prompt = request.messages[0]["content"]
    return re.search(r"<class>(.*)</class>", prompt)[1], int(re.search(r"<count>(\d+)</count>", prompt)[1])


class Author:
    """A teacher that writes a new sentence each time."""

    def __init__(self):
        self._numbers = count()

    def __call__(self, request):
        label, number = asked_for(request)
        return {"examples": [{"question": sentence(next(self._numbers)), "answer": label} for _ in range(number)]}


@pytest.fixture
def seeds():
    train = [
        example(f"seed {label} {number}", label, f"train.jsonl:{number}")
        for label in ("bills", "parcels", "garden")
        for number in range(4)
    ]
    test = [example("a question of the test set that stays unseen", "bills", "test.jsonl:1")]
    unstructured = [
        UnstructuredRow(text=f"unlabelled {number}", source=f"unstructured.jsonl:{number}") for number in range(5)
    ]
    return SeedData(train, test, unstructured, [], [])


@pytest.fixture
def run(task, job, scripted, seeds):
    def generated(script, seed=1, **settings):
        client = scripted(script)
        values = {"generation_target": 30, "generation_iteration_size": 12} | settings
        return generate(seeds, task, job, Synthgen(**values), client, teacher="openai.gpt-oss-120b", seed=seed), client

    return generated


def test_the_target_is_reached_exactly_and_balanced(run):
    dataset, _ = run(Author())
    assert len(dataset.accepted) == 30
    assert dataset.labels() == {"bills": 10, "garden": 10, "parcels": 10}
    assert dataset.stopped == ""
    assert [row.number for row in dataset.accepted] == list(range(1, 31))


def test_classes_follow_the_seeds_where_asked_to(run, seeds):
    del seeds.train[0:3]
    dataset, _ = run(Author(), generation_target=18, match_generated_distribution_to_seed=True)
    assert dataset.labels() == {"bills": 2, "garden": 8, "parcels": 8}


def test_calls_ask_for_as_many_as_the_settings_say(run):
    _, client = run(Author(), generation_in_single_call=3)
    assert {asked_for(request)[1] for request in client.asked} <= {1, 2, 3}
    assert max(asked_for(request)[1] for request in client.asked) == 3


def test_iterations_are_of_the_size_that_the_settings_say(run):
    dataset, client = run(Author(), generation_iteration_size=10, generation_in_single_call=2)
    assert dataset.iterations == 3
    assert len(client.asked) == 15


def test_each_call_shows_the_exemplars_that_the_settings_ask_for(run):
    settings = {"num_positive_exemplars_per_generation": 3, "num_negative_exemplars_per_generation": 1}
    _, client = run(Author(), num_unlabelled_exemplars_per_generation=4, **settings)
    for request in client.asked:
        label, _ = asked_for(request)
        prompt = request.messages[0]["content"]
        shown = re.findall(r"<example>\n(.*)\n</example>", prompt)
        assert len(shown) == 3
        assert all(f'"answer": "{label}"' in line for line in shown)
        (other,) = re.findall(r"<counter_example>\n(.*)\n</counter_example>", prompt)
        assert f'"answer": "{label}"' not in other
        assert prompt.count("<unlabelled>") == 4


def test_test_rows_are_never_shown(run):
    _, client = run(Author())
    assert not any("stays unseen" in request.messages[0]["content"] for request in client.asked)


def test_mutators_and_topics_stand_in_the_guidelines(run):
    _, client = run(
        Author(), basic_mutators_to_use=["length", "specificity"], mutation_topics=[["snow"], ["rain", "sun"]]
    )
    for request in client.asked:
        guidelines = request.messages[0]["content"].split("<guidelines>")[1]
        assert "- length: " in guidelines
        assert "- specificity: " in guidelines
        assert "- complexity: " not in guidelines
        assert "- topic: snow" in guidelines
        assert guidelines.count("- topic: ") == 2


def test_temperature_and_token_limit_are_those_of_the_settings(run):
    _, client = run(Author(), teacher_temperature=0.55, teacher_max_tokens=777)
    assert {(request.temperature, request.max_tokens) for request in client.asked} == {(0.55, 777)}


@pytest.mark.parametrize(
    ("question", "reason"),
    [
        ("seed bills 0", "similar_to_seed"),
        ("A question of the test set that stays unseen!", "similar_to_test"),
        ("", "empty_question"),
        ("x" * 200, "too_long"),
    ],
)
def test_what_is_not_new_or_not_valid_is_rejected_with_the_reason(run, question, reason):
    author = Author()

    def script(request):
        rows = author(request)
        rows["examples"].append({"question": question, "answer": asked_for(request)[0]})
        return rows

    dataset, client = run(script, validation_max_total_length=150)
    assert dataset.rejections()[reason] == len(client.asked)
    assert len(dataset.accepted) == 30


def test_rows_that_repeat_an_accepted_one_are_rejected(run):
    author = Author()

    def script(request):
        rows = author(request)
        return {"examples": [*rows["examples"], *rows["examples"]]}

    dataset, _ = run(script)
    assert dataset.rejections()["similar_to_accepted"] == 30
    assert "synthetic:" in dataset.rejected[0].detail


def test_a_class_that_was_not_asked_for_is_rejected(run):
    author = Author()

    def script(request):
        label, _ = asked_for(request)
        wrong = {
            "question": sentence(f"wrong{next(author._numbers)}"),
            "answer": "garden" if label != "garden" else "bills",
        }
        return {"examples": [wrong, *author(request)["examples"]]}

    dataset, client = run(script)
    assert dataset.rejections() == {"class_not_asked_for": len(client.asked)}


def test_rows_beyond_the_target_are_kept_aside(run):
    author = Author()

    def script(request):
        label, _ = asked_for(request)
        return {"examples": [{"question": sentence(next(author._numbers)), "answer": label} for _ in range(20)]}

    dataset, _ = run(script)
    assert len(dataset.accepted) == 30
    assert set(dataset.rejections()) == {"beyond_target"}


def test_a_teacher_that_brings_nothing_new_ends_the_loop_with_the_reason(run):
    dataset, _ = run(
        lambda request: {"examples": [{"question": "always the same thing", "answer": asked_for(request)[0]}]}
    )
    assert len(dataset.accepted) == 1
    assert "3 iterations in a row brought nothing new for" in dataset.stopped
    assert "10 more parcels" in dataset.stopped or "10 more bills" in dataset.stopped


def test_calls_that_fail_are_counted_and_end_the_loop_when_they_go_on(run):
    dataset, _ = run(lambda _: Failed("timeout", "too slow", "key"))
    assert dataset.accepted == []
    assert set(dataset.rejections()) == {"call_failed"}
    assert dataset.iterations == 3


def test_equal_seeds_ask_the_same_and_other_seeds_do_not(run):
    asked = [[request.messages[0]["content"] for request in run(Author(), seed=seed)[1].asked] for seed in (1, 1, 2)]
    assert asked[0] == asked[1] != asked[2]


def test_every_row_says_where_it_came_from(run):
    dataset, _ = run(Author())
    row = dataset.accepted[0]
    assert row.request_key
    assert len(row.exemplars) == 6
    assert row.guidelines[0][0] == "complexity"
    assert row.as_example().source == "synthetic:1"
