"""A blind test by ITU-R BS.1534-3 (MUSHRA) as a folder: what listeners are given, and apart from it the key that says what each sound is.

DIR/listeners/ is static: index.html and audio/, for any web server or a memory stick. DIR/key.json stays with whoever makes the test. A
trial is one clip: the open reference, and in random order the hidden reference, the anchors and the tokenizers under test, equally loud.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from bench.api import Audio, UserError
from bench.data import loudness
from bench.data.audio import resample
from bench.listening import anchors, carrier, page
from bench.listening.samples import read, undelayed
from bench.records.reader import Kept
from bench.records.saved_audio import SavedFiles
from bench.records.writer import key_of, replace

MOST = 12  # signals in a trial, hidden reference and anchors among them
LONGEST = 12.0  # s; the Recommendation advises about ten
RATE = 48_000  # Hz of every sound, so that none is told from another by how it is resampled
FORM = 1
REFERENCE = "reference"
SCRIPTS = ("theme.js", "sounds.js", "test.js")


@dataclass(frozen=True)
class Plan:
    """What the test is to be."""

    title: str
    seed: int
    clips: Sequence[str]
    anchors: Sequence[int] = anchors.ANCHORS


def make(runs: Sequence[Kept], audio: Mapping[str, SavedFiles], plan: Plan, out: Path) -> list[str]:
    """Writes the test; notes on what the experimenter should know. `audio`: by label."""
    refuse(runs, plan, out)
    notes: list[str] = []
    items = [_item(runs, audio, clip, plan, out / "listeners", notes) for clip in plan.clips]
    whole = {"form": FORM, "title": plan.title, "seed": plan.seed, "items": items, **_facts(runs)}
    test = key_of(whole)[:12]
    data = {
        "test": test,
        "title": plan.title,
        "items": [
            {
                **{"id": item["id"], "seconds": item["seconds"], "reference": item["reference"]},
                "conditions": [{"id": c["id"], "sound": c["sound"]} for c in sorted(item["conditions"], key=lambda c: c["id"])],
            }
            for item in items
        ],
    }
    words = {"title": plan.title, "description": "A listening test: rate recordings against a reference.", "count": len(items)}
    try:
        replace(out / "listeners" / "index.html", page.render("test.html.j2", SCRIPTS, data, **words))
        replace(out / "key.json", json.dumps({"test": test, **whole}, indent=1, sort_keys=True) + "\n")
    except OSError as error:
        raise UserError(f"{error.filename or out}: {error.strerror}: choose another place with --out") from error
    return notes


def refuse(runs: Sequence[Kept], plan: Plan, out: Path) -> None:
    """UserError for a test that would be none."""
    labels = [run.label for run in runs]
    if len(set(labels)) < len(labels):
        raise UserError("a tokenizer is named twice: a test has each once")
    room = MOST - 1 - len(plan.anchors)
    if len(runs) > room:
        raise UserError(f"{len(runs)} tokenizers, and a trial has room for {room} ({MOST} signals with the hidden reference and anchors)")
    if not plan.clips:
        raise UserError("no clip to be heard: every run must have saved audio of the same clips (bench run --save-audio DIR)")
    if (out / "listeners").exists() or (out / "key.json").exists():
        raise UserError(f"{out}: holds a test already, which answers may belong to: choose another folder with --out")


def _item(runs: Sequence[Kept], audio: Mapping[str, SavedFiles], clip: str, plan: Plan, folder: Path, notes: list[str]) -> dict:
    """One trial: its sounds written, all as loud as the reference and none cut."""
    source = read(audio[runs[0].label].original(clip))
    reference = resample(source.wav[0], source.sample_rate, RATE)
    seconds = len(reference) / RATE
    if seconds > LONGEST:
        notes.append(f"{clip} is {seconds:.0f} s long; BS.1534-3 advises about 10 s")
    wavs: dict[tuple[str, str], Tensor] = {(REFERENCE, REFERENCE): reference}
    for hz in plan.anchors:
        if anchors.audible(source.sample_rate, hz):
            wavs["anchor", f"anchor {hz / 1000:g} kHz"] = anchors.lowpass(reference, RATE, hz)
        else:
            notes.append(f"{clip}: no anchor of {hz / 1000:g} kHz, as the original ends at {source.sample_rate / 2000:g} kHz")
    for run in runs:
        est = read(audio[run.label].reconstruction(clip))
        wavs["tokenizer", run.label] = _reconstruction(est, run.tokenizer.get("delay", 0), len(reference))
    gains = {place: loudness.match(reference, wav, RATE, RATE) for place, wav in wavs.items()}
    for (_, name), gain in gains.items():
        if math.isnan(gain):
            notes.append(f"{clip}: {name} is silent, and is not level matched")
    matched = {place: wav * 10 ** ((0.0 if math.isnan(gains[place]) else gains[place]) / 20) for place, wav in wavs.items()}
    trim = min(1.0, carrier.HIGHEST / max(float(wav.abs().max()) for wav in matched.values()))
    sounds = {place: _sound(folder, wav * trim) for place, wav in matched.items()}
    scored = {run.label: _scores(run, clip) for run in runs}
    return {
        **{"id": clip, "seconds": seconds, "trim_db": 20 * math.log10(trim), "reference": sounds[REFERENCE, REFERENCE]},
        "conditions": [
            {
                **{"id": hidden(plan.seed, clip, name), "kind": kind, "name": name, "sound": sounds[kind, name]},
                "gain_db": None if math.isnan(gains[kind, name]) else round(gains[kind, name], 3),
                "scores": scored.get(name, {}) if kind == "tokenizer" else {},
            }
            for kind, name in matched
        ],
    }


def hidden(seed: int, clip: str, name: str) -> str:
    """What a condition is called before listeners."""
    return hashlib.sha256(f"{seed}\0{clip}\0{name}".encode()).hexdigest()[:8]


def _reconstruction(audio: Audio, delay: int, length: int) -> Tensor:
    """Saved audio [1, T] -> [length] at RATE, without the delay of so many of its samples that the tokenizer states."""
    found = undelayed(audio, delay)
    wav = resample(found.wav[0], found.sample_rate, RATE)[:length]
    return torch.nn.functional.pad(wav, (0, length - len(wav)))


def _sound(folder: Path, wav: Tensor) -> dict[str, str]:
    carried = carrier.carry(wav, RATE)
    return {"id": carried.id, "file": f"audio/{carrier.write(folder / 'audio', carried)}"}


def _scores(run: Kept, clip: str) -> dict[str, float]:
    """The scores of that very clip."""
    found = {metric: rows[clip].value for (_, metric), rows in run.scores.items() if clip in rows}
    return {metric: value for metric, value in found.items() if math.isfinite(value)}


def _facts(runs: Sequence[Kept]) -> dict[str, object]:
    """What the analysis says of the runs."""
    metrics = {fact["name"]: {k: fact[k] for k in ("name", "unit", "better")} for run in runs for fact in run.record["metrics"]}
    return {
        "runs": [{"label": run.label, "key": run.key, "suite": run.suite, "data": run.record["data_name"]} for run in runs],
        "metrics": list(metrics.values()),
    }
