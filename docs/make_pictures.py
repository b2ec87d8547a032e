"""Takes the pictures of these pages from a running Dagster UI: python docs/make_pictures.py --partition tickets.

The UI is to have a finished backfill of the job `distil`, and a configuration that was distilled more than once.
Needs Chromium and the package playwright.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

FOLDER = Path(__file__).with_name("images")
LAUNCHPAD = "/locations/distil_dagster/jobs/distil/playground"
TYPED = (
    "resources:\n  distil:\n    config:\n      tuning:\n        num_train_epochs: 3\n"
    "      synthgen:\n        generation_target: 800\n        "
)
SET_EDITOR = """text => {
    const editor = document.querySelector('.CodeMirror').CodeMirror;
    editor.setValue(text);
    editor.focus();
    editor.setCursor(editor.lineCount(), 8);
}"""
# Layouts are animated, and states of assets arrive one after the other.
SETTLING_MILLISECONDS = 3000


def asset_graph(page: Page) -> None:
    """The whole graph, every group open."""
    page.set_viewport_size({"width": 2300, "height": 1250})
    page.goto("/asset-groups")
    page.get_by_role("button", name="panel_show_right", exact=True).click()
    page.get_by_role("img", name="settings").last.click()
    page.get_by_role("menuitem", name="Expand all groups").click()
    take(page, "asset_graph", left=300)


def launchpad(page: Page, partition: str) -> None:
    """Two keys typed, and what else the section takes."""
    page.goto(LAUNCHPAD)
    page.locator(".CodeMirror-code", has_text="store").wait_for()
    page.get_by_placeholder("Partition").click()
    page.get_by_role("menuitem", name=partition, exact=True).click()
    page.evaluate(SET_EDITOR, TYPED)
    page.keyboard.press("Control+Space")
    take(page, "launchpad")


def backfill(page: Page) -> None:
    """The runs of the latest backfill, one a configuration."""
    page.goto("/runs?view=backfills")
    page.get_by_role("link", name="View").first.click()
    page.get_by_role("tab", name="Runs").click()
    take(page, "backfill", height=420)


def leaderboard(page: Page) -> None:
    """All configurations side by side."""
    page.goto("/assets/leaderboard")
    take(page, "leaderboard", height=620)


def in_service(page: Page, partition: str) -> None:
    """Which student of a configuration serves, and how that came."""
    page.goto(f"/assets/in_service?view=partitions&partition={partition}")
    take(page, "in_service", height=720)


def take(page: Page, name: str, left: int = 0, height: int | None = None) -> None:
    page.wait_for_timeout(SETTLING_MILLISECONDS)
    size = page.viewport_size or {"width": 0, "height": 0}
    clip = {"x": left, "y": 0, "width": size["width"] - left, "height": height or size["height"]}
    page.screenshot(path=FOLDER / f"{name}.png", clip=clip)  # type: ignore[arg-type]


def new_page(browser: Browser, address: str) -> Page:
    return browser.new_context(base_url=address, viewport={"width": 1400, "height": 860}).new_page()


def main() -> None:
    """Take all pictures, or those that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="of the pictures; all, where none is named")
    parser.add_argument("--address", default="http://localhost:3000")
    parser.add_argument("--partition", default="quickstart")
    given = parser.parse_args()
    pictures = {
        "asset_graph": asset_graph,
        "launchpad": lambda page: launchpad(page, given.partition),
        "backfill": backfill,
        "leaderboard": leaderboard,
        "in_service": lambda page: in_service(page, given.partition),
    }
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for name in given.names or pictures:
            pictures[name](new_page(browser, given.address))
        browser.close()


if __name__ == "__main__":
    main()
