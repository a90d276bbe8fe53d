"""rows.parquet beside the rows.csv of a large run: the same columns and rows, read by other programs in a tenth of the time.

Made of the finished rows.csv, whose sha256 it holds as `rows_sha256`; nothing here reads it. Needs pyarrow (extra `parquet`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

from bench.records.writer import COLUMNS, SEAL, replacing
from bench.weights.transfer import digest_of

LARGE = 500_000  # rows: of fewer none is made


def wanted(rows: int) -> bool:
    """Whether so many rows are worth it, on this installation."""
    return rows >= LARGE and find_spec("pyarrow") is not None


def write(rows: Path) -> Path:
    """The Parquet file of a rows.csv, whole or not at all; a batch of rows in memory at a time."""
    import pyarrow as pa
    from pyarrow import csv, parquet

    types = {name: pa.float64() if name in ("value", "weight") else pa.string() for name in COLUMNS}
    convert = csv.ConvertOptions(column_types=types, null_values=[], strings_can_be_null=False)  # NaN is a value
    schema = pa.schema(list(types.items()), metadata={SEAL: digest_of(rows, "sha256")})
    place = rows.with_suffix(".parquet")
    with replacing(place) as file, parquet.ParquetWriter(file, schema, compression="zstd") as out:
        for batch in csv.open_csv(rows, convert_options=convert):
            out.write_batch(batch.cast(schema))
    return place


def step(rows: Path, steps: Sequence[str]) -> Iterator[Path]:
    """The same as the task of a worker process, so that this one is not larger by pyarrow from then on."""
    for _ in steps:
        yield write(rows)
