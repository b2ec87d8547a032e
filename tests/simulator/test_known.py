import json

import pytest
from simulator.invented import BELL, CHAIN, PASSAGES, as_messages, price, repair, write_folder

from distil_dagster.errors import DataError
from distil_dagster.simulator.folders import knowledge_of
from distil_dagster.simulator.known import is_call, read_known
from distil_dagster.simulator.turns import turns_of

CLASSES = {"task_description": "Sort."}
LOGGED = [{"role": "user", "content": "Where is it?"}, {"role": "assistant", "content": "here"}]


def test_a_request_has_the_gold_call_and_not_the_logged_one(workshop_folder):
    known = {trace.known.question: trace.known.answer for trace in read_known(workshop_folder).logged if trace.known}
    assert known["Please fix my front brake this Friday."] == repair("front brake", "Friday")


def test_a_conversation_is_the_logged_one_with_the_gold_calls_in_it(counter_folder):
    wrong, *_ = read_known(counter_folder).logged
    assert wrong.known.turns == turns_of(as_messages(CHAIN))
    assert wrong.turns != wrong.known.turns
    assert list(wrong.known.answers) == [turn for turn in CHAIN if isinstance(turn, dict)]


def test_a_conversation_that_was_cut_short_has_answers_as_far_as_it_goes(tmp_path, counter_folder):
    job = json.loads((counter_folder / "job_description.json").read_text())
    calls = json.dumps([turn for turn in CHAIN if isinstance(turn, dict)])
    write_folder(
        tmp_path,
        job,
        traces=[{"messages": as_messages(CHAIN[:5])}, {"messages": as_messages(BELL)}],
        gold=[{"noise": "corrupted", "answer": calls}, {"noise": "corrupted", "answer": json.dumps([price("bell")])}],
    )
    short, longer = (trace.known for trace in read_known(tmp_path).logged)
    assert (len(short.turns), len(short.answers)) == (4, 2)
    assert (len(longer.turns), len(longer.answers)) == (2, 1)


def test_a_damaged_conversation_is_nothing_to_make_new_ones_of(counter_folder):
    folder = read_known(counter_folder)
    assert len(folder.logged_known) == 3
    assert [known.question for known in folder.sound] == ["Yes please.", '{"euros": 4}']


def test_a_passage_beside_a_question_is_its_context(museum_folder):
    folder = read_known(museum_folder)
    assert {known.context for known in (*folder.logged_known, *folder.test)} == set(PASSAGES.values())


def test_text_that_is_json_is_no_call_where_the_job_has_no_tools(tmp_path):
    answer = json.dumps(price("bell"))
    write_folder(tmp_path, CLASSES, train=[{"question": "A bell, 4 euros.", "answer": answer}])
    (known,) = read_known(tmp_path).train
    assert json.loads(known.answer) == price("bell")


@pytest.mark.parametrize(
    "record",
    [
        {"messages": LOGGED},
        {"messages": json.dumps(LOGGED)},
        {"input": LOGGED[:1], "output": LOGGED[1]},
        {"input": {"messages": LOGGED[:1]}, "output": "here"},
        {"input": "Where is it?", "output": [LOGGED[1]]},
        {"context": json.dumps({"messages": LOGGED})},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "Where is it?"}]}, LOGGED[1]]},
        {"messages": [{"from": "human", "value": "Where is it?"}, {"from": "gpt", "value": "here"}]},
        {"something": "else"},
    ],
)
def test_a_trace_is_read_in_whatever_form_it_was_logged(tmp_path, record):
    gold = {"noise": "clean", "question": "Where is it?", "answer": "here", "observed": "here"}
    (trace,) = read_known(write_folder(tmp_path, CLASSES, traces=[record], gold=[gold])).logged
    assert trace.turns == turns_of(LOGGED)


def test_a_damaged_line_of_the_log_keeps_its_place(tmp_path):
    (tmp_path / "traces.jsonl").write_text('{"messages": \n' + json.dumps({"messages": LOGGED}) + "\n")
    gold = [{"noise": "broken", "question": None, "answer": None}, {"noise": "clean", "question": "q", "answer": "a"}]
    (tmp_path / "gold.jsonl").write_text("".join(json.dumps(row) + "\n" for row in gold))
    broken, whole = read_known(tmp_path).logged
    assert (broken.turns, broken.known) == ((), None)
    assert whole.turns == turns_of(LOGGED)


def test_files_that_do_not_align_are_named(tmp_path):
    write_folder(tmp_path, CLASSES, traces=[{"messages": LOGGED}] * 2, gold=[{"noise": "clean"}])
    with pytest.raises(DataError, match=r"traces\.jsonl has 2 lines, gold\.jsonl 1; they must align"):
        read_known(tmp_path)


def test_a_broken_line_of_gold_is_named(tmp_path):
    write_folder(tmp_path, CLASSES, traces=[{"messages": LOGGED}])
    (tmp_path / "gold.jsonl").write_text("{")
    with pytest.raises(DataError, match=r"gold\.jsonl: line 1 is not a JSON object"):
        read_known(tmp_path)


def test_gold_answers_without_traces_are_named(tmp_path):
    write_folder(tmp_path, CLASSES, gold=[{"noise": "clean"}])
    with pytest.raises(DataError, match=r"traces\.jsonl: missing"):
        read_known(tmp_path)


def test_a_folder_in_which_nothing_is_known_is_named(tmp_path):
    write_folder(tmp_path, CLASSES, traces=[{"messages": LOGGED}], unstructured=[{"context": "text"}])
    with pytest.raises(
        DataError, match=r"neither rules\.yaml nor gold\.jsonl beside its traces, nor train or test rows"
    ):
        knowledge_of(tmp_path)


def test_train_and_test_rows_alone_are_enough(facts_folder):
    assert knowledge_of(facts_folder)


@pytest.mark.parametrize(
    "value", [None, "say", [], {"name": "say"}, {"name": 1, "parameters": {}}, {"name": "say", "parameters": []}]
)
def test_what_is_no_call_is_told_from_one(value):
    assert not is_call(value)
    assert is_call(price("bell"))
