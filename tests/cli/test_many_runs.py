"""One run, and the many that follow it over its data: `retune`, `sweep` and `backfill`, and what they buy."""

from pathlib import Path

import dagster as dg
import pytest
import yaml
from cli.homes import Home, bought, final_table

from distil_dagster.cli.retuning import DATA_ASSETS
from distil_dagster.evaluation.artefacts import EvalReport


@pytest.fixture(scope="module")
def home(tmp_path_factory, case, small_config) -> Home:
    """A home with one configuration that was run."""
    home = Home(tmp_path_factory.mktemp("many"), case)
    home.write("letters", small_config)
    done = home.command("run", home.config)
    assert done.returncode == 0, done.stdout + done.stderr
    assert bought(done) > 0
    return home


def test_another_tuning_section_trains_anew_and_buys_nothing(home):
    before = home.adapter("letters")
    done = home.command("retune", home.config, "--set", "tuning.num_train_epochs=2", "--set", "tuning.lora_r=4")
    assert done.returncode == 0, done.stdout + done.stderr
    assert bought(done) == 0
    assert home.adapter("letters") != before
    assert "Report: " in done.stdout


def test_another_student_stands_beside_the_first_under_a_name_of_its_own(home, tiny_student):
    before = home.adapter("letters")
    settings = yaml.safe_load(Path(home.config).read_text())
    settings["data"]["students"]["Qwen3-0.6B"] = str(tiny_student)
    Path(home.config).write_text(yaml.safe_dump(settings))
    changed = ("--set", "base.student_model_name=Qwen3-0.6B", "--set", "tuning.learning_rate=2e-3")
    done = home.command("retune", home.config, "--as", "letters_qwen", *changed)
    assert done.returncode == 0, done.stdout + done.stderr
    assert bought(done) == 0
    assert home.adapter("letters") == before
    written = yaml.safe_load((home.configs / "letters_qwen.yaml").read_text())
    assert written["base"]["student_model_name"] == "Qwen3-0.6B"
    assert float(written["tuning"]["learning_rate"]) == 2e-3
    report = home.store.load("eval_report", "letters_qwen", EvalReport)
    assert {row.role: row.model for row in report.summary}["sft"] == "Qwen3-0.6B"
    assert report.mean("teacher") == home.store.load("eval_report", "letters", EvalReport).mean("teacher")
    again = home.command("retune", home.config, "--as", "letters_qwen")
    assert again.returncode == 1
    assert "there is a configuration called letters_qwen already" in again.stderr
    assert "distil-dagster retune letters_qwen" in again.stderr


def test_data_that_were_taken_over_are_fresh_until_their_settings_change(home):
    from assets.test_staleness import stale

    from distil_dagster.orchestration.inputs import observe, versions_now

    branch = home.configs / "letters_qwen.yaml"
    settings = yaml.safe_load(branch.read_text())
    assert settings["data"]["redistil_on"] == "never"
    with dg.DagsterInstance.from_config(home.environment["DAGSTER_HOME"]) as instance:
        # As the command itself, outside the time for which it has simulated teachers.
        observe(instance, "letters_qwen", versions_now(branch))
        assert stale(instance, "letters_qwen") & set(DATA_ASSETS) == set()
        settings["synthgen"]["generation_target"] = 19
        branch.write_text(yaml.safe_dump(settings))
        observe(instance, "letters_qwen", versions_now(branch))
        assert stale(instance, "letters_qwen") & set(DATA_ASSETS) == {"synthetic_dataset"}


@pytest.mark.parametrize("name", ["", "config", "a,b", "../x"])
def test_a_configuration_needs_a_name_that_can_be_one(home, name):
    done = home.command("retune", home.config, "--as", name)
    assert done.returncode == 1
    assert f"--as {name}: must be a name" in done.stderr
    assert sorted(path.name for path in (home.configs).iterdir())[0] == "letters.yaml"


def test_settings_that_would_need_other_data_are_refused(home):
    changed = ("--set", "synthgen.generation_target=5", "--set", "base.random_seed=1", "--set", "tuning.lora_r=2")
    done = home.command("retune", home.config, *changed)
    assert done.returncode == 2
    assert "synthgen.generation_target" in done.stderr
    assert "base.random_seed" in done.stderr
    assert "tuning.lora_r" not in done.stderr


def test_without_data_there_is_nothing_to_retune(home):
    (home.configs / "new.yaml").write_text(Path(home.config).read_text())
    done = home.command("retune", str(home.configs / "new.yaml"))
    assert done.returncode == 1
    assert "new: no traces, filtered_traces," in done.stderr
    assert "run `distil-dagster run new` first" in done.stderr


@pytest.fixture(scope="module")
def swept(home):
    return home.command("sweep", home.config, "--over", "tuning.lora_r=[2, 4]", "--over", "tuning.learning_rate=0.02")


def test_a_sweep_trains_every_combination_and_buys_nothing(home, swept):
    assert swept.returncode == 0, swept.stdout + swept.stderr
    assert bought(swept) == 0
    names = {"letters-lora_r-2-learning_rate-0.02", "letters-lora_r-4-learning_rate-0.02"}
    assert names <= set(home.store.partitions("eval_report"))
    assert names <= set(home.store.partitions("model_bundle"))


def test_each_combination_is_a_configuration_of_its_own_over_the_same_data(home, swept):
    config = yaml.safe_load((home.configs / "letters-lora_r-4-learning_rate-0.02.yaml").read_text())
    assert (config["tuning"]["lora_r"], config["tuning"]["learning_rate"]) == (4, 0.02)
    folder = home.configs / config["data"]["path"]
    assert folder.resolve() == home.case.resolve()


def test_a_sweep_ends_with_a_table_of_all(swept):
    table = final_table(swept)
    assert table.count("finished") == 2
    assert "letters-lora_r-2-learning_rate-0.02" in table


def test_a_backfill_over_equal_data_buys_none_of_it_again_and_goes_on_past_a_failure(home, small_config):
    home.write("second", small_config | {"tuning": small_config["tuning"] | {"lora_r": 4}})
    lacking = small_config["data"] | {"students": {"SmolLM2-135M-Instruct": str(home.folder / "nowhere")}}
    home.write("broken", small_config | {"data": lacking})
    done = home.command("backfill", "broken", "second")
    assert done.returncode == 1
    table = final_table(done)
    assert (table.count("finished"), table.count("failed")) == (1, 1)
    # The second student's answers are judged, where they are others.
    assert bought(done) <= home.store.load("eval_report", "second", EvalReport).rows
