"""Bytes of one file -> samples, by libsndfile or FFmpeg (PyAV), whichever is made for them; neither may write to the terminal.

libsndfile is asked first for what it decodes itself, but not for MP3, as its decoder for it (libmpg123) writes on stderr, nor for FLAC, of
which it hears no more than the header states, and says nothing of damage behind that. FFmpeg's samples of FLAC are the same, bit by bit.
"""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import soundfile
import torch
from torch import Tensor

from bench.api import Audio

if TYPE_CHECKING:
    from av import AudioFrame
    from av.container import InputContainer

RATES = (1_000, 1_000_000)  # Hz; what states less or more is damaged
_BLOCK = 2**20
_NOWHERE = logging.NullHandler()
_LIBSNDFILE = re.compile(
    rb"(?:RIFF|RIFX|RF64|FORM|OggS|\.snd|dns\.|riff|caff|NIST|2BIT|Crea| paf|fap |\x64\xa3[\x01-\x04]\x00|\x00[\x01-\x04]\xa3\x64)"
)
_MPEG_IN_WAV = re.compile(rb"fmt (?:[\s\S]{4}|[\s\S]{20})(?:[\x50\x55]\x00|\x00[\x50\x55]|\xfe\xff[\s\S]{22}[\x50\x55]\x00)")
_DEMUXERS = (  # those that read the one file they are given, and never another that it names
    "wav,w64,aiff,au,caf,flac,ogg,mp3,aac,loas,ac3,eac3,dts,dtshd,truehd,mlp,amr,amrnb,amrwb,mov,matroska,webm,asf,avi,mpegts,mpeg,flv,wv,ape,"
    "tta,tak,shn,mpc,mpc8,voc,nistsphere,rm,dsf,iff,qcp,ircam,avr,oma,rso,sox,wve,xwma"
)
_KNOWS_LENGTH = (
    "mov",
    "matroska",
    "asf",
    "wv",
    "tta",
    "ape",
    "caf",
    "wav",
    "flac",
    "avi",
)  # demuxers that state a length they read, and do not guess one


@dataclass(frozen=True)
class Limits:
    """How long a file may be; `mend` is what to do about one that is longer."""

    seconds: float
    samples: int  # of all channels, 4 bytes each
    mend: str = "split it"

    def refuse(self, count: int, rate: int, channels: int, length: str) -> None:
        """BadAudio, which says how long the file is, where it has so many samples of each channel or more, and that is too many."""
        if count > self.seconds * rate:
            raise BadAudio(f"is {length} s long, the limit is {self.seconds:.0f} s: {self.mend}")
        if count * channels > self.samples:
            raise BadAudio(f"is {length} s long and holds more than {self.samples} samples: split it")


WHOLE = Limits(600.0, 2**28)  # of a clip that is coded or scored whole: a longer one would need more memory than a machine has to give
IN_PIECES = Limits(86_400.0, 2**30)  # of one that a tokenizer is given in pieces


class BadAudio(ValueError):
    """A file that holds no usable audio; its text becomes the note of the clip's missing scores."""


@dataclass
class Decoded:
    """Stretches of audio, one after the other, and what is to be said of them."""

    stretches: list[Audio]
    notes: list[str] = field(default_factory=list)


class _Bytes(io.BytesIO):
    """A file in memory that stays where it is when a damaged header asks for a place before its start or far behind its end."""

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self.tell(), io.SEEK_END: len(self.getbuffer())}.get(whence, 0)
        return super().seek(min(max(0, start + offset), 2**62))


def decode(content: bytes, limits: Limits = WHOLE) -> Decoded:
    """The samples of one file. Raises BadAudio, whose text has no name in it."""
    if _LIBSNDFILE.match(content) is None or _MPEG_IN_WAV.search(content):
        return _ffmpeg(content, limits)
    try:
        file = soundfile.SoundFile(_Bytes(content))
    except soundfile.LibsndfileError as error:
        return _otherwise(content, limits, error, [])
    try:
        with file:
            return _libsndfile(file, limits)
    except soundfile.LibsndfileError as error:
        return _otherwise(content, limits, error, [f"libsndfile says: {error.error_string}"])


def _otherwise(content: bytes, limits: Limits, error: soundfile.LibsndfileError, notes: list[str]) -> Decoded:
    """What FFmpeg makes of a file that libsndfile does not know, or broke off in."""
    try:
        found = _ffmpeg(content, limits)
    except BadAudio as other:
        raise BadAudio(f"cannot be read as audio: {error.error_string}") from other
    return Decoded(found.stretches, [*notes, *found.notes])


