import pytest

from distil_dagster.errors import TrainingError
from distil_dagster.evaluation.judging import Judge, JudgeCase, Judged
from distil_dagster.llm.requests import Failed
from distil_dagster.tasks.question_answering import QuestionAnswering
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
    def build(script, task=task) -> JudgeReward:
        return JudgeReward(
            Judge(scripted(script), "a-judge", job), task, [row(n) for n in (1, 2)], lambda ids: TEXTS[ids[0]]
        )

    return build


@pytest.fixture
def free_text(job) -> QuestionAnswering:
    """A task whose answers only a judge can tell right from wrong."""
    return QuestionAnswering(job.model_copy(update={"input_description": "A letter."}))


def by_prediction(verdicts: dict):
    """A judge that has a verdict on some predictions and fails on the others."""

    def answer(request):
        prediction = request.messages[0]["content"].split("<prediction>\n")[1].split("\n")[0]
        return verdicts.get(prediction, FAILED)

    return answer


def verdict(good: bool) -> dict:
    return {"reason": "so", "verdict": "good" if good else "bad"}


def test_the_judge_sees_question_reference_and_what_the_task_reads_in_the_completion(reward):
    seen = []

    class Noting:
        model = "a-judge"

        def judge(self, cases, phase):
            seen.append((phase, cases))
            return [Judged(True, "so")] * len(cases)

    asked = reward(lambda request: verdict(True))
    asked._judge = Noting()
    asked(completion_ids=[[1], [3]], row_id=["1", "2"])
    assert seen == [
        (PHASE, [JudgeCase("q1", "bills", "bills"), JudgeCase("q2", "bills", "I think it is about bills")]),
    ]


def test_good_is_one_bad_is_zero_and_no_judgement_is_neither(reward, free_text):
    asked = reward(by_prediction({"'Bills'.": verdict(True), "parcels": verdict(False)}), free_text)
    assert asked(completion_ids=[[1], [2], [3]], row_id=["1", "1", "2"]) == [1.0, 0.0, None]
    assert (asked.asked, asked.good, asked.failed, asked.agreement) == (3, 1, 1, None)


def test_where_the_task_can_be_checked_half_of_the_reward_is_the_check(reward):
    asked = reward(by_prediction({"bills": verdict(True), "parcels": verdict(True)}))
    assert asked(completion_ids=[[1], [2], [3]], row_id=["1", "1", "2"]) == [1.0, 0.5, None]
    assert asked.agreement == 0.5
    strict = reward(by_prediction({"bills": verdict(False), "parcels": verdict(False)}))
    assert strict(completion_ids=[[1], [2]], row_id=["1", "1"]) == [0.5, 0.0]


def test_how_often_judge_and_check_agree_is_logged_for_what_could_be_judged(reward, free_text):
    logged = []
    verdicts = by_prediction({"bills": verdict(True), "parcels": verdict(True)})
    ids = {"completion_ids": [[1], [1], [2], [3]], "row_id": ["1", "2", "1", "2"]}
    reward(verdicts)(**ids, log_metric=lambda *entry: logged.append(entry))
    assert logged == [("agreement", 2 / 3)]
    reward(verdicts, free_text)(**ids, log_metric=lambda *entry: logged.append(entry))
    reward(lambda request: FAILED)(**ids, log_metric=lambda *entry: logged.append(entry))
    assert len(logged) == 1


def test_calls_of_tools_are_checked_as_the_evaluation_compares_them(scripted, boat_job, boat_task):
    hire = '{"name": "find_boat", "parameters": {"seats": 3}}'
    written = {1: '<tool_call>\n{"name": "find_boat", "arguments": {"seats": 3}}\n</tool_call>', 2: "No boats."}
    task = boat_task
    judge = Judge(scripted(lambda request: verdict(True)), "a-judge", boat_job)
    asked = JudgeReward(judge, task, [row(1, hire)], lambda ids: written[ids[0]])
    rewards = asked(completion_ids=[[1], [2]], row_id=["1", "1"])
    assert rewards == ([1.0, 1.0] if task.primary_metric == "llm_as_a_judge" else [1.0, 0.5])


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
