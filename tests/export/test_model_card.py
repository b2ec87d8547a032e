from dataclasses import replace

import yaml

from distil_dagster.export.model_card import model_card


def test_the_card_tells_task_figures_and_how_to_serve(facts):
    card = model_card("banking", facts, has_adapter=True)
    assert card.startswith("---\n")
    assert facts.figures in card
    assert "> Classify requests.\n> One class each.\n" in card
    assert "ollama create banking -f Modelfile" in card
    assert "vllm serve model --served-model-name banking --port 8000\n" in card
    assert "| `model-adapters/` |" in card


def test_the_head_of_the_card_is_yaml_for_the_hub(facts):
    head = yaml.safe_load(model_card("banking", facts, has_adapter=True).split("---\n")[1])
    assert head["base_model"] == facts.hub_id
    assert head["license"] == facts.licence


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
