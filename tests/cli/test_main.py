import json
import os
from pathlib import Path

import pytest

from distil_dagster.cli.console import RunConsole
from distil_dagster.cli.main import main, typed_settings
from distil_dagster.cli.running import find_config
from distil_dagster.cli.simulation import Simulation, teachers_of
from distil_dagster.config.catalogue import route_of
from distil_dagster.config.pipeline import PipelineConfig
from distil_dagster.errors import ConfigError

FIVE_MISTAKES = """\
base:
  task: classification
  student_model_name: SmolLM2-135M-Instrukt
tuning:
  lerning_rate: 1e-4
  num_train_epochs: many
synthgen:
  teacher_temperature: 0.9
trace_procesing:
  relabel: true
"""


def test_five_mistakes_give_five_errors_with_line_and_key_and_exit_code_2(tmp_path, capsys):
    path = tmp_path / "job.yaml"
    path.write_text(FIVE_MISTAKES)
    assert main(["validate", str(path)]) == 2
    *errors, summary = capsys.readouterr().err.splitlines()
    assert len(errors) == 5
    places = [(int(line.split(":")[1]), line.split(":")[2].strip()) for line in errors]
    assert places == [
        (3, "base.student_model_name"),
        (5, "tuning.lerning_rate"),
        (6, "tuning.num_train_epochs"),
        (8, "synthgen.teacher_temperature"),
        (9, "trace_procesing"),
    ]
    assert "SmolLM2-135M-Instruct" in errors[0]
    assert "learning_rate" in errors[1]
    assert "'many'" in errors[2]
    assert "0.9" in errors[3]
    assert "trace_processing" in errors[4]
    assert summary.startswith("5 mistakes")


def test_mistakes_of_several_files_are_shown_together(tmp_path, capsys):
    for name in ("one", "two"):
        (tmp_path / f"{name}.yaml").write_text("base: {task: nonsense}\n")
    assert main(["validate", str(tmp_path / "one.yaml"), str(tmp_path / "two.yaml")]) == 2
    err = capsys.readouterr().err
    assert "one.yaml:1: base.task" in err
    assert "two.yaml:1: base.task" in err


def test_a_good_file_is_ready_to_run_and_warnings_are_shown(tmp_path, capsys):
    path = tmp_path / "job.yaml"
    path.write_text("base: {task: classification}\nsynthgen: {parallel_llm_calls: true}\ndata: {path: job}\n")
    (tmp_path / "job").mkdir()
    description = {"task_description": "Sort.", "classes_description": {"a": "One.", "b": "Other."}}
    (tmp_path / "job" / "job_description.json").write_text(json.dumps(description))
    (tmp_path / "job" / "traces.jsonl").write_text("")
    assert main(["validate", str(path)]) == 0
    out = capsys.readouterr().out
    assert "parallel_llm_calls" in out
    assert "ready to run" in out


@pytest.mark.parametrize(
    ("task", "missing"),
    [
        ("classification", "classes_description"),
        ("question-answering", "input_description"),
        ("tool-calling-closed-book", "tools"),
    ],
)
def test_a_job_description_that_lacks_what_the_task_needs_is_a_mistake(tmp_path, capsys, task, missing):
    (tmp_path / "job").mkdir()
    (tmp_path / "job" / "job_description.json").write_text('{"task_description": "Do it."}')
    (tmp_path / "job.yaml").write_text(f"base: {{task: {task}}}\ndata: {{path: job}}\n")
    assert main(["validate", str(tmp_path / "job.yaml")]) == 2
    assert f"job_description.json: {missing}" in capsys.readouterr().err


def test_a_folder_that_the_file_names_has_to_be_there(tmp_path, capsys):
    (tmp_path / "job.yaml").write_text("base: {task: classification}\ndata: {path: nowhere}\n")
    assert main(["validate", str(tmp_path / "job.yaml")]) == 2
    assert "data.path: there is no such folder" in capsys.readouterr().err


def test_a_folder_that_no_file_names_may_still_come(tmp_path, capsys):
    (tmp_path / "job.yaml").write_text("base: {task: classification}\n")
    assert main(["validate", str(tmp_path / "job.yaml")]) == 0
    assert "data/job is not there yet" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ([], "holds neither traces nor train and test examples yet"),
        (["train.jsonl"], "holds neither traces nor test examples yet"),
        (["train.jsonl", "test.csv"], "ready to run"),
        (["traces.jsonl"], "ready to run"),
    ],
)
def test_what_a_job_still_lacks_is_said(tmp_path, capsys, files, said):
    (tmp_path / "job.yaml").write_text("base: {task: classification}\ndata: {path: .}\n")
    description = {"task_description": "Sort.", "classes_description": {"a": "One.", "b": "Other."}}
    (tmp_path / "job_description.json").write_text(json.dumps(description))
    for name in files:
        (tmp_path / name).write_text("")
    assert main(["validate", str(tmp_path / "job.yaml")]) == 0
    assert said in capsys.readouterr().out


