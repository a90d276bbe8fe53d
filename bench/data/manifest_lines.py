"""The entries of a manifest file: JSON Lines, a JSON array of such objects, or a table (CSV, TSV, Parquet) whose columns are the fields.

Encoded as UTF-8, or as UTF-16 that says so in its first bytes; lines end as on any system. An end of line inside a string (U+2028) is text.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path

from bench.api import UserError
from bench.data import parquet_tables
from bench.data.signatures import HEAD, is_audio

WANTED = 'a line is {"path": "clip.flac", "domain": "speech", ...}'
BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


def entries(manifest: Path) -> Iterator[tuple[str, dict[str, object]]]:
    """(where, object) of every entry, where being "FILE:LINE", "FILE, entry N" or "FILE, row N". Raises UserError."""
    if manifest.suffix.lower() == parquet_tables.SUFFIX:
        yield from parquet_tables.entries(manifest)
        return
    text = _text(manifest)
    start = text.lstrip()[:1]
    if start == "[":
        yield from _array(manifest, text)
    elif start in ("{", ""):
        yield from _lines(manifest, text)
    else:
        yield from _table(manifest, text)


def _text(manifest: Path) -> str:
    try:
        content = manifest.read_bytes()
    except OSError as error:
        raise UserError(f"{manifest}: cannot be read as a manifest ({error.strerror}): expected one JSON object per line") from error
    if is_audio(content[:HEAD]):
        raise UserError(f"{manifest} is audio, not a manifest: give the folder that it is in")
    encoding, mark = next(((name, mark) for mark, name in BOMS if content.startswith(mark)), ("utf-8", b""))
    try:
        return content[len(mark) if encoding == "utf-8" else 0 :].decode(encoding)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        wrong = f"byte 0x{content[error.start]:02x} is not {encoding.upper()}" if error.start < len(content) else "it ends too early"
        raise UserError(f"{manifest}:{line}: cannot be read as a manifest ({wrong}): save it as UTF-8") from error


def _lines(manifest: Path, text: str) -> Iterator[tuple[str, dict[str, object]]]:
    for number, line in enumerate(re.split(r"\r\n|\n|\r", text), 1):
        if line.strip():
            where = f"{manifest}:{number}"
            yield where, _object(_parsed(line, where, "expected one object per line"), where)


def _array(manifest: Path, text: str) -> Iterator[tuple[str, dict[str, object]]]:
    array = _parsed(text, str(manifest), "it begins as a JSON array; expected an array of objects, or one object per line")
    assert isinstance(array, list)
    for number, entry in enumerate(array, 1):
        where = f"{manifest}, entry {number}"
        yield where, _object(entry, where)


def _table(manifest: Path, text: str) -> Iterator[tuple[str, dict[str, object]]]:
    first = re.split(r"[\r\n]", text.strip(), maxsplit=1)[0]
    separator = max("\t;,", key=first.count)
    lines = csv.DictReader(io.StringIO(text.strip("\r\n"), newline=""), delimiter=separator, strict=True)
    names = [name.strip() for name in lines.fieldnames or ()]
    if "path" not in names:
        raise UserError(
            f"{manifest}:1: neither JSON nor a table (CSV) with a column called path: it begins {first[:60]!r}; write one JSON object per "
            f"line ({WANTED}), or name the columns in the first line (path, text, speaker, ...)"
        )
    try:
        for entry in lines:
            where = f"{manifest}:{lines.line_num}"
            if None in entry or None in entry.values():
                raise UserError(f"{where}: not as many cells as in the first line of this CSV table: quote a cell that holds {separator!r}")
            yield where, {name: value for name, value in zip(names, entry.values(), strict=True) if value}
    except csv.Error as error:
        raise UserError(f"{manifest}:{lines.line_num}: not a line of a CSV table ({error})") from error


def _parsed(text: str, where: str, wanted: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{where}: not JSON ({error}): {wanted}") from error


def _object(entry: object, where: str) -> dict[str, object]:
    found = {key: value for key, value in entry.items() if value is not None} if isinstance(entry, dict) else {}
    if not isinstance(found.get("path"), str) or not found["path"]:
        had = f", it has {', '.join(map(str, found))[:80]}" if found else ""
        raise UserError(f'{where}: the field "path" is missing{had}: {WANTED}')
    return found
