"""What the parameters of `trace_processing` change."""

from collections import Counter
from math import ceil

import pytest
from small_jobs import LONG_DESCRIPTION, read_lines
from small_runs import Outcome, Runs

from distil_dagster.errors import DataError
from distil_dagster.simulator.options import Options
from distil_dagster.traces.ingest import SplitTrace
from parameter_cases.registry import Cases

cases = Cases()

COMMITTEE = ["openai.gpt-oss-20b", "deepseek.v3.1"]
AS_LOGGED = {"relabel": False, "relevance_filtering": False}
ONE_ERRS = Options(error_rates={"deepseek.v3.1": 0.5})


def _gold(runs: Runs, key: str) -> dict[int, str]:
    """What is known of each line of the letters."""
    return {row["line"]: row[key] for row in read_lines(runs.jobs["letters"].folder / "gold.jsonl")}


def _kept(runs: Runs, **settings: object) -> Counter[str]:
    """How many traces of each noise pass the filter."""
    noise = _gold(runs, "noise")
    rows = runs("letters", "filtered", trace_processing={"num_traces_as_training_base": 60, **settings}).filtered.rows
    return Counter(noise[row.line] for row in rows if row.kept)


@cases("relabel")
def answers_are_given_anew_or_stay_as_logged(runs: Runs) -> None:
    changed = runs("letters", "relabelled", trace_processing={"relabel": True})
    right = _gold(runs, "answer")
    assert all(row.answer == right[row.line] for row in changed.relabelled.rows)
    assert any(row.answer != row.logged_answer for row in changed.relabelled.rows)
    assert changed.asked("relabelling")
    logged = runs("letters", "relabelled", trace_processing={"relabel": False})
    assert all(row.answer == row.logged_answer for row in logged.relabelled.rows)
    assert not logged.asked("relabelling")


@cases("relevance_filtering")
def traces_are_scored_and_dropped_or_all_go_on(runs: Runs) -> None:
    assert not _kept(runs, relevance_filtering=True)["irrelevant"]
    assert _kept(runs, relevance_filtering=False)["irrelevant"]
    unscored = runs("letters", "filtered", trace_processing={"relevance_filtering": False})
    assert all(row.kept for row in unscored.filtered.rows)
    assert not unscored.requests


@cases("relevance_filtering_batch_size")
def so_many_traces_are_scored_in_one_request(runs: Runs) -> None:
    for size in (1, 7):
        outcome = runs("letters", "filtered", trace_processing={"relevance_filtering_batch_size": size})
        asked = outcome.asked("relevance filter")
        assert len(asked) == ceil(len(outcome.filtered.rows) / size)
        assert max(len(request.blocks("trace")) for request in asked) == size


@cases("min_relevance_score")
def traces_of_lower_relevance_are_dropped(runs: Runs) -> None:
    assert not _kept(runs, min_relevance_score=4)["irrelevant"]
    assert not _kept(runs, min_relevance_score=2)["irrelevant"]
    assert _kept(runs, min_relevance_score=1)["irrelevant"]


@cases("min_coherence_score")
def traces_of_lower_coherence_are_dropped(runs: Runs) -> None:
    assert _kept(runs, min_coherence_score=4)["wrong_label"]
    strict = _kept(runs, min_coherence_score=5)
    assert not strict["wrong_label"]
    assert strict["clean"] == _kept(runs, min_coherence_score=4)["clean"]


@cases("num_traces_as_training_base")
def so_many_traces_become_training_seeds_and_the_rest_is_unstructured(runs: Runs) -> None:
    for count in (5, 12):
        traces = runs("letters", "traces", trace_processing={"num_traces_as_training_base": count}).traces
        assert len(traces.part("train")) == count
        assert len(traces.part("unstructured")) == len(traces.rows) - len(traces.part("test")) - count


@cases("num_traces_as_testing_base")
def so_many_traces_become_test_seeds_unless_a_test_set_is_given(runs: Runs) -> None:
    for count in (4, 8):
        settings = {"num_traces_as_testing_base": count}
        traces = runs("letters", "traces", trace_processing=settings).traces
        assert len(traces.part("test")) == count
        assert len(traces.part("unstructured")) == len(traces.rows) - len(traces.part("train")) - count
        assert not runs("uneven letters", "traces", trace_processing=settings).traces.part("test")


@cases("min_generated_examples")
def fewer_examples_stop_the_run(runs: Runs) -> None:
    made = runs("letters", "relabelled", trace_processing={"min_generated_examples": 2}).relabelled
    fewest = min(made.count("train"), made.count("test"))
    runs("letters", "relabelled", trace_processing={"min_generated_examples": fewest})
    with pytest.raises(DataError, match=f"min_generated_examples = {fewest + 1}"):
        runs("letters", "relabelled", trace_processing={"min_generated_examples": fewest + 1})


@cases("max_unstructured")
def no_more_unstructured_texts_are_taken_over(runs: Runs) -> None:
    for most in (0, 6):
        for job in ("letters", "passages"):
            outcome = runs(job, "seeds", trace_processing={"max_unstructured": most})
            assert len(outcome.seeds.unstructured) == most
    assert len(runs("letters", "seeds").seeds.unstructured) > 6


@cases("observation_format")
def each_format_reads_its_own_file(runs: Runs) -> None:
    said = {row.line: _said(row) for row in runs("openai_messages", "traces").traces.rows}
    for name in ("langfuse", "unstructured_with_openai_messages"):
        assert {row.line: _said(row) for row in runs(name, "traces").traces.rows} == said
        wrong = runs(name, "traces", trace_processing={"observation_format": "openai_messages"}).traces
        assert not wrong.rows
        assert {row.reason for row in wrong.set_aside} == {"wrong_format"}
    _images_are_read_where_the_format_has_them(runs)
    _conversations_are_contexts_where_the_format_says_so(runs)


