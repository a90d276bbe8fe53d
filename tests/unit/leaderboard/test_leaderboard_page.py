"""The pages of the leaderboards in a real browser: Chromium without a window, on the files as they lie on disk."""

import csv
import html
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlparse

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

from bench.leaderboard import shell
from bench.leaderboard.build import Places, write
from tests import browser as tool
from tests.browser import find, until
from tests.conftest import ROOT
from tests.runs import keep, speech

EVIL = """<script>window.harmed=1</script>@</script><!--"'"""
COMMITTED = ROOT / "leaderboards"
NaN = float("nan")
ROWS = "return [...document.querySelectorAll('table.board tbody tr[data-label]')].filter(r => r.offsetParent && !r.closest('.references'))"
Open = Callable[..., webdriver.Chrome]


def scores(quality: float, kbps: float, missing: bool = False, trials: float = 12.0) -> dict:
    qualities = [NaN if missing else quality - 0.3, quality, quality + 0.2, quality, quality - 0.1, quality + 0.4]
    found = speech({"quality": qualities, "distance": [1.0] * 6, "kbps_packed": [kbps] * 6}, speakers=6)
    found["speech"] |= {"trials": {"*": trials}} | ({} if missing else {"entropy": {"*": NaN}})
    return found


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Places:
    """Six tokenizers, one of whose names is an attack, one a reference, and one that failed on every clip; two suites."""
    root = tmp_path_factory.mktemp("page")
    facts = {"record": {"headline": ["quality", "kbps_packed"], "commit": "c" * 40}}
    plain = facts | {"note": "variable rate: see kbps_packed"}
    for suite in ("toy", "other"):
        keep(root / "results", "opus@12kbps", scores(4.0, 12.0), suite=suite, **plain)
        keep(root / "results", "opus@6kbps", scores(2.5, 6.0, missing=True), suite=suite, note=f"silent: {EVIL}", **facts)
        keep(root / "results", "codec2@3200bps", scores(2.4, 5.0), suite=suite, **plain)
        keep(root / "results", "mulaw@8bit", scores(3.5, 128.0), suite=suite, **plain)
        keep(root / "results", EVIL, scores(1.5, 0.14), suite=suite, **plain)
        keep(root / "results", "identity@float32", scores(4.5, 600.0), suite=suite, codebooks=[[2**32, 16000]], **plain)
        broken = speech({"quality": [NaN] * 6, "distance": [NaN] * 6, "kbps_packed": [4.5] * 6}, speakers=6)
        broken["speech"] |= {"trials": {"*": 12.0}}
        keep(root / "results", "lyra@3.2kbps", broken, suite=suite, note="tokenizer failed: it broke", **facts)
    found = Places(root / "results", root / "out", root / "README.md")
    list(write(found, audio=False))
    return found


@pytest.fixture(scope="module")
def page(places: Places) -> Path:
    return places.out / "index.html"


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    yield from tool.started(tmp_path_factory.mktemp("chromium"))


@pytest.fixture
def opened(chromium: webdriver.Chrome, page: Path) -> Open:
    """opened(path, width=, height=, dark=, hash=) -> a page, the first one unless another is named, loaded anew."""

    def act(path: Path = page, width: int = 1440, height: int = 900, dark: bool = False, hash: str = "") -> webdriver.Chrome:
        browser = tool.opened(chromium, path.as_uri() + f"#{hash}" * bool(hash), width, dark, height)
        until(lambda: labels(browser) or hash or not find_all(browser, "table.board"))  # a loaded machine lays out late
        return browser

    return act


def find_all(browser: webdriver.Chrome, selector: str) -> list[WebElement]:
    return browser.find_elements(By.CSS_SELECTOR, selector)


def labels(browser: webdriver.Chrome) -> list[str]:
    rows = (
        "return [...document.querySelectorAll('table.board tbody tr[data-label]')].filter(r => r.offsetParent && !r.closest('.references'))"
    )
    return browser.execute_script(rows + ".map(r => r.dataset.label)")


