"""`bench report`: one folder that holds everything, refuses to overwrite anything else, and says what failed and what ran."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import soundfile
from selenium import webdriver

from bench.api import TOKENIZER_FAILED, UserError
from bench.cli import main
from bench.data.manifests import open_data
from bench.leaderboard import run_report
from tests.browser import find, opened, started, until, violations
from tests.conftest import speech_like
from tests.runs import keep

LABELS = ("mulaw@8bit", "resample@8khz")


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two runs on a corpus of four clips, one of which failed in one of them; and the corpus."""
    folder = tmp_path_factory.mktemp("corpus")
    for i in range(4):
        soundfile.write(folder / f"{i}.flac", speech_like(0.6, 16_000, i).numpy(), 16_000)
    data = open_data(str(folder))
    root = tmp_path_factory.mktemp("results")
    for number, label in enumerate(LABELS):
        scores: dict = {}
        for i, clip in enumerate(data.clips):
            failed = number == 1 and i == 1
            scores.setdefault(clip.domain, {}).setdefault("quality", {})[clip.id] = float("nan") if failed else 1.0 + i + number
            scores[clip.domain].setdefault("kbps_packed", {})[clip.id] = 8.0
        note = TOKENIZER_FAILED + "it <b>broke</b>"
        record = {"headline": ["quality", "kbps_packed"], "data_name": str(folder), "commit": "c" * 40, "packages": {"torch": "2.9"}}
        keep(root, label, scores, data=data.sha256, note=note, record=record)
    return root, folder


def words(results: tuple[Path, Path], out: Path, *more: str) -> list[str]:
    return ["report", *LABELS, "--results", str(results[0]), "--data", str(results[1]), "--out", str(out), *more]


@pytest.fixture(scope="module")
def report(results: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("out") / "report"
    assert main(words(results, out, "--remake", "--title", "Our codec")) == 0
    return out


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    yield from started(tmp_path_factory.mktemp("chromium"))


def test_everything_that_a_page_refers_to_is_in_the_folder(report: Path) -> None:
    pages = [*report.rglob("*.html")]
    assert {"index.html", "record.html", "listening.html"} <= {path.name for path in pages} and len(pages) > 5
    for path in pages:
        for link in re.findall(r'(?:href|src)="([^"#?]+)[^"]*"', path.read_text()):
            if not link.startswith(("data:", "https://")):
                target = (path.parent / link.replace("%40", "@")).resolve()
                assert target.is_relative_to(report) and (target.is_file() or target.name == "compare.html"), (path, link)


def test_the_record_has_the_hashes_of_the_files_that_are_there(report: Path) -> None:
    text = (report / "record.html").read_text()
    files = sorted((report / "runs").rglob("*.*"))
    assert len(files) == 4
    assert all(hashlib.sha256(path.read_bytes()).hexdigest() in text for path in files)
    assert "torch 2.9" in text and "c" * 40 in text


def test_failed_clips_are_named_with_their_reason(report: Path) -> None:
    text = (report / "record.html").read_text()
    assert "resample@8khz, toy" in text and "it &lt;b&gt;broke&lt;/b&gt;" in text and "<b>broke" not in text


def test_the_worst_clips_are_heard_with_their_own_scores(report: Path) -> None:
    facts = json.loads(re.findall(r'id="facts">(.*?)</script>', (report / "listening.html").read_text(), re.S)[0])
    speech = [clip for clip in facts["clips"] if clip["domain"] == "speech"]
    assert speech[0]["why"].startswith("worst of") and set(speech[0]["tracks"]) == set(LABELS)
    assert speech[0]["tracks"]["mulaw@8bit"]["scores"]["quality"] == "1.00"
    assert all((report / track["file"]).is_file() for clip in facts["clips"] for track in clip["tracks"].values())


@pytest.mark.parametrize(("width", "dark"), [(1440, False), (390, True)])
@pytest.mark.parametrize("name", ["index.html", "record.html", "listening.html"])
def test_axe_finds_nothing_and_a_phone_scrolls_one_way(chromium: webdriver.Chrome, report: Path, name: str, width: int, dark: bool) -> None:
    browser = opened(chromium, (report / name).as_uri(), width, dark)
    if name == "listening.html":
        assert until(lambda: find(browser, "#card-1 dl").text and not find(browser, "#message").text)
    assert browser.get_log("browser") == []
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    assert violations(browser) == []


def test_a_report_is_replaced_and_any_other_folder_is_refused(results: tuple[Path, Path], report: Path, tmp_path: Path) -> None:
    (report / "listening.html").touch()
    assert main(words(results, report)) == 0
    assert not (report / "listening.html").exists(), "without audio there is no such page"
    assert main(words(results, report, "--remake")) == 0
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(UserError, match="holds something that is no report"):
        run_report.refuse(tmp_path)
    assert main(words(results, tmp_path)) == 2 and (tmp_path / "thesis.tex").is_file()
