import json
import re
from random import Random

import pytest

from distil_dagster.errors import DataError
from distil_dagster.simulator.gold_knowledge import GoldKnowledge
from distil_dagster.simulator.knowledge import QuestionAnswer, normalised


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


def conversation(user, assistant=None):
    turns = [{"role": "system", "content": "s"}, {"role": "user", "content": user}]
    return turns + ([{"role": "assistant", "content": assistant}] if assistant is not None else [])


def test_answers_come_from_traces_train_and_test(gold):
    assert gold.answer("Where is my card?") == "card_arrival"
    assert gold.answer("My new card is late.") == "card_arrival"
    assert gold.answer("Can the PIN be altered?") == "change_pin"


def test_what_is_unlike_every_known_question_has_no_answer(gold):
    assert gold.answer("Recommend a pasta recipe.") is None
    assert gold.answer("") is None


def test_another_answer_is_never_the_right_one(gold):
    found = {gold.other_answer("Where is my card?", Random(seed)) for seed in range(30)}
    assert found == {"change_pin", "lost_card"}


def test_the_same_text_with_another_answer_is_scored_by_the_user_alone(gold):
    scores = gold.relevance_and_coherence(conversation("Where is my card?", "something else"))
    assert (scores.relevance, scores.coherence) == (5, 5)


def test_a_trace_without_an_answer_is_scored(gold):
    assert gold.relevance_and_coherence(conversation("Recommend a pasta recipe.")).relevance == 1
    assert gold.relevance_and_coherence([]).relevance == 3


def test_new_examples_do_not_repeat_known_questions(gold):
    known = {normalised(question) for question in ("Where is my card?", "My new card is late.")}
    made = gold.generate("card_arrival", 40, Random(3), [])
    assert len(made) == 40
    assert not known & {normalised(example.question) for example in made}


def test_exemplars_are_used_only_where_there_is_nothing_else(gold):
    every = [QuestionAnswer(q, "change_pin") for q in ("How do I change my PIN?", "How do I pick a new PIN?")]
    assert len(gold.generate("change_pin", 3, Random(1), every)) == 3


def test_a_class_without_questions_gives_no_examples(gold):
    assert gold.generate("no_such_class", 3, Random(1), []) == []


@pytest.mark.parametrize("missing", ["traces.jsonl", "gold.jsonl"])
def test_a_missing_file_is_named(gold_folder, tmp_path, missing):
    for name in {"traces.jsonl", "gold.jsonl"} - {missing}:
        (tmp_path / name).write_bytes((gold_folder / name).read_bytes())
    with pytest.raises(DataError, match=missing):
        GoldKnowledge.of(tmp_path)


def test_files_that_do_not_align_are_named(gold_folder, tmp_path):
    (tmp_path / "traces.jsonl").write_bytes((gold_folder / "traces.jsonl").read_bytes())
    (tmp_path / "gold.jsonl").write_text(json.dumps({"noise": "clean"}) + "\n")
    with pytest.raises(DataError, match="must align"):
        GoldKnowledge.of(tmp_path)


def test_a_broken_line_is_named(gold_folder, tmp_path):
    (tmp_path / "traces.jsonl").write_bytes((gold_folder / "traces.jsonl").read_bytes())
    (tmp_path / "gold.jsonl").write_text("{")
    with pytest.raises(DataError, match="not JSON Lines"):
        GoldKnowledge.of(tmp_path)


@pytest.mark.cases
class TestRealBankingQuestions:
    @pytest.fixture(scope="class")
    def banking(self, banking_folder):
        return GoldKnowledge.of(banking_folder)

    def rows(self, folder, name):
        return [json.loads(line) for line in (folder / name).read_text(encoding="utf-8").split("\n") if line]

    def test_every_gold_question_is_answered(self, banking, banking_folder):
        for row in self.rows(banking_folder, "gold.jsonl"):
            if row["answer"] is not None:
                assert banking.answer(row["question"]) == row["answer"]

    def test_scores_separate_what_belongs_from_what_does_not(self, banking, banking_folder):
        passed = {}
        logged, gold = self.rows(banking_folder, "traces.jsonl"), self.rows(banking_folder, "gold.jsonl")
        for trace, known in zip(logged, gold, strict=True):
            scores = banking.relevance_and_coherence(trace["messages"])
            good = scores.relevance >= 4 and scores.coherence >= 3
            passed.setdefault(known.get("orig_noise") or known["noise"], []).append(good)
        assert {noise for noise, good in passed.items() if all(good)} == {"clean", "wrong_label"}
        assert {noise for noise, good in passed.items() if not any(good)} == {"irrelevant", "corrupted"}

    def test_a_thousand_generated_rows_are_varied(self, banking):
        random = Random(1)
        made = [
            example.question
            for name in banking.classes
            for _ in range(25)
            for example in banking.generate(name, 4, random, [])
        ]
        assert len(made) == 1000
        assert share_without_a_twin(made) >= 0.95

    def test_most_generated_rows_are_recognised_as_their_class(self, banking):
        made = [row for name in banking.classes for row in banking.generate(name, 20, Random(2), [])]
        assert sum(banking.answer(row.question) == row.answer for row in made) / len(made) > 0.9

    def test_no_test_question_is_generated(self, banking, banking_folder):
        held_out = {normalised(row["question"]) for row in self.rows(banking_folder, "test.jsonl")}
        made = [row for name in banking.classes for row in banking.generate(name, 100, Random(3), [])]
        assert not held_out & {normalised(row.question) for row in made}


def test_a_thousand_generated_mails_of_the_example_are_varied(rules):
    random = Random(1)
    made = [
        example.question for team in rules.classes for _ in range(36) for example in rules.generate(team, 4, random, [])
    ]
    assert share_without_a_twin(made[:1000]) >= 0.95
