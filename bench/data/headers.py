"""Lengths in the headers of uncompressed files: recorders that stop, and pipes, leave them at 0 or at a number that means nothing.

What a header states is compared with what is there: the samples are read to their end, and what does not fit is told.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

UNKNOWN = 0x7FFFF000  # and above, in 32 bits: what pipes write for a length they do not know


@dataclass(frozen=True)
class Chunks:
    """How a family lays out its chunks."""

    magic: bytes
    start: int  # of the first chunk
    data: bytes  # begins the name of the chunk of samples
    name: int  # bytes of a name
    size: int  # bytes of a size
    order: Literal["little", "big"]
    inclusive: bool = False  # a size counts name and size, too
    align: int = 2


LAYOUTS = (
    Chunks(b"RIFF", 12, b"data", 4, 4, "little"),
    Chunks(b"RIFX", 12, b"data", 4, 4, "big"),
    Chunks(b"RF64", 12, b"data", 4, 4, "little"),
    Chunks(b"FORM", 12, b"SSND", 4, 4, "big"),
    Chunks(b"caff", 8, b"data", 4, 8, "big", align=1),
    Chunks(b"riff", 40, b"data", 16, 8, "little", inclusive=True, align=8),
)


@dataclass(frozen=True)
class Mended:
    """A file whose header fits its samples, and what was wrong with it."""

    content: bytes
    note: str = ""


def mended(content: bytes) -> Mended:
    """The file with a length that decoders read to the end."""
    if content[:4] == b"BW64":
        content = b"RF64" + content[4:]
    if content[:4] == b".snd":
        return _au(content)
    layout = next((layout for layout in LAYOUTS if content.startswith(layout.magic)), None)
    if layout is None or (at := _data_chunk(content, layout)) is None:
        return Mended(content)
    first = at + layout.name + layout.size
    stated, there = _stated(content, at, layout), len(content) - first
    if stated > there:
        unknown = stated >= UNKNOWN
        note = "its header states no length: it is read to its end" if unknown else _missing(stated, there)
        return Mended(_with_size(content, at, layout, there), note)
    rest = content[first + stated :]
    if not rest or _are_chunks(rest, layout, stated):
        return Mended(content[: first + stated] if stated and layout.inclusive else content)  # libsndfile reads on in Wave64
    if stated == 0:
        return Mended(_with_size(content, at, layout, there), "its header states a length of 0: it is read to its end")
    return Mended(content[: first + stated], f"{len(rest)} bytes behind the length that its header states are not read")


def _missing(stated: int, there: int) -> str:
    return f"its header states {stated} bytes of samples, and {there} are there: its end is missing"


def _data_chunk(content: bytes, layout: Chunks) -> int | None:
    """Where the chunk of samples begins."""
    at = layout.start
    while at + layout.name + layout.size <= len(content):
        if content.startswith(layout.data, at):
            return at
        at = _next(content, at, layout)
    return None


def _next(content: bytes, at: int, layout: Chunks) -> int:
    head = layout.name + layout.size
    size = int.from_bytes(content[at + layout.name : at + head], layout.order)
    end = at + max(size, head if layout.inclusive else 0) + (0 if layout.inclusive else head)
    return end + -end % layout.align


def _stated(content: bytes, at: int, layout: Chunks) -> int:
    head = layout.name + layout.size
    size = int.from_bytes(content[at + layout.name : at + head], layout.order)
    if layout.magic == b"RF64" and size == 0xFFFFFFFF and content[12:16] == b"ds64":
        return int.from_bytes(content[28:36], "little")  # the size in 64 bits
    return max(0, size - head) if layout.inclusive else size


def _are_chunks(rest: bytes, layout: Chunks, stated: int) -> bool:
    """Whether what follows the samples is what may follow them: other chunks, or a few zeros to fill up."""
    rest = rest[stated % 2 if layout.align == 2 else -stated % layout.align :]
    if len(rest) < layout.name + layout.size or not rest.strip(b"\0"):
        return stated > 0 or not rest
    at = 0
    while at + layout.name + layout.size <= len(rest):
        if not re.match(rb"[A-Za-z0-9_\- ]{4}", rest[at : at + 4]):
            return False
        at = _next(rest, at, layout)
    return at <= len(rest) + layout.align


def _with_size(content: bytes, at: int, layout: Chunks, there: int) -> bytes:
    first = at + layout.name + layout.size
    size = there + (first - at if layout.inclusive else 0)
    before = content[:at]
    if layout.magic == b"RF64":  # 64 bits are not needed for what is in memory; unknown to WAV, the chunk that holds them is junk
        before = b"RIFF" + (len(content) - 8).to_bytes(4, "little") + before[8:].replace(b"ds64", b"JUNK", 1)
    name = content[at : at + layout.name]
    return b"".join((before, name, min(size, 256**layout.size - 1).to_bytes(layout.size, layout.order), content[first:]))


def _au(content: bytes) -> Mended:
    """Sun's format: one length, all ones where it is not known."""
    offset, stated = int.from_bytes(content[4:8], "big"), int.from_bytes(content[8:12], "big")
    there = len(content) - offset
    if stated == there or there <= 0:
        return Mended(content)
    if 0 < stated < there:
        return Mended(content[: offset + stated], f"{there - stated} bytes behind the length that its header states are not read")
    note = "its header states a length of 0: it is read to its end" if stated == 0 else ""
    if there < stated < UNKNOWN:
        note = _missing(stated, there)
    return Mended(content[:8] + there.to_bytes(4, "big") + content[12:], note)
