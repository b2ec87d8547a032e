import json
import re
from collections import Counter

import pytest

from distil_dagster.simulator import Options, SimulatedTeacher
from distil_dagster.simulator.knowledge import Asked
from distil_dagster.simulator.turns import Turn

CONVERSATION = [{"role": "user", "content": "How do I change my PIN?"}]


def block(tag, value, number=None):
    identity = f' id="{number}"' if number is not None else ""
    return f"<{tag}{identity}>\n{value if isinstance(value, str) else json.dumps(value)}\n</{tag}>"


def conversation_prompt(question, *blocks):
    return "\n".join([block("conversation", [{"role": "user", "content": question}]), *blocks])


def candidates(*texts):
    return [block("candidate", text, number) for number, text in enumerate(texts, start=1)]


class TestScoring:
    def test_every_trace_gets_scores_under_its_id(self, teacher, post, body):
        traces = {
            3: [("Where is my card?", "card_arrival")],
            5: [("How do I change my PIN?", "card_arrival")],
            8: [("Recommend a pasta recipe.", "card_arrival")],
            9: [("My card has not come by post yet.", "card_ar")],
        }
        prompt = "Score the traces.\n" + "\n".join(
            block("trace", [{"role": "user", "content": q}, {"role": "assistant", "content": a}], number)
            for number, [(q, a)] in traces.items()
        )
        scores = {row.pop("id"): row for row in post(teacher, body("trace_scores", prompt)).parsed["scores"]}
        assert {number: (row["relevance"], row["coherence"]) for number, row in scores.items()} == {
            3: (5, 5),
            5: (5, 4),
            8: (1, 4),
            9: (4, 1),
        }
        assert all(row["reason"] for row in scores.values())

    def test_an_unknown_trace_is_neither_praised_nor_damned(self, teacher, post, body):
        prompt = block("trace", [{"role": "user", "content": "Totally new"}], 1)
        (row,) = post(teacher, body("trace_scores", prompt)).parsed["scores"]
        assert (row["relevance"], row["coherence"]) == (3, 3)


class TestDescription:
    def test_the_job_is_shortened_to_its_first_sentences(self, teacher, post, body):
        prompt = "Shorten this.\n" + block("job", "Route mails. " + "Mind every detail of the matter. " * 40)
        shortened = post(teacher, body("compressed_job_description", prompt)).parsed["task_description"]
        assert shortened.startswith("Route mails. Mind")
        assert len(shortened) <= 400


class TestAnswering:
    def test_the_last_question_is_answered(self, teacher, post, body, class_schema):
        shots = ("Where is my card?", '{"answer": "card_arrival"}', "How do I change my PIN?")
        assert post(teacher, body("answer", *shots, schema=class_schema)).parsed == {"answer": "change_pin"}

    def test_bare_answers_of_shots_are_good_shots(self, teacher, post, body, class_schema):
        shots = ("Where is my card?", "card_arrival", "I left my card on the train.")
        assert post(teacher, body("answer", *shots, schema=class_schema)).parsed == {"answer": "lost_card"}

    def test_a_question_is_known_in_other_case_and_spacing(self, teacher, post, body):
        assert post(teacher, body("answer", "  WHERE is  my card ?\n")).parsed == {"answer": "card_arrival"}

    def test_a_rewording_of_a_known_question_is_answered(self, teacher, post, body):
        question = "Hello there, how do I change my PIN? Thanks."
        assert post(teacher, body("answer", question)).parsed == {"answer": "change_pin"}

    @pytest.mark.parametrize(
        "failed", ['{"answer": "chan', 'Sure! Here it is: {\'answer": "x"', '{"answer": "nonsense"}']
    )
    def test_a_request_to_repair_is_answered_for_the_question_before_it(
        self, teacher, post, body, class_schema, failed
    ):
        turns = ("How do I change my PIN?", failed, "That was not valid. Answer again.")
        assert post(teacher, body("answer", *turns, schema=class_schema)).parsed == {"answer": "change_pin"}

    def test_an_unknown_question_gets_a_guess(self, teacher, post, body):
        answer = post(teacher, body("answer", "Xyzzy plugh?")).parsed["answer"]
        assert answer in {"card_arrival", "change_pin", "lost_card"}

    def test_free_text_is_answered_bare(self, teacher, post):
        assert post(teacher, {"model": "m", "messages": CONVERSATION}).text == "change_pin"

    def test_a_repaired_answer_is_the_right_one(self, teacher, post, body):
        prompt = conversation_prompt(
            "How do I change my PIN?", block("invalid_answer", "PIN desk"), block("problem", "not a class")
        )
        assert post(teacher, body("repaired_answer", prompt)).parsed == {"answer": "change_pin"}


class TestAggregation:
    def ask(self, post, teacher, body, texts, model="teacher", question="How do I change my PIN?"):
        prompt = conversation_prompt(question, *candidates(*texts), block("logged_answer", "card_arrival"))
        return post(teacher, body("aggregated_answer", prompt, model=model)).parsed

    def test_the_right_candidate_wins_against_the_majority(self, teacher, post, body):
        picked = self.ask(post, teacher, body, ["lost_card", "lost_card", "change_pin"])
        assert picked["answer"] == "change_pin"
        assert picked["reason"]

    def test_the_majority_wins_where_nobody_is_right(self, teacher, post, body):
        texts = ["card_arrival", "lost_card", "lost_card"]
        assert self.ask(post, teacher, body, texts)["answer"] == "lost_card"

    def test_without_candidates_the_aggregator_answers_itself(self, teacher, post, body):
        assert self.ask(post, teacher, body, [])["answer"] == "change_pin"

    def test_an_erring_aggregator_picks_a_wrong_candidate_but_invents_none(self, gold_folder, post, body):
        with SimulatedTeacher(gold_folder, Options(error_rate=1.0)) as teacher:
            assert self.ask(post, teacher, body, ["change_pin", "lost_card"])["answer"] == "lost_card"
            assert self.ask(post, teacher, body, ["change_pin", "change_pin"])["answer"] == "change_pin"


