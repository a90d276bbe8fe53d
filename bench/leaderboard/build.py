"""Everything that `bench leaderboard` writes, as one mapping from path to content, so that writing and checking cannot disagree."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.api import UserError
from bench.data import manifests
from bench.leaderboard import csv_markdown, listening, page, submission
from bench.leaderboard.aggregate import Board, fold
from bench.records.writer import replace

COLUMNS = "columns.csv"
TIDY = "results.csv"  # every board in one file


@dataclass(frozen=True)
class Places:
    """Where runs are read and boards are written."""

    results: Path
    out: Path
    readme: Path

    @property
    def audio(self) -> Path:
        return self.out / listening.FOLDER


def contents(places: Places, boards: Sequence[Board]) -> dict[Path, str]:
    """Path -> what belongs there. The same runs, samples and code give the same bytes."""
    corpus = manifests.open_data(listening.CORPUS)
    found = {places.out / f"{board.suite}.csv": csv_markdown.to_csv(board) for board in boards}
    found[places.out / COLUMNS] = csv_markdown.columns(boards)
    found[places.out / TIDY] = csv_markdown.to_tidy_csv(boards)
    found[places.out / "README.md"] = csv_markdown.readme(boards)
    heard = listening.render(places.audio, boards, page.latest(boards), corpus)
    if heard:
        found[places.out / listening.PAGE] = heard
    found[places.out / "index.html"] = page.render(boards, listening.PAGE if heard else "")
    if places.readme.is_file():
        text = places.readme.read_text(encoding="utf-8")
        found[places.readme] = csv_markdown.into(text, {board.suite: board for board in boards}, str(places.readme))
    return found


def write(places: Places, audio: bool = True) -> Iterator[str]:
    """Writes what is new, takes away boards without runs, and tells what it did."""
    boards = fold(places.results)
    try:
        places.out.mkdir(parents=True, exist_ok=True)
        if audio:
            yield from listening.make(places.audio, boards, page.latest(boards), manifests.open_data(listening.CORPUS))
        for path, text in contents(places, boards).items():
            if not path.is_file() or path.read_bytes() != text.encode():
                replace(path, text)
                yield f"written: {path}"
        for path in strangers(places, boards):
            path.unlink()
            yield f"taken away: {path}"
    except OSError as error:
        raise UserError(f"{error.filename or places.out}: {error.strerror}: choose another place with --out") from error


def check(places: Places) -> list[str]:
    """What is stale. Samples are not made again, as encoders differ in the last bit, but must be of these tokenizers and as they were."""
    boards = fold(places.results)
    stale = [
        f"stale: {path}" for path, text in contents(places, boards).items() if not path.is_file() or path.read_bytes() != text.encode()
    ]
    stale += [f"stale: {line}" for board in boards for entry in board.entries if (line := submission.outdated(entry.run))]
    stale += [f"stale: {path} is a board without runs" for path in strangers(places, boards)]
    samples = listening.wrong(places.audio, boards, page.latest(boards), manifests.open_data(listening.CORPUS))
    return stale + [f"stale: {line}" for line in samples]


def strangers(places: Places, boards: Sequence[Board]) -> list[Path]:
    """Boards of suites that have no runs any more."""
    return sorted(set(places.out.glob("*.csv")) - {places.out / name for name in (COLUMNS, TIDY, *(f"{b.suite}.csv" for b in boards))})
