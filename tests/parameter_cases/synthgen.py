"""What the parameters of `synthgen` change."""

from collections import Counter
from itertools import chain
from math import ceil

import pytest
from small_jobs import LIGHTHOUSES
from small_runs import Outcome, Runs

from distil_dagster.errors import ConfigError
from distil_dagster.synthesis.mutators import VALUES
from parameter_cases.registry import Cases

cases = Cases()


def _counts_asked(outcome: Outcome) -> list[int]:
    return [int(count) for request in outcome.asked("synthesis") for count in request.blocks("count")]


def _blocks_shown(runs: Runs, tag: str, job: str = "letters", **settings: object) -> list[int]:
    """How many blocks of a tag each generation request has."""
    return [len(request.blocks(tag)) for request in runs(job, "synthetic", synthgen=settings).asked("synthesis")]


@cases("generation_target")
def so_many_examples_come_out(runs: Runs) -> None:
    for target in (5, 12):
        dataset = runs("letters", "synthetic", synthgen={"generation_target": target}).synthetic
        assert len(dataset.accepted) == dataset.target == target
        assert not dataset.stopped


@cases("generation_in_single_call")
def a_request_asks_for_so_many_examples(runs: Runs) -> None:
    for count in (1, 4):
        outcome = runs("letters", "synthetic", synthgen={"generation_in_single_call": count})
        assert max(_counts_asked(outcome)) == count


@cases("generation_iteration_size")
def an_iteration_asks_for_so_many_examples(runs: Runs) -> None:
    for size in (5, 12):
        dataset = runs("letters", "synthetic", synthgen={"generation_iteration_size": size}).synthetic
        made = Counter(row.iteration for row in chain(dataset.accepted, dataset.rejected))
        assert max(made.values()) == made[1] == size
        assert dataset.iterations >= ceil(dataset.target / size)


@cases("generation_per_unstructured_context")
def closed_book_examples_are_counted_by_context(runs: Runs) -> None:
    for count in (1, 2):
        outcome = runs("knowledge", "synthetic", synthgen={"generation_per_unstructured_context": count})
        assert len(outcome.synthetic.accepted) == outcome.synthetic.target == count * len(LIGHTHOUSES)
        written = Counter(row.context_source for row in outcome.synthetic.accepted)
        assert written == {row.source: count for row in outcome.seeds.unstructured}
    by_target = runs("knowledge", "synthetic", synthgen={"generation_per_unstructured_context": None})
    assert len(by_target.synthetic.accepted) == 12


@cases("num_positive_exemplars_per_generation")
def a_request_shows_so_many_seeds_of_what_it_asks_for(runs: Runs) -> None:
    for count in (0, 1, 2):
        for job in ("uneven letters", "receipts", "passages"):
            assert set(_blocks_shown(runs, "example", job, num_positive_exemplars_per_generation=count)) == {count}
    for request in runs("letters", "synthetic").asked("synthesis"):
        (asked_for,) = request.blocks("class")
        assert all(f'"{asked_for}"' in shown for shown in request.blocks("example"))


@cases("num_negative_exemplars_per_generation")
def a_request_shows_so_many_seeds_of_other_classes(runs: Runs) -> None:
    for count in (0, 1, 3):
        assert set(_blocks_shown(runs, "counter_example", num_negative_exemplars_per_generation=count)) == {count}
    for request in runs("letters", "synthetic").asked("synthesis"):
        (asked_for,) = request.blocks("class")
        assert not any(f'"{asked_for}"' in shown for shown in request.blocks("counter_example"))
    assert set(_blocks_shown(runs, "counter_example", "receipts", num_negative_exemplars_per_generation=2)) == {0}


@cases("num_unlabelled_exemplars_per_generation")
def a_request_shows_so_many_unstructured_contexts(runs: Runs) -> None:
    for count in (0, 1, 3):
        for job in ("letters", "requests", "passages", "knowledge"):
            assert set(_blocks_shown(runs, "unlabelled", job, num_unlabelled_exemplars_per_generation=count)) == {count}


@cases("validation_max_total_length")
def longer_examples_are_rejected(runs: Runs) -> None:
    longest = 110
    everything = runs("uneven letters", "synthetic").synthetic
    assert max(map(_length, everything.accepted)) > longest
    assert "too_long" not in everything.rejections()
    short = runs("uneven letters", "synthetic", synthgen={"validation_max_total_length": longest}).synthetic
    assert "too_long" in short.rejections()
    assert max(map(_length, short.accepted)) <= longest


def _length(row) -> int:
    return sum(len(message.content) for message in row.messages)


@cases("validation_similarity_threshold")
def examples_more_alike_than_this_are_rejected(runs: Runs) -> None:
    assert not _rejected_for_likeness(runs, 1.0)
    strict, mild = _rejected_for_likeness(runs, 0.3), _rejected_for_likeness(runs, 0.7)
    assert strict["similar_to_seed"] > mild["similar_to_seed"]
    assert strict.total() > mild.total()