def _images_are_read_where_the_format_has_them(runs: Runs) -> None:
    job = "openai_messages_with_images"
    without = runs(job, "traces", trace_processing={"observation_format": "openai_messages"}).traces
    illustrated = {row.line for row in without.set_aside if row.reason == "image_in_text_format"}
    assert illustrated
    every_text = {"num_unlabelled_exemplars_per_generation": 100}
    seen = runs(job, "synthetic", base={"teacher_model_name": "moonshotai.kimi-k2.5"}, synthgen=every_text)
    assert {row.line for row in seen.traces.part("unstructured") if row.images} == illustrated
    shown = [str(request.messages).count("image_url") > 0 for request in seen.asked("synthesis")]
    assert shown
    assert all(shown)


def _conversations_are_contexts_where_the_format_says_so(runs: Runs) -> None:
    plain = runs("openai_messages", "seeds", trace_processing=AS_LOGGED)
    assert not any("Assistant:" in row.text for row in plain.seeds.unstructured)
    held = runs("unstructured_with_openai_messages", "seeds", trace_processing=AS_LOGGED)
    assert all("Assistant:" in row.text for row in held.seeds.unstructured)
    seeds = {row.source for row in held.traces.part("train")}
    assert seeds <= {row.source for row in held.seeds.unstructured}
    assert seeds == {row.source for row in plain.traces.part("train")}


def _said(trace: SplitTrace) -> list[tuple[str, str]]:
    return [(message.role, message.content) for message in trace.messages]


@cases("remove_system_prompt_from_traces")
def the_logged_system_prompt_is_stripped_or_reaches_the_student(runs: Runs) -> None:
    stripped = runs("letters", "seeds", trace_processing={"remove_system_prompt_from_traces": True})
    kept = runs("letters", "seeds", trace_processing={"remove_system_prompt_from_traces": False})
    for outcome, starts in ((stripped, "user"), (kept, "system")):
        assert {example.messages[0].role for example in outcome.seeds.train} == {starts}
        system = outcome.job.task.prompt(outcome.seeds.train[0])[0]["content"]
        assert ("You sort letters." in system) == (starts == "system")
    for removed in (True, False):
        settings = {**AS_LOGGED, "remove_system_prompt_from_traces": removed}
        outcome = runs("unstructured_with_openai_messages", "seeds", trace_processing=settings)
        assert {"You sort letters." in row.text for row in outcome.seeds.unstructured} == {not removed}


@cases("compress_job_description")
def traces_are_scored_against_a_shorter_description(runs: Runs) -> None:
    def described(compressed: bool) -> Outcome:
        settings = {"compress_job_description": compressed, "num_traces_as_training_base": 16}
        return runs("uneven letters", "relabelled", trace_processing=settings)

    whole, short = described(False), described(True)
    assert whole.asked("relevance filter", "trace_scores")
    assert not whole.asked("relevance filter", "compressed_job_description")
    assert len(short.asked("relevance filter", "compressed_job_description")) == 1
    assert all(LONG_DESCRIPTION in request.prompt for request in whole.asked("relevance filter", "trace_scores"))
    assert not any(LONG_DESCRIPTION in request.prompt for request in short.asked("relevance filter", "trace_scores"))
    assert all(LONG_DESCRIPTION in request.prompt for request in short.asked("relabelling"))


@cases("teacher_model_name")
def the_named_model_scores_the_traces_and_decides_between_answers(runs: Runs) -> None:
    for name in ("zai.glm-5", "Qwen3-480B-A35B-Coder"):
        settings = {"teacher_model_name": name, "relabelling_committee_models": COMMITTEE}
        outcome = runs("letters", "relabelled", options=ONE_ERRS, trace_processing=settings)
        assert {request.model for request in outcome.asked("relevance filter")} == {name}
        assert {request.model for request in outcome.asked("relabelling", "aggregated_answer")} == {name}


@cases("relabelling_committee_models")
def every_member_proposes_an_answer_and_without_members_the_teacher_does(runs: Runs) -> None:
    for members in ([], COMMITTEE[:1], COMMITTEE):
        settings = {"relabelling_committee_models": members}
        outcome = runs("letters", "relabelled", options=ONE_ERRS, trace_processing=settings)
        voters = members or ["zai.glm-5"]
        assert all([vote.model for vote in row.votes] == voters for row in outcome.relabelled.rows)
        assert {request.model for request in outcome.asked("relabelling", "answer")} == set(voters)
        assert bool(outcome.asked("relabelling", "aggregated_answer")) == (len(members) > 1)


@cases("convert_to_single_turn")
def a_conversation_is_cut_into_exchanges_or_stays_whole(runs: Runs) -> None:
    assert _examples_a_trace(runs, "letters in pairs", None) == {2}
    assert _examples_a_trace(runs, "letters in pairs", True) == {2}
    assert _examples_a_trace(runs, "letters in pairs", False) == {1}
    assert _examples_a_trace(runs, "conversations", None) == {1}
    assert _examples_a_trace(runs, "conversations", True) == {2, 3, 4}
    assert _examples_a_trace(runs, "conversations", False) == {1}


def _examples_a_trace(runs: Runs, job: str, single_turn: bool | None) -> set[int]:
    outcome = runs(job, "relabelled", trace_processing={**AS_LOGGED, "convert_to_single_turn": single_turn})
    return set(Counter(row.line for row in outcome.relabelled.rows).values())
