"""What people do on the pages of Dagster's UI, and what they read there."""

import time
from collections.abc import Sequence

from playwright.sync_api import Locator, Page, expect
from playwright.sync_api import TimeoutError as NotShown

LAUNCHPAD = "/locations/distil_dagster/jobs/distil/playground"
PARTITIONS = "/locations/distil_dagster/jobs/distil/partitions"
# Some looks of a sensor, one after the other, and a run that one of them starts.
RELOADING_SECONDS = 180
# How long a page may take to show what is there.
RENDERING_SECONDS = 15
SET_EDITOR = """text => {
    const editor = document.querySelector('.CodeMirror').CodeMirror;
    editor.setValue(text);
    editor.focus();
    editor.setCursor(editor.lineCount(), 0);
}"""


def type_config(page: Page, text: str, partition: str | None = None) -> None:
    """In the launchpad, in the place of what it is filled with for the partition."""
    page.goto(LAUNCHPAD)
    page.locator(".CodeMirror").wait_for()
    # The editor fills itself with defaults once the job's schema is there.
    expect(page.locator(".CodeMirror-code")).to_contain_text("store")
    if partition is not None:
        page.get_by_placeholder("Partition").click()
        page.get_by_role("menuitem", name=partition, exact=True).click()
        # It is filled anew in the moment in which the run gets this tag.
        page.get_by_text(f"partition: {partition}", exact=True).wait_for()
    page.evaluate(SET_EDITOR, text)
    expect(page.locator(".CodeMirror-code")).not_to_contain_text("store")


def launch(page: Page, ops: str) -> None:
    """From the launchpad, as it is filled in; leaves the page of the run once that has succeeded."""
    page.get_by_placeholder("Type an op subset").click()
    page.keyboard.press("Control+A")
    page.keyboard.type(ops)
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Launch Run").click()
    page.wait_for_url("**/runs/*")
    expect(page.get_by_text("Success", exact=True).first).to_be_visible()


def of_partition(asset: str, partition: str) -> str:
    """The address of an asset's page about one partition."""
    return f"/assets/{asset}?view=partitions&partition={partition}"


def shown_metadata(page: Page, asset: str, partition: str, key: str) -> str:
    """What an asset's page shows beside a key."""
    page.goto(of_partition(asset, partition))
    row = page.get_by_role("row").filter(has=page.get_by_text(key, exact=True)).first
    return row.get_by_role("cell").nth(1).inner_text()


def reload_until(page: Page, address: str, shown: Sequence[Locator]) -> None:
    """Look at a page again and again until it shows all of this."""
    deadline = time.monotonic() + RELOADING_SECONDS
    while time.monotonic() < deadline:
        page.goto(address)
        try:
            for locator in shown:
                locator.wait_for(timeout=RENDERING_SECONDS * 1000)
            return
        except NotShown:
            continue
    raise AssertionError(f"{address} never showed all of {shown}:\n{page.locator('body').inner_text()}")


def log_levels(page: Page, run: str) -> dict[str, int]:
    """How many messages of each level the log of a finished run has, as the menu of levels counts them."""
    page.goto(f"/runs/{run}")
    expect(page.get_by_text("RUN_SUCCESS").first).to_be_visible()
    page.get_by_role("button", name="Levels").click()
    lines = page.get_by_role("menu").inner_text().split()
    page.keyboard.press("Escape")
    return {name: int(count) for name, count in zip(lines[::2], lines[1::2], strict=True)}
