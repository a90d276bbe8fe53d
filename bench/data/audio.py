"""Audio files and the one resampler. Waveforms are float32 tensors [C, T]; nothing is normalised, dithered or clipped."""

from __future__ import annotations

import hashlib
import math
from pathlib import Path

import soundfile
import soxr
import torch
from torch import Tensor

from bench.api import Audio, Clip, UserError
from bench.data.decoders import WHOLE, BadAudio, Decoded, Limits, decode
from bench.data.folders import content_of
from bench.data.headers import mended
from bench.data.joined_files import parts, without_tag
from bench.data.ogg_pages import losses

LFS = b"version https://git-lfs.github.com/"
LOUD, FAINT = 2.0, 1e-4  # peaks above and below which a note says so, of a full scale of 1
CANCELLED, NEARLY = 1e-6, 1e-2  # power of a mix by that of its loudest channel


def resample(wav: Tensor, source: int, target: int) -> Tensor:
    """wav [..., T] at `source` Hz -> [..., ceil(T x target / source)] at `target` Hz, band-limited (soxr, very high quality)."""
    if source == target:
        return wav
    length = math.ceil(wav.shape[-1] * target / source)
    flat = wav.reshape(-1, wav.shape[-1]).T.contiguous().numpy()
    out = torch.from_numpy(soxr.resample(flat, source, target, quality="VHQ")).T
    out = torch.nn.functional.pad(out, (0, length - out.shape[-1]))  # negative: trims; soxr rounds the length its own way
    return out.reshape(*wav.shape[:-1], length).contiguous()


def decode_file(content: bytes, name: str, limits: Limits = WHOLE) -> Audio:
    """The bytes of an audio file -> Audio, with a note on what is odd in it. Raises BadAudio where there is nothing for a codec."""
    try:
        return _decoded(content, limits)
    except BadAudio as error:
        raise BadAudio(f"{name} {error}") from error


def _decoded(content: bytes, limits: Limits) -> Audio:
    if content.startswith(LFS):
        raise BadAudio("cannot be read as audio: it is a Git LFS pointer to it, fetch it with git lfs pull")
    files = parts(without_tag(content))
    stretches: list[Audio] = []
    notes: list[str] = [f"{len(files)} files joined in one, heard one after the other"] * (len(files) > 1)
    for number, part in enumerate(files, 1):
        whole = mended(part)
        try:
            found = decode(whole.content, limits)
        except BadAudio as error:
            if len(files) == 1:
                raise
            found = Decoded([], [f"part {number} {error}"])
        stretches += [audio for audio in found.stretches if audio.wav.shape[-1]]
        notes += [note for note in (whole.note, losses(part) if part.startswith(b"OggS") else "", *found.notes) if note]
    if not stretches:
        raise BadAudio("; ".join(("holds no samples", *notes)))
    audio = _in_a_row(stretches, notes, limits)
    if not bool(torch.isfinite(audio.wav).all()):
        raise BadAudio("holds NaN or infinite samples")
    return Audio(audio.wav, audio.sample_rate, "; ".join(dict.fromkeys((*notes, *_level(audio.wav)))))


def _in_a_row(stretches: list[Audio], notes: list[str], limits: Limits) -> Audio:
    """All of them in the form of the first."""
    first = stretches[0]
    rate, channels = first.sample_rate, first.wav.shape[0]
    if any((audio.sample_rate, audio.wav.shape[0]) != (rate, channels) for audio in stretches):
        notes.append(f"its rate or its channels change: all is brought to {rate} Hz and {channels} of the beginning")
    wavs = [resample(to_channels(audio.wav, channels), audio.sample_rate, rate) for audio in stretches]
    count = sum(wav.shape[-1] for wav in wavs)
    limits.refuse(count, rate, channels, f"{count / rate:.0f}")
    return Audio(torch.cat(wavs, -1) if len(wavs) > 1 else wavs[0], rate)


def _level(wav: Tensor) -> list[str]:
    """A note on samples of another scale than the one from -1 to 1."""
    peak = float(wav.abs().max())
    if peak > LOUD:
        integers = next(
            (f": samples of {bits}-bit integers? divide them by {2 ** (bits - 1)}" for bits in (8, 16, 24, 32) if peak <= 2 ** (bits - 1)),
            "",
        )
        return [f"peaks at {20 * math.log10(peak):.0f} dB above full scale{integers if peak > 8 else ''}"]
    if 0 < peak < FAINT:
        return [f"peaks at {-20 * math.log10(peak):.0f} dB below full scale: next to silent"]
    return []


def mixed(audio: Audio, channels: int) -> Audio:
    """The audio in that many channels. Raises BadAudio where these cancel out in the mix; where they nearly do, a note says so."""
    wav = to_channels(audio.wav, channels)
    if audio.wav.shape[0] == channels:
        return audio
    loudest, mix = float(audio.wav.square().mean(-1).max()), float(wav.square().mean())
    if mix <= loudest * CANCELLED:
        if loudest > 0:
            raise BadAudio("its channels cancel each other out: their mix is silent, the file itself is not")
    elif mix < loudest * NEARLY:
        note = f"its channels nearly cancel each other out: their mix is {10 * math.log10(loudest / mix):.0f} dB below the loudest one"
        return Audio(wav, audio.sample_rate, "; ".join(filter(None, (audio.note, note))))
    return Audio(wav, audio.sample_rate, audio.note)


def read_clip(clip: Clip, limits: Limits = WHOLE) -> Audio:
    """The audio of a clip, its sha256 checked. Raises UserError where the file is not what the manifest says, else BadAudio."""
    try:
        content = content_of(clip.path, clip.span)
    except OSError as error:
        raise UserError(f"{clip.path}: {error.strerror}: clip {clip.id!r} cannot be read") from error
    found = hashlib.sha256(content).hexdigest()
    if found != clip.sha256:
        raise UserError(
            f"{clip.path}: sha256 is {found[:16]}..., {clip.sha256[:16]}... was stated or noted: fetch the file again, correct the "
            "manifest, or give --verify where its time of change is not to be trusted"
        )
    return decode_file(content, clip.path.name if clip.span is None else f"{clip.path.name}: {clip.id}", limits)


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
        raise UserError(f"{path}: audio cannot be written ({getattr(error, 'strerror', '') or error}): give another folder") from error
