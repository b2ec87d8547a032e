import re
import shlex
from dataclasses import replace

import pytest
import yaml

from distil_dagster.cli.serving import transformers_server
from distil_dagster.export.model_card import model_card
from distil_dagster.training.models import has_gpu


def test_the_card_tells_task_figures_and_how_to_serve(facts):
    card = model_card("banking", facts, has_adapter=True)
    assert card.startswith("---\n")
    assert facts.figures in card
    assert "> Classify requests.\n> One class each.\n" in card
    assert "ollama create banking -f Modelfile" in card
    assert "vllm serve model --served-model-name banking --host 127.0.0.1 --port 8000\n" in card
    assert "| `model-adapters/` |" in card


def test_the_head_of_the_card_is_yaml_for_the_hub(facts):
    head = yaml.safe_load(model_card("banking", facts, has_adapter=True).split("---\n")[1])
    assert head["base_model"] == facts.hub_id
    assert head["license"] == facts.licence


def test_every_server_listens_on_this_machine_only_and_comes_with_the_command_that_asks_it(facts):
    card = model_card("banking", facts, has_adapter=True)
    blocks = re.findall(r"```\n(.*?)```", card, re.DOTALL)
    assert [block.splitlines()[-1].removesuffix(" --model model") for block in blocks] == [
        f'python model_client.py --base-url http://localhost:{port}/v1 --question "..."'
        for port in (8000, 8000, 11434, 8080)
    ]
    started = [line for block in blocks for line in block.splitlines() if "serve" in line.split("[")[0]]
    assert len(started) == 3
    assert all("--host 127.0.0.1" in line for line in started)


def test_the_card_starts_transformers_server_as_the_command_line_does(facts):
    line = next(line for line in model_card("x", facts, has_adapter=True).splitlines() if "transformers serve" in line)
    _, *flags = shlex.split(line)
    arguments = transformers_server("127.0.0.1", 8000).arguments
    assert flags == list(arguments[3:]) or has_gpu()


def test_a_model_that_reads_a_passage_is_asked_with_one(facts):
    assert '--question "..." --context "..."' in model_card("x", facts, has_adapter=True, asks_with_context=True)
    assert '--context "..."' not in model_card("x", facts, has_adapter=True)


def test_a_licence_that_the_hub_does_not_know_is_another_one(facts):
    head = yaml.safe_load(model_card("x", replace(facts, licence="lfm1.0"), has_adapter=True).split("---\n")[1])
    assert (head["license"], head["license_name"]) == ("other", "lfm1.0")


def test_a_model_for_tools_is_served_with_its_parser(facts):
    card = model_card("home", replace(facts, tool_parser="hermes"), has_adapter=False)
    assert "--enable-auto-tool-choice --tool-call-parser hermes\n" in card
    assert "the system prompt and the tools" in card


def test_a_notice_stands_before_everything_else(facts):
    card = model_card("banking", replace(facts, notice="Simulated teacher."), has_adapter=False)
    assert card.index("> Simulated teacher.") < card.index("## The task")


def test_figures_are_taken_as_they_are(facts):
    figures = "{{ not a template }} <b>&</b>"
    assert figures in model_card("banking", replace(facts, figures=figures), has_adapter=False)


def test_the_card_says_which_metric_decides_and_why(facts):
    assert "Accuracy decides, because there is one right class." in model_card("banking", facts, has_adapter=True)


def test_a_model_for_tools_has_no_modelfile_and_the_card_says_why(facts):
    card = model_card("home", replace(facts, tool_parser="hermes"), has_adapter=False)
    assert "ollama create" not in card
    assert "| `Modelfile` |" not in card
    assert "There is no Modelfile" in card
    assert "There is no Modelfile" not in model_card("banking", facts, has_adapter=False)


@pytest.mark.parametrize(
    ("parser", "words"),
    [(None, "the template in the `Modelfile` holds them"), ("hermes", "`prompt.json`; another client")],
)
def test_who_serves_a_model_with_worked_examples_is_told_who_sends_them(facts, parser, words):
    card = model_card("home", replace(facts, tool_parser=parser), has_adapter=False, has_shots=True)
    assert "the worked examples that the model was trained with" in card
    assert words in card
    assert "worked examples" not in model_card("home", replace(facts, tool_parser=parser), has_adapter=False)


@pytest.mark.parametrize("parser", [None, "hermes"])
@pytest.mark.parametrize("has_shots", [False, True])
def test_the_cards_tables_are_whole(facts, parser, has_shots):
    card = model_card("home", replace(facts, tool_parser=parser), has_adapter=True, has_shots=has_shots)
    for table in re.findall(r"(?:^\|.*\|\n)+", card, re.MULTILINE):
        assert len({line.count("|") for line in table.splitlines()}) == 1, table
    assert card.count("```") % 2 == 0