def choose(browser: webdriver.Chrome, key: str, value: str) -> None:
    """A control of the page set as a reader does it."""
    kind = "search" if key == "q" else "number"
    script = (
        "const c = document.querySelector(`[data-key='${arguments[0]}']`); c.value = arguments[1]; c.dispatchEvent(new Event(arguments[2]))"
    )
    browser.execute_script(script, key, value, "input" if kind == "search" or key in ("kbps", "tokens", "lookahead") else "change")


def test_the_page_loads_without_a_complaint_and_asks_for_nothing_but_files_beside_it(opened: Open) -> None:
    browser = opened()
    assert browser.get_log("browser") == []
    asked = browser.execute_script("return performance.getEntriesByType('resource').map(entry => entry.name)")
    assert all(name.startswith(("file://", "data:")) for name in asked)
    files = browser.execute_script("return [...document.querySelectorAll('script[src], link, img')].map(e => e.src || e.href)")
    assert len(files) > 4 and all(name.startswith(("file://", "data:")) for name in files)


@pytest.mark.parametrize(("width", "height"), [(1440, 900), (390, 844)])
def test_the_first_screen_has_the_plot_and_the_table_and_the_page_is_six_screens_at_most(opened: Open, width: int, height: int) -> None:
    browser = opened(COMMITTED / "index.html", width=width, height=height)
    bottom = "return document.querySelector(arguments[0]).getBoundingClientRect().bottom"
    top = "return [...document.querySelectorAll('tbody tr[data-label]')].find(r => r.offsetParent).getBoundingClientRect().top"
    assert browser.execute_script(bottom, "#plot svg") < height and browser.execute_script(top) < height
    assert browser.execute_script("return document.documentElement.scrollHeight") <= 6 * height
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width


def test_what_a_reader_loads_first_is_less_than_300_kb() -> None:
    names = re.findall(r'(?:src|href)="(assets/[^"?]+)', (COMMITTED / "index.html").read_text())
    assert len(names) == 6
    assert sum(path.stat().st_size for path in (COMMITTED / "index.html", *(COMMITTED / name for name in names))) < 300_000


@pytest.mark.parametrize("width", [1440, 390])
def test_the_committed_page_draws_every_score_and_no_name_covers_another_or_a_point(opened: Open, width: int) -> None:
    browser = opened(COMMITTED / "index.html", width=width)
    script = """
      const box = (e) => e.getBoundingClientRect(), wrong = [];
      const meet = (a, b) => a.left < b.right - 1 && a.right > b.left + 1 && a.top < b.bottom - 2 && a.bottom > b.top + 2;
      let drawn = 0;
      for (const domain of ['speech', 'music', 'general']) {
        document.querySelector(`input[value='${domain}']`).click();
        for (const metric of [...document.getElementById('plot-y').options].map((option) => option.value)) {
          state.set({ y: metric });
          const names = [...document.querySelectorAll('#plot text.name')], points = [...document.querySelectorAll('#plot .point')];
          const frame = box(document.querySelector('#plot')), places = new Map([...names, ...points].map((e) => [e, box(e)]));
          const said = (...words) => wrong.push([domain, metric, ...words]);
          names.forEach((a, i) => {
            if (places.get(a).left < frame.left || places.get(a).right > frame.right) said(a.textContent, 'outside');
            for (const b of [...names.slice(i + 1), ...points]) if (meet(places.get(a), places.get(b))) said(a.textContent, b.textContent);
          });
          if (points.length < 3 || names.length < 3) said('nothing drawn');
          drawn++;
        }
      }
      return [drawn, wrong]"""
    drawn, wrong = browser.execute_script(script)
    assert drawn >= 30 and wrong == [] and browser.get_log("browser") == []


