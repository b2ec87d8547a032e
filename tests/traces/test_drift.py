from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from traces.drifting import LETTERS, letters, traces

from distil_dagster.config.pipeline import DataSettings
from distil_dagster.config.sections import TraceProcessing
from distil_dagster.data.job import read_job_description
from distil_dagster.data.store import ArtefactStore
from distil_dagster.tasks.classification import Classification
from distil_dagster.tasks.question_answering import QuestionAnswering
from distil_dagster.traces.drift import Drift, drift_between, worth_it
from distil_dagster.traces.ingest import Traces, ingest_traces

EXAMPLE = Path(__file__).parents[2] / "examples" / "ticket_routing"
DEFAULTS = DataSettings()
TESTS = ["text", "labels", "length", "unreadable"]


@pytest.fixture
def drift(task):
    def between(old, new, unreadable=(0, 0), data=DEFAULTS, seed=0) -> Drift:
        before, now = traces(old, unreadable[0]), traces(new, unreadable[1])
        return drift_between(before, now, task, data, seed=seed)

    return between


@pytest.fixture(scope="module")
def tickets():
    """The example's task and its traces, as ingestion gives them."""
    task = Classification(read_job_description(EXAMPLE))
    found = ingest_traces(EXAMPLE / "traces.jsonl", task, TraceProcessing(), max_total_length=10_000, seed=0)
    return task, found.rows


def verdicts(found: Drift) -> dict[str, str]:
    return {test.name: test.verdict for test in found.tests}


def test_random_parts_of_one_file_hardly_ever_drift(tickets):
    task, rows = tickets
    alarms = 0
    for seed in range(60):
        drawn = Random(seed).sample(rows, 200)
        new = 100 if seed % 2 else 50
        found = drift_between(Traces(drawn[new:], []), Traces(drawn[:new], []), task, DEFAULTS, seed=seed)
        assert found.decided
        alarms += found.drifted
    assert alarms <= 3


def test_a_class_that_is_new_is_drift_and_named(drift):
    found = drift(letters(1, 150, {"bills": 1, "parcels": 1}), letters(2, 60))
    assert verdicts(found)["labels"] == "drift"
    assert "Never seen before: `garden`" in found.tests[1].sentence
    assert found.tests[1].telling[0] == "garden"


def test_another_mix_of_classes_is_drift(drift):
    found = drift(letters(1, 200), letters(2, 100, {"bills": 8, "parcels": 1, "garden": 1}))
    assert verdicts(found)["labels"] == "drift"


def test_longer_texts_are_drift(drift):
    new = [(f"{text} {text}" if n % 2 else text, label) for n, (text, label) in enumerate(letters(2, 100))]
    assert verdicts(drift(letters(1, 200), new))["length"] == "drift"


def test_another_language_is_drift_of_the_text(drift):
    german = [(text.replace("the", "das").replace("is", "ist"), label) for text, label in letters(2, 100)]
    assert verdicts(drift(letters(1, 200), german))["text"] == "drift"


def test_lines_that_became_unreadable_are_drift_and_nothing_else_is(drift):
    found = drift(letters(1, 200), letters(2, 100), unreadable=(2, 40))
    assert verdicts(found) == {"text": "no_drift", "labels": "no_drift", "length": "no_drift", "unreadable": "drift"}
    assert (found.old_unreadable, found.new_unreadable) == (2, 38)


def test_what_is_significant_but_small_is_no_drift(drift):
    """A few characters more in many texts: certain, and of no consequence."""
    old, new = letters(1, 3_000), letters(2, 3_000)
    shifted = [(text + ".." * (n % 2), label) for n, (text, label) in enumerate(new)]
    length = drift(old, shifted).tests[2]
    assert length.corrected_p < DEFAULTS.drift_alpha
    assert length.effect < length.smallest_effect
    assert length.verdict == "no_drift"


def test_p_values_are_corrected_over_the_tests_that_could_be_made(drift, job):
    asked = job.model_copy(update={"input_description": "A letter."})
    old, new = letters(1, 60), letters(2, 60)
    four = drift(old, new)
    three = drift_between(traces(old), traces(new), QuestionAnswering(asked), DEFAULTS, seed=0)
    assert verdicts(three)["labels"] == "not_decided"
    for found, tests in ((four, 4), (three, 3)):
        held = [test for test in found.tests if test.p is not None]
        assert len(held) == tests
        smallest = min(held, key=lambda test: test.p)
        assert smallest.corrected_p == pytest.approx(min(1.0, tests * smallest.p))


def test_few_new_traces_decide_nothing(drift):
    found = drift(letters(1, 100), letters(2, 29, {"garden": 1}))
    assert set(verdicts(found).values()) == {"not_decided"}
    assert (found.decided, found.drifted) == (False, False)


def test_a_log_of_which_nothing_new_is_readable_is_drift_all_the_same(drift):
    old = letters(1, 100)
    found = drift(old, old, unreadable=(0, 50))
    assert verdicts(found)["unreadable"] == "drift"
    assert found.new == 0


def test_old_and_new_are_counted_by_label_and_length(drift):
    found = drift(letters(1, 60, {"bills": 1}), letters(2, 40, {"parcels": 1}))
    assert [(count.label, count.old, count.new) for count in found.labels] == [
        ("bills", 60, 0),
        ("parcels", 0, 40),
        ("garden", 0, 0),
    ]
    assert sum(count.old for count in found.lengths) == 60
    assert sum(count.new for count in found.lengths) == 40
    assert all(count.start < count.end for count in found.lengths)


