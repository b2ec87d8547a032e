"""Takes the pictures of these pages from a running Dagster UI: python docs/make_pictures.py --partition tickets.

The UI is to have a finished backfill of the job `distil`, and a configuration that was distilled more than once.
Needs Chromium and the package playwright.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from playwright.sync_api import Browser, FloatRect, Page, sync_playwright

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
EXPANDED = ("traces", "data", "training", "evaluation", "delivery")
WIDTH = 1400
# Layouts are animated, and states of assets arrive one after the other.
SETTLING_MILLISECONDS = 3000


def asset_graph(page: Page) -> None:
    """The whole graph; the inputs, whose lines go everywhere, as one box."""
    page.set_viewport_size({"width": 2060, "height": 1330})
    page.goto(f"/asset-groups?expanded={','.join(f'global@global:{group}' for group in EXPANDED)}")
    page.get_by_role("button", name="panel_show_right", exact=True).click()
    take(page, "asset_graph", {"x": 250, "y": 190, "width": 1500, "height": 1020})


def launchpad(page: Page, partition: str) -> None:
    """Two keys typed, and what else the section takes."""
    page.goto(LAUNCHPAD)
    page.locator(".CodeMirror-code", has_text="store").wait_for()
    page.get_by_placeholder("Partition").click()
    page.get_by_role("menuitem", name=partition, exact=True).click()
    # The editor is filled anew in the moment in which the run gets this tag.
    page.get_by_text(f"partition: {partition}", exact=True).wait_for()
    page.wait_for_timeout(SETTLING_MILLISECONDS)
    page.evaluate(SET_EDITOR, TYPED)
    page.keyboard.press("Control+Space")
    page.mouse.move(0, 0)
    take(page, "launchpad")


def backfill(page: Page) -> None:
    """The runs of the latest backfill, one a configuration."""
    page.goto("/runs?view=backfills")
    page.locator("a[href*='/runs/b/']").first.click()
    page.wait_for_url("**/runs/b/*")
    take(page, "backfill", {"x": 0, "y": 0, "width": WIDTH, "height": 330})


def leaderboard(page: Page) -> None:
    """All configurations side by side."""
    page.set_viewport_size({"width": 1800, "height": 900})
    page.goto("/assets/leaderboard")
    page.get_by_text("verdict", exact=True).wait_for()
    take(page, "leaderboard", {"x": 240, "y": 450, "width": 1070, "height": 300})


def in_service(page: Page, partition: str) -> None:
    """Which student of a configuration serves, and how that came."""
    page.set_viewport_size({"width": 2000, "height": 900})
    page.goto(f"/assets/in_service?view=partitions&partition={partition}")
    page.get_by_text("history", exact=True).wait_for()
    take(page, "in_service", {"x": 690, "y": 155, "width": 1310, "height": 540})


def take(page: Page, name: str, clip: FloatRect | None = None) -> None:
    """Save what the window shows, or a part of it."""
    page.wait_for_timeout(SETTLING_MILLISECONDS)
    page.screenshot(path=FOLDER / f"{name}.png", clip=clip)


def new_page(browser: Browser, address: str) -> Page:
    """A page that remembers nothing of the others."""
    return browser.new_context(base_url=address, viewport={"width": WIDTH, "height": 860}).new_page()


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
