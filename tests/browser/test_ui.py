import json

import pytest

from distil_dagster.config.loading import load_config
from distil_dagster.config.pipeline import effective
from distil_dagster.orchestration.inputs import INPUTS
from distil_dagster.traces.ingest import Traces
from distil_dagster.traces.relevance import FilteredTraces

pytest.importorskip("playwright.sync_api")
from browser.dagster_pages import launch, shown_metadata, type_config
from playwright.sync_api import expect

pytestmark = pytest.mark.browser

GROUPS = {
    "inputs": [f"inputs/{name}" for name in INPUTS],
    "traces": ["traces", "trace_drift", "filtered_traces", "relabelled_traces"],
    "data": ["seed_data", "synthetic_dataset"],
    "training": ["sft_adapter", "rlvr_adapter"],
    "evaluation": ["teacher_evaluation", "eval_report", "leaderboard"],
    "delivery": ["model_bundle", "in_service"],
}
SECTIONS = {
    "base": "Which task, which models, and general parameters.",
    "tuning": "How the student is trained, by SFT and by RLVR.",
    "evaluation": "How teacher and student are evaluated.",
    "synthgen": "How synthetic examples are generated and checked.",
    "trace_processing": "How traces become labelled examples.",
}


def test_the_lineage_shows_every_group_with_its_assets(page):
    page.goto("/asset-groups")
    for group in GROUPS:
        expect(page.get_by_text(group, exact=True).first).to_be_visible()
    for group, assets in GROUPS.items():
        page.goto(f"/locations/distil_dagster/asset-groups/{group}/list")
        for asset in assets:
            expect(page.locator(f"a[href='/assets/{asset}']").first).to_be_visible()


def test_the_launchpad_describes_the_five_sections(page):
    type_config(page, "resources:\n  distil:\n    config:\n      ")
    schema = page.locator("code, pre").filter(has_text="llm_num_parallel_requests").first
    for section, description in SECTIONS.items():
        expect(schema).to_contain_text(f"{section}?: {{")
        expect(schema).to_contain_text(description)


def test_the_launchpad_takes_one_key_of_a_section(page):
    type_config(page, "resources:\n  distil:\n    config:\n      tuning:\n        num_train_epochs: 3\n")
    expect(page.get_by_text("No errors")).to_be_visible()


def test_the_launchpad_takes_nothing_at_all(page):
    type_config(page, "{}\n")
    expect(page.get_by_text("No errors")).to_be_visible()


def test_the_launchpad_refuses_a_key_that_no_section_has(page):
    type_config(page, "resources:\n  distil:\n    config:\n      tuning:\n        epochs: 3\n")
    expect(page.get_by_text('unexpected config entry "epochs"')).to_be_visible()


def test_assets_are_materialized_by_clicking_and_show_what_was_done(page, deployment):
    page.goto("/locations/distil_dagster/asset-groups/traces/lineage")
    page.get_by_text("filtered_traces", exact=True).first.click()
    # The first is the page's title, the last the asset in the graph.
    page.get_by_text("traces", exact=True).last.click(modifiers=["Shift"])
    page.get_by_role("button", name="Materialize selected (2)").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="All", exact=True).click()
    dialog.get_by_role("button", name="Launch 1 run").click()
    run = page.get_by_text("Launched run").inner_text().split()[2]
    page.goto("/runs")
    page.locator(f"a[href^='/runs/{run}']").first.click()
    expect(page.get_by_text("Success", exact=True).first).to_be_visible()

    traces = deployment.store.load("traces", deployment.partition, Traces)
    filtered = deployment.store.load("filtered_traces", deployment.partition, FilteredTraces)
    dropped = sum(not row.kept for row in filtered.rows)
    assert dropped
    assert shown_metadata(page, "traces", deployment.partition, "lines") == str(traces.lines)
    assert shown_metadata(page, "filtered_traces", deployment.partition, "dropped") == str(dropped)
    assert f"relevance filter: {len(filtered.rows)}/{len(filtered.rows)} traces" in deployment.log
    assert not {"ERROR", "Traceback"} & set(deployment.log.split())


def test_a_key_typed_in_the_launchpad_holds_and_the_others_are_as_the_file_says(page, deployment):
    typed = {"num_traces_as_training_base": 20}
    text = json.dumps({"resources": {"distil": {"config": {"trace_processing": typed}}}})
    type_config(page, text, deployment.partition)
    launch(page, '"traces"')

    shown = json.loads(shown_metadata(page, "traces", deployment.partition, "settings/trace_processing"))
    of_file = effective(load_config(deployment.root / "configs" / f"{deployment.partition}.yaml").config)
    assert of_file["trace_processing"] != shown
    assert shown == {**of_file["trace_processing"], **typed}
    traces = deployment.store.load("traces", deployment.partition, Traces)
    assert len(traces.part("train")) == 20
