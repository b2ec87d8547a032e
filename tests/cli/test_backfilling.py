"""`backfill` and `sweep` that run nothing here: mistakes, and what is handed to Dagster's daemon."""

import pytest
from cli.conftest import ROOT
from cli.homes import Home


@pytest.fixture
def home(tmp_path, case, small_config):
    home = Home(tmp_path, case)
    home.write("letters", small_config)
    return home


def test_a_sweep_over_data_is_refused_before_anything_is_written(home):
    done = home.command("sweep", home.config, "--over", "synthgen.generation_target=[10, 20]")
    assert done.returncode == 2
    assert "synthgen.generation_target" in done.stderr
    assert [path.name for path in home.configs.iterdir()] == ["letters.yaml"]


def test_a_backfill_with_a_mistake_in_one_file_runs_nothing(home, small_config):
    home.write("second", small_config | {"tuning": {"lora_r": "many"}})
    done = home.command("backfill")
    assert done.returncode == 2
    assert "second.yaml:" in done.stderr
    assert "tuning.lora_r" in done.stderr
    assert not (home.folder / "artefacts").exists()


def test_a_backfill_that_is_submitted_waits_in_the_queue_of_the_daemon(home, small_config):
    import dagster as dg

    home.write("second", small_config)
    (home.folder / "dagster").mkdir(exist_ok=True)
    (home.folder / "dagster" / "dagster.yaml").write_text((ROOT / "dagster.yaml").read_text())
    done = home.command("backfill", "letters", "second", "--submit", simulated=False)
    assert done.returncode == 0, done.stdout + done.stderr
    with dg.DagsterInstance.from_config(str(home.folder / "dagster")) as instance:
        runs = instance.get_runs()
        assert {run.tags["dagster/partition"] for run in runs} == {"letters", "second"}
        assert {run.status for run in runs} == {dg.DagsterRunStatus.QUEUED}
        assert len({run.tags["dagster/backfill"] for run in runs}) == 1
