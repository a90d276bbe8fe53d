"""A real Chromium without a window, for tests of pages; skips where there is none."""

from __future__ import annotations

import importlib.util
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DRIVER = shutil.which("chromedriver")
FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--autoplay-policy=no-user-gesture-required", "--window-size=1280,900"),
)


def started(profile: Path, downloads: Path | None = None) -> Iterator[webdriver.Chrome]:
    """A browser with a profile of its own, closed at the end."""
    if BROWSER is None or DRIVER is None:
        pytest.skip("no chromium with its chromedriver here (Debian: apt-get install chromium chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(options=options, service=Service(DRIVER))
    if downloads:
        browser.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(downloads)})
    yield browser
    browser.quit()


def opened(browser: webdriver.Chrome, address: str, width: int = 1280, dark: bool = False, height: int = 844) -> webdriver.Chrome:
    """A page, loaded anew, of a reader who has chosen no theme and kept nothing."""
    theme = {"features": [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]}
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", theme)
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.get("about:blank")
    browser.get_log("browser")
    # before any script of the page: one that still loads when it is left may put back what was cleared later; and once, not when it reloads
    token = str(uuid.uuid4())
    once = f"if (sessionStorage.cleared !== '{token}') {{ localStorage.clear(); sessionStorage.cleared = '{token}'; }}"
    clear = browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": once})
    browser.get(address)
    browser.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", clear)
    until(lambda: browser.execute_script("return document.readyState") == "complete")
    return browser


def again(browser: webdriver.Chrome, address: str) -> None:
    """The page after it was left, with what it had kept. Chromium on a busy machine loses that now and then: then it is given back."""
    kept = browser.execute_script("return { ...localStorage }")
    for _ in range(5):
        browser.get("about:blank")
        browser.get(address)
        if kept.keys() <= browser.execute_script("return { ...localStorage }").keys():
            return
        browser.execute_script("Object.entries(arguments[0]).forEach(([key, value]) => localStorage.setItem(key, value))", kept)
    raise AssertionError("Chromium keeps nothing")


def find(browser: webdriver.Chrome, selector: str) -> WebElement:
    """The first element of a selector."""
    return browser.find_element(By.CSS_SELECTOR, selector)


def until(true: Callable[[], object], seconds: float = 60.0) -> bool:
    """Whether something comes true in time."""
    end = time.monotonic() + seconds
    while not true() and time.monotonic() < end:
        time.sleep(0.05)
    return bool(true())


def violations(browser: webdriver.Chrome) -> list[tuple[str, str]]:
    """What axe-core finds on the page as it is shown: rules, and the first element of each."""
    axe = importlib.util.find_spec("axe_playwright_python")
    if axe is None or not axe.submodule_search_locations:
        pytest.skip("no axe-core here (pip install --no-deps axe-playwright-python)")
    browser.execute_script((Path(axe.submodule_search_locations[0]) / "axe.min.js").read_text(encoding="utf-8"))
    found = browser.execute_async_script("const done = arguments[0]; axe.run().then(done)")
    assert len(found["passes"]) > 15
    return [(v["id"], v["nodes"][0]["html"]) for v in found["violations"]]