def test_a_configuration_in_a_folder_of_its_own_is_found_by_its_name(tmp_path, monkeypatch):
    monkeypatch.setenv("DISTIL_CONFIGS", str(tmp_path))
    (tmp_path / "mails").mkdir()
    (tmp_path / "mails" / "config.yaml").write_text("base: {task: classification}\n")
    assert find_config("mails") == tmp_path / "mails" / "config.yaml"


def test_a_simulation_goes_before_every_route_and_leaves_the_environment_as_it_was(tmp_path, monkeypatch):
    monkeypatch.setenv("DISTIL_MODELS_OVERRIDE", str(tmp_path / "of_the_user.yaml"))
    (tmp_path / "of_the_user.yaml").write_text("'*': {model: openai/paid}\n")
    paid = {"openai.gpt-oss-120b": {"model": "openai/paid"}}
    config = PipelineConfig.model_validate({"base": {"task": "classification"}, "data": {"models": paid}})
    folder = Path(__file__).parents[2] / "examples" / "ticket_routing"
    with teachers_of(Simulation(folder, 0.0), RunConsole()):
        assert route_of("openai.gpt-oss-120b", config).model == "openai/simulated/openai.gpt-oss-120b"
    assert os.environ["DISTIL_MODELS_OVERRIDE"] == str(tmp_path / "of_the_user.yaml")


def test_an_error_rate_without_a_simulated_teacher_is_a_mistake(capsys):
    assert main(["run", "quickstart", "--simulated-error-rate", "0.1"]) == 2
    assert "--simulated-error-rate: is for --simulated-teacher, which is missing" in capsys.readouterr().err


@pytest.mark.parametrize("port", ["0", "65536", "http"])
def test_a_port_that_is_none_is_named(capsys, port):
    with pytest.raises(SystemExit):
        main(["serve", "quickstart", "--port", port])
    assert "argument --port: must be from 1 to 65535" in capsys.readouterr().err


def test_typed_settings_are_read_as_yaml():
    assert typed_settings(["tuning.lora_r=8", "synthgen.mutation_topics=[a, b]", "base.random_seed=null"]) == {
        "tuning": {"lora_r": 8},
        "synthgen": {"mutation_topics": ["a", "b"]},
        "base": {"random_seed": None},
    }


@pytest.mark.parametrize("setting", ["lora_r=8", "tuning.lora_r", "=1", "tuning.=1"])
def test_a_setting_without_section_key_and_value_is_named(setting):
    with pytest.raises(ConfigError, match=r"section\.key=value"):
        typed_settings([setting])


def test_a_typed_mistake_is_found_before_anything_runs(capsys):
    assert main(["run", "quickstart", "--set", "tuning.lora_rank=8"]) == 2
    assert "run config: tuning.lora_rank" in capsys.readouterr().err


def test_a_configuration_that_is_not_there_is_named(capsys):
    assert main(["run", "no-such-job"]) == 1
    assert "no-such-job: no such configuration" in capsys.readouterr().err


def test_a_report_that_was_never_written_says_how_to_get_it(run_cli):
    done = run_cli("report", "quickstart")
    assert done.returncode == 1
    assert "distil-dagster run quickstart" in done.stderr


def test_an_unknown_asset_is_named(run_cli):
    done = run_cli("run", "quickstart", "--select", "sft_adaptor")
    assert done.returncode == 1
    assert "--select sft_adaptor" in done.stderr
    assert "Traceback" not in done.stderr


def test_settings_of_the_data_section_belong_in_the_file(capsys):
    assert main(["run", "quickstart", "--set", "data.budget_usd=5"]) == 2
    assert "data.budget_usd: stands in the configuration file only" in capsys.readouterr().err


def test_a_run_with_typed_settings_shows_what_it_does(run_cli):
    done = run_cli(
        "run",
        "quickstart",
        "--simulated-teacher",
        "examples/ticket_routing",
        "--select",
        "traces,filtered_traces",
        "--set",
        "trace_processing.num_traces_as_training_base=20",
        "--set",
        "trace_processing.num_traces_as_testing_base=20",
        "--set",
        "tuning.learning_rate=1e-4",
    )
    assert done.returncode == 0, done.stderr
    assert "simulated from examples/ticket_routing" in done.stdout
    assert "filtered_traces\n" in done.stdout
    assert "relevance filter: 40/40 traces" in done.stdout
    assert "Run finished" in done.stdout
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("select", "expected"),
    [
        ("traces", {"traces"}),
        ("traces, seed_data", {"traces", "seed_data"}),
        ("sft_adapter+", {"sft_adapter", "rlvr_adapter", "eval_report", "model_bundle", "in_service", "leaderboard"}),
        ("+relabelled_traces", {"traces", "filtered_traces", "relabelled_traces"}),
    ],
)
def test_a_selection_reaches_everything_before_or_after(select, expected):
    from distil_dagster.cli.materializing import selected_assets
    from distil_dagster.definitions import defs

    assert {key.to_user_string() for key in selected_assets(defs, select)} == expected


@pytest.mark.parametrize("port", ["0", "70000", "x"])
def test_a_port_that_there_cannot_be_is_refused(run_cli, port):
    done = run_cli("serve", "quickstart", "--port", port)
    assert done.returncode == 2
    assert "--port" in done.stderr
