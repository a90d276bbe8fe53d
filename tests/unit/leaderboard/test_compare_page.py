"""The page that compares two or three tokenizers computes what `bench compare` prints."""

import math
from collections.abc import Iterator
from pathlib import Path

import pytest
from scipy.special import stdtr
from selenium import webdriver
from selenium.webdriver.support.select import Select

from bench.compare.lines import compare
from bench.leaderboard import aggregate, compare_page, front, page, shell
from bench.leaderboard.aggregate import Board
from tests import browser as tool
from tests.browser import find
from tests.conftest import ROOT
from tests.runs import made

PAGE = ROOT / "leaderboards" / "compare.html"
CHOSEN = ("mimi@mini", "codec2@1200bps", "dac@mini-2cb")
NaN = float("nan")


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    yield from tool.started(tmp_path_factory.mktemp("chromium"))


def same(a: float, b: float | None) -> bool:
    return math.isnan(a) if b is None else b == pytest.approx(a, rel=1e-5, abs=1e-8)


def equal(browser: webdriver.Chrome, suite: int, board: Board, labels: tuple[str, ...]) -> int:
    """How many tests the page made, all as Python makes them."""
    runs = {entry.label: entry.run for entry in board.entries}
    chosen = [runs[label] for label in labels]
    script = (
        "return paired.compare(arguments[0], arguments[1].map(label => clips.labels.indexOf(label))).map(line => ({...line, table: null,\
      place: [line.table.domain, line.table.name, clips.labels[line.label]]}))"
    )
    lines = {tuple(line["place"]): line for line in browser.execute_script(script, suite, labels)}
    tests = 0
    for line in compare(chosen, 0, board.headline).lines:
        found = lines.pop((line.domain, line.metric.name, line.tokenizer), None)
        if found is None:
            assert math.isnan(line.summary.mean), "a run without any row of the column"
            continue
        place = (board.suite, line.domain, line.metric.name, line.tokenizer)
        assert same(line.summary.mean, found["mean"]), place
        there, mine = line.difference, found["difference"]
        if there is None or math.isnan(there.estimate.value):
            assert mine is None, place
            continue
        e = there.estimate
        assert mine["clips"] == there.clips, place
        for ours, theirs in (
            (e.value, mine["value"]),
            (e.low, mine["low"]),
            (e.high, mine["high"]),
            (e.p, mine["p"]),
            (line.p, found["p"]),
        ):
            assert same(ours, theirs), (place, e, mine, line.p, found["p"])
        tests += not math.isnan(e.p)
    assert not [place for place, line in lines.items() if line["mean"] is not None], "lines that bench compare does not have"
    return tests


def test_every_figure_of_the_committed_page_is_that_of_bench_compare(chromium: webdriver.Chrome) -> None:
    tool.opened(chromium, PAGE.as_uri())
    boards = aggregate.fold(ROOT / "results" / "boards")
    tests = {board.suite: equal(chromium, i, board, CHOSEN) for i, board in enumerate(boards)}
    assert tests["reconstruction"] == 10 and tests["asr"] == 6 and sum(tests.values()) > 18
    assert chromium.get_log("browser") == []


def test_clips_without_a_score_weights_of_their_own_spans_and_many_speakers_are_as_in_python(
    chromium: webdriver.Chrome, tmp_path: Path
) -> None:
    def run(label: str, shift: float, lost: int, many: int):
        wave = [math.sin(7.1 * i + shift) + shift * (i % 3) for i in range(many)]
        quality = {f"s{i % 9}/{i}": NaN if i == lost else value for i, value in enumerate(wave[:30])}
        wer = {f"{i}": (abs(value) % 1, float(i % 7 + (shift > 1))) for i, value in enumerate(wave)}  # a speaker each
        gain = {f"s{i % 4}/{i}": value for i, value in enumerate(wave[:12])}  # too few speakers
        distance = {f"s{i % 6}/{i}": abs(value) + 5 * shift for i, value in enumerate(wave[:18])}
        scores = {"speech": {"quality": quality, "wer": wer, "distance": distance, "trials": {"*": shift}}, "music": {"gain_db": gain}}
        return made(label, scores, record={"headline": ["quality", "wer", "distance", "gain_db", "trials"]})

    for many in (60, 330):
        (board,) = aggregate.boards([run("a@1", 0.2, 3, many), run("b@2", 1.5, 4, many), run("c@3", 0.21, -1, many)])
        for name, text in page.pages(page.Site([board])).items() | shell.assets().items():
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text(text)
        tool.opened(chromium, (tmp_path / "compare.html").as_uri())
        assert equal(chromium, 0, board, ("a@1", "b@2", "c@3")) == 6
        assert equal(chromium, 0, board, ("c@3", "a@1")) == 3


def test_students_tail_is_that_of_scipy(chromium: webdriver.Chrome) -> None:
    tool.opened(chromium, PAGE.as_uri())
    for freedom in (4, 7, 59, 400):
        for t in (0.0, 0.3, 2.4, 9.0, 40.0):
            found = chromium.execute_script("return paired.tail(arguments[0], arguments[1])", t, freedom)
            assert found == pytest.approx(float(stdtr(freedom, -t)), rel=1e-8), (freedom, t)


def test_the_choice_is_in_the_address_and_the_table_says_what_is_better(chromium: webdriver.Chrome) -> None:
    tool.opened(chromium, PAGE.as_uri())
    assert "Choose two" in find(chromium, "#said").text
    selects = [Select(one) for one in chromium.find_elements("css selector", "select.one")]
    selects[0].select_by_visible_text("mimi@mini†")
    selects[1].select_by_visible_text("codec2@1200bps")
    assert chromium.current_url.endswith("#t=mimi%40mini%2Ccodec2%401200bps")
    tool.opened(chromium, chromium.current_url)
    text = find(chromium, "#tables").text
    line = next(line for line in text.splitlines() if line.startswith("STOI"))
    assert "0.896 0.831 −0.065 [−0.094, −0.035]" in line and line.endswith("worse")
    assert find(chromium, "#said").text == "bench compare mimi@mini codec2@1200bps --suite …"


@pytest.mark.parametrize(("width", "dark"), [(1440, True), (390, False)])
def test_axe_finds_nothing(chromium: webdriver.Chrome, width: int, dark: bool) -> None:
    tool.opened(chromium, PAGE.as_uri() + "#t=" + ",".join(CHOSEN), width, dark)
    assert chromium.execute_script("return document.documentElement.scrollWidth") <= width
    assert tool.violations(chromium) == []


def test_draws_are_written_down_for_every_number_of_speakers_that_two_runs_share() -> None:
    boards = aggregate.fold(ROOT / "results" / "boards")
    (board,) = (board for board in boards if board.suite == "reconstruction")
    text = compare_page.script([board], front.tokenizers([board]))
    assert '"draws":{"7":"' in text and '"8":"' in text
    assert len(text) < 250_000
