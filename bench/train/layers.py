"""A trained encoder as a tokenizer of units: the layer that makes the steadiest ones, its k-means codebook, and the file of both.

Which layer, nobody's labels decide: every held-out clip is also played slower and faster, which moves pitch and formants as another
speaker would, and the layer is taken whose units tell most about what they are at the other speed. Units are numbers in [0, clusters).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor

from bench.data.audio import resample
from bench.nn.hubert import HOP, WINDOW, Hubert
from bench.nn.mfcc import RATE
from bench.train.data import recorded
from bench.train.hubert import UnitRun
from bench.train.kmeans import assign, cluster
from bench.train.state import at_average

SPEEDS = (0.89, 1.12)  # a man's voice and a woman's differ about as much


@dataclass(frozen=True)
class Layer:
    """A layer's codebook [clusters, D]; `steady`: share of the units' information that stays when the clip plays slower or faster."""

    number: int
    centroids: Tensor
    steady: float


def export(run: UnitRun, path: Path) -> Path:
    """Write the encoder up to its best layer and that layer's codebook to one file, in half precision, and give the path."""
    with at_average(run), torch.inference_mode():
        encoder = run.learner.encoder
        encoder.load_state_dict({name: value.half().float() for name, value in encoder.state_dict().items()})  # as the file will have it
        layers = fitted(run, encoder)
        state = {name: value.half().contiguous().cpu() for name, value in encoder.state_dict().items()}
    best = max(layers, key=lambda layer: layer.steady)
    for layer in layers:
        print(f"layer {layer.number}: {layer.steady:.3f} of the units' information stays at another speed", flush=True)
    kept = {name: value for name, value in state.items() if not name.startswith("layers.") or int(name.split(".")[1]) < best.number}
    facts = {"layer": str(best.number), "steady": " ".join(f"{layer.steady:.4f}" for layer in layers), "steps": str(run.step)}
    part = path.with_suffix(".part")
    part.write_bytes(save(kept | {"centroids": best.centroids.half()}, metadata=facts))
    part.replace(path)
    return path


def fitted(run: UnitRun, encoder: Hubert) -> list[Layer]:
    """Every layer with its codebook, fitted to clips at their own speed."""
    clips = recorded(run.corpus)
    order = torch.randperm(len(clips), generator=torch.Generator().manual_seed(run.seed)).tolist()
    pools: list[list[Tensor]] = [[] for _ in encoder.layers]
    count = 0
    for i in order:
        if count < run.recipe.frames:
            found = features(encoder, clips[i], run.device)
            count += len(found[0])
            for pool, frames in zip(pools, found, strict=True):
                pool.append(frames)
    voices = [features(encoder, wav, run.device) for wav in run.corpus.heldout]
    others = [[features(encoder, resample(wav, round(RATE * speed), RATE), run.device) for wav in run.corpus.heldout] for speed in SPEEDS]
    layers = []
    for number, pool in enumerate(pools):
        centroids = cluster(torch.cat(pool), run.clusters, run.seed)[0].half().float()
        table = torch.zeros(run.clusters, run.clusters, dtype=torch.float64)
        for speed, other in zip(SPEEDS, others, strict=True):
            for one, two in zip(voices, other, strict=True):
                table += together(assign(one[number], centroids)[0], assign(two[number], centroids)[0], speed, run.clusters)
        layers.append(Layer(number + 1, centroids, steady(table)))
    return layers


def features(encoder: Hubert, wav: Tensor, device: str) -> list[Tensor]:
    """wav [T] -> the features [F, D] of every layer."""
    wav = torch.nn.functional.pad(wav, (0, max(0, WINDOW - len(wav))))
    return [state[0].float().cpu() for state in encoder.states(encoder.heard(wav[None].to(device)))]


def together(units: Tensor, other: Tensor, speed: float, clusters: int) -> Tensor:
    """How often [clusters, clusters] each of units [F] met each of `other` [F / speed], those of the same clip played at that speed."""
    moment = (torch.arange(len(other)) * HOP + WINDOW / 2) * speed
    frame = ((moment - WINDOW / 2) / HOP).round().long().clamp(0, len(units) - 1)
    return torch.bincount(units[frame] * clusters + other, minlength=clusters**2).view(clusters, clusters).double()


def steady(table: Tensor) -> float:
    """Mutual information of rows and columns of a table of counts, as a share of their mean entropy: 0 (independent) .. 1 (the same)."""
    shares = table / table.sum()
    rows, columns, both = (float(torch.special.entr(p).sum()) for p in (shares.sum(1), shares.sum(0), shares))
    return 2 * (rows + columns - both) / max(rows + columns, 1e-12)
