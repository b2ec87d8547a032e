"""What the documentation says about files, commands, settings and reasons is so."""

import argparse
import importlib.util
import re
from pathlib import Path
from typing import get_args

import pytest
import yaml

from distil_dagster.cli.arguments import parser
from distil_dagster.config.catalogue import RoutesByName
from distil_dagster.config.loading import load_config
from distil_dagster.config.parts import part_of
from distil_dagster.config.pipeline import PipelineConfig
from distil_dagster.data.normalise import UnreadableReason
from distil_dagster.synthesis.rows import RowReason
from distil_dagster.tasks.base import RejectReason, UnusableReason
from distil_dagster.traces.relabel import DecidedBy
from distil_dagster.traces.relevance import DropReason

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]
CHAPTERS = {
    "getting-started.md",
    "configuration.md",
    "data.md",
    "classification.md",
    "question-answering.md",
    "tool-calling.md",
    "pipeline.md",
    "operations.md",
    "drift.md",
    "storage.md",
    "executors.md",
    "deployment.md",
    "serving.md",
    "benchmarks.md",
    "extending.md",
}

_LINK = re.compile(r"\]\(([^)\s]+)\)")
_FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```", re.DOTALL | re.MULTILINE)
# The options end with the line, with the code span, or where a comment begins.
_COMMAND = re.compile(r"distil-dagster (?P<name>[a-z]+)(?P<rest>[^\n`#]*)")

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def blocks(page: Path, language: str) -> list[str]:
    return [body for _, found, body in _FENCE.findall(text_of(page)) if found == language]


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    prose = _FENCE.sub("", text_of(page))
    headings = re.findall(r"^#+ (.+)$", prose, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def commands() -> dict[str, argparse.ArgumentParser]:
    (action,) = (action for action in parser()._actions if isinstance(action, argparse._SubParsersAction))
    return dict(action.choices)


def make_configuration():
    spec = importlib.util.spec_from_file_location("make_configuration", DOCS / "make_configuration.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_chapter_is_there_and_the_readme_leads_to_it():
    assert {page.name for page in DOCS.glob("*.md")} == CHAPTERS
    assert {f"docs/{name}" for name in CHAPTERS} <= set(_LINK.findall(text_of(ROOT / "README.md")))


def test_the_tables_of_settings_are_those_of_the_code():
    page = DOCS / "configuration.md"
    assert make_configuration().renewed(text_of(page)) == text_of(page), "run: python docs/make_configuration.py"


def test_a_page_without_its_markers_is_refused():
    with pytest.raises(ValueError, match="markers of table"):
        make_configuration().renewed("no markers")


@each_page
def test_every_relative_link_leads_somewhere(page):
    for link in _LINK.findall(_FENCE.sub("", text_of(page))):
        if re.match(r"[a-z]+:", link):
            continue
        file, _, anchor = link.partition("#")
        target = page.parent / file if file else page
        assert target.exists(), f"{page.name}: {link} leads nowhere"
        if anchor:
            assert anchor in anchors(target), f"{page.name}: {link}: no such heading"


@each_page
def test_every_command_and_option_exists(page):
    known = commands()
    for match in _COMMAND.finditer(text_of(page)):
        name = match["name"]
        assert name in known, f"{page.name}: distil-dagster {name} is no command"
        options = set(re.findall(r"(?<!\S)--[a-z-]+", match["rest"]))
        assert options <= known[name]._option_string_actions.keys(), f"{page.name}: {match[0]}"


@each_page
def test_every_make_target_exists(page):
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = re.findall(r"^(?:[A-Z_]+=\S+ )*make ([a-z]+(?: [a-z]+)*)", "\n".join(blocks(page, "")), re.MULTILINE)
    named += re.findall(r"`make ([a-z ]+)`", text_of(page))
    assert {target for words in named for target in words.split()} <= targets


@each_page
def test_every_configuration_shown_is_valid(page, tmp_path):
    for number, body in enumerate(blocks(page, "yaml")):
        content = yaml.safe_load(body)
        if "base" not in content and "data" not in content:
            continue
        path = tmp_path / f"{number}.yaml"
        path.write_text(yaml.safe_dump({"base": {"task": "classification"}} | content), encoding="utf-8")
        load_config(path)


def test_the_simulators_routes_are_valid():
    from pydantic import TypeAdapter

    (routes,) = [content for body in blocks(DOCS / "operations.md", "yaml") if "*" in (content := yaml.safe_load(body))]
    TypeAdapter(RoutesByName).validate_python(routes)


def test_the_run_config_shown_is_accepted_by_dagster():
    import dagster as dg

    from distil_dagster.definitions import defs

    job = defs.resolve_job_def("distil")
    shown = [
        content
        for page in ("getting-started.md", "deployment.md", "executors.md")
        for body in blocks(DOCS / page, "yaml")
        if (content := yaml.safe_load(body)).keys() & {"resources", "execution"}
    ]
    assert len(shown) == 3
    for run_config in shown:
        dg.validate_run_config(job, run_config)


def test_the_files_of_the_executor_that_are_shown_are_valid(tmp_path):
    from distil_dagster.orchestration.executor_config import read_settings

    shown = [body for body in blocks(DOCS / "executors.md", "yaml") if "gpu" in yaml.safe_load(body)]
    assert len(shown) == 3
    path = tmp_path / "executor.yaml"
    for body in shown:
        path.write_text(body, encoding="utf-8")
        assert read_settings(path) == yaml.safe_load(body)


def test_selections_reach_as_far_as_is_said():
    import dagster as dg

    from distil_dagster.definitions import defs

    graph = defs.resolve_asset_graph()

    def selected(text: str) -> set[str]:
        assert f"`{text}`" in text_of(DOCS / "getting-started.md")
        return {key.to_user_string() for key in dg.AssetSelection.from_string(text).resolve(graph)}

    everything = {key.to_user_string() for key in graph.materializable_asset_keys}
    before = {"traces", "filtered_traces", "relabelled_traces", "seed_data"}
    training = {"sft_adapter", "rlvr_adapter"}
    assert selected("traces") == selected("key:traces") == {"traces"}
    assert selected("+key:seed_data") == before
    assert selected("key:seed_data+") == everything - before - {"trace_drift"} | {"seed_data"}
    assert selected("key:sft_adapter+") == training | {"eval_report", "leaderboard", "model_bundle", "in_service"}
    assert selected("group:training") == training


def test_every_option_of_the_simulator_is_explained():
    options = {option for option in commands()["simulate"]._option_string_actions if option.startswith("--")} - {
        "--help"
    }
    text = text_of(DOCS / "operations.md")
    assert not [option for option in sorted(options) if f"`{option}" not in text]


@pytest.mark.parametrize(
    "reasons", [UnreadableReason, UnusableReason, DropReason, RejectReason, RowReason, DecidedBy], ids=str
)
def test_every_reason_is_explained(reasons):
    text = text_of(DOCS / "data.md") + text_of(DOCS / "classification.md")
    named = {reason for choice in get_args(reasons) for reason in (get_args(choice) or (choice,)) if reason}
    assert not [reason for reason in sorted(named) if f"`{reason}`" not in text]


def test_every_asset_and_every_check_has_its_place_in_the_pipeline():
    from distil_dagster.definitions import defs

    graph = defs.resolve_asset_graph()
    text = text_of(DOCS / "pipeline.md")
    assert not [key for key in graph.materializable_asset_keys if f"## `{key.to_user_string()}`" not in text]
    assert not [key.name for key in graph.asset_check_keys if f"`{key.name}`" not in text]


def table_rows(text: str, first_cell: str) -> list[list[str]]:
    """The rows of tables whose first cell begins so, each as its cells."""
    rows = [line.strip("|").split("|") for line in text.split("\n") if line.startswith(f"| {first_cell}")]
    return [[cell.strip() for cell in row] for row in rows]


def test_every_input_stands_with_the_assets_that_it_makes_stale():
    from distil_dagster.definitions import defs

    graph = defs.resolve_asset_graph()
    stale = {
        f"`{key.to_user_string()}`": {child.to_user_string() for child in graph.get(key).child_keys}
        for key in graph.external_asset_keys
    }
    rows = table_rows(text_of(DOCS / "pipeline.md"), "`inputs/")
    assert {name: set(re.findall(r"`(\w+)`", assets)) for name, _, assets in rows} == stale


def test_every_setting_stands_with_the_input_that_it_belongs_to():
    said = {}
    for name, made_of, _ in table_rows(text_of(DOCS / "pipeline.md"), "`inputs/"):
        part = name.strip("`").partition("/")[2]
        said |= dict.fromkeys(re.findall(r"`(\w+\.\w+)`", made_of), part)
        said |= dict.fromkeys(re.findall(r"section `(\w+)`", made_of), part)
    sections = [name for name in PipelineConfig.model_fields if name != "data"]
    settings = [(name, key) for name in sections for key in PipelineConfig.model_fields[name].annotation.model_fields]
    unsaid = [
        f"{section}.{key}"
        for section, key in settings
        if part_of(section, key) != said.get(f"{section}.{key}", said.get(section))
    ]
    assert not unsaid


def test_the_examples_of_what_is_stale_are_so():
    import dagster as dg

    from distil_dagster.definitions import defs

    graph = defs.resolve_asset_graph()

    def made_from(names: set[str]) -> set[str]:
        keys = [dg.AssetKey(name.split("/")) for name in names]
        return {child.to_user_string() for key in keys for child in graph.get(key).child_keys}

    rows = table_rows(text_of(DOCS / "pipeline.md"), "set `")
    assert len(rows) == 3
    for change, stale, then in rows:
        section, _, key = re.findall(r"`(.+)`", change)[0].partition(".")
        part = part_of(section, key)
        first = made_from({f"inputs/{part}"}) if part else set()
        assert set(re.findall(r"`(\w+)`", stale)) == first
        assert set(re.findall(r"`(\w+)`", then)) == made_from(first) - first


def test_every_job_and_all_that_starts_runs_by_itself_is_explained_and_how_it_is_at_first():
    from distil_dagster.definitions import defs

    pipeline, operations = text_of(DOCS / "pipeline.md"), text_of(DOCS / "operations.md")
    assert not [job.name for job in defs.jobs if not table_rows(pipeline, f"`{job.name}`")]
    for automation in [*defs.sensors, *defs.schedules]:
        (row,) = table_rows(operations, f"`{automation.name}`")
        assert row[1].strip("*") == ("on" if automation.default_status.value == "RUNNING" else "off")


def test_every_environment_variable_is_explained():
    page = text_of(DOCS / "configuration.md")
    texts = [path.read_text(encoding="utf-8") for path in (ROOT / "distil_dagster").rglob("*.py")]
    # What the package says to programs that it starts itself is nobody's to set.
    ours = {"DISTIL_SIMULATED_KEY", "DISTIL_WORKER_TIED"}
    found = {name for text in texts for name in re.findall(r'"(DISTIL_[A-Z]+(?:_[A-Z]+)*)"', text)} - ours
    assert found == {row[0].strip("`") for row in table_rows(page, "`DISTIL_")}


def test_every_benchmark_is_listed():
    scripts = [path.name for path in (ROOT / "benchmarks").glob("*.py") if "__main__" in path.read_text("utf-8")]
    assert not [name for name in scripts if f"| `{name}` |" not in text_of(DOCS / "benchmarks.md")]


def test_every_column_of_every_table_is_named():
    from distil_dagster.data.examples import Example
    from distil_dagster.data.folder import UnstructuredRow
    from distil_dagster.evaluation.artefacts import ModelSummary
    from distil_dagster.evaluation.in_service import ServiceEntry
    from distil_dagster.evaluation.predictions import Prediction
    from distil_dagster.synthesis.rows import RejectedRow, SyntheticRow
    from distil_dagster.traces.ingest import SplitTrace
    from distil_dagster.traces.relabel import RelabelledExample
    from distil_dagster.traces.relevance import ScoredTrace
    from distil_dagster.training.curve import CurvePoint

    rows = [Example, UnstructuredRow, ModelSummary, Prediction, RejectedRow, SyntheticRow, SplitTrace]
    rows += [RelabelledExample, ScoredTrace, CurvePoint, ServiceEntry]
    text = text_of(DOCS / "pipeline.md")
    for row in rows:
        assert ", ".join(f"`{name}`" for name in row.model_fields) in text.replace(
            "`part` (`train`, `test`, `unstructured`)", "`part`"
        ), row
