import json
import logging
import shutil

import pytest

from distil_dagster.training.checkpoints import (
    is_complete,
    last_complete_checkpoint,
    own_checkpoints,
    step_of,
    train_on,
)
from distil_dagster.training.rows import write_rows


@pytest.fixture(scope="module")
def written(tuned):
    """A checkpoint as the trainer wrote it."""
    return last_complete_checkpoint(next((tuned.parent / "checkpoints").iterdir()))


@pytest.fixture
def make(written):
    """Copies that checkpoint as one of another step."""

    def copy(folder, step):
        checkpoint = shutil.copytree(written, folder / f"checkpoint-{step}")
        state = json.loads((checkpoint / "trainer_state.json").read_text())
        (checkpoint / "trainer_state.json").write_text(json.dumps(state | {"global_step": step}))
        return checkpoint

    return copy


class Trainer:
    """Notes what it is asked to go on from."""

    def train(self, resume_from_checkpoint=None):
        self.resumed_from = resume_from_checkpoint


def test_the_latest_checkpoint_is_found_by_number_not_by_name(make, tmp_path):
    for step in (9, 100, 20):
        make(tmp_path, step)
    assert step_of(last_complete_checkpoint(tmp_path)) == 100


FILES = ["adapter_model.safetensors", "optimizer.pt", "scheduler.pt", "rng_state.pth", "trainer_state.json"]


@pytest.mark.parametrize("name", FILES)
def test_a_checkpoint_that_a_kill_left_without_a_file_is_passed_over(make, tmp_path, name):
    whole = make(tmp_path, 10)
    (make(tmp_path, 20) / name).unlink()
    assert last_complete_checkpoint(tmp_path) == whole


@pytest.mark.parametrize("share", [0, 0.3, 0.99])
@pytest.mark.parametrize("name", FILES)
def test_a_checkpoint_with_a_file_cut_short_is_passed_over(make, tmp_path, name, share):
    whole = make(tmp_path, 10)
    cut = make(tmp_path, 20) / name
    content = cut.read_bytes()
    cut.write_bytes(content[: int(len(content) * share)])
    assert last_complete_checkpoint(tmp_path) == whole


def test_an_empty_folder_and_folders_of_other_names_are_passed_over(make, tmp_path):
    whole = make(tmp_path, 10)
    (tmp_path / "checkpoint-20").mkdir()
    make(tmp_path, 30).rename(tmp_path / "checkpoint-last")
    assert last_complete_checkpoint(tmp_path) == whole


def test_of_several_processes_every_one_must_have_written_its_random_numbers(make, tmp_path, monkeypatch):
    checkpoint = make(tmp_path, 10)
    (checkpoint / "rng_state.pth").rename(checkpoint / "rng_state_0.pth")
    assert not is_complete(checkpoint)
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert not is_complete(checkpoint)
    shutil.copy(checkpoint / "rng_state_0.pth", checkpoint / "rng_state_1.pth")
    assert is_complete(checkpoint)


def test_without_checkpoints_there_is_none(tmp_path):
    assert last_complete_checkpoint(tmp_path) is None


def test_training_goes_on_from_the_whole_one_and_the_broken_one_makes_room(make, tmp_path, caplog):
    whole, broken = make(tmp_path, 10), make(tmp_path, 20)
    (broken / "optimizer.pt").unlink()
    trainer = Trainer()
    with caplog.at_level(logging.INFO, logger="distil_dagster"):
        assert train_on(trainer, tmp_path, "sft") == 10
    assert trainer.resumed_from == str(whole)
    assert not broken.exists()
    assert caplog.messages == [f"{broken}: not whole, removed", "sft: going on from step 10"]


def test_without_a_whole_one_training_starts_afresh(make, tmp_path):
    (make(tmp_path, 20) / "trainer_state.json").unlink()
    trainer = Trainer()
    assert train_on(trainer, tmp_path, "sft") == 0
    assert trainer.resumed_from is None


def test_the_same_job_finds_its_folder_again(sft_job, make):
    make(own_checkpoints(sft_job), 5)
    assert step_of(last_complete_checkpoint(own_checkpoints(sft_job))) == 5


def test_another_seed_another_setting_and_other_rows_are_other_jobs(sft_job, rows, make):
    make(own_checkpoints(sft_job), 5)
    tuning = sft_job.tuning.model_copy(update={"lora_r": 4})
    for changes in ({"seed": 8}, {"tuning": tuning}):
        assert last_complete_checkpoint(own_checkpoints(sft_job.model_copy(update=changes))) is None
    make(own_checkpoints(sft_job), 5)
    write_rows(sft_job.train_rows, rows[:3])
    assert last_complete_checkpoint(own_checkpoints(sft_job)) is None


def test_the_folder_of_the_output_does_not_matter(sft_job, tmp_path):
    assert own_checkpoints(sft_job) == own_checkpoints(sft_job.model_copy(update={"output": tmp_path / "elsewhere"}))
