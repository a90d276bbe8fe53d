"""Tables in Parquet: manifests whose columns are the fields, or rows that hold their audio, as Hugging Face's data sets do.

Audio in a row is a struct of `bytes` and `path`. It is written once to a folder of its own, file by file, with the manifest that grows
beside it: what was stopped goes on at the row where it was.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING

from bench.api import UserError
from bench.data.column_names import LABEL, NAMES, facts_of
from bench.data.signatures import SUFFIXES
from bench.weights.download import cache_folder

if TYPE_CHECKING:
    import pyarrow
    from pyarrow import parquet

INSTALL = "pip install 'audio-tokenizer-bench[parquet]'"
SUFFIX = ".parquet"
ROWS = 16  # that are in memory at once
MANIFEST, DONE = "manifest.jsonl", ".complete"


@dataclass(frozen=True)
class Table:
    """A Parquet file, here or elsewhere, that is opened when it is read."""

    name: str
    opened: Callable[[], Path | IO[bytes]]


def tables(place: Path) -> list[Path]:
    """The Parquet files of a folder, in the order of their names, or the one that is named; [] of anything else."""
    if place.is_dir():
        return sorted(path for path in place.iterdir() if path.suffix.lower() == SUFFIX and path.is_file())
    return [place] if place.suffix.lower() == SUFFIX and place.is_file() else []


def own_copy(files: Sequence[Path]) -> Path:
    """The folder in the cache for the audio of these files as they are now."""
    facts = [f"{file.absolute()} {file.stat().st_size} {file.stat().st_mtime_ns}" for file in files]
    return cache_folder() / "data" / "parquet" / hashlib.sha256("\n".join(facts).encode()).hexdigest()[:16]


def audio_column(file: Path | IO[bytes], name: str) -> str:
    """The column whose rows hold audio, "audio" before any other; "" where there is none. `name`: of the file, for messages."""
    held = [field.name for field in _schema(file, name) if _holds_audio(field)]
    return "audio" if "audio" in held else next(iter(held), "")


def entries(manifest: Path) -> Iterator[tuple[str, dict[str, object]]]:
    """("FILE, row N", fields) of a table that is a manifest: it has a column `path`."""
    known = [name for name in _schema(manifest, str(manifest)).names if name in ("path", "sha256", "alignment") or _known(name)]
    if "path" not in known:
        raise UserError(f"{manifest}: no manifest: it has neither a column called path nor one that holds audio (a struct of bytes, path)")
    for number, row in enumerate(rows(manifest, str(manifest), known), 1):
        yield f"{manifest}, row {number}", {name: value for name, value in row.items() if value is not None}


def rows(file: Path | IO[bytes], name: str, columns: Sequence[str] = (), start: int = 0) -> Iterator[dict[str, object]]:
    """The rows from number `start` on, those columns of them, or the audio and all that a manifest has; row groups before are not read."""
    from pyarrow import ArrowException, parquet

    try:
        table = parquet.ParquetFile(file)
        audio = audio_column(file, name)
        wanted = list(columns) or [column for column in table.schema_arrow.names if column == audio or _known(column)]
        number = 0  # of the first row of a group
        for group in range(table.num_row_groups):
            size = table.metadata.row_group(group).num_rows
            if number + size > start:
                batches = table.iter_batches(ROWS, row_groups=[group], columns=wanted)
                found = (row for batch in batches for row in batch.to_pylist())
                yield from islice(found, max(0, start - number), None)
            number += size
    except ArrowException as error:
        raise UserError(f"{name}: cannot be read as Parquet ({_line(error)}): fetch it again") from error


def copied(tables: Sequence[Table], home: Path, stop: int | None = None) -> None:
    """Writes the audio of the rows of several tables, one after the other, into `home`, from the row on where it was stopped.

    `stop`: the number of rows that are wanted of all; None: every one. One process writes, others wait for it.
    """
    from filelock import FileLock
    from tqdm.auto import tqdm

    home.mkdir(parents=True, exist_ok=True)
    with FileLock(home / ".lock"):
        start = len(ids(home))
        if (home / DONE).is_file() or (stop is not None and start >= stop):
            return
        rest = None if stop is None else stop - start
        with tqdm(desc=home.name, unit="clip", initial=start, total=stop, disable=None) as bar:
            for _ in _keep(islice(_rows_of(tables, start), rest), home):
                bar.update()
        if stop is None or len(ids(home)) < stop:
            (home / DONE).touch()


def _rows_of(tables: Sequence[Table], start: int) -> Iterator[tuple[str, str, dict[str, object]]]:
    """(where, name of the audio's column, row) from a row on."""
    number = 0
    for table in tables:
        file = table.opened()
        count = _metadata(file, table.name).num_rows
        if number + count > start:
            audio = audio_column(file, table.name)
            if not audio:
                raise UserError(f"{table.name}: no column of it holds audio (a struct of bytes and path)")
            first = max(0, start - number)
            for row, facts in enumerate(rows(file, table.name, start=first), first + 1):
                yield f"{table.name}, row {row}", audio, facts
        number += count


def _keep(found: Iterator[tuple[str, str, dict[str, object]]], home: Path) -> Iterator[None]:
    """Writes each row, and its line to the manifest; gives control back after each."""
    (home / "audio").mkdir(exist_ok=True)
    seen = set(ids(home))
    with (home / MANIFEST).open("a", encoding="utf-8", newline="\n") as manifest:
        manifest.truncate(sum(map(len, lines(home))))  # a line that was not written to its end
        for where, audio, row in found:
            held = row.get(audio)
            content = held.get("bytes") if isinstance(held, Mapping) else None
            if not isinstance(held, Mapping) or not isinstance(content, bytes):
                raise UserError(f"{where}: the column {audio!r} holds no audio there: give a table whose rows hold the bytes of files")
            facts, number, file = facts_of(row), len(seen), str(held.get("path") or "")
            name = facts.get("id") or Path(file).stem or f"{number:06d}"
            facts["id"] = name if name not in seen else f"{name}-{number:06d}"
            seen.add(facts["id"])
            suffix = Path(file).suffix.lower()
            path = home / "audio" / f"{number:06d}{suffix if suffix in SUFFIXES else ''}"
            path.write_bytes(content)
            line = {"path": f"audio/{path.name}", "sha256": hashlib.sha256(content).hexdigest(), **facts}
            manifest.write(json.dumps(line, ensure_ascii=False) + "\n")
            manifest.flush()
            yield


def ids(home: Path) -> list[str]:
    """Of the rows that `copied` has kept."""
    return [json.loads(line)["id"] for line in lines(home)]


def lines(home: Path) -> list[bytes]:
    """Of the manifest of those rows, with their ends; one that is not written to its end, or not yet, is none."""
    path = home / MANIFEST
    content = path.read_bytes() if path.is_file() else b""
    return content[: content.rfind(b"\n") + 1].splitlines(keepends=True)  # of bytes: U+2028 in a text ends none


def _known(column: str) -> bool:
    return column.startswith(LABEL) or any(column in names for names in NAMES.values())


def _schema(file: Path | IO[bytes], name: str) -> pyarrow.Schema:
    return _metadata(file, name).schema.to_arrow_schema()


def _metadata(file: Path | IO[bytes], name: str) -> parquet.FileMetaData:
    try:
        from pyarrow import ArrowException, parquet
    except ImportError as error:
        raise UserError(f"{name}: Parquet needs pyarrow: {INSTALL}") from error
    try:
        return parquet.read_metadata(file)
    except ArrowException as error:
        raise UserError(f"{name}: cannot be read as Parquet ({_line(error)}): fetch it again") from error
    except OSError as error:
        raise UserError(f"{name}: {error.strerror or _line(error)}") from error


def _holds_audio(field: pyarrow.Field) -> bool:
    from pyarrow import types

    if not types.is_struct(field.type):
        return False
    inner = {field.type.field(i).name: field.type.field(i).type for i in range(field.type.num_fields)}
    return "bytes" in inner and (types.is_binary(inner["bytes"]) or types.is_large_binary(inner["bytes"]))


def _line(error: Exception) -> str:
    return re.sub(r"\s+", " ", str(error)).strip()[:200]
