import re

import pytest
from synthesis.teachers import Author, asked_for, example, row, text_of

from distil_dagster.config.sections import Synthgen
from distil_dagster.llm.requests import Failed
from distil_dagster.synthesis.loop import generate
from distil_dagster.traces.seeds import SeedData


@pytest.fixture
def seeds():
    train = [
        example(f"seed {label} {number}", label, f"train.jsonl:{number}")
        for label in ("bills", "parcels", "garden")
        for number in range(4)
    ]
    test = [example("a question of the test set that stays unseen", "bills", "test.jsonl:1")]
    return SeedData(train, test, [row(f"unlabelled {number}", number) for number in range(5)], [], [])


@pytest.fixture
def run(task, scripted, seeds):
    def generated(script, seed=1, **settings):
        client = scripted(script)
        values = {"generation_target": 30, "generation_iteration_size": 12} | settings
        return generate(seeds, task, Synthgen(**values), client, teacher="openai.gpt-oss-120b", seed=seed), client

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
        prompt = text_of(request)
        shown = re.findall(r"<example>\n(.*)\n</example>", prompt)
        assert len(shown) == 3
        assert all(f'"answer": "{label}"' in line for line in shown)
        (other,) = re.findall(r"<counter_example>\n(.*)\n</counter_example>", prompt)
        assert f'"answer": "{label}"' not in other
        assert prompt.count("<unlabelled>") == 4


def test_test_rows_are_never_shown(run):
    _, client = run(Author())
    assert not any("stays unseen" in text_of(request) for request in client.asked)


def test_mutators_and_topics_stand_in_the_guidelines(run):
    _, client = run(
        Author(), basic_mutators_to_use=["length", "specificity"], mutation_topics=[["snow"], ["rain", "sun"]]
    )
    for request in client.asked:
        guidelines = text_of(request).split("<guidelines>")[1]
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
        wrong = author.row("garden" if label != "garden" else "bills")
        return {"examples": [wrong, *author(request)["examples"]]}

    dataset, client = run(script)
    assert dataset.rejections() == {"label_not_asked_for": len(client.asked)}
    assert re.fullmatch(r"(garden|bills) where (bills|parcels|garden) was asked for", dataset.rejected[0].detail)


def test_rows_beyond_the_target_are_kept_aside(run):
    author = Author()

    def script(request):
        return {"examples": [author.row(asked_for(request)[0]) for _ in range(20)]}

    dataset, _ = run(script)
    assert len(dataset.accepted) == 30
    assert set(dataset.rejections()) == {"beyond_target"}


def test_a_teacher_that_brings_nothing_new_ends_the_loop_with_the_reason(run):
    dataset, _ = run(
        lambda request: {"examples": [{"question": "always the same thing", "answer": asked_for(request)[0]}]}
    )
    assert len(dataset.accepted) == 1
    assert dataset.stopped.startswith("29 of 30 examples are missing: 3 iterations in a row brought nothing new for")
    assert "parcels (10 missing)" in dataset.stopped or "bills (10 missing)" in dataset.stopped


def test_calls_that_fail_are_counted_and_end_the_loop_when_they_go_on(run):
    dataset, _ = run(lambda _: Failed("timeout", "too slow", "key"))
    assert dataset.accepted == []
    assert set(dataset.rejections()) == {"call_failed"}
    assert dataset.iterations == 3


def test_equal_seeds_ask_the_same_and_other_seeds_do_not(run):
    asked = [[text_of(request) for request in run(Author(), seed=seed)[1].asked] for seed in (1, 1, 2)]
    assert asked[0] == asked[1] != asked[2]


def test_every_row_says_where_it_came_from(run):
    dataset, _ = run(Author())
    row = dataset.accepted[0]
    assert row.request_key
    assert len(row.exemplars) == 6
    assert row.guidelines[0][0] == "complexity"
    assert row.as_example().source == "synthetic:1"


def test_a_row_close_to_a_test_row_and_to_a_seed_counts_as_close_to_the_test_row(run, seeds):
    author = Author()
    seeds.test.append(example("seed bills 0 or so", "bills", "test.jsonl:2"))

    def script(request):
        rows = author(request)
        rows["examples"].append({"question": "seed bills 0", "answer": asked_for(request)[0]})
        return rows

    dataset, client = run(script, validation_similarity_threshold=0.7)
    assert dataset.rejections() == {"similar_to_test": len(client.asked)}
    assert {rejected.detail for rejected in dataset.rejected} == {"ROUGE-L 0.750 to test.jsonl:2"}


def test_a_repeated_question_is_asked_anew(run):
    _, client = run(lambda _: {"examples": []}, num_unlabelled_exemplars_per_generation=0, basic_mutators_to_use=[])
    samples = [request.sample for request in client.asked]
    assert samples == list(range(len(samples)))


class Journalled:
    """Keeps what an author answered, as the journal does, and is killed at a given answer."""

    def __init__(self, author, kill_at=None):
        self.author, self.kept, self.bought, self.kill_at = author, {}, 0, kill_at

    def __call__(self, request):
        key = (text_of(request), request.sample)
        if key not in self.kept:
            if self.bought == self.kill_at:
                raise KeyboardInterrupt
            self.bought += 1
            self.kept[key] = self.author(request)
        return self.kept[key]


def test_a_killed_run_asks_the_same_again_and_ends_the_same(run):
    whole, _ = run(Author())
    teacher = Journalled(Author(), kill_at=7)
    with pytest.raises(KeyboardInterrupt):
        run(teacher)
    teacher.kill_at = None
    again, client = run(teacher)
    assert [each.messages for each in again.accepted] == [each.messages for each in whole.accepted]
    assert teacher.bought == len(client.asked)


def test_quotas_are_balanced_over_the_tools(boat_task, boat_hire, scripted):
    author = Author()

    def script(request):
        tool = re.search(r"<tool>(.*)</tool>", text_of(request))[1]
        find = {"name": "find_boat", "parameters": {"seats": 4}}
        hire = {"name": "hire_boat", "parameters": {"boat": "Heron", "hours": 2}}
        calls = [find] if tool == "find_boat" else [find, hire]
        said = [author.row("")["question"] for _ in calls]
        turns = [{"role": "user", "content": text, "call": call} for text, call in zip(said, calls, strict=True)]
        return {"examples": [{"turns": turns}, {"turns": turns[:1]}]}

    seeds = SeedData([boat_hire(3)], [boat_hire(5)], [], [], [])
    settings = Synthgen(generation_target=8, generation_in_single_call=1)
    dataset = generate(seeds, boat_task, settings, scripted(script), teacher="zai.glm-5", seed=1)
    assert dataset.labels() == {"find_boat": 4, "hire_boat": 4}
    wrong = {rejected.detail for rejected in dataset.rejected if rejected.reason == "label_not_asked_for"}
    assert wrong == {"find_boat where hire_boat was asked for"}


def test_images_beside_unlabelled_texts_go_with_the_request(run, seeds):
    seeds.unstructured[:] = [row("", 1, images=("http://a/1.png", "data:image/png;base64,AAAA")), row("only words", 2)]
    _, client = run(Author())
    (content,) = {repr(request.messages[0]["content"][1:]) for request in client.asked}
    assert content == repr(
        [
            {"type": "image_url", "image_url": {"url": "http://a/1.png"}},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
        ]
    )
    prompt = client.asked[0].messages[0]["content"][0]
    assert prompt["type"] == "text"
    assert prompt["text"].count("<unlabelled>") == 1
