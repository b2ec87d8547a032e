"""Training over several processes, as over several GPUs: real ones under torchrun, joined by gloo on this processor."""

import subprocess
import sys

import pytest
from safetensors.torch import load_file
from training.rlvr_jobs import IN_FLIGHT, KEY_VARIABLE, bought, rlvr_job

from distil_dagster.errors import TrainingError
from distil_dagster.simulator.options import Options
from distil_dagster.simulator.server import SimulatedTeacher
from distil_dagster.training.checkpoints import own_checkpoints
from distil_dagster.training.curve import FILE_NAME, CurvePoint
from distil_dagster.training.grpo import GrpoSummary
from distil_dagster.training.grpo import steps_in as rlvr_steps_in
from distil_dagster.training.job import MergeJob, PredictJob, write_job
from distil_dagster.training.launch import PROCESSES_VARIABLE, run_worker, why_it_ended
from distil_dagster.training.rows import read_rows, write_rows
from distil_dagster.training.sft import SUMMARY_FILE, SftSummary, steps_in, train
from distil_dagster.training.worker import do


@pytest.fixture
def two(monkeypatch):
    monkeypatch.setenv(PROCESSES_VARIABLE, "2")


@pytest.fixture
def teacher(case, monkeypatch):
    monkeypatch.setenv(KEY_VARIABLE, "none")
    with SimulatedTeacher(case, Options(latency=0.02)) as teacher:
        yield teacher


def doubled(job, folder):
    """The same job as one process does it, with the rows of both in a batch."""
    tuning = job.tuning.model_copy(update={"per_device_train_batch_size": 2 * job.tuning.per_device_train_batch_size})
    return job.model_copy(
        update={"tuning": tuning, "output": folder / "doubled", "checkpoints": folder / "doubled-checkpoints"}
    )


def curve(job):
    return read_rows(job.output / FILE_NAME, CurvePoint)


def values_of(job, measure):
    """What one measure was at each step that has it."""
    values = (getattr(point, measure) for point in curve(job))
    return [value for value in values if value is not None]