class TestJudging:
    @pytest.mark.parametrize(
        ("prediction", "verdict"),
        [("change_pin", "good"), (" Change_PIN ", "good"), ("lost_card", "bad"), ("", "bad"), ("change_pin!", "good")],
    )
    def test_good_is_what_equals_the_reference(self, teacher, post, body, prediction, verdict):
        blocks = [block("question", "x"), block("reference", "change_pin"), block("prediction", prediction)]
        judged = post(teacher, body("verdict", "\n".join(blocks))).parsed
        assert judged["verdict"] == verdict
        assert judged["reason"]


class TestGeneration:
    def prompt(self, name, count=4, examples=(), note=""):
        shown = "\n".join(block("example", {"question": q, "answer": a}) for q, a in examples)
        return (
            f"{note}<class>{name}</class>\n{shown}\n<count>{count}</count>\n<guidelines>\n- tone: calm\n</guidelines>"
        )

    def test_as_many_examples_of_the_class_come_as_are_asked_for(self, teacher, post, body):
        rows = post(teacher, body("generated_examples", self.prompt("change_pin", 3))).parsed["examples"]
        assert [row["answer"] for row in rows] == ["change_pin"] * 3
        assert len({row["question"] for row in rows}) == 3

    def test_exemplars_are_not_given_back(self, teacher, post, body):
        shown = [("How do I change my PIN?", "change_pin")]
        for number in range(10):
            prompt = self.prompt("change_pin", 2, shown, note=f"{number}\n")
            rows = post(teacher, body("generated_examples", prompt)).parsed["examples"]
            assert all("pick a new pin" in row["question"].casefold() for row in rows)

    def test_questions_of_the_test_file_are_never_given(self, teacher, post, body):
        for number in range(20):
            prompt = self.prompt("change_pin", 4, note=f"{number}\n")
            rows = post(teacher, body("generated_examples", prompt)).parsed["examples"]
            assert not any("altered" in row["question"] for row in rows)

    def test_an_erring_model_writes_questions_of_other_classes_under_the_class_asked_for(
        self, gold_folder, gold, post, body
    ):
        with SimulatedTeacher(gold_folder, Options(error_rate=1.0)) as teacher:
            rows = post(teacher, body("generated_examples", self.prompt("change_pin"))).parsed["examples"]
        assert [row["answer"] for row in rows] == ["change_pin"] * 4
        asked = [Asked((Turn("user", row["question"]),)) for row in rows]
        assert all(gold.answer(question) != "change_pin" for question in asked)

    def test_without_a_class_one_is_chosen(self, teacher, post, body):
        rows = post(teacher, body("generated_examples", "<count>2</count>")).parsed["examples"]
        assert len(rows) == 2


class TestErrors:
    def answers(self, post, teacher, body, model, count=400):
        numbered = ({"seed": number} for number in range(count))
        sent = (body("answer", "Where is my card?", model=model, **parameters) for parameters in numbered)
        return Counter(post(teacher, request).parsed["answer"] for request in sent)

    def test_each_model_errs_at_its_own_rate(self, gold_folder, post, body):
        with SimulatedTeacher(gold_folder, Options(error_rate=0.1, error_rates={"poor": 0.5})) as teacher:
            wrong = {
                name: 1 - self.answers(post, teacher, body, name)["card_arrival"] / 400 for name in ("fair", "poor")
            }
        assert wrong == pytest.approx({"fair": 0.1, "poor": 0.5}, abs=0.08)

    def test_the_same_body_always_gets_the_same_answer(self, gold_folder, post, body):
        requests = [body("answer", "Where is my card?", seed=number) for number in range(30)]
        answers = []
        for _ in range(2):
            with SimulatedTeacher(gold_folder, Options(error_rate=0.5)) as teacher:
                answers += [[post(teacher, request).text for request in requests] for _ in range(2)]
        assert answers[0] == answers[1] == answers[2] == answers[3]

    def test_another_seed_errs_elsewhere(self, gold_folder, post, body):
        requests = [body("answer", "Where is my card?", seed=number) for number in range(30)]
        answers = []
        for seed in (1, 2):
            with SimulatedTeacher(gold_folder, Options(seed=seed, error_rate=0.5)) as teacher:
                answers.append([post(teacher, request).text for request in requests])
        assert answers[0] != answers[1]


def test_generated_mails_of_the_example_are_routed_as_labelled(example_folder, rules, post, body):
    with SimulatedTeacher(example_folder) as teacher:
        for team in rules.classes:
            prompt = f"<class>{team}</class><count>5</count>"
            rows = post(teacher, body("generated_examples", prompt)).parsed["examples"]
            assert [rules.team(row["question"]) for row in rows] == [team] * 5
            assert not any(re.search(r"[{}]", row["question"]) for row in rows)
