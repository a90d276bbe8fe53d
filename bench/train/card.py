"""The model card of what `bench train` made: all that the run itself knows of the weights, as Markdown beside them.

What it cannot know, such as the licences of the recordings and what the model is not for, is for its author to add.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn

from bench.api import Data, Spec
from bench.records.hardware import processor
from bench.train.recipes import Recipe, UnitRecipe
from bench.weights.download import sha256_of

CARD = "card.md"
AIMED = {  # term of a loss -> what it looks at, and which scores are therefore no independent evidence
    "mel": "log-mel distance (so mel_distance is no independent measure)",
    "stft": "distance of short-time magnitudes (nor is stft_distance)",
    "envelope": "likeness of third-octave envelopes (nor are STOI and ESTOI, which look at the same)",
    "wave": "distance of waveforms (nor are SI-SDR and SNR)",
    "commit": "latents near their codes",
    "adversarial": "discriminators that learn beside it",
    "features": "the discriminators' features",
}


def write(
    out: Path, spec: Spec, model: nn.Module, recipe: Recipe | UnitRecipe, data: Data, seed: int, device: str, begun: str = ""
) -> Path:
    """`card.md` in the folder of a finished run, whose weights and log lie there; `begun`: weights that it started from, in words."""
    weights = out / "weights.safetensors"
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    steps = [line for line in lines if "of" in line]
    last = steps[-1]["step"]
    parameters = sum(value.numel() for value in model.parameters())
    hours = last * recipe.batch * recipe.seconds / 3600
    pace = sum(line["s/step"] for line in steps) / len(steps)
    facts = [
        ("weights", f"{weights.stat().st_size / 1e6:.1f} MB in half precision, sha256 `{sha256_of(weights)}`"),
        ("parameters", f"{parameters:,}"),
        ("sample rate", f"{spec.sample_rate:,} Hz" if spec.sample_rate else "the clip's own"),
        ("codes", _codes(spec)),
        ("decodes", "yes" if spec.decodes else "no: it only tokenizes"),
    ]
    training = [
        ("data", f"{data.name}: {len(data.clips):,} clips, sha256 `{data.sha256}`"),
        ("speakers", f"{len({clip.speaker for clip in data.clips if clip.speaker})} named, at most {recipe.heldout} of them held out"),
        ("begun from", begun or "random weights"),
        ("steps", f"{last:,} of {recipe.batch} crops of {recipe.seconds:g} s: {hours:.2g} h of audio went by; seed {seed}"),
        ("machine", f"{processor(device)}, {torch.get_num_threads()} threads, {pace:.2g} s per step"),
        ("learnt by", _aims(recipe)),
    ]
    parts = [
        f"# {spec.label}\n\nTrained with `bench train`. All recipe values are in `recipe.json`, losses by step in `log.jsonl`.",
        "## What it is\n\n" + _table(("", ""), facts),
        "## How it was made\n\n" + _table(("", ""), training),
        "## Held-out scores while it learnt\n\n" + _curve([line for line in lines if "of" not in line]),
    ]
    path = out / CARD
    path.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    return path


def _codes(spec: Spec) -> str:
    sizes = ", ".join(f"{book.size:,} at {book.rate:g} Hz" for book in dict.fromkeys(spec.codebooks))
    return f"{len(spec.codebooks)} codebook{'s' * (len(spec.codebooks) > 1)} ({sizes}), {spec.bitrate:g} bit/s nominal"


def _aims(recipe: Recipe | UnitRecipe) -> str:
    if isinstance(recipe, UnitRecipe):
        return f"masked prediction of {recipe.units} clusters of MFCC"
    terms = [name for name in AIMED if getattr(recipe.loss, name) and (recipe.adversarial or name not in ("adversarial", "features"))]
    taught = [f"features of {recipe.distill} in the first codebook"] if recipe.distill else []
    return "; ".join([*(AIMED[name] for name in terms), *taught])


def _curve(checks: Sequence[dict[str, float]]) -> str:
    names = list(dict.fromkeys(name for line in checks for name in line))
    return _table(names, [[f"{line[name]:,.4g}" if name in line else "" for name in names] for line in checks])


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