def _rejected_for_likeness(runs: Runs, threshold: float) -> Counter[str]:
    dataset = runs("letters", "synthetic", synthgen={"validation_similarity_threshold": threshold}).synthetic
    return Counter(row.reason for row in dataset.rejected if row.reason.startswith("similar_to"))


@cases("teacher_temperature")
def the_teacher_writes_examples_at_this_temperature(runs: Runs) -> None:
    for temperature in (0.5, 0.7):
        outcome = runs("letters", "synthetic", synthgen={"teacher_temperature": temperature})
        assert {request.body["temperature"] for request in outcome.asked("synthesis")} == {temperature}
    with pytest.raises(ConfigError, match=r"synthgen\.teacher_temperature"):
        runs("letters", "traces", synthgen={"teacher_temperature": 0.2})
    plain = {"teacher_model_name": "Qwen3-235B-A22B-Instruct-2507"}
    outcome = runs("letters", "synthetic", base=plain, synthgen={"teacher_temperature": 0.2})
    assert {request.body["temperature"] for request in outcome.asked("synthesis")} == {0.2}


@cases("teacher_max_tokens")
def the_teacher_writes_no_more_tokens_at_once(runs: Runs) -> None:
    for tokens in (5, 32000):
        outcome = runs("letters", "synthetic", synthgen={"teacher_max_tokens": tokens})
        assert {request.body["max_tokens"] for request in outcome.asked("synthesis")} == {tokens}
    cut = runs("letters", "synthetic", synthgen={"teacher_max_tokens": 5}).synthetic
    assert not cut.accepted
    assert {(row.reason, row.detail.partition(":")[0]) for row in cut.rejected} == {("call_failed", "truncated")}


@cases("match_generated_distribution_to_seed")
def classes_come_as_often_as_in_the_seeds_or_equally_often(runs: Runs) -> None:
    def classes(matched: bool) -> dict[str, int]:
        settings = {"generation_target": 20, "match_generated_distribution_to_seed": matched}
        outcome = runs("uneven letters", "synthetic", synthgen=settings)
        return dict(Counter(row.as_example().answer for row in outcome.synthetic.accepted))

    assert classes(matched=True) == {"bills": 12, "parcels": 6, "garden": 2}
    assert sorted(classes(matched=False).values()) == [6, 7, 7]


@cases("num_distractor_context_blocks")
def so_many_other_contexts_stand_beside_the_right_one(runs: Runs) -> None:
    for count in (0, 2):
        outcome = runs("passages", "synthetic", synthgen={"num_distractor_context_blocks": count})
        passages = {row.source: row.text for row in outcome.seeds.unstructured}
        for row in outcome.synthetic.accepted:
            assert passages[row.context_source] in row.context
            assert sum(passage in row.context for passage in set(passages.values())) == count + 1
            assert len(row.distractors) == count


@cases("output_is_json")
def answers_that_are_no_json_are_rejected(runs: Runs) -> None:
    any_text = runs("receipts", "synthetic", synthgen={"output_is_json": False}).synthetic
    assert {row.as_example().answer.startswith("{") for row in any_text.accepted} == {True, False}
    assert "not_json" not in any_text.rejections()
    strict = runs("receipts", "synthetic", synthgen={"output_is_json": True}).synthetic
    assert all(row.as_example().answer.startswith("{") for row in strict.accepted)
    assert "not_json" in strict.rejections()


@cases("basic_mutators_to_use")
def examples_are_varied_by_these_mutators(runs: Runs) -> None:
    for mutators in ([], ["complexity"], ["length", "specificity"]):
        outcome = runs("letters", "synthetic", synthgen={"basic_mutators_to_use": mutators})
        for row in outcome.synthetic.accepted:
            assert [name for name, _ in row.guidelines] == mutators
            assert all(value in VALUES[name] for name, value in row.guidelines)
        guidelines = [request.blocks("guidelines")[-1] for request in outcome.asked("synthesis")]
        for name in VALUES:
            assert all((f"- {name}:" in text) == (name in mutators) for text in guidelines)


@cases("mutation_topics")
def a_topic_of_each_list_is_drawn_for_each_request(runs: Runs) -> None:
    assert _topics(runs, []) == {()}
    assert _topics(runs, ["moving house", "holidays"]) <= {("moving house",), ("holidays",)}
    assert _topics(runs, [["moving house"], ["rain", "snow"]]) <= {("moving house", "rain"), ("moving house", "snow")}


def _topics(runs: Runs, topics: list) -> set[tuple[str, ...]]:
    outcome = runs("letters", "synthetic", synthgen={"mutation_topics": topics})
    for request in outcome.asked("synthesis"):
        assert request.blocks("guidelines")[-1].count("- topic:") == (isinstance(topics[0], list) + 1 if topics else 0)
    return {tuple(value for name, value in row.guidelines if name == "topic") for row in outcome.synthetic.accepted}