def test_a_column_sorts_its_best_to_the_top_then_its_worst_by_mouse_and_by_key(opened: Open) -> None:
    browser = opened()
    by_rate = [EVIL, "lyra@3.2kbps", "codec2@3200bps", "opus@6kbps", "opus@12kbps", "mulaw@8bit"]
    assert labels(browser) == by_rate
    head = find(browser, "th[data-id='toy/quality']")
    button = head.find_element(By.TAG_NAME, "button")
    button.click()
    best = ["opus@12kbps", "mulaw@8bit", "opus@6kbps", "codec2@3200bps", EVIL, "lyra@3.2kbps"]
    assert labels(browser) == best and head.get_attribute("aria-sort") == "descending", "what has no score stays below"
    assert not any(band.is_displayed() for band in find_all(browser, "tbody:not(.references) tr.band"))
    button.send_keys(Keys.ENTER)
    assert labels(browser) == [*best[4::-1], "lyra@3.2kbps"] and head.get_attribute("aria-sort") == "ascending"
    find(browser, "th[data-id='kbps_packed'] button").click()
    assert labels(browser) == by_rate and head.get_attribute("aria-sort") == "none"
    assert find_all(browser, "tr.band")[0].text == "Below 0.5 kbit/s"
    assert find(browser, "tbody.references tr[data-label]").get_attribute("data-label") == "identity@float32"


def test_words_and_bounds_filter_table_and_plot_and_an_empty_table_says_so(opened: Open) -> None:
    browser = opened()
    find(browser, "[data-key='q']").send_keys("opus")
    assert labels(browser) == ["opus@6kbps", "opus@12kbps"]
    assert find(browser, "#shown").text == "2 of 7 tokenizers" and len(find_all(browser, "#plot .point")) == 2
    find(browser, "[data-key='kbps']").send_keys("7")
    assert labels(browser) == ["opus@6kbps"]
    find(browser, "[data-key='kbps']").send_keys(Keys.BACKSPACE, "1")
    assert labels(browser) == [] and find(browser, ".none").is_displayed() and not find_all(browser, "#plot svg")
    assert "No tokenizer that the filter leaves" in find(browser, "#plot-readout").text
    find(browser, ".none button").click()
    assert len(labels(browser)) == 6 and not find(browser, ".none").is_displayed()


def test_what_is_chosen_stands_in_the_address_and_the_address_brings_it_back(opened: Open) -> None:
    browser = opened()
    choose(browser, "q", "opus mulaw")
    choose(browser, "kbps", "100")
    choose(browser, "y", "other/quality")
    find(browser, "[data-key='log']").click()
    find(browser, "th[data-id='toy/quality'] button").click()
    find(browser, "input.pick").click()
    address = urlparse(browser.current_url).fragment
    assert parse_qs(address) == {
        "q": ["opus mulaw"], "kbps": ["100"], "y": ["other/quality"], "log": ["0"], "sort": ["-toy/quality"], "t": ["opus@12kbps"],
    }  # fmt: skip
    browser = opened(hash=address)
    assert labels(browser) == ["opus@12kbps", "opus@6kbps"]
    assert find(browser, "#plot-y").get_attribute("value") == "other/quality" and not find(browser, "[data-key='log']").is_selected()
    assert find(browser, "[data-key='q']").get_attribute("value") == "opus mulaw" and find(browser, "#tray-names").text == "opus@12kbps"
    browser.execute_script("location.hash = 'q=codec2'")
    assert until(lambda: labels(browser) == ["codec2@3200bps"]), "an address typed anew"


