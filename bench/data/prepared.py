"""Recordings made ready to train on: one channel, silence cut off at both ends, one loudness, in a folder of its own with a manifest.

What is silent is told by frames of 20 ms: those whose power is `silence` dB and more below that of the clip's loudest frame. Loudness is
that of ITU-R BS.1770-4, in LUFS.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import soundfile
import torch
from torch import Tensor

from bench.api import Clip, Data, UserError
from bench.data.audio import mixed, read_clip, resample
from bench.data.decoders import BadAudio
from bench.data.loudness import loudness
from bench.data.own_data import MANIFEST

FRAME = 0.02  # s
AUDIO, UNFINISHED = "audio", "unfinished.jsonl"  # in the output folder: the clips, and which of them are there while some are not
HIGHEST = 0.98  # of full scale: no gain brings a peak beyond it


@dataclass(frozen=True)
class Preparation:
    """What is done to each clip."""

    loudness: float | None = -23.0  # LUFS; None: it stays as loud as it is
    silence: float = 40.0  # dB below the loudest frame; 0: nothing is cut off
    margin: float = 0.1  # s of it that stay at each end
    rate: int | None = None  # Hz; None: the recording's own
    shortest: float = 0.5  # s: what is shorter after the cut is left out


@dataclass(frozen=True)
class Prepared:
    """What came of a data set: clips that are there, their seconds, those cut off, and what was held back or left out."""

    clips: int
    seconds: float
    cut: float  # s
    held: int  # clips that would have clipped at the loudness, and are softer
    left_out: tuple[str, ...]  # a line each: which clip, and why


@dataclass(frozen=True)
class _Made:
    """A clip that is written: its number in the data set, its line of the manifest, and what Prepared sums up."""

    number: int
    entry: dict[str, object]
    seconds: float
    cut: float
    held: bool


def prepare(data: Data, out: Path, how: Preparation, progress: Callable[[str, int, int], None] = lambda *_: None) -> Prepared:
    """Write the clips of a data set as FLAC of 16 bits to `out`, and a manifest that keeps what was known of each but its alignment.

    What was stopped goes on with the clips that are not there, if data and preparation are the same. Raises UserError where `out` holds
    a manifest already, where it cannot be written, and where no clip is left.
    """
    if (out / MANIFEST).exists():
        raise UserError(f"{out} holds data already: give another folder with --out")
    made, left_out = [], []
    progress(data.name, 0, len(data.clips))
    with _written(out):
        (out / AUDIO).mkdir(parents=True, exist_ok=True)
        begun = _begun(out / UNFINISHED, {"data": data.sha256, "how": asdict(how)})
        with (out / UNFINISHED).open("a", encoding="utf-8") as notes:
            for number, clip in enumerate(data.clips):
                try:
                    one = begun.get(number) or _make(number, clip, out, how)
                except BadAudio as error:
                    left_out.append(f"{clip.id}: {error}")
                    continue
                if number not in begun:
                    print(json.dumps(asdict(one)), file=notes, flush=True)
                made.append(one)
                progress(data.name, number + 1, len(data.clips))
        if made:
            lines = "".join(json.dumps(one.entry, ensure_ascii=False) + "\n" for one in made)
            (out / UNFINISHED).write_text(lines, encoding="utf-8")
            (out / UNFINISHED).replace(out / MANIFEST)  # there only when it is whole
        else:
            (out / UNFINISHED).unlink()
    if not made:
        raise UserError(f"{data.name}: no clip is left: {left_out[0]}")
    sums = (sum(one.seconds for one in made), sum(one.cut for one in made), sum(one.held for one in made))
    return Prepared(len(made), *sums, tuple(left_out))


@contextmanager
def _written(out: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, soundfile.LibsndfileError) as error:
        why = getattr(error, "strerror", None) or error
        raise UserError(f"cannot write to {out} ({why}): give another folder with --out") from error


def _begun(path: Path, head: dict[str, object]) -> dict[int, _Made]:
    """Clips that were made before under this head, by number; the file then has these alone. Torn lines and changed audio do not count."""
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []
    kept: dict[int, _Made] = {}
    for line in lines[1:] if lines[:1] == [json.dumps(head)] else []:
        with suppress(ValueError):
            one = _Made(**json.loads(line))
            if _sha256(path.parent / str(one.entry["path"])) == one.entry["sha256"]:
                kept[one.number] = one
    path.write_text("".join(json.dumps(line) + "\n" for line in (head, *map(asdict, kept.values()))), encoding="utf-8")
    return kept


def _make(number: int, clip: Clip, out: Path, how: Preparation) -> _Made:
    """Writes one clip. BadAudio where it cannot be read or is of no use."""
    audio = mixed(read_clip(clip), 1)
    rate = how.rate or audio.sample_rate
    wav = resample(audio.wav[0], audio.sample_rate, rate)  # first: a lower rate takes of the loudness
    kept = trimmed(wav, rate, how)
    ready, held = levelled(kept, rate, how)
    path = out / AUDIO / f"{number:06d}.flac"
    soundfile.write(path, ready.numpy(), rate, subtype="PCM_16")
    return _Made(number, _entry(clip, path, out), len(kept) / rate, (len(wav) - len(kept)) / rate, held)


def trimmed(wav: Tensor, sample_rate: int, how: Preparation) -> Tensor:
    """wav [T] from its first frame that is no silence to its last, with a margin. BadAudio where too little or nothing is heard."""
    if not bool((wav != 0).any()):
        raise BadAudio("is silent")
    if how.silence > 0:
        size = max(1, round(FRAME * sample_rate))
        power = torch.nn.functional.pad(wav, (0, -len(wav) % size)).view(-1, size).double().square().mean(1)
        heard = (power >= power.max() * 10 ** (-how.silence / 10)).nonzero()[:, 0]
        margin = round(how.margin * sample_rate)
        wav = wav[max(0, int(heard[0]) * size - margin) : (int(heard[-1]) + 1) * size + margin]
    if len(wav) < how.shortest * sample_rate:
        raise BadAudio(f"is {len(wav) / sample_rate:.2f} s long without silence, the limit is {how.shortest:g} s")
    return wav


def levelled(wav: Tensor, sample_rate: int, how: Preparation) -> tuple[Tensor, bool]:
    """wav [T] at the loudness, or as near to it as its peak allows, and whether that held it back. BadAudio where it has no loudness."""
    if how.loudness is None:
        return wav, False
    now = loudness(wav, sample_rate)
    if not math.isfinite(now):
        raise BadAudio("is too soft to have a loudness (below -70 LUFS)")
    gain, most = 10 ** ((how.loudness - now) / 20), HIGHEST / float(wav.abs().max())
    return wav * min(gain, most), gain > most


def _entry(clip: Clip, path: Path, out: Path) -> dict[str, object]:
    facts = {"speaker": clip.speaker, "text": clip.text, "split": clip.split}
    return {
        "path": path.relative_to(out).as_posix(),
        "id": clip.id,
        "domain": clip.domain,
        "language": clip.language,
        **{name: value for name, value in facts.items() if value},
        **{f"label:{name}": value for name, value in clip.labels},
        "sha256": _sha256(path),
    }


def _sha256(path: Path) -> str:
    """In hexadecimal digits; "" where there is no such file."""
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
