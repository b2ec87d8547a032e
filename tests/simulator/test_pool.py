from random import Random

from distil_dagster.simulator.knowledge import Wanted
from distil_dagster.simulator.known import Known
from distil_dagster.simulator.pool import drawn, fresh, unseen
from distil_dagster.simulator.turns import Turn

POOL = [Known((Turn("user", f"Question {number}"), Turn("assistant", "a")), ("a",)) for number in range(4)]


def wanted(count, *shown):
    return Wanted(count, shown=frozenset(shown))


def test_each_is_drawn_once_before_one_is_drawn_again():
    assert sorted(known.question for known in drawn(POOL, wanted(4), Random(1))) == [k.question for k in POOL]
    assert len(drawn(POOL, wanted(9), Random(1))) == 9


def test_what_the_request_shows_is_drawn_only_where_it_shows_all():
    assert unseen(POOL, wanted(1, "question 0", "question 3")) == POOL[1:3]
    assert unseen(POOL, wanted(1, *(f"question {number}" for number in range(4)))) == POOL


def test_nothing_is_drawn_from_nothing():
    assert drawn([], wanted(3), Random(1)) == []


def test_fresh_ones_are_none_of_the_held_out_and_no_repetitions():
    again = Known((Turn("user", "QUESTION 1"), Turn("assistant", "b")), ("b",))
    assert fresh([*POOL, again], [POOL[2]]) == [POOL[0], POOL[1], POOL[3]]
