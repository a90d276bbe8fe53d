"""A blind test taken by browsers whose preferences are known: keys, sliders, an interruption, the saved file, and its analysis."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

from bench.listening import analysis, answers
from tests.browser import again, find, opened, started, until, violations
from tests.listeners import QUALITY, TOKENIZERS, blind_test, conditions

ITEMS = 2


@pytest.fixture(scope="module")
def downloads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("downloads")


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory, downloads: Path) -> Iterator[webdriver.Chrome]:
    yield from started(tmp_path_factory.mktemp("chromium"), downloads)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return blind_test(tmp_path_factory.mktemp("test"), items=ITEMS)


def page(folder: Path) -> str:
    return (folder / "listeners" / "index.html").as_uri()


def enter(browser: webdriver.Chrome, name: str) -> None:
    find(browser, "#listener").send_keys(name, Keys.ENTER)
    loaded(browser, "Training")


def loaded(browser: webdriver.Chrome, title: str) -> None:
    assert until(lambda: find(browser, "#trial-title").text == title and not find(browser, "#message").text), find(browser, "#message").text


SOUNDS = """
const { items } = JSON.parse(document.getElementById("facts").textContent), stored = JSON.parse(localStorage.getItem(
  Object.keys(localStorage).find((key) => key.startsWith("listening-test-"))));
return Object.keys(stored.answers[stored.trial]);
"""


def trial(browser: webdriver.Chrome, heard: Mapping[str, float]) -> None:
    """Hears every version by its letter, and moves its slider to what the listener thinks of it, by mouse or script as it comes."""
    for i, condition in enumerate(browser.execute_script(SOUNDS)):
        letter = chr(65 + i)
        ActionChains(browser).send_keys(letter.lower()).perform()
        move = "const s = arguments[0]; s.value = arguments[1]; s.dispatchEvent(new Event('input'))"
        browser.execute_script(move, find(browser, f"#rate-{letter}"), round(heard[condition]))


def take(browser: webdriver.Chrome, folder: Path, name: str, quality: Mapping[str, float]) -> str:
    """One listener from the first page to the last; the CSV."""
    heard = {condition: quality[kind] for _, condition, kind in conditions(folder)}
    opened(browser, page(folder))
    enter(browser, name)
    find(browser, "#next").click()
    for number in range(ITEMS):
        loaded(browser, f"Trial {number + 1} of {ITEMS}")
        trial(browser, heard)
        find(browser, "#next").click()
        if "None is rated 100" in find(browser, "#message").text:
            find(browser, "#next").click()
    assert until(lambda: find(browser, "#end").is_displayed())
    return str(find(browser, "#csv").get_property("value"))


def test_listeners_order_is_found_again_and_the_careless_one_is_out(chromium: webdriver.Chrome, folder: Path, tmp_path: Path) -> None:
    kinds = {"reference": 100.0, **{name: QUALITY[name] for name in QUALITY if name != "reference"}}
    files = []
    for name, shift in (("anna", 0), ("bert", -6)):
        text = take(chromium, folder, name, {k: v if v == 100 else v + shift for k, v in kinds.items()})
        files.append(tmp_path / f"{name}.csv")
        files[-1].write_text(text)
    text = take(chromium, folder, "careless", dict.fromkeys(kinds, 50.0))
    files.append(tmp_path / "careless.csv")
    files[-1].write_text(text)
    found = analysis.analyse(answers.read(files, answers.read_key(folder)))
    assert [s.listener for s in found.screened if s.out] == ["careless"]
    means = {m.name: m.estimate.value for m in found.means}
    assert sorted(means, key=lambda name: -means[name]) == sorted(kinds, key=lambda name: -kinds[name])
    assert means["good@a"] == 77 and means["reference"] == 100
    assert chromium.get_log("browser") == []


def test_a_trial_is_rated_by_keys_alone_and_the_answers_outlive_the_page(chromium: webdriver.Chrome, folder: Path, downloads: Path) -> None:
    browser = opened(chromium, page(folder))
    enter(browser, "anna, the 2nd")
    find(browser, "#next").send_keys(Keys.ENTER)
    loaded(browser, f"Trial 1 of {ITEMS}")
    find(browser, "#next").send_keys(Keys.ENTER)
    assert find(browser, "#message").text == "Hear and rate every version first: A, B, C, D, E, F."
    ActionChains(browser).send_keys("b", Keys.ARROW_RIGHT, Keys.ARROW_RIGHT).perform()
    assert find(browser, "#rate-B").get_property("value") == "52" and find(browser, "#hear-B").get_attribute("aria-pressed") == "true"
    assert until(lambda: find(browser, "#play").text == "Pause")
    ActionChains(browser).send_keys(" ").perform()
    assert until(lambda: find(browser, "#play").text == "Play")
    ActionChains(browser).send_keys("0").perform()
    assert find(browser, "#reference").get_attribute("aria-pressed") == "true"
    again(browser, page(folder))
    loaded(browser, f"Trial 1 of {ITEMS}")
    assert find(browser, "#rate-B").get_property("value") == "52", "resumed where it was left"
    for number in range(ITEMS):
        loaded(browser, f"Trial {number + 1} of {ITEMS}")
        trial(browser, {condition: 100.0 for _, condition, _ in conditions(folder)})
        find(browser, "#next").click()
    find(browser, "#save").click()
    assert until(lambda: list(downloads.glob("answers-*-anna_the_2nd.csv")))
    (file,) = downloads.glob("answers-*-anna_the_2nd.csv")
    read = answers.read([file], answers.read_key(folder))
    assert read.listeners == ["anna, the 2nd"] and len(read.ratings) == 6 * ITEMS


def test_each_listener_has_an_order_of_their_own_which_stays(chromium: webdriver.Chrome, folder: Path) -> None:
    orders = []
    for name in ("one", "two", "one"):
        browser = opened(chromium, page(folder))
        enter(browser, name)
        orders.append(browser.execute_script(SOUNDS))
    assert orders[0] == orders[2] != orders[1]
    public = json.loads(browser.execute_script("return document.getElementById('facts').textContent"))
    assert not [label for label in TOKENIZERS if label in json.dumps(public)]


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, True)])
def test_axe_finds_nothing_and_a_phone_scrolls_one_way(chromium: webdriver.Chrome, folder: Path, width: int, dark: bool) -> None:
    browser = opened(chromium, page(folder), width, dark)
    assert violations(browser) == []
    enter(browser, "l")
    assert violations(browser) == []
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    browser.execute_script(
        "const k = Object.keys(localStorage).find((key) => key.startsWith('listening-test-')), s = JSON.parse(localStorage.getItem(k));"
        "s.trial = 99; localStorage.setItem(k, JSON.stringify(s));"
    )
    again(browser, page(folder))
    assert until(lambda: find(browser, "#end").is_displayed()) and violations(browser) == []
