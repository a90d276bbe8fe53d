"""Data sets of the Hugging Face hub, by `hf://OWNER/NAME[@REVISION][/CONFIG][:SPLIT][[:N]]`: rows of Parquet, streamed.

Only the parts of the files that hold the rows are read. The audio comes to rest in the cache folder, row by row, under the commit that was
the newest at the first fetch: afterwards no server is asked. `[:N]` is the first N rows, `:*` all splits, one after the other.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import IO, cast

from bench.api import Checkpoint, UserError
from bench.data import parquet_tables
from bench.data.parquet_tables import Table
from bench.weights import download, licences

SCHEME = "hf://"
WORDS = re.compile(
    r"(?P<repo>[\w.-]+/[\w.-]+)(?:@(?P<revision>[\w.-]+))?(?:/(?P<config>[\w.-]+))?(?::(?P<split>[\w.-]+|\*))?(?:\[:(?P<stop>\d+)\])?"
)
LAYOUTS = (  # of a file of Parquet: how the hub's tools name it, how its own conversion does, and by hand
    re.compile(r"(?:(?P<config>.+)/)?(?P<split>[\w.]+)-\d+-of-\d+(?:-[0-9a-f]+)?\.parquet"),
    re.compile(r"(?:(?P<config>.+)/)?(?:partial-)?(?P<split>[\w.-]+)/\d+\.parquet"),
    re.compile(r"(?:(?P<config>.+)/)?(?P<split>[\w.]+)\.parquet"),
)
CONVERTED = "refs/convert/parquet"  # where the hub keeps what it converted itself
ALL = "*"


@dataclass(frozen=True)
class Rows:
    """Rows of one split, or of all."""

    repo: str
    revision: str = ""  # "": the newest at the first fetch
    config: str = ""  # "": the only one, or the one called default
    split: str = ""  # "": the only one
    stop: int | None = None  # so many of the first; None: all

    @property
    def label(self) -> str:
        """As `--data` names them."""
        revision, config, split = (f"@{self.revision}" if self.revision else "", f"/{self.config}" if self.config else "", self.split)
        return f"{SCHEME}{self.repo}{revision}{config}{f':{split}' if split else ''}{'' if self.stop is None else f'[:{self.stop}]'}"


@dataclass(frozen=True)
class Found:
    """Where the rows are: a commit, and its files by config and split."""

    commit: str
    files: Mapping[str, Mapping[str, Sequence[str]]]
    licence: str = ""  # as the card of the data set has it, in capital letters
    gated: bool = False  # the hub gives it to accounts alone that accepted its licence


def rows_of(words: str) -> Rows:
    """What stands after hf://, as a record. UserError."""
    found = WORDS.fullmatch(words)
    if not found or found["stop"] == "0":
        raise UserError(f"{SCHEME}{words}: write hf://OWNER/NAME:SPLIT, as hf://facebook/multilingual_librispeech/german:test[:200]")
    stop = int(found["stop"]) if found["stop"] else None
    return Rows(found["repo"], found["revision"] or "", found["config"] or "", found["split"] or "", stop)


def kept(rows: Rows) -> Iterator[tuple[str, dict[str, object]]] | None:
    """The lines of the manifest of these rows, each with where it is; None: they are not on this machine, or not all of them."""
    home = _home(rows, known) if (known := _known(rows)) else None
    if home is None or not _enough(home, rows.stop):
        return None
    lines = islice(parquet_tables.lines(home), rows.stop)
    return ((f"{home / parquet_tables.MANIFEST}:{number}", json.loads(line)) for number, line in enumerate(lines, 1))


def folder(rows: Rows) -> Path:
    """Where the audio of these rows lies, once they were fetched."""
    known = _known(rows)
    assert known, "of rows that are here"
    return _home(rows, known)


def fetch(rows: Rows) -> None:
    """Makes sure that these rows are on this machine, from where an earlier fetch was stopped. UserError."""
    if (known := _known(rows)) and _enough(_home(rows, known), rows.stop):
        return
    try:
        known = known or _asked(rows)
        licences.before_fetch(Checkpoint(rows.label, gated=known.gated), known.licence, _page(rows), "take other data")
        home = _home(rows, known)
        print(f"reading {rows.label} at commit {known.commit[:8]}, once, into {home}", file=sys.stderr, flush=True)
        parquet_tables.copied([_table(rows, known, file) for file in _files(rows, known)], home, rows.stop)
    except UserError:
        raise
    except Exception as error:  # the library lets through what its HTTP client and the disk raise
        repository = download.HubFile(rows.repo, rows.revision or "main", "", "dataset")
        why, cure = download.of_the_hub(error, repository) or (download.last_line(error), "")
        raise UserError(
            f"{rows.label} cannot be read from {_endpoint()} ({why}): {cure}what came of it stays, and the same command goes on from there"
        ) from error


