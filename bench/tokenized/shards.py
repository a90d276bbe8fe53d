"""Shards of rows on disk, as Parquet or Arrow files that `datasets.load_dataset(DIR)` finds by their names.

A row is a clip: its facts, its tokens (of a grid position by position), and what decode needs besides. Lists that are of each tokenizer
have one entry for each.
"""

from __future__ import annotations

import importlib.util
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from bench.api import UserError
from bench.records.writer import replace

if TYPE_CHECKING:
    import pyarrow

Form = Literal["parquet", "arrow"]
FORMS: tuple[Form, ...] = ("parquet", "arrow")
FOLDER = "data"
INSTALL = "pip install 'audio-tokenizer-bench[parquet]'"


@dataclass(frozen=True)
class Row:
    """A clip as tokens."""

    id: str
    domain: str
    speaker: str
    text: str
    language: str
    split: str
    sha256: str  # of its audio file
    seconds: float
    tokens: np.ndarray  # int32, none where `note` says that a tokenizer failed
    note: str = ""
    sample_rate: Sequence[int] = ()  # Hz of what each tokenizer was given
    samples: Sequence[int] = ()  # of that
    frames: Sequence[int] = ()  # of each tokenizer
    side: Sequence[Sequence[int]] = field(default_factory=tuple)  # tokens of the side codes, those of the first chunk before
    level: Sequence[float] = ()  # root mean square of the clip, rounded to float16; NaN where decode needs none
    seams: Sequence[Sequence[float]] = field(default_factory=tuple)  # s at which it was cut into pieces


def require() -> None:
    """UserError where there is no package that writes and reads them."""
    if importlib.util.find_spec("pyarrow") is None:
        raise UserError(f"shards of tokens need pyarrow: {INSTALL}")


def schema() -> pyarrow.Schema:
    """The types of a row."""
    import pyarrow as pa

    words = [(name, pa.string()) for name in ("id", "domain", "speaker", "text", "language", "split", "sha256")]
    numbers = [("sample_rate", pa.int32()), ("samples", pa.int64()), ("frames", pa.int32())]
    lists = [(name, pa.list_(kind)) for name, kind in numbers]
    nested = [("side", pa.list_(pa.list_(pa.int32()))), ("level", pa.list_(pa.float32())), ("seams", pa.list_(pa.list_(pa.float64())))]
    return pa.schema([*words, ("seconds", pa.float64()), ("tokens", pa.list_(pa.int32())), ("note", pa.string()), *lists, *nested])


def names(count: int, form: Form) -> list[str]:
    """The files of so many shards, as the loaders of data sets expect them."""
    return [f"train-{i:05}-of-{count:05}.{form}" for i in range(count)]


def write(path: Path, rows: Sequence[Row]) -> None:
    """A shard, whole or not at all: the same rows are the same bytes."""
    import pyarrow as pa
    from pyarrow import parquet

    table = pa.Table.from_pylist([vars(row) for row in rows], schema=schema())
    out = io.BytesIO()
    if path.suffix == ".parquet":
        parquet.write_table(table, out, compression="zstd")
    else:
        with pa.ipc.new_stream(out, table.schema) as writer:
            writer.write_table(table)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace(path, out.getvalue())
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror or error}): give another folder") from error


def table(path: Path, columns: Sequence[str] | None = None) -> pyarrow.Table:
    """A shard. UserError where the file is none."""
    import pyarrow as pa
    from pyarrow import parquet

    try:
        if path.suffix == ".parquet":
            return parquet.read_table(path, columns=None if columns is None else list(columns))
        with pa.memory_map(str(path)) as source:
            whole = pa.ipc.open_stream(source).read_all()
            return whole if columns is None else whole.select(list(columns))
    except (OSError, KeyError, pa.ArrowInvalid) as error:
        raise UserError(f"{path}: cannot be read as a shard ({error}): write it again with bench tokenize") from error


def rows(path: Path) -> Iterator[Row]:
    """The rows of a shard."""
    found = table(path)
    streams = found["tokens"]
    for i, row in enumerate(found.drop_columns(["tokens"]).to_pylist()):
        yield Row(**row, tokens=streams[i].values.to_numpy(zero_copy_only=False).astype(np.int32))


def whole(path: Path) -> bool:
    """Whether a shard is there and no clip of it has failed: a failed one is tried again."""
    return path.is_file() and not any(table(path, ["note"])["note"].to_pylist())
