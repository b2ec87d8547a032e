import pytest

from distil_dagster.training.checkpoints import last_complete_checkpoint, own_checkpoints, step_of
from distil_dagster.training.rows import write_rows


def make(folder, step, state='{"global_step": 1}'):
    checkpoint = folder / f"checkpoint-{step}"
    checkpoint.mkdir(parents=True)
    if state is not None:
        (checkpoint / "trainer_state.json").write_text(state)
    return checkpoint


def test_the_latest_checkpoint_is_found_by_number_not_by_name(tmp_path):
    for step in (9, 100, 20):
        make(tmp_path, step)
    assert step_of(last_complete_checkpoint(tmp_path)) == 100


@pytest.mark.parametrize("state", [None, "", '{"global_st'])
def test_a_checkpoint_that_a_kill_left_half_written_is_passed_over(tmp_path, state):
    whole = make(tmp_path, 10)
    make(tmp_path, 20, state)
    assert last_complete_checkpoint(tmp_path) == whole


def test_without_checkpoints_there_is_none(tmp_path):
    assert last_complete_checkpoint(tmp_path) is None


def test_the_same_job_finds_its_folder_again(sft_job):
    make(own_checkpoints(sft_job), 5)
    assert step_of(last_complete_checkpoint(own_checkpoints(sft_job))) == 5


def test_another_seed_another_setting_and_other_rows_are_other_jobs(sft_job, rows):
    make(own_checkpoints(sft_job), 5)
    tuning = sft_job.tuning.model_copy(update={"lora_r": 4})
    for changes in ({"seed": 8}, {"tuning": tuning}):
        assert last_complete_checkpoint(own_checkpoints(sft_job.model_copy(update=changes))) is None
    make(own_checkpoints(sft_job), 5)
    write_rows(sft_job.train_rows, rows[:3])
    assert last_complete_checkpoint(own_checkpoints(sft_job)) is None


def test_the_folder_of_the_output_does_not_matter(sft_job, tmp_path):
    assert own_checkpoints(sft_job) == own_checkpoints(sft_job.model_copy(update={"output": tmp_path / "elsewhere"}))