def test_drift_is_stored_and_read_back(drift, tmp_path):
    found = drift(letters(1, 60, {"bills": 1}), letters(2, 40))
    store = ArtefactStore(tmp_path)
    store.save("drift", "letters", found)
    assert store.load("drift", "letters", Drift) == found


@settings(max_examples=8)
@given(st.integers(0, 60), st.integers(0, 60), st.randoms())
def test_the_order_of_rows_changes_nothing(old, new, random):
    first, second = letters(1, old), letters(2, new)
    plain = drift_between(traces(first), traces(second), LETTERS, DEFAULTS, seed=5)
    shuffled = [traces(random.sample(pairs, len(pairs))) for pairs in (first, second)]
    assert drift_between(*shuffled, LETTERS, DEFAULTS, seed=5) == plain


@settings(max_examples=15)
@given(st.lists(st.tuples(st.text(max_size=40), st.text(max_size=10)), max_size=50))
def test_identical_traces_never_drift_and_every_test_is_reported(pairs):
    found = drift_between(traces(pairs), traces(pairs), LETTERS, DEFAULTS, seed=0)
    assert not found.drifted
    assert found.new == 0
    assert [test.name for test in found.tests] == TESTS
    assert all(test.sentence for test in found.tests)


@settings(max_examples=10)
@given(st.lists(st.text(max_size=40), min_size=60, max_size=80))
def test_every_test_is_reported_for_any_texts(texts):
    pairs = [(text, "bills") for text in texts]
    found = drift_between(traces(pairs[:30]), traces(pairs[30:]), LETTERS, DEFAULTS, seed=0)
    assert [test.name for test in found.tests] == TESTS
    assert found.drifted == any(test.verdict == "drift" for test in found.tests)


def test_a_missing_seed_is_a_fixed_one(drift):
    old, new = letters(1, 60), letters(2, 40)
    assert drift(old, new, seed=None) == drift(old, new, seed=None)


def test_no_traces_at_all_are_no_error(task):
    found = drift_between(Traces([], []), Traces([], []), task, DEFAULTS, seed=0)
    assert (found.drifted, found.decided, found.lengths) == (False, False, [])


class TestSettings:
    def test_drift_alpha_is_the_level_of_the_tests(self, drift):
        old, new = letters(1, 100), letters(4, 60, {"bills": 5, "parcels": 2, "garden": 3})
        p = drift(old, new).tests[1].corrected_p
        assert 0.001 < p < 0.5
        above, below = (drift(old, new, data=DataSettings(drift_alpha=level)) for level in (p * 1.01, p * 0.99))
        assert (verdicts(above)["labels"], verdicts(below)["labels"]) == ("drift", "no_drift")
        assert above.alpha == p * 1.01

    def test_the_strictest_level_can_still_be_reached(self, drift):
        old, new = letters(1, 150, {"bills": 1}), letters(2, 100, {"garden": 1})
        found = drift(old, new, data=DataSettings(drift_alpha=0.001))
        assert {"text", "labels"} <= {test.name for test in found.found}

    def test_fewer_new_traces_than_the_least_number_start_nothing(self, drift):
        found = drift(letters(1, 100, {"bills": 1}), letters(2, 50, {"garden": 1}))
        assert worth_it(found, DataSettings(min_new_traces=50)).worth
        waiting = worth_it(found, DataSettings(min_new_traces=51))
        assert (waiting.worth, waiting.reason) == (False, "50 new traces, fewer than min_new_traces 51.")

    @pytest.mark.parametrize(
        ("redistil_on", "new", "worth"),
        [
            ("drift", {"garden": 1}, True),
            ("drift", {"bills": 1}, False),
            ("new_traces", {"bills": 1}, True),
            ("new_traces", {"garden": 1}, True),
            ("never", {"garden": 1}, False),
        ],
    )
    def test_what_starts_a_distillation_is_what_the_settings_say(self, drift, redistil_on, new, worth):
        found = drift(letters(1, 100, {"bills": 1}), letters(2, 50, new))
        assert worth_it(found, DataSettings(redistil_on=redistil_on)).worth == worth

    def test_any_new_traces_do_where_that_is_asked_for_however_few(self, drift):
        found = drift(letters(1, 100), letters(2, 2))
        assert worth_it(found, DataSettings(redistil_on="new_traces", min_new_traces=2)).worth
        assert not worth_it(found, DataSettings(redistil_on="new_traces", min_new_traces=3)).worth


def test_what_is_worth_it_says_why_in_the_words_of_the_tests(drift):
    worth = worth_it(drift(letters(1, 150, {"bills": 1, "parcels": 1}), letters(2, 60)), DEFAULTS)
    assert "Never seen before: `garden`" in worth.reason


def test_what_is_undecided_says_how_many_it_takes(drift):
    worth = worth_it(drift(letters(1, 100), letters(2, 20)), DataSettings(min_new_traces=1))
    assert not worth.worth
    assert worth.reason.startswith("Not decided: 100 old and 20 new traces")


def test_what_did_not_drift_says_so(drift):
    worth = worth_it(drift(letters(1, 100), letters(2, 50)), DEFAULTS)
    assert (worth.worth, worth.reason) == (False, "The 50 new traces are as the 100 before.")


def test_unreadable_lines_ask_for_a_look_at_the_log_and_for_no_new_student(drift):
    worth = worth_it(drift(letters(1, 200), letters(2, 100), unreadable=(0, 40)), DEFAULTS)
    assert not worth.worth
    assert "look at the log: 29% of the new lines cannot be used" in worth.reason


def test_unreadable_lines_are_told_of_while_traces_are_waited_for(drift):
    old = letters(1, 100)
    assert worth_it(drift(old, old, unreadable=(0, 7)), DEFAULTS).reason.endswith("7 new lines cannot be used.")
