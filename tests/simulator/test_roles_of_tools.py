"""The roles where answers are tool calls or lists of them: their shape follows the schema of the request."""

import json

import pytest
from simulator.invented import BELL, CHAIN, PASSAGES, WORKSHOP_TOOLS, as_messages, open_book, price, repair, say

from distil_dagster.simulator import Options, SimulatedTeacher
from distil_dagster.simulator.request_writer import RequestWriter

CALL = {
    "type": "object",
    "properties": {
        "name": {"enum": ["book_repair", "quote_price", "rent_bicycle", "say"]},
        "parameters": {"type": "object"},
    },
    "required": ["name", "parameters"],
}
ONE = {
    "type": "object",
    "properties": {"answer": {"$ref": "#/$defs/Call"}},
    "required": ["answer"],
    "$defs": {"Call": CALL},
}
SEVERAL = {"type": "object", "properties": {"answer": {"type": "array", "items": CALL}}, "required": ["answer"]}
TEXT = {"type": "object", "properties": {"answer": {"type": "string"}}, "required": ["answer"]}
BRAKE = "Please fix my front brake this Friday."
RIGHT = repair("front brake", "Friday")
SHOWN = [{"role": "assistant", "content": "<answer>"} if isinstance(t, dict) else as_messages([t])[0] for t in CHAIN]
ANSWERS = [turn for turn in CHAIN if isinstance(turn, dict)]


@pytest.fixture(scope="module")
def workshop(workshop_folder):
    with SimulatedTeacher(workshop_folder) as teacher:
        yield teacher


@pytest.fixture(scope="module")
def counter(counter_folder):
    with SimulatedTeacher(counter_folder) as teacher:
        yield teacher


@pytest.fixture(scope="module")
def museum(museum_folder):
    with SimulatedTeacher(museum_folder) as teacher:
        yield teacher


@pytest.fixture(scope="module")
def ask(post, body):
    def asking(teacher, role, *turns, schema):
        return post(teacher, body(role, *turns, schema=schema)).parsed

    return asking


def in_block(messages, *candidates):
    shown = "\n".join(f'<candidate id="{n}">\n{text}\n</candidate>' for n, text in enumerate(candidates, start=1))
    return f"<conversation>\n{json.dumps(messages)}\n</conversation>\n{shown}"


def user(text):
    return [{"role": "user", "content": text}]


class TestAnswering:
    def test_a_request_is_answered_by_its_call(self, ask, workshop):
        assert ask(workshop, "answer", BRAKE, schema=ONE) == {"answer": RIGHT}

    def test_earlier_calls_are_worked_examples(self, ask, workshop):
        turns = ("How much is a bell?", json.dumps({"answer": price("bell")}), BRAKE)
        assert ask(workshop, "answer", *turns, schema=ONE) == {"answer": RIGHT}

    @pytest.mark.parametrize(
        "failed", ['{"answer": {"name": "book_re', '{"answer": {"name": "fly", "parameters": {}}}', "Done!"]
    )
    def test_a_request_to_repair_is_answered_for_the_request_before_it(self, ask, workshop, failed):
        assert ask(workshop, "answer", BRAKE, failed, "Answer the same request again.", schema=ONE) == {"answer": RIGHT}

    def test_the_next_call_follows_from_the_conversation(self, ask, counter):
        history = [turn[1] if isinstance(turn, tuple) else json.dumps({"answer": turn}) for turn in CHAIN[:7]]
        history[4] = f"<tool_result>\n{history[4]}\n</tool_result>"
        assert ask(counter, "answer", *history, schema=ONE) == {"answer": CHAIN[7]}

    def test_a_whole_conversation_is_answered_by_a_list(self, ask, counter):
        assert ask(counter, "answer", in_block(SHOWN), schema=SEVERAL) == {"answer": ANSWERS}

    def test_a_repaired_answer_has_the_shape_of_the_schema(self, ask, workshop, counter):
        assert ask(workshop, "repaired_answer", in_block(user(BRAKE)), schema=ONE) == {"answer": RIGHT}
        assert ask(counter, "repaired_answer", in_block(SHOWN), schema=SEVERAL) == {"answer": ANSWERS}

    def test_an_erring_model_gives_another_valid_call(self, ask, workshop_folder):
        with SimulatedTeacher(workshop_folder, Options(error_rate=1.0)) as teacher:
            wrong = ask(teacher, "answer", BRAKE, schema=ONE)["answer"]
        assert wrong != RIGHT
        assert RequestWriter(WORKSHOP_TOOLS, []).is_valid(wrong)

    def test_an_erring_model_is_wrong_in_one_turn_of_a_conversation(self, ask, counter_folder):
        with SimulatedTeacher(counter_folder, Options(error_rate=1.0)) as teacher:
            wrong = ask(teacher, "answer", in_block(SHOWN), schema=SEVERAL)["answer"]
        assert sum(one != other for one, other in zip(wrong, ANSWERS, strict=True)) == 1

    def test_a_question_with_its_passage_is_answered_in_free_text(self, post, museum):
        messages = user(open_book("kites", "How large is the largest kite?"))
        assert post(museum, {"model": "m", "messages": messages}).text == "27 metres"