@pytest.mark.parametrize("accumulated", [1, 2])
def test_two_processes_learn_what_one_learns_from_batches_of_double_size(
    sft_job, rows, recorder, tmp_path, caplog, two, accumulated
):
    write_rows(sft_job.train_rows, rows[:16])
    write_rows(sft_job.eval_rows, rows[16:])
    tuning = sft_job.tuning.model_copy(
        update={"gradient_accumulation_steps": accumulated, "per_device_train_batch_size": 4 // accumulated}
    )
    job = sft_job.model_copy(update={"tuning": tuning})
    single = doubled(job, tmp_path)
    train(single, recorder)
    with caplog.at_level("INFO", logger="distil_dagster"):
        run_worker(job, tmp_path / "two")
    summary = SftSummary.model_validate_json((job.output / SUMMARY_FILE).read_text())
    assert summary.steps == steps_in(tuning, 16, processes=2) == 4
    assert [point.step for point in curve(job)] == [point.step for point in curve(single)]
    for measure in ("loss", "eval_loss", "grad_norm", "learning_rate"):
        assert values_of(job, measure) == pytest.approx(values_of(single, measure), rel=1e-3)
    adapters = [load_file(each.output / "adapter_model.safetensors") for each in (job, single)]
    assert all(adapters[0][name] == pytest.approx(adapters[1][name], abs=1e-4) for name in adapters[0])
    # One process tells, and one output is written.
    assert sum(line.startswith("sft: step 4/4, loss ") for line in caplog.messages) == 1
    assert [path for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_each_process_of_rlvr_has_its_own_completions_judged(tmp_path, student, tuned, rows, tuning, teacher, two):
    job = rlvr_job(tmp_path / "rlvr", student, tuned, rows, tuning, teacher)
    of_others = [job.checkpoints / f"other-{number}" for number in range(20)]
    for folder in of_others:
        folder.mkdir(parents=True)
        (folder / "trainer_state.json").write_text("{}")
    run_worker(job, tmp_path / "work")
    summary = GrpoSummary.model_validate_json((job.output / SUMMARY_FILE).read_text())
    steps = rlvr_steps_in(job.tuning, len(rows), processes=2)
    assert summary.steps == steps == 6
    assert {point.step for point in curve(job) if point.loss is not None} == set(range(1, steps + 1))
    assert (summary.judgements, summary.failed_judgements) == (steps * 8 * 2, 0)
    # Prompts of the rows that the first process alone judged would be half of them.
    prompts = bought(job).values()
    assert all(any(row.prompt[-1]["content"] in prompt for prompt in prompts) for row in rows)
    counts = teacher.stats()
    assert counts["most_in_flight"] <= 2 * IN_FLIGHT
    assert len(prompts) == counts["bodies"]["distinct"]
    assert not [folder for folder in of_others if folder.exists()]


def test_checkpoints_of_another_number_of_processes_are_not_gone_on_from(sft_job, monkeypatch):
    alone = own_checkpoints(sft_job)
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert own_checkpoints(sft_job) != alone


def test_the_processes_agree_on_the_folder_and_the_first_alone_removes_others(sft_job, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    other = sft_job.checkpoints / "other"
    other.mkdir(parents=True)
    monkeypatch.setenv("RANK", "1")
    second = own_checkpoints(sft_job)
    assert other.exists()
    monkeypatch.setenv("RANK", "0")
    assert own_checkpoints(sft_job) == second
    assert not other.exists()


def test_a_failure_of_several_processes_gives_its_reason_once_and_no_traceback(sft_job, tmp_path, two):
    sft_job.train_rows.write_text("{")
    with pytest.raises(TrainingError) as failure:
        run_worker(sft_job, tmp_path / "work")
    assert str(failure.value).startswith(f"{sft_job.train_rows}:1: line: Invalid JSON")
    assert "Traceback" not in str(failure.value)
    assert str(failure.value).count("Invalid JSON") == 1
    assert "torch" not in str(failure.value)


def test_predicting_is_one_process_whatever_the_variable_says(sft_job, student, tmp_path, two, caplog):
    job = PredictJob(model=student, rows=sft_job.eval_rows, output=tmp_path / "written.jsonl", max_new_tokens=2)
    with caplog.at_level("INFO", logger="distil_dagster"):
        run_worker(job, tmp_path / "work")
    assert sum(line.startswith("predict: 6/6 rows") for line in caplog.messages) == 1


def test_predicting_and_merging_refuse_to_be_done_by_several_processes(student, tmp_path, recorder, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    predict = PredictJob(model=student, rows=tmp_path / "rows.jsonl", output=tmp_path / "written.jsonl")
    for job in (predict, MergeJob(model=student, output=tmp_path / "merged")):
        with pytest.raises(TrainingError, match="is the work of one process; start it without torchrun"):
            do(job, recorder)


def test_a_process_that_is_killed_takes_the_others_with_it(sft_job, tmp_path, two):
    """As the kernel does it where memory runs out: to one of the processes, not to the launcher."""
    job = sft_job.model_copy(update={"tuning": sft_job.tuning.model_copy(update={"num_train_epochs": 500})})
    script = (
        "import os, signal, sys\n"
        "from distil_dagster.training import trainer_progress, worker\n"
        "def die(self, args, state, control, **_):\n"
        "    if os.environ['RANK'] == '1' and state.global_step == 5:\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "trainer_progress.TrainerProgress.on_step_begin = die\n"
        "sys.exit(worker.main(sys.argv[1:]))\n"
    )
    (tmp_path / "dies.py").write_text(script)
    write_job(tmp_path / "job.json", job)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    ended = subprocess.run(
        [*command, str(tmp_path / "dies.py"), str(tmp_path / "job.json")],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=240,
    )
    reason = why_it_ended(ended.returncode, ended.stdout.split("\n"), job)
    assert "was killed, most likely because the machine ran out of memory: halve tuning." in reason