def _libsndfile(file: soundfile.SoundFile, limits: Limits) -> Decoded:
    _refuse(file.samplerate, file.channels)
    limit = min(int(limits.seconds * file.samplerate), limits.samples // file.channels)
    blocks, count = [], 0
    while len(block := file.read(min(_BLOCK, limit + 1 - count), dtype="float32", always_2d=True)):  # a number: not all can be sought in
        blocks.append(block)
        count += len(block)
        if count > limit:
            stated = file.frames if file.frames < 2**40 else count
            limits.refuse(count, file.samplerate, file.channels, f"{stated / file.samplerate:.0f}")
    wav = torch.from_numpy(np.concatenate(blocks) if blocks else np.zeros((0, file.channels), np.float32)).T.contiguous()
    stated = file.frames if 0 < file.frames < 2**40 else count
    return Decoded([Audio(wav, file.samplerate)], _shorter(stated / file.samplerate, count / file.samplerate))


def _refuse(rate: int, channels: int) -> None:
    if not RATES[0] <= rate <= RATES[1]:
        raise BadAudio(f"states a rate of {rate} Hz")
    if not 1 <= channels <= 1024:
        raise BadAudio(f"states {channels} channels")


def _shorter(stated: float, found: float) -> list[str]:
    """A note where a file gives less than it says, both in s."""
    if found >= stated - max(0.1, 0.01 * stated):
        return []
    return [f"its header states {stated:.2f} s, and {found:.2f} s are there"]


def _ffmpeg(content: bytes, limits: Limits) -> Decoded:
    import av
    from av import logging as log

    logging.getLogger("libav").addHandler(_NOWHERE)  # what is said outside of the lines below
    log.set_level(log.ERROR)
    log.set_skip_repeated(False)
    options = {"format_whitelist": _DEMUXERS, "protocol_whitelist": "none"}
    with log.Capture(local=True) as said:
        try:
            with av.open(_Bytes(content), "r", options=options, metadata_errors="ignore") as container:
                found = _heard(container, content, limits)
        except BadAudio:
            raise
        except Exception as error:  # FFmpeg's own errors, and whatever its binding makes of a damaged file: it is told, and costs the clip
            words = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise BadAudio("cannot be read as audio: " + "; ".join((" ".join(words.split()), *_distinct(said)))) from error
    return Decoded(found.stretches, [*found.notes, *_distinct(said)])


def _distinct(said: list[tuple[int, str, str]]) -> list[str]:
    """The first words of FFmpeg, each once."""
    lines = dict.fromkeys(" ".join(f"{part}: {text}".split()) for _, part, text in said)
    return [f"FFmpeg says: {line}" for line in list(lines)[:2]]


def _heard(container: InputContainer, content: bytes, limits: Limits) -> Decoded:
    if not container.streams.audio:
        raise BadAudio("holds no audio track")
    tracks, troubles = len(container.streams.audio), _Troubles()
    stretches = _stretches(_frames(container, troubles), limits)
    seconds = sum(audio.wav.shape[-1] / audio.sample_rate for audio in stretches)
    notes = [f"{tracks} audio tracks, the first is heard"] * (tracks > 1)
    if troubles.packets:
        notes.append(f"{troubles.packets} of its packets cannot be decoded: {troubles.words}")
    name = container.format.name.split(",")[0]
    exact = name in _KNOWS_LENGTH or name == "mp3" and re.search(rb"Xing|Info", content[:8192])
    if exact and container.duration:
        notes += _shorter(container.duration / 1e6, seconds)
    return Decoded(stretches, notes)


@dataclass
class _Troubles:
    """What went wrong on the way."""

    packets: int = 0
    words: str = ""


def _frames(container: InputContainer, troubles: _Troubles) -> Iterator[AudioFrame]:
    """The frames of the first audio track; what cannot be decoded is counted and left out."""
    from av.error import FFmpegError

    stream = container.streams.audio[0]
    stream.codec_context.thread_count = 1
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
            if packet is None:
                return
            yield from packet.decode()
        except FFmpegError as error:
            troubles.packets += 1
            troubles.words = error.strerror or type(error).__name__


def _stretches(frames: Iterator[AudioFrame], limits: Limits) -> list[Audio]:
    """Frames side by side that are of one rate, of as many channels and of one kind of sample."""
    groups: list[tuple[tuple[int, int, np.dtype], list[np.ndarray]]] = []
    count = 0
    for frame in frames:
        array, rate = _as_decoded(frame), frame.sample_rate
        _refuse(rate, array.shape[0])
        kind = rate, array.shape[0], array.dtype
        if not groups or groups[-1][0] != kind:
            groups.append((kind, []))
        groups[-1][1].append(array)
        count += array.shape[-1]
        limits.refuse(count, rate, array.shape[0], f"more than {min(limits.seconds, count / rate):.0f}")
    return [Audio(_scaled(np.concatenate(arrays, -1)), kind[0]) for kind, arrays in groups]


def samples(frame: AudioFrame) -> Tensor:
    """A frame -> [C, T] float32, full scale being 1."""
    return _scaled(_as_decoded(frame))


def _as_decoded(frame: AudioFrame) -> np.ndarray:
    """[C, T], numbers as the decoder gives them."""
    array = frame.to_ndarray()
    return array if frame.format.is_planar else array.reshape(-1, frame.layout.nb_channels).T


def _scaled(array: np.ndarray) -> Tensor:
    """Numbers of any kind of sample -> float32, full scale being 1."""
    if array.dtype == np.uint8:
        array = array.astype(np.float32) / 128 - 1
    elif array.dtype.kind == "i":  # rounded once, to float32: what divides is a power of two
        array = array.astype(np.float32) / np.float32(2 ** (8 * array.dtype.itemsize - 1))
    return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))
