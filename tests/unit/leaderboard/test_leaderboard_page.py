"""The page of the leaderboards in a real browser: Chromium without a window, on the file as it lies on disk."""

import html
import importlib.util
import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

from bench.leaderboard.build import Places, write
from tests.conftest import ROOT
from tests.runs import keep, speech

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DRIVER = shutil.which("chromedriver")
EVIL = """<script>window.harmed=1</script>@</script><!--"'"""
FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--autoplay-policy=no-user-gesture-required", "--window-size=1280,900"),
)
Open = Callable[..., webdriver.Chrome]


def scores(quality: float, kbps: float, missing: bool = False) -> dict:
    first = float("nan") if missing else quality - 0.3
    qualities = [first, quality, quality + 0.2, quality, quality - 0.1, quality + 0.4]
    return speech({"quality": qualities, "distance": [1.0] * 6, "kbps_packed": [kbps] * 6}, speakers=6)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four tokenizers, one of whose names is an attack."""
    root = tmp_path_factory.mktemp("page")
    facts = {"record": {"headline": ["quality", "kbps_packed"], "commit": "c" * 40}}
    keep(root / "results", "opus@12kbps", scores(4.0, 12.0), **facts)
    keep(root / "results", "opus@6kbps", scores(2.5, 6.0, missing=True), note=f"failed: {EVIL}", **facts)
    keep(root / "results", "mulaw@8bit", scores(3.5, 128.0), **facts)
    keep(root / "results", EVIL, scores(1.5, 0.14), **facts)
    list(write(Places(root / "results", root / "out", root / "README.md")))
    return root / "out" / "index.html"


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    if BROWSER is None or DRIVER is None:
        pytest.skip("no chromium with its chromedriver here (Debian: apt-get install chromium chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(options=options, service=Service(DRIVER))
    yield browser
    browser.quit()


@pytest.fixture
def opened(chromium: webdriver.Chrome, page: Path) -> Open:
    """opened(width, dark) -> the page, loaded anew, of a reader who has chosen no theme."""

    def act(width: int = 1280, dark: bool = False) -> webdriver.Chrome:
        theme = {"features": [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]}
        size = {"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": width < 600}
        chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", theme)
        chromium.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        chromium.get(page.as_uri())
        chromium.execute_script("localStorage.clear()")
        chromium.get("about:blank")
        chromium.get_log("browser")
        chromium.get(page.as_uri())
        return chromium

    return act


def find(browser: webdriver.Chrome, selector: str) -> WebElement:
    return browser.find_element(By.CSS_SELECTOR, selector)


def labels(browser: webdriver.Chrome) -> list[str]:
    return [row.text for row in browser.find_elements(By.CSS_SELECTOR, "#toy-speech tbody th") if row.is_displayed()]


def until(true: Callable[[], object]) -> bool:
    end = time.monotonic() + 20
    while not true() and time.monotonic() < end:
        time.sleep(0.05)
    return bool(true())


def test_the_page_loads_without_a_complaint_and_asks_for_nothing_but_files_beside_it(opened: Open) -> None:
    browser = opened()
    assert browser.get_log("browser") == []
    asked = browser.execute_script("return performance.getEntriesByType('resource').map(entry => entry.name)")
    assert all(name.startswith(("file://", "data:")) for name in asked)


@pytest.mark.parametrize("domain", ["speech", "music", "general"])
def test_the_committed_page_draws_every_plot(chromium: webdriver.Chrome, domain: str) -> None:
    chromium.get("about:blank")
    chromium.get_log("browser")
    chromium.get((ROOT / "leaderboards" / "index.html").as_uri())
    shown = "const s = document.getElementById(arguments[0]); s.value = arguments[1]; s.dispatchEvent(new Event('change'))"
    chromium.execute_script(shown, "plot-domain", domain)
    for metric in chromium.execute_script("return [...document.getElementById('plot-y').options].map(option => option.value)"):
        chromium.execute_script(shown, "plot-y", metric)
        assert chromium.execute_script("return document.querySelector('#plot canvas').width") > 300, metric
    assert chromium.get_log("browser") == []


def test_a_column_sorts_its_best_to_the_top_then_its_worst_by_mouse_and_by_key(opened: Open) -> None:
    browser = opened()
    assert labels(browser) == [EVIL, "mulaw@8bit", "opus@6kbps", "opus@12kbps"]
    button = find(browser, "#toy-speech thead th:nth-child(2) button")
    button.click()
    assert labels(browser) == ["opus@12kbps", "mulaw@8bit", "opus@6kbps", EVIL]
    assert find(browser, "#toy-speech thead th:nth-child(2)").get_attribute("aria-sort") == "descending"
    button.send_keys(Keys.ENTER)
    assert labels(browser) == [EVIL, "opus@6kbps", "mulaw@8bit", "opus@12kbps"]
    assert find(browser, "#toy-speech thead th:nth-child(2)").get_attribute("aria-sort") == "ascending"
    find(browser, "#toy-speech thead th:nth-child(3) button").click()
    assert labels(browser) == [EVIL, "opus@6kbps", "opus@12kbps", "mulaw@8bit"], "of a bitrate the lowest is best"
    assert find(browser, "#toy-speech thead th:nth-child(2)").get_attribute("aria-sort") == "none"


def test_words_and_a_bitrate_filter_tables_and_plots(opened: Open) -> None:
    browser = opened()
    find(browser, "#words").send_keys("opus")
    assert set(labels(browser)) == {"opus@6kbps", "opus@12kbps"}
    assert find(browser, "#shown").text == "2 of 4 tokenizers"
    assert len(browser.find_elements(By.CSS_SELECTOR, "#plot-points tr")) == 2
    find(browser, "#most").send_keys("7")
    assert labels(browser) == ["opus@6kbps"]


def test_intervals_and_missing_scores_are_shown_and_further_columns_on_demand(opened: Open) -> None:
    browser = opened()
    row = next(r for r in browser.find_elements(By.CSS_SELECTOR, "#toy-speech tbody tr") if "opus@6kbps" in r.text)
    assert re.search(r"2\.60\n\[2\.\d\d, \d\.\d\d\]\n1 missing", row.text)
    assert len([c for c in row.find_elements(By.TAG_NAME, "td") if c.is_displayed()]) == 2
    find(browser, "#toy .every").click()
    assert len([c for c in row.find_elements(By.TAG_NAME, "td") if c.is_displayed()]) == 3


def test_a_name_leads_to_its_tokenizer(opened: Open) -> None:
    browser = opened()
    browser.find_element(By.LINK_TEXT, "mulaw@8bit").click()
    article = find(browser, "article:target")
    assert article.get_attribute("id") == "t-mulaw-8bit"
    assert until(lambda: browser.execute_script("return Math.abs(arguments[0].getBoundingClientRect().top) < 200", article))
    assert "16 kHz" in article.text and "quality" in article.text and "cccccccccc" in article.text


def test_the_plot_is_walked_by_keys_and_its_points_stand_in_a_table(opened: Open) -> None:
    browser = opened()
    box = find(browser, "#plot")
    assert browser.find_elements(By.CSS_SELECTOR, "#plot canvas") and "quality" in str(box.get_attribute("aria-label"))
    box.send_keys(Keys.ARROW_RIGHT)
    assert find(browser, "#plot-readout").text.startswith(EVIL), "the lowest bitrate comes first"
    box.send_keys(Keys.ARROW_LEFT)
    assert find(browser, "#plot-readout").text.startswith("mulaw@8bit")
    find(browser, "#plots summary").click()
    points = {row.text.split(" ")[0]: row.text for row in browser.find_elements(By.CSS_SELECTOR, "#plot-points tr")}
    assert re.search(r"12 4\.033 \[3\.\d+, 4\.\d+\]", points["opus@12kbps"])


def test_the_theme_follows_the_system_and_then_the_reader(opened: Open) -> None:
    def paper() -> str:
        return browser.execute_script("return getComputedStyle(document.body).backgroundColor")

    browser = opened(dark=True)
    dark = paper()
    browser = opened()
    light = paper()
    assert dark != light
    find(browser, "#theme").click()
    assert until(lambda: paper() == dark) and find(browser, "#theme").text == "Light theme"
    assert browser.execute_script("return localStorage.getItem('theme')") == "dark"
    browser.refresh()
    assert until(lambda: paper() == dark), "the choice is kept"


def test_a_phone_needs_no_sideways_scrolling_of_the_page(opened: Open) -> None:
    browser = opened(width=390)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= 390
    (name,) = [row for row in browser.find_elements(By.CSS_SELECTOR, "#toy-speech tbody th") if "opus@12kbps" in row.text.replace("\n", "")]
    assert name.size["width"] > 90 and name.size["height"] < 80, "a name is a word or two, not a column of letters"
    assert browser.execute_script("return document.querySelector('#plot canvas').getBoundingClientRect().right") <= 390


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (1280, True), (390, False), (390, True)])
def test_axe_finds_nothing(opened: Open, width: int, dark: bool) -> None:
    axe = importlib.util.find_spec("axe_playwright_python")
    if axe is None or not axe.submodule_search_locations:
        pytest.skip("no axe-core here (pip install --no-deps axe-playwright-python)")
    browser = opened(width, dark)
    find(browser, ".every").click()
    for closed in browser.find_elements(By.CSS_SELECTOR, "details"):
        browser.execute_script("arguments[0].open = true", closed)
    browser.execute_script((Path(axe.submodule_search_locations[0]) / "axe.min.js").read_text(encoding="utf-8"))
    found = browser.execute_async_script("const done = arguments[0]; axe.run().then(done)")
    assert len(found["passes"]) > 30
    assert [(v["id"], v["nodes"][0]["html"]) for v in found["violations"]] == []


def test_a_tokenizer_whose_name_is_a_script_harms_nobody(opened: Open, page: Path) -> None:
    browser = opened()
    assert browser.execute_script("return window.harmed") is None
    assert EVIL in labels(browser)
    assert browser.execute_script("return document.scripts.length") == page.read_text().count("<script") == 5
    assert html.escape(EVIL, quote=False) in browser.execute_script("return document.querySelector('#toy').innerHTML")
    assert "<script>window" not in page.read_text() and "<!--" not in page.read_text()


def test_a_script_that_came_through_would_not_run(opened: Open) -> None:
    """The page's policy names its own scripts by their sha256."""
    browser = opened()
    browser.execute_script("const s = document.createElement('script'); s.textContent = 'window.harmed = 1'; document.body.append(s)")
    assert browser.execute_script("return window.harmed") is None
