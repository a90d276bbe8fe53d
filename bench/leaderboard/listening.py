"""Listening samples of the page: a few clips of the bundled corpus, original and through every tokenizer of the boards.

leaderboards/audio/<label>/<clip>.{ogg,png}, and audio.json, which says of which tokenizer and data they are and has the sha256 of each.
Encoders differ from one machine to the next in the last bit, so the files are made once for each tokenizer and then known by their sha256;
they are made again when the tokenizer or the corpus has changed.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import av
import numpy as np
from torch import Tensor

from bench import registry
from bench.api import DOMAINS, Audio, Clip, Data, UserError, Variant
from bench.data.audio import read_clip, resample, to_channels
from bench.data.manifests import partners
from bench.engine.codec_stage import reconstructions
from bench.leaderboard import spectrogram
from bench.records.reader import Kept
from bench.records.writer import folder_name, key_of

CORPUS = "mini"
ORIGINAL = "original"
FOLDER, LIST = "audio", "audio.json"
BITRATE, RATE = 48_000, 48_000  # of the Opus that carries the samples, one channel


@dataclass(frozen=True)
class Sample:
    """One clip of one tokenizer, or the original: where its audio and its picture lie beside the page."""

    clip: str
    audio: str
    picture: str


@dataclass(frozen=True)
class Listening:
    """The clips, and the samples of each label; ORIGINAL is a label, too."""

    clips: tuple[Clip, ...]
    samples: Mapping[str, Sequence[Sample]]


def chosen(data: Data) -> tuple[Clip, ...]:
    """The first clip of every domain, and of speech a second one by another speaker."""
    first = [next((clip for clip in data.clips if clip.domain == domain), None) for domain in DOMAINS]
    speech = [clip for clip in data.clips if clip.domain == "speech"]
    second = next((clip for clip in speech if clip.speaker != speech[0].speaker), None)
    wanted = {clip.id for clip in (*first, second) if clip}
    return tuple(clip for clip in data.clips if clip.id in wanted)


def read(folder: Path, clips: Sequence[Clip]) -> Listening:
    """What lies there; nothing where nothing does."""
    samples = {label: [_sample(label, clip) for clip in clips if clip.id in entry["files"]] for label, entry in _list(folder).items()}
    return Listening(tuple(clips), samples)


def _sample(label: str, clip: Clip) -> Sample:
    base = f"{FOLDER}/{folder_name(label)}/{folder_name(clip.id)}"
    return Sample(clip.id, f"{base}.ogg", f"{base}.png")


def _list(folder: Path) -> dict[str, dict]:
    path = folder / LIST
    if not path.exists():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return {label: {"key": entry["key"], "files": dict(entry["files"])} for label, entry in found.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path}: not the list of the samples ({error}): delete the folder {folder}, and make it again") from error


def key(facts: Mapping[str, object], data: Data) -> str:
    """What the samples of a tokenizer depend on: its spec, and the clips."""
    return key_of({"tokenizer": facts, "clips": [clip.sha256 for clip in chosen(data)], "corpus": data.sha256, "form": 1})


def wrong(folder: Path, runs: Mapping[str, Kept], data: Data) -> list[str]:
    """What does not fit: samples of other weights, files that are not those of the list. A label without samples is fine."""
    entries = _list(folder)
    strangers = [
        f"{folder / folder_name(label)}: samples of {label}, which is on no board" for label in entries.keys() - _facts(runs).keys()
    ]
    known = [(label, facts) for label, facts in _facts(runs).items() if label in entries]
    return [*sorted(strangers), *(line for label, facts in known for line in _faults(folder, label, entries[label], key(facts, data)))]


def _facts(runs: Mapping[str, Kept]) -> dict[str, Mapping]:
    return {ORIGINAL: {}, **{label: run.tokenizer for label, run in runs.items()}}


def _faults(folder: Path, label: str, entry: Mapping, wanted: str) -> Iterator[str]:
    home = folder / folder_name(label)
    if entry["key"] != wanted:
        yield f"{home}: samples of another {label}"
    for clip, digests in entry["files"].items():
        for suffix, sha256 in digests.items():
            path = home / f"{folder_name(clip)}.{suffix}"
            if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != sha256:
                yield f"{path}: not the file of {LIST}"


def make(folder: Path, runs: Mapping[str, Kept], data: Data) -> Iterator[str]:
    """Makes the samples that are lacking or of something else, and takes away those of nobody; tells what it did."""
    known, clips = _list(folder), chosen(data)
    entries = {label: entry for label, entry in known.items() if label in _facts(runs)}
    for label in sorted(known.keys() - entries.keys()):
        _remove(folder / folder_name(label))
        yield f"audio of {label} taken away: it is on no board"
    for label, facts in _facts(runs).items():
        wanted = key(facts, data)
        if label in entries and not any(_faults(folder, label, entries[label], wanted)):
            continue
        try:
            heard = dict(_originals(clips) if label == ORIGINAL else _through(registry.variant(label), facts, data, clips))
        except UserError as error:
            entries.pop(label, None)
            yield f"no audio of {label}: {error}"
            continue
        entries[label] = {"key": wanted, "files": {clip: _write(folder / folder_name(label), clip, audio) for clip, audio in heard.items()}}
        yield f"audio of {label}: {len(heard)} clips"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / LIST).write_text(json.dumps(entries, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def _remove(folder: Path) -> None:
    for path in folder.glob("*.*"):
        path.unlink()
    if folder.is_dir():
        folder.rmdir()


def _originals(clips: Sequence[Clip]) -> Iterator[tuple[str, Audio]]:
    for clip in clips:
        yield clip.id, read_clip(clip)


def _through(variant: Variant, facts: Mapping, data: Data, clips: Sequence[Clip]) -> Iterator[tuple[str, Audio]]:
    if variant.spec.weights != facts["weights"]:
        raise UserError(f"its run had other weights ({facts['weights'][:16]}...): make the run again")
    partner = partners(data.clips) if variant.spec.shuffled else None
    for item in reconstructions(variant.spec, partial(registry.load_tokenizer, variant), tuple(clips), "cpu", partner):
        if not item.failure:
            yield item.clip.id, item.est


def _write(folder: Path, clip: str, audio: Audio) -> dict[str, str]:
    """Both files of a clip; their sha256 by suffix."""
    wav = to_channels(audio.wav, 1)[0]
    contents = {"ogg": opus(wav, audio.sample_rate), "png": spectrogram.png(wav, audio.sample_rate)}
    folder.mkdir(parents=True, exist_ok=True)
    for suffix, content in contents.items():
        (folder / f"{folder_name(clip)}.{suffix}").write_bytes(content)
    return {suffix: hashlib.sha256(content).hexdigest() for suffix, content in contents.items()}


def opus(wav: Tensor, sample_rate: int) -> bytes:
    """wav [T] -> an Ogg file of one channel of Opus; what lies beyond full scale is cut."""
    samples = resample(wav[None], sample_rate, RATE)[0].clamp(-1, 1).numpy()
    out = io.BytesIO()
    with av.open(out, "w", format="ogg", options={"fflags": "+bitexact"}) as container:  # the serial number of a stream is random otherwise
        stream = container.add_stream("libopus", rate=RATE, layout="mono", bit_rate=BITRATE)
        stream.codec_context.options = {"flags": "+bitexact", "application": "audio", "vbr": "constrained"}
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples[None]), format="fltp", layout="mono")
        frame.sample_rate = RATE
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return out.getvalue()
