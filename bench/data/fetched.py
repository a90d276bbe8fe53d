"""Data sets whose manifest is here and whose audio is not: every clip is cut, once, out of a file of a public repository.

A line of such a manifest has, beside the usual fields, `source` (an address at a fixed commit), `source_sha256` (of that file's bytes),
`start` and `frames` (the cut, at the file's own rate), `mix` ("mono", "mean" of its channels, or "stereo"), `gain`, and `fade` (samples
at both ends). `sha256` is that of the clip as a WAV file of 16 bits, which lies in the cache folder afterwards.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import sys
import wave
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.api import Checkpoint, UserError
from bench.data.roots import PLACE, roots
from bench.weights.download import cache_folder, locate

COPIES = (".wav", ".flac")


@dataclass(frozen=True)
class Cut:
    """One clip and where it comes from."""

    path: str  # below the folder of the set
    id: str
    sha256: str  # of the WAV file
    source: Checkpoint
    start: int
    frames: int
    mix: str
    gain: float
    fade: int


def cuts(manifest: Path) -> list[Cut]:
    """The clips of a manifest of this kind; [] of any other manifest."""
    lines = [json.loads(line) for line in manifest.read_text(encoding="utf-8").splitlines()]
    return [_cut(line, manifest.parent.name) for line in lines] if lines and "source_sha256" in lines[0] else []


def _cut(line: dict[str, Any], name: str) -> Cut:
    file = f"data/{name}/sources/{line['source_sha256']}{Path(line['source']).suffix}"
    cure = f"name a folder that has copies of its clips in {PLACE}, or take --data mini"
    source = Checkpoint(file, line["source_sha256"], line["source"], cure)
    return Cut(line["path"], line["id"], line["sha256"], source, line["start"], line["frames"], line["mix"], line["gain"], line["fade"])


def folder(name: str) -> Path:
    """Where the clips of a set lie once they were fetched."""
    return cache_folder() / "data" / name


def missing(manifest: Path) -> list[Cut]:
    """The clips that are not on this machine yet."""
    home = folder(manifest.parent.name)
    return [cut for cut in cuts(manifest) if not (home / cut.path).is_file()]


def complete(manifest: Path) -> None:
    """Fetches what is missing. Clips that came are kept when a later one does not come.

    Copies named `ID.wav` or `ID.flac` below the user's own folders (bench/data/roots.py) are taken in place of the network, if they are the
    same samples. UserError where a clip can be had neither way, or is not the one that the manifest means.
    """
    from tqdm.auto import tqdm

    home, wanted = folder(manifest.parent.name), missing(manifest)
    copies = _copies({cut.id for cut in wanted})
    if wanted and not copies:
        print(f"fetching {len(wanted)} clips of {home.name} from public repositories, once, into {home}", file=sys.stderr)
    for cut in tqdm(wanted, desc=home.name, unit="clip", disable=None):
        wav = next((wav for copy in copies.get(cut.id, ()) if _is(wav := _as_wav(*_read(copy)), cut)), None) or _fetched(cut)
        _write(home / cut.path, wav)


def _copies(ids: set[str]) -> dict[str, list[Path]]:
    """Files of the user's own folders by clip id."""
    found: dict[str, list[Path]] = {}
    for path in (path for root in (roots() if ids else ()) for path in sorted(root.rglob("*"))):
        if path.stem in ids and path.suffix.lower() in COPIES:
            found.setdefault(path.stem, []).append(path)
    return found


def _fetched(cut: Cut) -> bytes:
    """The clip as a WAV file, out of its source, which does not stay on the disk."""
    path = locate(cut.source)
    samples, rate = _read(path)
    wav = _as_wav(_made(samples, cut), rate)
    if not _is(wav, cut):
        cure = "its decoder rounds otherwise than that of the package soundfile 0.13 and newer: pip install --upgrade soundfile"
        raise UserError(f"{cut.id}, cut out of {cut.source.url}, is not the clip that the manifest means: {cure}")
    path.unlink()
    return wav


def _read(path: Path) -> tuple[np.ndarray, int]:
    """Samples [T, channels] float64 in -1..1, and their rate."""
    import soundfile

    try:
        return soundfile.read(path, always_2d=True)
    except soundfile.LibsndfileError as error:
        raise UserError(f"{path} cannot be read as audio ({error}): delete it and run again") from error


def _made(samples: np.ndarray, cut: Cut) -> np.ndarray:
    """[frames, channels] of the clip."""
    part = samples[cut.start : cut.start + cut.frames]
    part = (part.mean(1, keepdims=True) if cut.mix == "mean" else part) * cut.gain
    if cut.fade:
        ramp = np.linspace(0, 1, cut.fade)[:, None]
        part[: cut.fade] *= ramp
        part[-cut.fade :] *= ramp[::-1]
    return part


def _as_wav(samples: np.ndarray, rate: int) -> bytes:
    """A WAV file of 16 bits, rounded down, of samples [T, channels] in -1..1."""
    whole = np.rint(samples * 2.0**31).astype(np.int64).clip(-(2**31), 2**31 - 1) >> 16
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(samples.shape[1])
        writer.setsampwidth(2)
        writer.setframerate(rate)
        writer.writeframes(whole.astype("<i2").tobytes())
    return file.getvalue()


def _is(wav: bytes, cut: Cut) -> bool:
    return hashlib.sha256(wav).hexdigest() == cut.sha256


def _write(path: Path, content: bytes) -> None:
    """All of it or nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.{os.getpid()}")
    new.write_bytes(content)
    new.replace(path)
