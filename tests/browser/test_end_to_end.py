"""Three configurations, two of them added while the UI runs, in one backfill that is launched by clicking."""

from dataclasses import dataclass

import pytest

pytest.importorskip("playwright.sync_api")
from browser.dagster_pages import PARTITIONS, log_levels, of_partition, reload_until, shown_metadata
from playwright.sync_api import Page, expect

pytestmark = [pytest.mark.browser, pytest.mark.timeout(1800)]

ADDED = {"letters_rank_4": {"lora_r": 4}, "letters_slowly": {"learning_rate": 1e-3}}
ALL = {"letters", *ADDED}
# Three runs of about fifty seconds on a quiet machine, two at a time.
BACKFILL_MILLISECONDS = 1_200_000
PROGRESS = ("relevance filter: ", "synthesis: ", "sft: step ", "predict: ")


@dataclass(frozen=True)
class Backfill:
    """A finished backfill: how its page says that it ended, and the run of each configuration."""

    ended: str
    runs: dict[str, str]


@pytest.fixture(scope="module")
def backfill(deployment, open_page) -> Backfill:
    given = deployment.config(deployment.partition)
    for name, tuning in ADDED.items():
        deployment.write_config(name, {**given, "tuning": {**given["tuning"], **tuning}})
    deployment.wait_for_partitions(*ADDED)
    with open_page() as page:
        launched = launch_backfill(page)
        page.goto(f"/runs/b/{launched}")
        status = page.get_by_text("Status", exact=True).locator("..")
        expect(status).to_contain_text("In progress")
        expect(status).not_to_contain_text("In progress", timeout=BACKFILL_MILLISECONDS)
        return Backfill(status.inner_text(), deployment.runs(launched))


def launch_backfill(page: Page) -> str:
    """For all configurations that the dialog offers; gives the name of the backfill."""
    page.goto(PARTITIONS)
    page.get_by_role("button", name="Materialize").first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="All", exact=True).click()
    for name in ALL:
        expect(dialog.get_by_text(name, exact=True).first).to_be_visible()
    dialog.get_by_role("button", name="Launch backfill").click()
    return page.get_by_text("Created backfill").inner_text().split()[2]


def test_configurations_added_while_the_ui_runs_are_distilled_by_one_backfill(backfill, page, deployment):
    assert "Succeeded" in backfill.ended
    assert set(backfill.runs) == ALL
    page.goto(PARTITIONS)
    expect(page.get_by_text("Total partitions").locator("..")).to_contain_text(str(len(ALL)))
    assert set(deployment.store.partitions("in_service")) == ALL


def test_nobody_has_to_ask_for_the_leaderboard(backfill, page):
    rows = [page.get_by_role("cell", name=name, exact=True).first for name in ALL]
    reload_until(page, "/assets/leaderboard", rows)
    page.goto("/runs")
    expect(page.get_by_role("link", name="leaderboard_follows").first).to_be_visible()


def test_what_one_configuration_bought_no_other_buys_again(backfill, page, deployment):
    counts = deployment.teacher.stats()
    assert counts["requests"] == counts["bodies"]["distinct"]
    assert counts["bodies"]["answered_more_than_once"] == 0
    bought, used = [], []
    for name in ALL:
        bought.append(int(shown_metadata(page, "synthetic_dataset", name, "answers_bought")))
        read = int(shown_metadata(page, "synthetic_dataset", name, "answers_from_journal"))
        used.append(bought[-1] + read)
    assert len(set(used)) == 1
    assert sum(bought) == used[0] == counts["by_role"]["generated_examples"]


def test_the_logs_show_progress_and_nothing_that_alarms(backfill, page, deployment):
    for run in backfill.runs.values():
        levels = log_levels(page, run)
        assert levels["info"]
        assert levels["warning"] == levels["error"] == levels["critical"] == 0
        for words in PROGRESS:
            page.get_by_placeholder("Filter…").fill(words)
            expect(page.get_by_text(words).first).to_be_visible()
    assert not {"ERROR", "CRITICAL", "Traceback"} & set(deployment.log.split())


def test_a_changed_tuning_makes_the_training_stale_and_leaves_the_data_as_it_is(backfill, page, deployment):
    given = deployment.config("letters_slowly")
    given["tuning"]["num_train_epochs"] = 2
    deployment.write_config("letters_slowly", given)
    for asset in ("sft_adapter", "rlvr_adapter"):
        reload_until(page, of_partition(asset, "letters_slowly"), [page.get_by_text("Unsynced").first])
    for asset, name in (("synthetic_dataset", "letters_slowly"), ("sft_adapter", "letters")):
        page.goto(of_partition(asset, name))
        expect(page.get_by_text("Materialized", exact=True)).to_be_visible()
        expect(page.get_by_text("Unsynced")).to_have_count(0)
    found = deployment.stale("letters_slowly", "seed_data", "synthetic_dataset", "sft_adapter", "rlvr_adapter")
    assert found == {"sft_adapter", "rlvr_adapter"}
