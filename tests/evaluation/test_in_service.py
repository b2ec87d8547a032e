import pytest
from hypothesis import given
from hypothesis import strategies as st

from distil_dagster.errors import DistilError
from distil_dagster.evaluation.in_service import Contest, InService, ServiceEntry, decide


def entry(version: str, action: str = "promoted") -> ServiceEntry:
    return ServiceEntry(at="2026-01-01T00:00:00+00:00", version=version, action=action, reason="because")


def pointer(*entries: ServiceEntry) -> InService:
    held = InService([])
    for one in entries:
        held = held.after(one)
    return held


def contest(new, **others) -> Contest:
    return Contest("accuracy", True, new, **others)


def test_the_first_student_goes_into_service_where_nothing_is_known_of_an_original():
    decision = decide(contest([1.0, 0.0]))
    assert decision.promoted
    assert decision.reason == "the first student in service"
    assert decision.score == 0.5


def test_a_student_below_the_original_model_is_refused_and_the_figures_say_why():
    decision = decide(contest([1.0] * 6 + [0.0] * 4, original=[1.0] * 8 + [0.0] * 2))
    assert not decision.promoted
    assert decision.reason == "accuracy is 0.200 lower than that of the original model on 10 rows (p 0.5)"


def test_a_student_below_the_one_in_service_is_refused_even_where_it_beats_the_original():
    decision = decide(contest([1.0, 1.0, 0.0], served=[1.0, 1.0, 1.0], original=[0.0, 0.0, 0.0]))
    assert not decision.promoted
    assert "the student in service" in decision.reason


def test_a_student_that_is_as_good_as_the_one_in_service_takes_its_place():
    assert decide(contest([1.0, 0.0], served=[0.0, 1.0], original=[0.0, 1.0])).promoted


def test_a_student_without_any_score_is_refused():
    assert decide(contest([None, None])).reason == "accuracy is known on 0 of 2 rows, too few to decide"
    assert not decide(contest([None, None])).promoted


def test_rows_that_lack_a_score_count_for_neither_side_nor_in_the_means():
    decision = decide(contest([1.0] * 10 + [None, 0.0], served=[1.0] * 10 + [1.0, None]))
    assert decision.promoted
    assert (decision.rows, decision.score, decision.before) == (10, 1.0, 1.0)


@pytest.mark.parametrize("served", [[None] * 30, [1.0] + [None] * 29])
def test_where_too_few_rows_have_both_scores_nothing_is_promoted(served):
    decision = decide(contest([1.0] * 30, served=served))
    assert not decision.promoted
    assert "of 30 rows, too few to decide" in decision.reason


def test_rows_that_the_one_in_service_learned_do_not_count():
    scores = [0.0] * 5 + [1.0] * 15
    held = contest(scores, served=[1.0] * 20)
    assert not decide(held).promoted
    assert decide(held.without(range(5))).promoted


def test_where_too_few_rows_would_be_left_all_count():
    held = contest([0.0] * 11, served=[1.0] * 11)
    assert held.without(range(5)) is held


@given(st.lists(st.sampled_from([0.0, 1.0, None]), min_size=1, max_size=30))
def test_no_student_is_refused_for_what_it_does_as_well_as_the_one_in_service(scores):
    known = sum(score is not None for score in scores)
    enough = known >= max(1, min(10, len(scores)), len(scores) / 2)
    assert decide(contest(scores, served=scores, original=scores)).promoted == enough


def test_a_refusal_leaves_the_pointer_where_it_is_and_is_remembered():
    held = pointer(entry("a"), entry("b", "refused"))
    assert held.current == "a"
    assert [one.version for one in held.history] == ["a", "b"]


def test_a_rollback_goes_to_the_one_in_service_before():
    held = pointer(entry("a"), entry("b"), entry("c", "refused"))
    assert held.served_before() == "a"


def test_a_second_rollback_goes_on_to_the_one_before_that():
    held = pointer(entry("a"), entry("b"), entry("c"), entry("b", "rolled back"))
    assert held.current == "b"
    assert held.served_before() == "a"


def test_a_rollback_that_was_a_mistake_can_itself_be_taken_back():
    held = pointer(entry("a"), entry("b"), entry("a", "rolled back"), entry("b", "rolled back"))
    assert held.current == "b"
    assert not held.was_withdrawn("a")
    assert held.served_before() == "a"


def test_there_is_nothing_to_roll_back_to_before_the_second_student():
    with pytest.raises(DistilError, match="no other student was in service"):
        pointer(entry("a")).served_before()


def test_a_student_that_was_rolled_back_from_is_withdrawn_until_a_rollback_to_it():
    held = pointer(entry("a"), entry("b"), entry("a", "rolled back"))
    assert held.was_withdrawn("b")
    assert not held.was_withdrawn("a")
    assert not held.after(entry("b", "rolled back")).was_withdrawn("b")