def test_a_starting_point_filters_sorts_and_says_why_and_lasts_until_a_filter_of_ones_own(opened: Open) -> None:
    browser = opened(COMMITTED / "index.html")
    everything = labels(browser)
    values = ROWS + ".map(r => JSON.parse(r.dataset.at)[arguments[0]])"
    for start, column, most in (("llm", "tokens_per_s", 150), ("bitrate", "kbps_packed", 2), ("streaming", "lookahead_ms", 100)):
        find(browser, f"button[data-start='{start}']").click()
        found = browser.execute_script(values, column)
        assert 1 < len(found) < len(everything) and max(found) <= most, start
        assert all(a <= b + 1 for a, b in zip(found, found[1:], strict=False)), "sorted, by what is printed"
        assert urlparse(browser.current_url).fragment == f"start={start}"
        reason = find(browser, "#reason").text
        assert (
            reason.count(".") == 1
            and str(most) in reason
            and find(browser, "button[aria-pressed='true']").get_attribute("data-start") == start
        )
        assert find(browser, "#plot-x").get_attribute("value") in (column, "kbps_packed")
    choose(browser, "lookahead", "60")
    assert max(browser.execute_script(values, "lookahead_ms")) <= 60
    assert "start" not in parse_qs(urlparse(browser.current_url).fragment) and parse_qs(urlparse(browser.current_url).fragment)[
        "lookahead"
    ] == ["60"]
    find(browser, "button[data-start='']").click()
    assert labels(browser) == everything and not urlparse(browser.current_url).fragment


def test_what_failed_what_is_missing_and_what_does_not_apply_look_unlike(opened: Open, places: Places) -> None:
    browser = opened()
    cell = "return document.querySelector(`tr[data-label='${arguments[0]}']`).cells[2]"
    failed, missing = browser.execute_script(cell, "lyra@3.2kbps"), browser.execute_script(cell, "opus@6kbps")
    assert failed.text == "failed" and failed.get_attribute("title") == "tokenizer failed: it broke"
    assert re.fullmatch(r"(≈|)2\.60−1", missing.text) and "silent" in missing.find_element(By.TAG_NAME, "sup").get_attribute("title")
    find(browser, "[data-key='ci']").click()
    assert re.search(r"\[2\.\d\d, \d\.\d\d\]", missing.text)
    browser = opened(places.out / "suites" / "toy.html")
    find(browser, "[data-key='every']").click()
    heads = [th.get_attribute("data-id") for th in find_all(browser, "thead th") if th.is_displayed()]
    assert heads == ["name", "toy/quality", "kbps_packed", "toy/distance"], "entropy is blank and hidden, trials are a line"
    assert "The same in every row: trials 12." in find(browser, "main").text


def test_the_best_of_a_band_is_marked_and_nothing_alone_and_no_reference(opened: Open) -> None:
    browser = opened()
    rank = (
        "const c = document.querySelector(`tr[data-label='${arguments[0]}']`).cells[2];"
        "return [!!c.querySelector('b'), c.textContent.includes('≈')]"
    )
    assert browser.execute_script(rank, "opus@6kbps") == [True, False], "best of 4 to 8 kbit/s"
    assert browser.execute_script(rank, "codec2@3200bps")[0] is False
    assert browser.execute_script(rank, "identity@float32") == [False, False], "a reference is not ranked"
    assert browser.execute_script(rank, "opus@12kbps") == [False, False], "alone in its band"


def test_a_name_leads_to_the_page_of_its_tokenizer_and_that_one_back(opened: Open) -> None:
    browser = opened()
    browser.find_element(By.LINK_TEXT, "mulaw@8bit").click()
    assert until(
        lambda: browser.current_url.endswith("/tokenizers/mulaw%408bit.html") or browser.current_url.endswith("/tokenizers/mulaw@8bit.html")
    )
    text = find(browser, "main").text
    assert "16 kHz" in text and "quality" in text and "cccccccccc" in text
    assert browser.get_log("browser") == [] and find_all(browser, "#plot .point:not(.faint)")
    find(browser, "nav a").click()
    assert until(lambda: browser.current_url.endswith("/index.html"))
    find(browser, ".suites a").click()
    assert until(lambda: "/suites/" in browser.current_url)
    assert "mulaw@8bit" in labels(browser) and browser.get_log("browser") == []
    find(browser, "tbody a").click()
    assert until(lambda: "/tokenizers/" in browser.current_url), "a suite's page leads there, too"


