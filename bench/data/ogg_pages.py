"""What is lost in an Ogg file: its decoders leave damaged pages out without a word (RFC 3533)."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field

_MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))  # Ogg's sum takes the bits of a byte in the other order


@dataclass
class _Stream:
    """One logical stream so far."""

    next: int  # number of the page that should come
    ended: bool = False


@dataclass
class _Count:
    """What a file is made of."""

    bytes: int = 0  # in whole pages
    damaged: int = 0
    missing: int = 0
    streams: dict[int, _Stream] = field(default_factory=dict)


def losses(content: bytes) -> str:
    """A note on pages that are damaged or missing, "" where all are there."""
    count, at = _Count(), 0
    while (at := content.find(b"OggS", at)) >= 0:
        head = content[at : at + 27]
        lengths = content[at + 27 : at + 27 + head[26]] if len(head) == 27 else b""
        end = at + 27 + len(lengths) + sum(lengths)
        if (
            len(head) < 27
            or len(lengths) < head[26]
            or end > len(content)
            or _sum(content[at:end]) != int.from_bytes(head[22:26], "little")
        ):
            count.damaged += 1
            at += 4
            continue
        count.bytes += end - at
        _add(count, head)
        at = end
    missing = max(0, count.missing - count.damaged)  # those that are damaged are missing in the numbering
    open_ends = [stream for stream in count.streams.values() if not stream.ended]
    words = [f"{count.damaged} of its Ogg pages damaged"] * bool(count.damaged) + [f"{missing} of its Ogg pages missing"] * bool(missing)
    words += [f"{len(content) - count.bytes} bytes are of no Ogg page"] * (not count.damaged and len(content) > count.bytes)
    words += ["no last page: its end may be missing"] * bool(open_ends)
    return ", ".join(words)


def _add(count: _Count, head: bytes) -> None:
    serial, number = int.from_bytes(head[14:18], "little"), int.from_bytes(head[18:22], "little")
    stream = count.streams.setdefault(serial, _Stream(number))
    if head[5] & 2:  # a beginning
        stream.next, stream.ended = number, False
    count.missing += max(0, number - stream.next)
    stream.next, stream.ended = number + 1, bool(head[5] & 4)


def _sum(page: bytes) -> int:
    """CRC-32 with the polynomial 0x04c11db7 from 0, over the page with its own sum at 0."""
    mirrored = (page[:22] + b"\0\0\0\0" + page[26:]).translate(_MIRRORED)
    found = zlib.crc32(mirrored, 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{found:032b}"[::-1], 2)
