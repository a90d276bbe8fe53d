"""A tokenizer that fails on a clip: the exit code, the line above the table, and the next try."""

import csv
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from bench.api import Clip, Reconstruction
from bench.cli import main
from bench.engine.run import RunSession

FLAKY = """
import os
from pathlib import Path

from bench.api import Codebook, Spec, Variant


class Flaky:
    def __init__(self, spec):
        self.spec = spec

    def encode(self, wav):
        if (Path(__file__).parent / "down").exists() and wav.shape[-1] > 12_500:
            raise ConnectionError("licence server is down")
        return ((wav.clamp(-1, 1) + 1) * 7.5).round().long()

    def decode(self, codes):
        return codes / 7.5 - 1


VARIANTS = {"v": Variant(Spec("flaky", "v", 8_000, (Codebook(16, 8_000),)), Flaky)}
"""


@pytest.fixture
def words(tmp_path: Path, make_data: Callable[..., Path]) -> list[str]:
    """A run of three clips, of which the codec fails on two while there is a file called down."""
    (tmp_path / "flaky.py").write_text(FLAKY)
    (tmp_path / "down").touch()
    shared = ["--suite", "codes", "--data", str(make_data()), "--results", str(tmp_path / "r"), "--format", "csv", "--quiet"]
    return ["run", "--tokenizer", str(tmp_path / "flaky.py"), *shared]


def rows(folder: Path) -> list[dict[str, str]]:
    (path,) = folder.glob("r/codes/*/rows.csv")
    return list(csv.DictReader(path.open()))


def test_a_failure_ends_with_1_and_is_told_before_the_table(words: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 1
    printed = capfd.readouterr()
    assert "flaky@v failed on 2 of 3 clips (ConnectionError: licence server is down" in printed.err and printed.err.count("\n") == 1
    assert printed.out.startswith("tokenizer,")


def test_failures_may_be_allowed(words: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    assert main([*words, "--allow-failures"]) == 0
    assert "failed on 2 of 3 clips" in capfd.readouterr().err


def test_failed_clips_are_tried_again_and_their_rows_replaced(words: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 1
    before = rows(tmp_path)
    (tmp_path / "down").unlink()
    assert main(words) == 0
    assert not capfd.readouterr().err.count("failed on") > 1
    after = rows(tmp_path)
    of_clips = [(row["clip"], row["domain"], row["metric"]) for row in after]
    assert len(set(of_clips)) == len(of_clips) and not any("server" in row["note"] for row in after)
    assert [row for row in after if row["clip"] == "clip0"] == [row for row in before if row["clip"] == "clip0"]


def test_clips_that_did_not_fail_are_not_tried_again(words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert main(words) == 1
    tried: list[list[str]] = []

    def note(session: RunSession, clips: Sequence[Clip]) -> Iterator[Reconstruction]:
        tried.append([clip.id for clip in clips])
        return iter(())

    monkeypatch.setattr("bench.engine.run.RunSession.reconstructions", note)
    main(words)
    assert sorted(tried[0]) == ["clip1", "clip2"]


@pytest.mark.parametrize("suite", ["codes", "robustness"])
def test_fail_fast_stops_at_the_first_failure_in_one_line(
    words: list[str], suite: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    words[words.index("codes")] = suite
    assert main([*words, "--fail-fast"]) == 1
    printed = capfd.readouterr()
    assert not printed.out and printed.err.count("\n") == 1
    assert printed.err.startswith("error: flaky@v: clip clip") and "licence server is down" in printed.err
