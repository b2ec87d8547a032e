"""A deployment for each module, and pages of a headless Chromium that show it."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from browser.deployments import Deployment, deployed

# Beside what a container needs: nothing is looked up outside the loopback.
CHROMIUM_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
# What a page waits for: a run of two small steps on a machine with other work.
PATIENCE_MILLISECONDS = 90_000


@pytest.fixture(scope="session")
def chromium() -> str:
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        pytest.skip("no Chromium on this machine")
    return found


@pytest.fixture(scope="module")
def deployment(chromium, tmp_path_factory, case, small_config) -> Iterator[Deployment]:
    with deployed(tmp_path_factory.mktemp("deployment"), case, small_config) as deployment:
        yield deployment


@pytest.fixture(scope="module")
def browser(chromium):
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=PATIENCE_MILLISECONDS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def open_page(browser, deployment):
    """Opens pages of the module's deployment."""

    @contextmanager
    def opened():
        # A context of its own: the launchpad remembers what was typed.
        context = browser.new_context(base_url=deployment.address, viewport={"width": 1600, "height": 1000})
        context.set_default_timeout(PATIENCE_MILLISECONDS)
        yield context.new_page()
        context.close()

    return opened


@pytest.fixture
def page(open_page):
    with open_page() as page:
        yield page
