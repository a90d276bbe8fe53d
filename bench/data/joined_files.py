"""Several files of audio in one, as `cat a.ogg b.ogg` and broken-off recordings make them: decoders hear the first and say nothing."""

from __future__ import annotations

import re

_FAMILIES = (  # how a file of each family begins; the same again further on is the next file
    rb"(?:RIFF|RIFX|RF64|BW64)[\s\S]{4}WAVE[A-Za-z0-9 ]{4}",
    rb"FORM[\s\S]{4}AIF[FC][A-Z]{4}",
    rb"fLaC[\x00\x80]\x00\x00\x22",
    rb"\.snd\x00\x00[\s\S]{6}\x00\x00\x00[\x01-\x24]",
    rb"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00",
    rb"caff\x00\x01\x00\x00desc",
    rb"\x00\x00[\x00-\x0f][\s\S]ftyp[A-Za-z0-9 ]{4}",
    rb"\x1aE\xdf\xa3[\s\S]{1,8}\x42[\x82\x86\xf2\xf3\xf7]",
    rb"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\x00\xaa\x00\x62\xce\x6c",
    rb"wvpk[\s\S]{4}[\x02-\x10]\x04\x00\x00[\s\S]{4}\x00\x00\x00\x00",  # block 0 of a WavPack file
    rb"MAC \x8c\x0f|MAC \x96\x0f",
    rb"TTA1\x01\x00",
    rb"#!AMR(?:-WB)?\n",
)
_MPEG = (  # a tag before the first frame, or a first frame that counts the others (after 4 + 9 or 17 or 32 bytes); never bare frames
    rb"ID3[\x02-\x04]\x00[\x00-\xf0][\x00-\x7f]{4}"
    rb"|\xff[\xe2-\xff][\s\S]{2}(?:\x00{9}|\x00{17}|\x00{32})(?:Xing|Info)\x00\x00\x00"
)
_OGG = rb"OggS\x00\x02[\s\S]{20}\x01[\s\S](?:\x01vorbis|OpusHead|\x7fFLAC\x01|Speex   )"
_TAG = rb"ID3[\x02-\x04][\s\S]{2}([\x00-\x7f]{4})"


def without_tag(content: bytes) -> bytes:
    """The file without the ID3 tag that a program put before FLAC, WAV and the like, or behind FLAC, which have none of their own."""
    if content.startswith(b"fLaC") and content[-128:-125] == b"TAG":
        return content[:-128]
    if (tag := re.match(_TAG, content)) is None:
        return content
    size = sum(byte << shift for byte, shift in zip(tag[1], (21, 14, 7, 0), strict=True))
    rest = content[10 + size :].lstrip(b"\0")
    return rest if any(re.match(family, rest) for family in (*_FAMILIES, _OGG)) else content


def parts(content: bytes) -> list[bytes]:
    """The files that are joined in this one, most often itself alone."""
    if re.match(rb"OggS", content):
        starts = _links(content)
    elif re.match(rb"ID3|\xff[\xe0-\xff]", content):
        starts = _mpeg(content)
    else:
        family = next((family for family in _FAMILIES if re.match(family, content)), None)
        starts = [found.start() for found in re.finditer(family, content)] if family else []
    ends = [start for start in starts if start > 0] + [len(content)]
    return [content[start:end] for start, end in zip([0, *ends], ends, strict=False)]


def _links(content: bytes) -> list[int]:
    """Where the links of a chained Ogg file begin; streams that begin side by side are of one link."""
    starts: list[int] = []
    last = -1  # where the page before, the beginning of a stream, ends
    for found in re.finditer(_OGG, content):
        if found.start() != last:
            starts.append(found.start())
        last = found.start() + 28 + content[found.start() + 27]
    return starts


def _mpeg(content: bytes) -> list[int]:
    """Where the MP3 files begin: at their tags, or at their first frames where there are none."""
    starts: list[int] = []
    inside = 0  # the end of the last tag, whose pictures may hold anything, and of the frame that belongs to it
    for found in re.finditer(_MPEG, content):
        if found.start() < inside:
            continue
        if tag := re.match(_TAG, found[0]):
            starts.append(found.start())
            inside = found.start() + 10 + sum(byte << shift for byte, shift in zip(tag[1], (21, 14, 7, 0), strict=True)) + 1
        elif not starts or inside == 0 or found.start() > inside + 16:
            starts.append(found.start())
    return starts
