"""A blind test of noise at known levels, and listeners whose preferences are known."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from bench.data import audio
from bench.listening.blind_test import REFERENCE, Plan, make
from bench.records.saved_audio import SavedFiles
from tests.conftest import speech_like
from tests.runs import made

RATE = 24_000
QUALITY = {REFERENCE: 98.0, "good@a": 80.0, "fair@b": 62.0, "poor@c": 45.0, "anchor 7 kHz": 70.0, "anchor 3.5 kHz": 25.0}
TOKENIZERS = ("poor@c", "good@a", "fair@b")


def blind_test(folder: Path, items: int = 6, seconds: float = 0.5, seed: int = 0, tokenizers: Sequence[str] = TOKENIZERS) -> Path:
    """A test of tokenizers that add noise, the more the worse they are; `quality` of their runs is nearly what listeners hear."""
    clips = [f"clip{i}" for i in range(items)]
    files, runs = {}, []
    for number, label in enumerate(tokenizers):
        places = {}
        for i, clip in enumerate(clips):
            wav = speech_like(seconds, RATE, i)
            noise = torch.randn(len(wav), generator=torch.Generator().manual_seed(i)) * (1 - QUALITY[label] / 100) / 10
            audio.write(folder / "audio" / "original" / f"{clip}.wav", wav[None], RATE)
            audio.write(folder / "audio" / label / f"{clip}.wav", (wav + noise)[None] / 3, RATE)
            places[clip] = (f"{label}/{clip}.wav", f"original/{clip}.wav")
        files[label] = SavedFiles(folder / "audio", places)
        scores = {clip: QUALITY[label] / 20 + 0.05 * ((i + number) % 3) for i, clip in enumerate(clips)}
        runs.append(made(label, {"speech": {"quality": scores, "kbps_packed": dict.fromkeys(clips, 6.0)}}))
    make(runs, files, Plan("A test", seed, clips), folder / "test")
    return folder / "test"


def conditions(test: Path) -> list[tuple[str, str, str]]:
    """(item, condition, name) of every sound of a test."""
    key = json.loads((test / "key.json").read_text())
    return [(item["id"], c["id"], c["name"]) for item in key["items"] for c in item["conditions"]]


def answer(
    test: Path,
    out: Path,
    listeners: int,
    quality: Mapping[str, float] = QUALITY,
    careless: Sequence[str] = (),
    seed: int = 0,
    spreads: tuple[float, float, float] = (6.0, 4.0, 6.0),
) -> Path:
    """A CSV of listeners l0, l1, ... who hear `quality`, with spreads of the listener's and the item's own for each condition, and of the
    moment; careless ones rate at random."""
    rng = np.random.default_rng(seed)
    places = conditions(test)
    own = {(who, name): rng.normal(0, spreads[0]) for who in range(listeners) for name in quality}
    items = {(item, name): rng.normal(0, spreads[1]) for item, _, name in places}
    number = json.loads((test / "key.json").read_text())["test"]
    with out.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("test", "listener", "item", "condition", "rating"))
        for who in range(listeners):
            for item, condition, name in places:
                value = quality[name] + own[who, name] + items[item, name] + rng.normal(0, spreads[2])
                if name == REFERENCE:
                    value = max(value, 92)
                if f"l{who}" in careless:
                    value = rng.uniform(0, 100)
                writer.writerow((number, f"l{who}", item, condition, round(float(np.clip(value, 0, 100)))))
    return out
