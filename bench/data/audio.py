"""Audio files and the one resampler. Waveforms are float32 tensors [C, T]; nothing is normalised, dithered or clipped."""

from __future__ import annotations

import hashlib
import io
import math
from pathlib import Path

import soundfile
import soxr
import torch
from torch import Tensor

from bench.api import Audio, Clip, UserError

RESAMPLER = "soxr VHQ"
MAX_SECONDS = 600.0  # a clip that is longer would need more memory than a machine has to give


class BadAudio(ValueError):
    """A file that holds no usable audio; its text becomes the note of the clip's missing scores."""


def resample(wav: Tensor, source: int, target: int) -> Tensor:
    """wav [..., T] at `source` Hz -> [..., ceil(T x target / source)] at `target` Hz, band-limited (soxr, very high quality)."""
    if source == target:
        return wav
    length = math.ceil(wav.shape[-1] * target / source)
    flat = wav.reshape(-1, wav.shape[-1]).T.contiguous().numpy()
    out = torch.from_numpy(soxr.resample(flat, source, target, quality="VHQ")).T
    out = torch.nn.functional.pad(out, (0, length - out.shape[-1]))  # negative: trims; soxr rounds the length its own way
    return out.reshape(*wav.shape[:-1], length).contiguous()


def decode_file(content: bytes, name: str) -> Audio:
    """The bytes of a WAV, FLAC, OGG or MP3 file -> Audio. Raises BadAudio where there is nothing that a codec could take."""
    try:
        with soundfile.SoundFile(io.BytesIO(content)) as file:
            seconds = file.frames / file.samplerate
            if seconds > MAX_SECONDS:
                raise BadAudio(f"{name} is {seconds:.0f} s long, the limit is {MAX_SECONDS:.0f} s: split it")
            wav = torch.from_numpy(file.read(dtype="float32", always_2d=True)).T.contiguous()
            rate = file.samplerate
    except soundfile.LibsndfileError as error:
        raise BadAudio(f"{name} cannot be read as audio: {error.error_string}") from error
    if wav.shape[-1] == 0:
        raise BadAudio(f"{name} holds no samples")
    if not bool(torch.isfinite(wav).all()):
        raise BadAudio(f"{name} holds NaN or infinite samples")
    return Audio(wav, rate)


def read(path: Path) -> tuple[Tensor, int]:
    """An audio file -> wav [C, T], rate in Hz. Raises BadAudio."""
    audio = decode_file(path.read_bytes(), path.name)
    return audio.wav, audio.sample_rate


def read_clip(clip: Clip) -> Audio:
    """The audio of a clip, its sha256 checked. Raises UserError where the file is not what the manifest says, else BadAudio."""
    try:
        content = clip.path.read_bytes()
    except OSError as error:
        raise UserError(f"{clip.path}: {error.strerror}: clip {clip.id!r} cannot be read") from error
    found = hashlib.sha256(content).hexdigest()
    if found != clip.sha256:
        raise UserError(
            f"{clip.path}: sha256 is {found[:16]}..., the manifest says {clip.sha256[:16]}...: "
            "fetch the file again, or correct the manifest"
        )
    return decode_file(content, clip.path.name)


def to_channels(wav: Tensor, channels: int) -> Tensor:
    """wav [C, T] -> [channels, T]: kept where it fits, else mixed down to mono and, for a stereo tokenizer, put on both sides."""
    if wav.shape[0] == channels:
        return wav
    return wav.mean(dim=0, keepdim=True).expand(channels, -1).contiguous()


def write(path: Path, wav: Tensor, sample_rate: int) -> None:
    """wav [C, T] -> a 32-bit float WAV file, so that nothing is clipped or rounded."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, wav.T.numpy(), sample_rate, subtype="FLOAT")
    except (OSError, soundfile.LibsndfileError) as error:
        raise UserError(f"{path}: audio cannot be written ({error}): give another folder") from error
