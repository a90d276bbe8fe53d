"""How soon the first page of the leaderboards is there, with as many tokenizers as the field has."""

import math
from pathlib import Path
from statistics import median

import pytest

from bench.leaderboard import aggregate, page, shell
from tests import browser as tool
from tests.runs import made

pytestmark = pytest.mark.perf
TOKENIZERS, MOST_MS = 200, 500
READ = """
  const done = arguments[0], at = (e) => e?.startTime;
  requestAnimationFrame(() => requestAnimationFrame(() => done([
    at(performance.getEntriesByName('first-contentful-paint')[0]), performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd,
    document.querySelectorAll('#plot .point').length, document.querySelectorAll('tbody tr').length])))"""


def run(number: int, suite: str):
    label = f"family{number // 4}@variant-{number}kbps"
    kbps = 0.3 * 1.02**number
    scores = {name: {f"s{i % 6}/{i}": 3 - math.exp(-kbps) + 0.1 * math.sin(number + i) for i in range(12)} for name in ("quality", "wer")}
    scores |= {"kbps_packed": {f"s{i % 6}/{i}": kbps for i in range(12)}, "distance": {f"s{i % 6}/{i}": 1 / kbps for i in range(12)}}
    headline = ["kbps_packed", "quality", "wer", "distance"]
    domains = {domain: scores for domain in ("speech", "music", "general")}
    return made(label, domains, suite=suite, record={"headline": headline, "overview": headline})


def test_two_hundred_tokenizers_are_painted_within_half_a_second(tmp_path: Path) -> None:
    boards = aggregate.boards(run(number, suite) for suite in ("reconstruction", "asr", "speaker") for number in range(TOKENIZERS))
    for name, text in (page.pages(page.Site(boards)) | shell.assets()).items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    paints, complete = [], []
    for browser in tool.started(tmp_path / "profile"):
        for _ in range(5):
            tool.opened(browser, (tmp_path / "index.html").as_uri(), 1440, height=900)
            paint, end, points, rows = browser.execute_async_script(READ)
            assert points == TOKENIZERS and rows > 3 * TOKENIZERS
            paints.append(paint)
            complete.append(end)
    size = (tmp_path / "index.html").stat().st_size / 1000
    print(
        f"first paint {median(paints):.0f} ms, table and plot complete {median(complete):.0f} ms (medians of 5), index.html {size:.0f} kB"
    )
    assert median(paints) < MOST_MS
