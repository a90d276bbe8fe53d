"""Damaged files of audio, each made from its number, and a process that reads them.

`python -m tests.unit.data.mutated_audio FOLDER COUNT [START]` ends with the file `done` in the folder: {"audio": n, "bad": n, "noted": n}.
Whatever else is written, and any other end, is a fault; the number in the file `at` says of which damaged file.
"""

from __future__ import annotations

import io
import json
import random
import sys
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

import av
import numpy as np
import soundfile
import torch
from av.audio.codeccontext import AudioCodecContext
from av.audio.fifo import AudioFifo

from bench.data.audio import BadAudio, decode_file, mixed
from tests.conftest import speech_like

RATE = 16_000


def _sound(channels: int) -> np.ndarray:
    return np.stack([speech_like(0.4, RATE, seed).numpy() for seed in range(channels)], 1)


def _libsndfile(form: str, subtype: str, channels: int = 1) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, _sound(channels), RATE, format=form, subtype=subtype)
    return file.getvalue()


def _ffmpeg(form: str, codec: str, rate: int) -> bytes:
    file = io.BytesIO()
    with av.open(file, "w", format=form) as container:
        stream = container.add_stream(codec, rate=rate)
        context = stream.codec_context
        assert isinstance(context, AudioCodecContext)
        context.layout = "mono"
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(_sound(1).T), "fltp", "mono")
        frame.sample_rate = RATE
        resampler, fifo = av.AudioResampler(format=context.format, layout="mono", rate=rate), AudioFifo()
        for part in (*resampler.resample(frame), *resampler.resample(None)):
            fifo.write(part)
        context.open()
        size = context.frame_size or 1024
        while fifo.samples:
            for packet in context.encode(fifo.read(size, partial=True)):
                packet.stream = stream
                container.mux(packet)
        for packet in context.encode(None):
            packet.stream = stream
            container.mux(packet)
    return file.getvalue()


SOURCES: Mapping[str, Callable[[], bytes]] = {
    "wav": lambda: _libsndfile("WAV", "PCM_16", 2),
    "float wav": lambda: _libsndfile("WAV", "FLOAT"),
    "gsm wav": lambda: _libsndfile("WAV", "GSM610"),
    "adpcm wav": lambda: _libsndfile("WAV", "IMA_ADPCM"),
    "mp3 wav": lambda: _ffmpeg("wav", "libmp3lame", 44_100),
    "rf64": lambda: _libsndfile("RF64", "PCM_24"),
    "w64": lambda: _libsndfile("W64", "PCM_16"),
    "caf": lambda: _libsndfile("CAF", "ALAC_16"),
    "au": lambda: _libsndfile("AU", "ULAW"),
    "flac": lambda: _libsndfile("FLAC", "PCM_16", 2),
    "vorbis": lambda: _libsndfile("OGG", "VORBIS", 2),
    "opus": lambda: _libsndfile("OGG", "OPUS"),
    "mp3": lambda: _libsndfile("MP3", "MPEG_LAYER_III"),
    "tagged mp3": lambda: b"ID3\x04\x00\x00\x00\x00\x00\x20" + bytes(32) + _libsndfile("MP3", "MPEG_LAYER_III", 2),
    "aiff": lambda: _libsndfile("AIFF", "PCM_16"),
    "m4a": lambda: _ffmpeg("ipod", "aac", 44_100),
    "aac": lambda: _ffmpeg("adts", "aac", 44_100),
    "webm": lambda: _ffmpeg("webm", "libopus", 48_000),
    "matroska": lambda: _ffmpeg("matroska", "flac", 44_100),
    "amr": lambda: _ffmpeg("amr", "libopencore_amrnb", 8_000),
    "wavpack": lambda: _ffmpeg("wv", "wavpack", 44_100),
}


@cache
def source(name: str) -> bytes:
    """A sound file of that kind."""
    return SOURCES[name]()


def mutated(number: int) -> tuple[str, bytes]:
    """The name and the content of one damaged file: always the same for its number."""
    draw = random.Random(number)
    name = list(SOURCES)[number % len(SOURCES)]
    content = bytearray(source(name))
    for _ in range(draw.choice((1, 1, 2, 5))):
        _damage(content, draw)
    return f"{number} ({name})", bytes(content)


def _damage(content: bytearray, draw: random.Random) -> None:
    near = draw.random() < 0.6  # headers are where it hurts
    at = draw.randrange(max(1, min(len(content), 200) if near else len(content)))
    length = draw.choice((1, 2, 4, 8, 64, 1000))
    match draw.randrange(8):
        case 0:  # bits
            for i in range(at, min(at + length, len(content))):
                content[i] ^= 1 << draw.randrange(8)
        case 1:
            content[at : at + length] = draw.randbytes(length)
        case 2:
            content[at : at + length] = bytes((draw.choice((0, 0xFF, 0x7F, 0x80)),)) * length
        case 3:
            del content[at : at + length]
        case 4:
            content[at:at] = draw.randbytes(length)
        case 5:
            del content[at:]
        case 6:
            content += content[:at] if draw.random() < 0.5 else source(draw.choice(list(SOURCES)))
        case _:  # a part comes once more
            content[at:at] = content[at : at + length]


def read_all(numbers: range, folder: Path) -> dict[str, int]:
    """Every outcome is Audio or BadAudio; anything else is raised."""
    count = {"audio": 0, "bad": 0, "noted": 0}
    for number in numbers:
        name, content = mutated(number)
        (folder / "at").write_text(name)
        try:
            audio = mixed(decode_file(content, name), 1)
        except BadAudio as error:
            assert str(error) and "\n" not in str(error)
            count["bad"] += 1
            continue
        assert audio.wav.ndim == 2 and audio.wav.shape[-1] and audio.wav.dtype == torch.float32 and "\n" not in audio.note
        count["audio"] += 1
        count["noted"] += bool(audio.note)
    return count


if __name__ == "__main__":
    place, total, first = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 0
    found = read_all(range(first, first + total), place)
    (place / "done").write_text(json.dumps(found))