class TestAggregation:
    def test_calls_are_compared_as_objects(self, ask, workshop):
        turned = json.dumps({"parameters": {"day": "Friday", "part": "front brake"}, "name": "book_repair"})
        wrong = json.dumps(repair("front brake", "Monday"))
        picked = ask(workshop, "aggregated_answer", in_block(user(BRAKE), wrong, wrong, turned), schema=ONE)
        assert picked["answer"] == RIGHT
        assert picked["reason"]

    def test_the_majority_wins_where_nobody_is_right(self, ask, workshop):
        wrong = [price("bell"), repair("bell", "Monday"), {"parameters": {"part": "bell"}, "name": "quote_price"}]
        picked = ask(workshop, "aggregated_answer", in_block(user(BRAKE), *map(json.dumps, wrong)), schema=ONE)
        assert picked["answer"] == price("bell")

    def test_lists_of_calls_are_compared_whole(self, ask, counter):
        wrong = [say("Hello."), *ANSWERS[1:]]
        prompt = in_block(SHOWN, json.dumps(wrong), json.dumps(wrong), json.dumps(ANSWERS))
        assert ask(counter, "aggregated_answer", prompt, schema=SEVERAL)["answer"] == ANSWERS

    def test_what_is_no_call_is_no_candidate(self, ask, workshop):
        assert ask(workshop, "aggregated_answer", in_block(user(BRAKE), "Done!"), schema=ONE)["answer"] == RIGHT

    def test_candidates_that_are_texts_stay_texts(self, ask, museum):
        asked = user(open_book("kites", "How large is the largest kite?"))
        prompt = in_block(asked, "nine metres", "nine metres", "27 Metres")
        assert ask(museum, "aggregated_answer", prompt, schema=TEXT)["answer"] == "27 Metres"


class TestGeneration:
    def rows(self, ask, teacher, prompt):
        return ask(teacher, "generated_examples", prompt, schema={"type": "object"})["examples"]

    def test_requests_of_the_tool_come_with_their_calls(self, ask, workshop):
        rows = self.rows(ask, workshop, "<tools>[]</tools>\n<tool>rent_bicycle</tool>\n<count>3</count>")
        assert [row["answer"]["name"] for row in rows] == ["rent_bicycle"] * 3

    def test_conversations_come_as_turns(self, ask, counter):
        rows = self.rows(ask, counter, "<tool>book_repair</tool>\n<count>2</count>")
        assert [[turn["call"] for turn in row["turns"]] for row in rows] == [ANSWERS] * 2

    def test_a_shown_conversation_is_not_given_back(self, ask, counter):
        shown = f"<example>\n{json.dumps({'messages': as_messages(CHAIN)})}\n</example>"
        rows = self.rows(ask, counter, f"<tool>say</tool>\n{shown}\n<count>3</count>")
        assert {len(row["turns"]) for row in rows} == {len(BELL) // 2}

    def test_questions_are_about_the_passage_and_not_about_the_exemplars(self, ask, museum):
        shown = json.dumps({"question": "Q", "answer": "A", "context": PASSAGES["clocks"]})
        prompt = f"<example>{shown}</example>\n<context>\n{PASSAGES['kites']}\n</context>\n<count>12</count>"
        rows = self.rows(ask, museum, prompt)
        assert len(rows) == 12
        assert all(row["answer"] in PASSAGES["kites"] for row in rows)

    def test_errors_are_as_many_as_the_error_rate_says(self, ask, workshop_folder):
        with SimulatedTeacher(workshop_folder, Options(error_rate=0.25)) as teacher:
            rows = self.rows(ask, teacher, "<tool>quote_price</tool>\n<count>200</count>")
        known = [price("bell"), price("pedals"), price("tyres", count=2)]
        right = sum(row["answer"]["parameters"]["part"] in row["question"] and row["answer"] in known for row in rows)
        assert right / 200 == pytest.approx(0.75, abs=0.1)


class TestScoring:
    def test_conversations_with_calls_are_recognised(self, ask, counter):
        wrong = [price("saddle") if turn == price("chain") else turn for turn in CHAIN]
        traces = (as_messages(wrong), as_messages(BELL), as_messages([("user", "H%llo, m@ b#ll \ufffd"), *BELL[1:]]))
        prompt = "\n".join(f'<trace id="{n}">{json.dumps(trace)}</trace>' for n, trace in enumerate(traces, start=1))
        scores = ask(counter, "trace_scores", prompt, schema={"type": "object"})["scores"]
        assert [(row["relevance"], row["coherence"]) for row in scores] == [(5, 4), (5, 5), (4, 1)]


class TestJudging:
    def test_calls_are_judged_as_objects(self, ask, workshop):
        turned = '{"parameters": {"count": 2.0, "part": "tyres"}, "name": "quote_price"}'
        for prediction, verdict in ((turned, "good"), (json.dumps(price("tyres")), "bad")):
            blocks = (
                f"<reference>{json.dumps(price('tyres', count=2))}</reference><prediction>{prediction}</prediction>"
            )
            assert ask(workshop, "verdict", blocks, schema={"type": "object"})["verdict"] == verdict
