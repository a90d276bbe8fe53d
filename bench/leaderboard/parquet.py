"""results.csv once more as Parquet, typed and compressed, for dataset hubs and data frames.

Its bytes differ from one writer to the next, so it is current where it holds the very table of results.csv.
"""

from __future__ import annotations

import importlib.util
import io
from pathlib import Path
from typing import TYPE_CHECKING

from bench.records.writer import replace

if TYPE_CHECKING:
    from pandas import DataFrame

NAME = "results.parquet"
INSTALL = "pip install 'audio-tokenizer-bench[parquet]'"


def ready() -> bool:
    """Whether there is a package to read and write it by."""
    return importlib.util.find_spec("pyarrow") is not None


def table(text: str) -> DataFrame:
    """The text of results.csv as a table: numbers as numbers, empty cells as missing."""
    from pandas import read_csv  # here: the command line answers without waiting for pandas

    return read_csv(io.StringIO(text))


def current(path: Path, text: str) -> bool:
    """Whether the file is there and holds the table of this results.csv."""
    from pandas import read_parquet

    try:
        return path.is_file() and read_parquet(path).equals(table(text))
    except (OSError, ValueError):  # no Parquet, or a torn one
        return False


def write(path: Path, text: str) -> None:
    """The table of this results.csv, written whole or not at all."""
    replace(path, table(text).to_parquet(None, index=False, compression="zstd"))
