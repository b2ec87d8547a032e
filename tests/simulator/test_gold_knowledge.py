import json
import re
from random import Random

import pytest

from distil_dagster.simulator.comparing import normalised
from distil_dagster.simulator.folders import knowledge_of
from distil_dagster.simulator.knowledge import Asked, Wanted
from distil_dagster.simulator.turns import Turn, turns_of


def tokens(text):
    return re.findall(r"[a-z0-9]+", text.casefold())


def share_without_a_twin(texts):
    """Share of texts whose ROUGE-L F1 to every other one is at most 0.95."""
    import numpy
    from rapidfuzz.distance import Indel
    from rapidfuzz.process import cdist

    words = [tokens(text) for text in texts]
    similar = cdist(words, words, scorer=Indel.normalized_similarity, score_cutoff=0.95) > 0.95
    numpy.fill_diagonal(similar, False)
    return 1 - similar.any(axis=1).mean()


def asked(question):
    return Asked((Turn("user", question),))


def conversation(user, assistant=None):
    return (Turn("user", user), *([Turn("assistant", assistant)] if assistant is not None else []))


def questions(knowledge, label, count, random):
    return [row["question"] for row in knowledge.examples(Wanted(count, label), random)]


def test_answers_come_from_traces_train_and_test(gold):
    assert gold.answer(asked("Where is my card?")) == "card_arrival"
    assert gold.answer(asked("My new card is late.")) == "card_arrival"
    assert gold.answer(asked("Can the PIN be altered?")) == "change_pin"


def test_a_question_that_the_log_damaged_has_the_answer_of_the_whole_one(tmp_path, gold_folder):
    job = {"task_description": "Sort."}
    (tmp_path / "job_description.json").write_text(json.dumps(job))
    messages = [
        {"role": "user", "content": "Wh\ufffdr i# m% c\ufffdrd"},
        {"role": "assistant", "content": "card_arrival"},
    ]
    (tmp_path / "traces.jsonl").write_text(json.dumps({"messages": messages}))
    known = {"noise": "corrupted", "question": "Where is my card?", "answer": "card_arrival"}
    (tmp_path / "gold.jsonl").write_text(json.dumps(known))
    assert knowledge_of(tmp_path).answer(asked("Wh\ufffdr i# m% c\ufffdrd")) == "card_arrival"


def test_what_is_unlike_every_known_question_has_no_answer(gold):
    assert gold.answer(asked("Recommend a pasta recipe.")) is None
    assert gold.answer(asked("")) is None
    assert gold.answer(Asked(())) is None


def test_another_answer_is_never_the_right_one(gold):
    found = {gold.other_answer(asked("Where is my card?"), Random(seed)) for seed in range(30)}
    assert found == {"change_pin", "lost_card"}


def test_another_answer_to_a_question_is_that_of_another_one(facts_folder):
    facts = knowledge_of(facts_folder)
    question = asked("When was the museum of clocks founded?")
    assert {facts.other_answer(question, Random(seed)) for seed in range(40)} == {"312", "Emil Santer", "27 metres"}


def test_the_same_text_with_another_answer_is_scored_by_the_user_alone(gold):
    scores = gold.relevance_and_coherence(conversation("Where is my card?", "something else"))
    assert (scores.relevance, scores.coherence) == (5, 5)


def test_a_trace_without_an_answer_is_scored(gold):
    assert gold.relevance_and_coherence(conversation("Recommend a pasta recipe.")).relevance == 1
    assert gold.relevance_and_coherence(()).relevance == 3


def test_the_knowledge_of_a_folder_is_the_same_each_time(gold, gold_folder):
    again = knowledge_of(gold_folder)
    wanted = Wanted(5, "change_pin")
    assert again.examples(wanted, Random(2)) == gold.examples(wanted, Random(2))
    assert again.wrong_examples(wanted, Random(2)) == gold.wrong_examples(wanted, Random(2))


@pytest.mark.cases
class TestRealBankingQuestions:
    @pytest.fixture(scope="class")
    def banking(self, banking_folder):
        return knowledge_of(banking_folder)

    @pytest.fixture(scope="class")
    def classes(self, banking_folder):
        return {row["answer"] for row in self.rows(banking_folder, "gold.jsonl")} - {None}

    def rows(self, folder, name):
        return [json.loads(line) for line in (folder / name).read_text(encoding="utf-8").split("\n") if line]

    def test_every_gold_question_is_answered(self, banking, banking_folder):
        for row in self.rows(banking_folder, "gold.jsonl"):
            if row["answer"] is not None:
                assert banking.answer(asked(row["question"])) == row["answer"]

    def test_scores_separate_what_belongs_from_what_does_not(self, banking, banking_folder):
        passed = {}
        traces, gold = (self.rows(banking_folder, name) for name in ("traces.jsonl", "gold.jsonl"))
        for trace, known in zip(traces, gold, strict=True):
            scores = banking.relevance_and_coherence(turns_of(trace["messages"]))
            good = scores.relevance >= 4 and scores.coherence >= 3
            passed.setdefault(known.get("orig_noise") or known["noise"], []).append(good)
        assert {noise for noise, good in passed.items() if all(good)} == {"clean", "wrong_label"}
        assert {noise for noise, good in passed.items() if not any(good)} == {"irrelevant", "corrupted"}

    def test_a_thousand_generated_rows_are_varied(self, banking, classes):
        random = Random(1)
        made = [text for name in sorted(classes) for _ in range(25) for text in questions(banking, name, 4, random)]
        assert len(made) == 1000
        assert share_without_a_twin(made) >= 0.95

    def test_most_generated_rows_are_recognised_as_their_class(self, banking, classes):
        made = [(name, text) for name in sorted(classes) for text in questions(banking, name, 20, Random(2))]
        assert sum(banking.answer(asked(text)) == name for name, text in made) / len(made) > 0.9

    def test_no_test_question_is_generated(self, banking, banking_folder, classes):
        held_out = {normalised(row["question"]) for row in self.rows(banking_folder, "test.jsonl")}
        made = [text for name in sorted(classes) for text in questions(banking, name, 100, Random(3))]
        assert not held_out & {normalised(text) for text in made}


def test_a_thousand_generated_mails_of_the_example_are_varied(rules):
    random = Random(1)
    made = [mail for team in rules.classes for _ in range(36) for mail in rules.mails(team, 4, random)]
    assert share_without_a_twin(made[:1000]) >= 0.95
