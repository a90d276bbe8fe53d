"""Audio as a file that a page can play wherever it was opened: a script of one call, `sound("<id>", "<base64>")`.

A page that was opened from a folder may read no file with a script, but it may run scripts that lie beside it. The id is the first digits
of the content's sha256, so equal audio is stored once.
"""

from __future__ import annotations

import base64
import hashlib
import io
import math
import re
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import soundfile
from torch import Tensor

from bench.api import UserError
from bench.data.audio import resample
from bench.records.writer import replace

OPUS_RATE = 48_000  # Hz
LOSSLESS = 0  # in place of a bitrate
HIGHEST = 0.99  # of full scale: what peaks above it is stored with less gain, so that nothing is cut
_SCRIPT = re.compile(r'sound\("(?P<id>[0-9a-f]+)", "(?P<data>[A-Za-z0-9+/=]+)"\);\n')


@dataclass(frozen=True)
class Carried:
    """One channel of audio as bytes, and what was done to it."""

    content: bytes
    how: str  # "FLAC, 16 bit" or "Opus, 48 kbit/s"
    stored_db: float  # the gain that it was stored with; 0 unless it peaks above full scale

    @property
    def id(self) -> str:
        """What it is called in its file."""
        return hashlib.sha256(self.content).hexdigest()[:16]

    @property
    def script(self) -> str:
        """The text of the file."""
        return f'sound("{self.id}", "{base64.b64encode(self.content).decode()}");\n'


def carry(wav: Tensor, sample_rate: int, bitrate: int = LOSSLESS) -> Carried:
    """wav [T] -> FLAC, or Opus of `bitrate` bit/s."""
    peak = float(wav.abs().max()) if wav.numel() else 0.0
    gain = min(1.0, HIGHEST / peak) if peak else 1.0
    stored = 20 * math.log10(gain)
    if bitrate == LOSSLESS:
        return Carried(flac(wav * gain, sample_rate), "FLAC, 16 bit", stored)
    return Carried(opus(wav * gain, sample_rate, bitrate), f"Opus, {bitrate / 1000:g} kbit/s", stored)


def flac(wav: Tensor, sample_rate: int) -> bytes:
    """wav [T] in [-1, 1] -> a FLAC file of 16 bits."""
    out = io.BytesIO()
    soundfile.write(out, wav.numpy(), sample_rate, format="FLAC", subtype="PCM_16")
    return out.getvalue()


def opus(wav: Tensor, sample_rate: int, bitrate: int) -> bytes:
    """wav [T] in [-1, 1] -> an Ogg file of one channel of Opus."""
    samples = resample(wav[None], sample_rate, OPUS_RATE)[0].clamp(-1, 1).numpy()
    out = io.BytesIO()
    with av.open(out, "w", format="ogg", options={"fflags": "+bitexact"}) as container:  # the serial number of a stream is random otherwise
        stream = container.add_stream("libopus", rate=OPUS_RATE, layout="mono", bit_rate=bitrate)
        stream.codec_context.options = {"flags": "+bitexact", "application": "audio", "vbr": "constrained"}
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples[None]), format="fltp", layout="mono")
        frame.sample_rate = OPUS_RATE
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return out.getvalue()


def write(folder: Path, carried: Carried) -> str:
    """Writes the file where it is not there yet; its name."""
    path = folder / f"{carried.id}.js"
    if not path.is_file():
        try:
            folder.mkdir(parents=True, exist_ok=True)
            replace(path, carried.script)
        except OSError as error:
            raise UserError(f"{path}: {error.strerror}: choose another place with --out") from error
    return path.name


def content_of(path: Path) -> bytes:
    """The audio in a file. UserError for a file that is not what `write` wrote."""
    try:
        found = _SCRIPT.fullmatch(path.read_text(encoding="utf-8"))
        content = base64.b64decode(found["data"]) if found else b""
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read ({error}): make the page again") from error
    if not found or hashlib.sha256(content).hexdigest()[:16] != found["id"] or path.stem != found["id"]:
        raise UserError(f"{path}: not the audio that its name says: make the page again")
    return content
