import json
import os
import re
import signal
import subprocess

import pytest
from interrupts import heed_interrupts
from training.rlvr_jobs import IN_FLIGHT, KEY_VARIABLE, bought, rlvr_job

from distil_dagster.errors import TrainingError
from distil_dagster.simulator.options import Options
from distil_dagster.simulator.server import SimulatedTeacher
from distil_dagster.training.curve import FILE_NAME, CurvePoint
from distil_dagster.training.job import MergeJob, PredictJob, write_job
from distil_dagster.training.launch import run_worker, worker_command
from distil_dagster.training.rows import Written, read_rows
from distil_dagster.training.worker import _take_one_gpu, do, main

SLOW = Options(latency=0.05)


def start(job, folder, **environment):
    write_job(folder / "job.json", job)
    return subprocess.Popen(
        worker_command(folder / "job.json"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"} | environment,
        preexec_fn=heed_interrupts,
    )


def kill_at(process, beginning):
    """Kill a program as soon as it says a line that begins so."""
    for line in process.stdout:
        if line.startswith(beginning):
            process.send_signal(signal.SIGKILL)
            break
    process.communicate()
    assert process.returncode == -signal.SIGKILL


def test_training_predicting_and_merging_work_by_hand(sft_job, student, tmp_path, caplog):
    with caplog.at_level("INFO", logger="distil_dagster"):
        run_worker(sft_job, tmp_path / "sft")
        predict = PredictJob(
            model=student,
            adapter=sft_job.output,
            rows=sft_job.eval_rows,
            output=tmp_path / "written.jsonl",
            max_new_tokens=3,
        )
        run_worker(predict, tmp_path / "predict")
        run_worker(MergeJob(model=student, adapter=sft_job.output, output=tmp_path / "merged"), tmp_path / "merge")
    assert len(read_rows(tmp_path / "written.jsonl", Written)) == 6
    assert (tmp_path / "merged" / "model.safetensors").exists()
    said = caplog.messages
    assert any(line.startswith("sft: mask audit: 18 rows") for line in said)
    assert any(line.startswith("sft: step 10/10, loss ") for line in said)
    assert any(line.startswith("predict: 6/6 rows") for line in said)
    assert any(line.startswith("merge: wrote ") for line in said)
    assert not any("Warning" in line for line in said)


def test_a_killed_training_goes_on_and_ends_as_if_it_had_not_been_killed(sft_job, tmp_path):
    whole = sft_job.model_copy(update={"output": tmp_path / "whole", "checkpoints": tmp_path / "other"})
    assert start(whole, tmp_path).wait() == 0
    kill_at(start(sft_job, tmp_path), "sft: step 6/10, loss")
    again = start(sft_job, tmp_path)
    lines, errors = again.communicate()
    assert again.returncode == 0, errors
    assert "sft: going on from step " in lines
    curves = [read_rows(job.output / FILE_NAME, CurvePoint) for job in (sft_job, whole)]
    assert [(point.step, point.loss, point.eval_loss) for point in curves[0]] == [
        (point.step, point.loss, point.eval_loss) for point in curves[1]
    ]


def test_a_killed_rlvr_goes_on_and_buys_again_only_what_was_in_flight(
    student, tuned, rows, tuning, case, tmp_path, monkeypatch
):
    monkeypatch.setenv(KEY_VARIABLE, "none")
    with SimulatedTeacher(case, SLOW) as undisturbed, SimulatedTeacher(case, SLOW) as disturbed:
        whole = rlvr_job(tmp_path / "whole", student, tuned, rows, tuning, undisturbed)
        job = rlvr_job(tmp_path / "killed", student, tuned, rows, tuning, disturbed)
        assert finish(whole, tmp_path)
        kill_at(start(job, tmp_path), "rlvr: step 6/12, loss")
        at_kill = disturbed.stats()
        assert 0 < at_kill["bodies"]["distinct"] < undisturbed.stats()["bodies"]["distinct"]
        assert "rlvr: going on from step " in finish(job, tmp_path)
        assert points(job) == points(whole)
        assert any(reward not in (None, 0.0) for _, _, reward, _, _ in points(job))
        # What the judge answered is in the journal, but for what was on its way at the kill.
        assert bought(job) == bought(whole)
        counts = disturbed.stats()
        assert counts["bodies"]["distinct"] == len(bought(job))
        assert 0 <= counts["requests"] - undisturbed.stats()["requests"] <= IN_FLIGHT
        assert counts["bodies"]["answered_more_than_once"] <= IN_FLIGHT


def finish(job, folder) -> str:
    """What the program says until it has done the job."""
    process = start(job, folder)
    lines, errors = process.communicate()
    assert process.returncode == 0, errors
    return lines


def points(job):
    return [
        (point.step, point.loss, point.reward, point.completion_length, point.held_out)
        for point in read_rows(job.output / FILE_NAME, CurvePoint)
    ]


def test_lines_of_rlvr_say_step_loss_reward_speed_and_time_left(
    student, tuned, rows, tuning, case, tmp_path, monkeypatch
):
    monkeypatch.setenv(KEY_VARIABLE, "none")
    with SimulatedTeacher(case) as teacher:
        lines = finish(rlvr_job(tmp_path / "rlvr", student, tuned, rows[:4], tuning, teacher), tmp_path)
    shape = (
        r"rlvr: step 2/2, loss -?\d\.\d{4}, reward \d\.\d{3}, tokens a completion \d+\.\d, "
        r"learning rate \d\.\d{2}e-\d\d, tokens/s [1-9]\d*, 0:00 left"
    )
    assert lines.startswith(f"rlvr: loading {student} with {tuned}\n")
    assert re.search(shape, lines), lines


@pytest.mark.parametrize(("shown", "taken"), [(None, "0"), ("2,3", "2"), ("", ""), ("GPU-ab", "GPU-ab")])
def test_without_a_launcher_one_gpu_is_taken(monkeypatch, shown, taken):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", shown or "")
    if shown is None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    _take_one_gpu()
    assert os.environ["CUDA_VISIBLE_DEVICES"] == taken


def test_under_a_launcher_every_process_sees_what_it_is_shown(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,3")
    _take_one_gpu()
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "2,3"


def test_interrupted_by_hand_it_says_that_it_can_go_on(sft_job, tmp_path):
    process = start(sft_job.model_copy(update={"tuning": many_epochs(sft_job)}), tmp_path)
    next(line for line in process.stdout if line.startswith("sft: step "))
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate()
    assert process.returncode == 130
    assert "error: interrupted; checkpoints are kept, and the same job, started again, goes on from there" in errors
    assert "Traceback" not in errors


def many_epochs(job):
    return job.tuning.model_copy(update={"num_train_epochs": 500})


def test_a_program_that_nobody_tied_outlives_the_end_of_its_input(sft_job, tmp_path):
    write_job(tmp_path / "job.json", sft_job)
    command = worker_command(tmp_path / "job.json")
    ended = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, env=os.environ | {"OMP_NUM_THREADS": "1"}
    )
    assert ended.returncode == 0


def test_under_pipes_measurements_and_lines_go_to_dagster(sft_job, tmp_path):
    from dagster_pipes import encode_param

    messages = tmp_path / "messages"
    context = {
        "asset_keys": None,
        "code_version_by_asset_key": None,
        "provenance_by_asset_key": None,
        "partition_key": None,
        "partition_key_range": None,
        "partition_time_window": None,
        "run_id": "1",
        "job_name": None,
        "retry_number": 0,
        "extras": {},
    }
    process = start(
        sft_job,
        tmp_path,
        DAGSTER_PIPES_CONTEXT=encode_param({"data": context}),
        DAGSTER_PIPES_MESSAGES=encode_param({"path": str(messages)}),
    )
    _, errors = process.communicate()
    assert process.returncode == 0, errors
    told = [json.loads(line) for line in messages.read_text().splitlines()]
    custom = [message["params"]["payload"] for message in told if message["method"] == "report_custom_message"]
    logged = [message["params"]["message"] for message in told if message["method"] == "log"]
    assert [values["step"] for values in custom if "loss" in values] == list(range(1, 11))
    assert all({"learning_rate", "tokens_per_second"} <= values.keys() for values in custom if "loss" in values)
    assert any("sft: step 10/10, loss " in line for line in logged)


def test_a_failure_ends_with_code_1_and_its_reason(sft_job, tmp_path):
    process = start(sft_job.model_copy(update={"student": tmp_path}), tmp_path)
    _, errors = process.communicate()
    assert process.returncode == 1
    assert f"error: {tmp_path}: has no config.json" in errors
    assert "Traceback" not in errors


def test_without_a_job_the_program_explains_itself(capsys):
    assert main([]) == 2
    assert "python -m distil_dagster.training.worker JOB.json" in capsys.readouterr().err


@pytest.mark.parametrize("error", ["MemoryError", "DefaultCPUAllocator: can't allocate memory: you tried"])
def test_memory_that_runs_out_becomes_advice(sft_job, recorder, monkeypatch, error):
    def fail(*_):
        raise MemoryError if error == "MemoryError" else RuntimeError(error)

    monkeypatch.setattr("distil_dagster.training.sft.train", fail)
    with pytest.raises(TrainingError, match=r"halve tuning\.per_device_train_batch_size \(now 4\)"):
        do(sft_job, recorder)


def test_other_errors_are_not_taken_for_missing_memory(sft_job, recorder, monkeypatch):
    def fail(*_):
        raise RuntimeError("shape mismatch")

    monkeypatch.setattr("distil_dagster.training.sft.train", fail)
    with pytest.raises(RuntimeError, match="shape mismatch"):
        do(sft_job, recorder)