def _endpoint() -> str:
    return os.environ.get("HF_ENDPOINT") or "https://huggingface.co"


def _page(rows: Rows) -> str:
    return f"https://huggingface.co/datasets/{rows.repo}"


def _base(rows: Rows) -> Path:
    return download.cache_folder() / "data" / "hf" / rows.repo.replace("/", "--")


def _answer(rows: Rows) -> Path:
    """Where what the hub said of a revision is kept."""
    return _base(rows) / "refs" / f"{rows.revision or 'main'}.json"


def _known(rows: Rows) -> Found | None:
    try:
        return Found(**json.loads(_answer(rows).read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError):  # nothing, or what a broken disk or another version left
        return None


def _home(rows: Rows, known: Found) -> Path:
    config = _config(rows, known)
    split = "all" if rows.split == ALL else _split(rows, known, config)
    return _base(rows) / known.commit / config.replace("/", "--") / split


def _enough(home: Path, stop: int | None) -> bool:
    return (home / parquet_tables.DONE).is_file() or (stop is not None and len(parquet_tables.ids(home)) >= stop)


def _asked(rows: Rows) -> Found:
    """Asks the hub, and keeps what it said."""
    from huggingface_hub import HfApi

    api = HfApi(endpoint=_endpoint())
    for revision in [rows.revision] if rows.revision else ["main", CONVERTED]:
        info = api.dataset_info(rows.repo, revision=revision)
        files = _by_split([file.rfilename for file in info.siblings or ()])
        if files:
            card = info.card_data.get("license") if info.card_data else None
            licence = " ".join(card if isinstance(card, list) else [str(card or "")]).upper()
            found = Found(str(info.sha), files, licence, bool(info.gated))
            path = _answer(rows)
            path.parent.mkdir(parents=True, exist_ok=True)
            new = path.with_name(f".{path.name}.{os.getpid()}")
            new.write_text(json.dumps(asdict(found)), encoding="utf-8")
            new.replace(path)
            return found
    raise UserError(f"{rows.label}: no files of Parquet are there: download the data set, and name its folder or a manifest")


def _by_split(files: Sequence[str]) -> dict[str, dict[str, list[str]]]:
    found: dict[str, dict[str, list[str]]] = {}
    for file in sorted(files):
        if match := next((match for layout in LAYOUTS if (match := layout.fullmatch(file))), None):
            config = (match["config"] or "default").removeprefix("data/")
            found.setdefault("default" if config == "data" else config, {}).setdefault(match["split"], []).append(file)
    return found


def _config(rows: Rows, known: Found) -> str:
    if rows.config in known.files:
        return rows.config
    if not rows.config and (len(known.files) == 1 or "default" in known.files):
        return "default" if "default" in known.files else next(iter(known.files))
    first = next(iter(known.files))
    raise UserError(f"{rows.label}: which of its configurations? {_few(known.files)}: write {SCHEME}{rows.repo}/{first}:SPLIT")


def _split(rows: Rows, known: Found, config: str) -> str:
    splits = known.files[config]
    if rows.split in splits:
        return rows.split
    if not rows.split and len(splits) == 1:
        return next(iter(splits))
    raise UserError(f"{rows.label}: which of its splits? {_few(splits)}: write {SCHEME}{rows.repo}:{next(iter(splits))}, or :{ALL} for all")


def _few(names: Mapping[str, object]) -> str:
    return ", ".join(list(names)[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")


def _files(rows: Rows, known: Found) -> list[str]:
    config = _config(rows, known)
    if rows.split == ALL:
        return [file for files in known.files[config].values() for file in files]
    return list(known.files[config][_split(rows, known, config)])


def _table(rows: Rows, known: Found, file: str) -> Table:
    def opened() -> IO[bytes]:
        from huggingface_hub import HfFileSystem

        files = HfFileSystem(endpoint=_endpoint(), skip_instance_cache=True)
        return cast("IO[bytes]", files.open(f"datasets/{rows.repo}@{known.commit}/{file}", "rb"))

    return Table(f"{SCHEME}{rows.repo}: {file}", opened)