def test_the_plot_is_walked_by_keys_marks_its_front_and_opens_a_page(opened: Open) -> None:
    browser = opened()
    box = find(browser, "#plot")
    assert "quality" in str(box.get_attribute("aria-label"))
    box.send_keys(Keys.ARROW_RIGHT)
    assert find(browser, "#plot-readout").text.startswith(EVIL), "the lowest bitrate comes first"
    box.send_keys(Keys.ARROW_LEFT)
    assert find(browser, "#plot-readout").text.startswith("mulaw@8bit")
    front = [line.find_element(By.TAG_NAME, "a").text for line in find_all(browser, "#front li")]
    assert front == [EVIL, "codec2@3200bps", "opus@6kbps", "opus@12kbps"], "mulaw spends more for less"
    assert len(find_all(browser, "#plot .on-front")) == 4
    box.send_keys(Keys.ENTER)
    assert until(lambda: "/tokenizers/mulaw" in browser.current_url)


def test_the_numbers_of_the_page_are_those_of_results_csv(opened: Open) -> None:
    browser = opened(COMMITTED / "index.html")
    data = browser.execute_script("return numbers")
    lines = {(x["tokenizer"], x["suite"], x["domain"], x["metric"]): x for x in csv.DictReader((COMMITTED / "results.csv").open())}
    seen = 0
    for metric in data["metrics"]:
        suite = metric["id"].partition("/")[0] if "/" in metric["id"] else "reconstruction"
        for domain, triples in metric["domains"].items():
            for label, triple in zip(data["labels"], triples, strict=True):
                line = lines.get((label, suite, domain, metric["name"]))
                if triple and line:
                    scale = 100 if line["unit"] == "share" else 1
                    assert triple[0] == pytest.approx(scale * float(line["mean"]), rel=1e-5), (label, metric["id"])
                    seen += 1
    assert seen > 1000


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


def test_a_phone_needs_no_sideways_scrolling_of_the_page(opened: Open, places: Places) -> None:
    for path in sorted(places.out.rglob("*.html")):
        browser = opened(path, width=390, height=844)
        assert browser.execute_script("return document.documentElement.scrollWidth") <= 390, path
    browser = opened(width=390, height=844)
    name = browser.execute_script("return document.querySelector(`tr[data-label='opus@12kbps'] th`)")
    assert name.size["width"] > 90 and name.size["height"] < 80, "a name is a word or two, not a column of letters"


@pytest.mark.parametrize(("width", "dark"), [(1440, False), (1440, True), (390, False), (390, True)])
def test_axe_finds_nothing_on_any_page(opened: Open, places: Places, width: int, dark: bool) -> None:
    details = (shell.suite_path("toy"), shell.tokenizer_path("mulaw@8bit")) if (width, dark) in ((1440, True), (390, False)) else ()
    for path in (shell.INDEX, *details):
        browser = opened(places.out / path, width=width, dark=dark, hash="every=1&ci=1&t=mulaw%408bit")
        for closed in find_all(browser, "details"):
            browser.execute_script("arguments[0].open = true", closed)
        assert tool.violations(browser) == [], path


def test_a_tokenizer_whose_name_is_a_script_harms_nobody(opened: Open, page: Path) -> None:
    browser = opened()
    assert browser.execute_script("return window.harmed") is None
    assert EVIL in labels(browser)
    assert html.escape(EVIL, quote=False) in browser.execute_script(
        "return document.querySelector('table').innerHTML.replaceAll('<wbr>', '')"
    )
    for path in (page, *page.parent.glob("*/*.html")):
        assert "<script>window" not in path.read_text() and "<!--" not in path.read_text()


def test_a_script_that_came_through_would_not_run(opened: Open) -> None:
    """The page's policy names files beside it and no inline script."""
    browser = opened()
    browser.execute_script("const s = document.createElement('script'); s.textContent = 'window.harmed = 1'; document.body.append(s)")
    assert browser.execute_script("return window.harmed") is None
