"""The player in a real browser, on a page made of tones and clicks whose place and level are known."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

from bench.listening import page
from bench.listening.page import Shown
from tests.browser import find, opened, started, until, violations
from tests.conftest import ROOT
from tests.runs import made

RATE, SECONDS = 16_000, 10.0  # long enough for a slow machine to look while it plays
EVIL = """<script>window.harmed=1</script>@</script><!--"'"""


def noise(level: float, seed: int = 0) -> torch.Tensor:
    return level * torch.randn(int(RATE * SECONDS), generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two clips through three tokenizers: one is 6 dB softer, one carried by Opus, one has a name that is an attack."""
    root = tmp_path_factory.mktemp("listening")
    scores = {"speech": {"quality": {"one": 2.5, "two": 3.5}, "kbps_packed": {"one": 6.1, "two": 5.9}}}
    runs = [made(label, scores, record={"headline": ["quality", "kbps_packed"]}) for label in ("a@soft", "b@opus", EVIL)]
    shown = []
    for clip, seed in (("one", 1), ("two", 2)):
        wav = noise(0.1, seed)
        original = page.sound(root, "audio", wav, RATE)
        tracks = {
            "a@soft": page.sound(root, "audio", wav / 2, RATE, original=(wav, RATE)),
            "b@opus": page.sound(root, "audio", wav, RATE, 64_000, (wav, RATE)),
            EVIL: page.sound(root, "audio", noise(0.1, 9), RATE, original=(wav, RATE)),
        }
        shown.append(Shown(clip, "speech", "worst of 2 by quality", f"words of {clip}", SECONDS, RATE, original, tracks))
    data = page.facts(shown, runs, {label: label for label in ("a@soft", "b@opus", EVIL)})
    (root / "index.html").write_text(page.listening(data, "Listen", "bench report"), encoding="utf-8")
    return root / "index.html"


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    yield from started(tmp_path_factory.mktemp("chromium"))


@pytest.fixture
def listen(chromium: webdriver.Chrome, written: Path) -> webdriver.Chrome:
    browser = opened(chromium, written.as_uri())
    ready(browser)
    return browser


def ready(browser: webdriver.Chrome) -> None:
    assert until(lambda: find(browser, "#card-1 dl").text and not find(browser, "#message").text), find(browser, "#message").text


def key(browser: webdriver.Chrome, keys: str) -> None:
    ActionChains(browser).send_keys(keys).perform()


def active(browser: webdriver.Chrome) -> str:
    return find(browser, ".card.active").get_attribute("id") or ""


def place(browser: webdriver.Chrome) -> float:
    return float(find(browser, "#seek").get_property("value"))  # type: ignore[arg-type]


def test_the_page_loads_from_a_file_without_a_complaint_and_takes_only_what_is_beside_it(listen: webdriver.Chrome) -> None:
    assert listen.get_log("browser") == []
    asked = listen.execute_script("return [...document.querySelectorAll('[src], link[href]')].map(e => e.getAttribute('src') ?? e.href)")
    assert len(asked) > 2 and all(name.startswith(("audio/", "data:")) for name in asked)


def test_keys_switch_while_it_plays_and_keep_the_place(listen: webdriver.Chrome) -> None:
    key(listen, " ")
    assert until(lambda: place(listen) > 0.15) and find(listen, "#play").text == "Pause"
    before = place(listen)
    key(listen, "1")
    assert active(listen) == "card-1" and before <= place(listen)
    key(listen, "2")
    assert active(listen) == "card-2"
    key(listen, "0")
    assert active(listen) == "card-0" and find(listen, "#hear-0").get_attribute("aria-pressed") == "true"
    key(listen, " ")
    assert find(listen, "#play").text == "Play"
    stopped = place(listen)
    assert not until(lambda: place(listen) != stopped, 0.3)


def test_it_stops_at_the_end_and_a_loop_goes_on_within_its_range(listen: webdriver.Chrome) -> None:
    listen.execute_script("const s = document.getElementById('seek'); s.value = 9.7; s.dispatchEvent(new Event('input'))")
    key(listen, " ")
    assert until(lambda: find(listen, "#play").text == "Play") and place(listen) == 0
    for end, at in (("from", "0.5"), ("to", "0.8")):
        box = find(listen, f"#loop-{end}")
        box.send_keys(at, Keys.TAB)
    find(listen, "#play").click()
    seen = [place(listen) for _ in range(60) if not until(lambda: False, 0.02)]
    assert min(seen[10:]) >= 0.49 and max(seen) <= 0.81
    assert any(b < a for a, b in zip(seen, seen[1:], strict=False)), "it came round"


def test_what_is_chosen_is_in_the_address_and_comes_back(chromium: webdriver.Chrome, listen: webdriver.Chrome, written: Path) -> None:
    find(listen, "#pick-2 option[value='b@opus']").click()
    find(listen, "#match").click()
    find(listen, "#loop-from").send_keys("0.25", Keys.TAB)
    find(listen, "#hear-2").click()
    address = listen.current_url
    assert "clip=one" in address and "2=b%40opus" in address and "match=off" in address and "loop=0.25-10.00" in address
    browser = opened(chromium, address)
    ready(browser)
    assert until(lambda: active(browser) == "card-2") and not find(browser, "#match").is_selected() and find(browser, "#loop").is_selected()
    assert browser.current_url == address
    find(browser, "#clip option[value='two']").click()
    assert until(lambda: "words of two" in find(browser, "#about").text and "clip=two" in browser.current_url)


LEVELS = """
const done = arguments[0], clip = JSON.parse(document.getElementById("facts").textContent).clips[0];
const rms = (x) => Math.sqrt(x.reduce((sum, v) => sum + v * v, 0) / x.length);
function lag(a, b) {
  let best = [-2, 0];
  for (let d = -400; d <= 400; d++) {
    let sum = 0;
    for (let i = 1000; i < 40000; i += 3) sum += a[i] * b[i + d];
    if (sum > best[0]) best = [sum, d];
  }
  return best[1];
}
(async () => {
  const n = Math.round(clip.seconds * RATE), original = (await sounds.load(clip.original, n)).getChannelData(0), out = {};
  for (const [name, track] of Object.entries(clip.tracks)) {
    const wav = (await sounds.load(track, n)).getChannelData(0);
    const db = 20 * Math.log10(rms(wav) / rms(original)) + track.match_db - track.stored_db;
    out[name] = { length: wav.length, db, lag: lag(original, wav) };
  }
  done(out);
})();
"""


def test_tracks_are_of_one_length_in_step_to_the_sample_and_equally_loud(listen: webdriver.Chrome) -> None:
    found = listen.execute_async_script(LEVELS)
    assert {facts["length"] for facts in found.values()} == {480_000}
    assert [found[label]["lag"] for label in ("a@soft", "b@opus")] == [0, 0]
    assert abs(found["a@soft"]["db"]) < 0.05 and abs(found["b@opus"]["db"]) < 0.6, "Opus itself changes the level of noise"
    assert "+6.0 dB" in find(listen, "#card-1 dl").text and "quality (MOS) ↑" in find(listen, "#card-1 dl").text
    find(listen, "#match").click()
    assert "+6.0 dB (off)" in find(listen, "#card-1 dl").text


def test_pictures_are_drawn_and_say_what_they_show(listen: webdriver.Chrome) -> None:
    canvas = find(listen, "#card-1 canvas")
    assert canvas.get_attribute("aria-label") == "Spectrogram of a@soft, 0 to 8 kHz"
    pixels = "const c = arguments[0], d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;"
    bright = pixels + "return d.filter((v, i) => i % 4 < 3 && v > 60).length"
    assert listen.execute_script(bright, canvas) > 480 * 96 / 2


def test_pictures_are_of_what_is_played_so_that_equal_levels_look_alike(listen: webdriver.Chrome) -> None:
    def light(slot: int) -> float:
        pixels = "const c = arguments[0], d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;"
        return listen.execute_script(pixels + "return d.reduce((sum, v) => sum + v, 0)", find(listen, f"#card-{slot} canvas"))

    assert light(1) == pytest.approx(light(0), rel=1e-3), "a@soft is the original, 6 dB softer"
    find(listen, "#match").click()
    assert light(1) < 0.99 * light(0)


def test_a_drag_marks_what_is_looped_and_a_click_goes_there(listen: webdriver.Chrome) -> None:
    box = find(listen, "#card-1 .picture")
    width = box.size["width"]
    ActionChains(listen).move_to_element_with_offset(box, -width // 4, 0).click_and_hold().move_by_offset(width // 4, 0).release().perform()
    assert 2.4 < float(str(find(listen, "#loop-from").get_property("value"))) < 2.6 and find(listen, "#loop").is_selected()
    ActionChains(listen).move_to_element_with_offset(box, -width // 8, 0).click().perform()
    assert active(listen) == "card-1" and 3.7 < place(listen) < 3.8


def test_a_lost_file_is_told(chromium: webdriver.Chrome, written: Path, tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text(written.read_text())
    browser = opened(chromium, (tmp_path / "index.html").as_uri())
    assert until(lambda: "is not beside this page" in find(browser, "#message").text)


def test_a_phone_needs_no_sideways_scrolling(chromium: webdriver.Chrome, written: Path) -> None:
    browser = opened(chromium, written.as_uri(), width=390)
    ready(browser)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= 390


def test_a_name_that_is_a_script_harms_nobody(listen: webdriver.Chrome, written: Path) -> None:
    listen.execute_script("const s = document.createElement('script'); s.textContent = 'window.harmed = 1'; document.body.append(s)")
    assert listen.execute_script("return window.harmed") is None and "<script>window" not in written.read_text()
    assert EVIL in [option.text for option in find(listen, "#pick-1").find_elements("tag name", "option")]


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, True)])
def test_axe_finds_nothing(chromium: webdriver.Chrome, written: Path, width: int, dark: bool) -> None:
    browser = opened(chromium, written.as_uri(), width, dark)
    ready(browser)
    assert violations(browser) == []


def test_the_committed_page_plays_every_clip(chromium: webdriver.Chrome) -> None:
    browser = opened(chromium, (ROOT / "leaderboards" / "listening.html").as_uri())
    for option in [o.get_attribute("value") for o in find(browser, "#clip").find_elements("tag name", "option")]:
        find(browser, f"#clip option[value='{option}']").click()
        assert until(lambda wanted=f"clip={option}": wanted in browser.current_url and not find(browser, "#message").text)
    assert browser.get_log("browser") == []
    assert violations(browser) == []
