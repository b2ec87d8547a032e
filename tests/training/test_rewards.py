import pytest

from distil_dagster.errors import TrainingError
from distil_dagster.evaluation.judging import Judge, JudgeCase
from distil_dagster.llm.requests import Failed
from distil_dagster.training.rewards import PHASE, JudgeReward
from distil_dagster.training.rows import RewardRow

FAILED = Failed("timeout", "no answer", "key")
TEXTS = {1: " 'Bills'. ", 2: "parcels", 3: "I think it is about bills"}


def row(number: int, reference: str = "bills") -> RewardRow:
    return RewardRow(
        id=str(number), prompt=({"role": "user", "content": "?"},), question=f"q{number}", reference=reference
    )


@pytest.fixture
def reward(scripted, job, task):
    def build(script) -> JudgeReward:
        return JudgeReward(
            Judge(scripted(script), "a-judge", job), task, [row(n) for n in (1, 2)], lambda ids: TEXTS[ids[0]]
        )

    return build


def verdict(good: bool) -> dict:
    return {"reason": "so", "verdict": "good" if good else "bad"}


def test_the_judge_sees_question_reference_and_what_the_task_reads_in_the_completion(reward):
    seen = []

    class Noting:
        model = "a-judge"

        def judge(self, cases, phase):
            seen.append((phase, cases))
            return []

    asked = reward(lambda request: verdict(True))
    asked._judge = Noting()
    asked(completion_ids=[[1], [3]], row_id=["1", "2"])
    assert seen == [
        (PHASE, [JudgeCase("q1", "bills", "bills"), JudgeCase("q2", "bills", "I think it is about bills")]),
    ]


def test_good_is_one_bad_is_zero_and_no_judgement_is_neither(reward):
    script = {"bills": verdict(True), "parcels": verdict(False)}

    def answer(request):
        text = request.messages[0]["content"]
        prediction = text.split("<prediction>\n")[1].split("\n")[0]
        return script.get(prediction, FAILED)

    asked = reward(answer)
    assert asked(completion_ids=[[1], [2], [3]], row_id=["1", "1", "2"]) == [1.0, 0.0, None]
    assert (asked.asked, asked.good, asked.failed) == (3, 1, 1)


def test_a_few_failures_in_the_beginning_are_borne_and_many_stop_the_training(reward):
    asked = reward(lambda request: FAILED)
    assert asked(completion_ids=[[1]] * 20, row_id=["1"] * 20) == [None] * 20
    with pytest.raises(TrainingError, match=r"21 of 21 judgements failed.*a-judge.*timeout: no answer"):
        asked(completion_ids=[[1]], row_id=["1"])


def test_failures_up_to_a_half_are_borne_to_the_end(reward):
    verdicts = iter([FAILED, verdict(True), FAILED])
    asked = reward(lambda request: next(verdicts))
    asked(completion_ids=[[1], [2]], row_id=["1", "1"])
    asked.demand_signal()
    asked(completion_ids=[[1]], row_id=["1"])
    with pytest.raises(TrainingError, match="2 of 3 judgements failed"):
        asked.demand_signal()


def test_a_failure_is_told_when_it_happens(reward, caplog):
    with caplog.at_level("WARNING", logger="distil_dagster"):
        reward(lambda request: FAILED)(completion_ids=[[1], [2]], row_id=["1", "1"])
    assert caplog.messages == ["rlvr: 2 of 2 judgements failed: timeout: no answer"]
