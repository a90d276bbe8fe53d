"""Everything that `bench leaderboard` writes, as one mapping from path to content, so that writing and checking cannot disagree."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.api import UserError
from bench.data import manifests
from bench.leaderboard import csv_markdown, listening, page, parquet, shell, submission
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
    site = page.Site(boards, heard=frozenset(listening.labels(places.audio) if heard else ()), whole=True)
    found |= {places.out / name: text for name, text in (page.pages(site) | shell.assets()).items()}
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
        made = contents(places, boards)
        for path, text in made.items():
            if not path.is_file() or path.read_bytes() != text.encode():
                path.parent.mkdir(exist_ok=True)
                replace(path, text)
                yield f"written: {path}"
        tidy, binary = made[places.out / TIDY], places.out / parquet.NAME
        if not parquet.ready():
            yield f"left as it is: {binary} ({parquet.INSTALL})"
        elif not parquet.current(binary, tidy):
            parquet.write(binary, tidy)
            yield f"written: {binary}"
        for path in strangers(places, made):
            path.unlink()
            yield f"taken away: {path}"
    except OSError as error:
        raise UserError(f"{error.filename or places.out}: {error.strerror}: choose another place with --out") from error


def check(places: Places) -> list[str]:
    """What is stale. Samples are not made again, as encoders differ in the last bit, but must be of these tokenizers and as they were."""
    boards = fold(places.results)
    made = contents(places, boards)
    stale = [f"stale: {path}" for path, text in made.items() if not path.is_file() or path.read_bytes() != text.encode()]
    if parquet.ready() and not parquet.current(places.out / parquet.NAME, made[places.out / TIDY]):
        stale.append(f"stale: {places.out / parquet.NAME}")
    stale += [f"stale: {line}" for board in boards for entry in board.entries if (line := submission.outdated(entry.run))]
    stale += [f"stale: {path} is of a board or tokenizer without runs" for path in strangers(places, made)]
    samples = listening.wrong(places.audio, boards, page.latest(boards), manifests.open_data(listening.CORPUS))
    return stale + [f"stale: {line}" for line in samples]


def strangers(places: Places, made: Container[Path]) -> list[Path]:
    """Boards, and pages of suites and tokenizers, that have no runs any more."""
    there = (path for pattern in ("*.csv", *(f"{folder}/*" for folder in shell.FOLDERS)) for path in places.out.glob(pattern))
    return sorted(path for path in there if path not in made)
