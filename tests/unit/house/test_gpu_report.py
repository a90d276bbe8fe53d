"""The report of all that waits for a GPU. That its parts run is proven by `python -m tests.gpu_report --device cpu --tiny --out DIR`."""

import json
from pathlib import Path

import pytest

from tests import gpu_report
from tests.gpu_report import BENCH, Part, published, report, run


@pytest.fixture
def three(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that works and counts its calls, one that fails, one that hangs."""
    counted = "import pathlib, sys; file = (pathlib.Path(sys.argv[1]) / 'calls').open('a'); file.write('x'); print('fine')"

    def parts(out: Path, device: str, tiny: bool) -> list[Part]:
        return [
            Part("good", "works", ("-c", counted, str(out))),
            Part("bad", "fails", ("-c", "print('why'); raise SystemExit(3)")),
            Part("slow", "hangs", ("-c", "import time; print('on the way', flush=True); time.sleep(60)"), most=1.5),
        ]

    monkeypatch.setattr(gpu_report, "parts", parts)


def test_what_fails_or_hangs_costs_itself_alone_and_what_is_done_is_not_done_again(three: None, tmp_path: Path) -> None:
    for _ in range(2):
        assert not report(tmp_path, "cpu", True, 5)
    assert (tmp_path / "calls").read_text() == "x"
    states = {name: found["state"] for name, found in json.loads((tmp_path / "parts.json").read_text()).items()}
    assert states == {"good": "done", "bad": "failed, exit code 3", "slow": "stopped after 2 s"}
    page = (tmp_path / "report.md").read_text()
    assert "| bad | fails | failed, exit code 3 |" in page and "why" in page and "on the way" in page


def test_the_commands_are_those_of_the_project(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert run(Part("help", "what there is", (*BENCH, "--help")), log, 60)["state"] == "done"
    assert "leaderboard" in log.read_text()


def test_without_time_nothing_starts_and_the_page_says_so(three: None, tmp_path: Path) -> None:
    assert not report(tmp_path, "cpu", True, 0)
    assert not (tmp_path / "calls").exists() and "| good | works | not reached |" in (tmp_path / "report.md").read_text()


def test_every_part_has_a_name_of_its_own_and_tokenizers_that_exist(tmp_path: Path) -> None:
    names = [part.name for tiny in (False,) for part in gpu_report.parts(tmp_path, "cuda", tiny)]
    assert len(names) == len(set(names)) and {f"speed {label}" for label in ("mimi@24khz", "lyra@6kbps")} <= set(names)
    assert not {label for label in published() if label.endswith(("@mini", "@tiny"))}
