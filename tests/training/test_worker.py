import json
import os
import signal
import subprocess

import pytest

from distil_dagster.config.sections import Tuning
from distil_dagster.errors import TrainingError
from distil_dagster.training.curve import FILE_NAME, CurvePoint
from distil_dagster.training.job import MergeJob, PredictJob, write_job
from distil_dagster.training.launch import run_worker, why_it_ended, worker_command
from distil_dagster.training.rows import Written, read_rows
from distil_dagster.training.worker import do, main, memory_advice


def start(job, folder, **environment):
    write_job(folder / "job.json", job)
    return subprocess.Popen(
        worker_command(folder / "job.json"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"} | environment,
    )


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
    killed = start(sft_job, tmp_path)
    for line in killed.stdout:
        if line.startswith("sft: step 6/10, loss"):
            killed.send_signal(signal.SIGKILL)
            break
    killed.communicate()
    assert killed.returncode == -signal.SIGKILL
    again = start(sft_job, tmp_path)
    lines, errors = again.communicate()
    assert again.returncode == 0, errors
    assert "sft: going on from step " in lines
    curves = [read_rows(job.output / FILE_NAME, CurvePoint) for job in (sft_job, whole)]
    assert [(point.step, point.loss, point.eval_loss) for point in curves[0]] == [
        (point.step, point.loss, point.eval_loss) for point in curves[1]
    ]


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
    assert f"error: {tmp_path}: no tokenizer that can be read" in errors
    assert "Traceback" not in errors


def test_the_launcher_gives_the_reason_as_an_error(sft_job, tmp_path):
    sft_job.train_rows.write_text("{")
    with pytest.raises(TrainingError, match=r"^\S+train\.jsonl:1: line: Invalid JSON"):
        run_worker(sft_job, tmp_path / "work")


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


@pytest.mark.parametrize(
    ("settings", "named", "not_named"),
    [
        ({}, "memory_optimized_training", "per_device_train_batch_size"),
        ({"per_device_train_batch_size": 2, "memory_optimized_training": True}, "use_qlora", "memory_optimized"),
        ({"use_lora": False}, "use_lora", "use_qlora"),
    ],
)
def test_the_advice_names_only_what_can_still_be_changed(sft_job, settings, named, not_named):
    advice = memory_advice(sft_job.model_copy(update={"tuning": Tuning(**settings)}))
    assert f"tuning.{named}" in advice
    assert not_named not in advice


def test_predicting_and_merging_have_advice_of_their_own(tmp_path):
    predict = PredictJob(model=tmp_path, rows=tmp_path, output=tmp_path, batch_size=64)
    assert "batch_size is 64" in memory_advice(predict)
    assert "merging" in memory_advice(MergeJob(model=tmp_path, output=tmp_path))


def test_a_prefix_takes_the_place_of_python(tmp_path):
    assert worker_command(tmp_path, ("torchrun", "--nproc-per-node=2"))[:4] == [
        "torchrun",
        "--nproc-per-node=2",
        "-m",
        "distil_dagster.training.worker",
    ]


def test_the_programs_own_reason_is_found_among_its_lines():
    assert why_it_ended(1, ["loading", "error: a: first", "second"]) == "a: first\nsecond"


def test_a_kill_is_explained_by_memory():
    assert "ran out of memory" in why_it_ended(-9, ["step 3"])


def test_a_crash_shows_the_last_lines():
    shown = why_it_ended(1, [f"line {number}" for number in range(100)])
    assert "code 1" in shown
    assert shown.endswith("line 99")
    assert "line 50" not in shown
