"""Training an encoder of units: hidden stretches of speech are to be told from what is around them (HuBERT, arxiv.org/abs/2106.07447).

What is told is the k-means unit of each hidden frame's MFCC, as in HuBERT's first iteration, with two differences: the mean of each clip
is taken off its cepstra, and a clip that plays faster or slower keeps the units that it has at its own speed. So the units say little of
voice and channel, and the encoder learns to leave them out. wav is [B, T] at 16 kHz; frames come every 320 samples and hear 400.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench import registry
from bench.api import UserError
from bench.data.manifests import told_data
from bench.nn import mfcc
from bench.nn.hubert import HOP, WINDOW, Hubert
from bench.nn.quantize import nearest
from bench.train.data import Corpus, Track, at_all_speeds, crops, frames_at, pack, places, recorded, track
from bench.train.kmeans import cluster
from bench.train.recipes import UnitRecipe
from bench.train.state import Progress, at_average, drawn, follow

CEPSTRA_A_SECOND = mfcc.RATE / mfcc.HOP


class MaskedPrediction(nn.Module):
    """An encoder and what it needs only for learning. wav [B, T], hidden [B, F] bool -> logits [B, F, units]."""

    targets: Tensor

    def __init__(self, encoder: Hubert, units: int, label: int, temperature: float):
        super().__init__()
        self.encoder, self.temperature = encoder, temperature
        dimension = encoder.shape.dimension
        self.mask = nn.Parameter(torch.rand(dimension))
        self.project = nn.Linear(dimension, label)
        self.labels = nn.Parameter(torch.randn(units, label))
        self.register_buffer("targets", torch.zeros(units, 3 * mfcc.CEPSTRA))  # centroids of the cepstra; zeros until they are fitted

    def forward(self, wav: Tensor, hidden: Tensor) -> Tensor:
        x = self.encoder.heard(wav)
        x = torch.where(hidden[..., None], self.mask.to(x.dtype), x)
        for state in self.encoder.states(x):
            x = state
        told = F.normalize(self.project(x).float(), dim=-1)
        return told @ F.normalize(self.labels, dim=-1).T / self.temperature


@dataclass(kw_only=True)
class UnitRun(Progress):
    """The training of an encoder in progress."""

    recipe: UnitRecipe
    corpus: Corpus
    frames: int  # of a crop
    clusters: int  # of the codebook that is fitted at the end
    labels: Track | None = None  # the unit of each frame of the corpus, every 10 ms

    @property
    def learner(self) -> MaskedPrediction:
        """The model, seen as what training needs of it."""
        return cast(MaskedPrediction, self.model)


def prepare(family: str, variant: str, data: str, recipe: UnitRecipe, seed: int, device: str) -> UnitRun:
    """Model, optimizer and packed data of a run at its step 0. Speech alone counts."""
    line = registry.variant(f"{family}@{variant}")
    encoder = line.features(replace(line.spec, weights=f"seed:{seed}")) if line.features else None
    if not isinstance(encoder, Hubert):
        raise UserError(f"{line.spec.label} has no encoder to train")
    torch.manual_seed(seed)
    begin(encoder)
    model = MaskedPrediction(encoder, recipe.units, recipe.label, recipe.temperature).to(device).train()
    frames = round(recipe.seconds * mfcc.RATE / HOP)
    clips = tuple(clip for clip in told_data(data).clips if clip.domain == "speech")
    if not clips:
        raise UserError(f"{data} holds no speech: units are learnt from clips of the domain speech")
    corpus = pack(clips, mfcc.RATE, samples(frames), recipe.augment, recipe.heldout, seed)
    optimizer = torch.optim.AdamW(model.parameters(), recipe.rate, betas=recipe.betas, weight_decay=recipe.decay, fused=True)
    return UnitRun(
        model=model,
        optimizer=optimizer,
        seed=seed,
        device=device,
        average={name: value.detach().clone() for name, value in model.named_parameters()},
        recipe=recipe,
        corpus=corpus,
        frames=frames,
        clusters=line.spec.codebooks[0].size,
    )


@torch.no_grad()
def begin(encoder: Hubert) -> None:
    """First weights: convolutions that keep the size of what they hear, small matrices. With larger ones, nothing was learnt for long."""
    for name, value in encoder.named_parameters():
        if name.startswith("convolutions.layers") and value.ndim == 3:
            nn.init.kaiming_normal_(value)
        elif value.ndim > 1:
            nn.init.normal_(value, std=0.02)
        elif name.endswith("bias"):
            nn.init.zeros_(value)


def one_step(run: UnitRun, steps: int) -> dict[str, Tensor]:
    """One batch, one update; the terms of the loss."""
    recipe = run.recipe
    run.labels = run.labels or label(run)
    rise = max(1, round(recipe.rise * steps))
    for group in run.optimizer.param_groups:
        group["lr"] = recipe.rate * min((run.step + 1) / rise, (steps - run.step) / max(1, steps - rise))
    length = samples(run.frames)
    clip, offset, _ = places(run.corpus, recipe.batch, length, run.seed, run.step)
    wav = crops(run.corpus, recipe.batch, length, recipe.augment, run.seed, run.step)[:, 0]
    units = frames_at(run.labels, clip, moments(offset, run.frames))
    hidden = spans(recipe, recipe.batch, run.frames, drawn(run, 1))
    terms = told(run, wav, units, hidden)
    open_share = recipe.visible * max(0.0, 1 - 2 * run.step / steps)
    run.optimizer.zero_grad()
    (terms["loss"] + open_share * terms["visible"]).backward()
    norm = nn.utils.clip_grad_norm_(run.model.parameters(), recipe.clip)
    if bool(torch.isfinite(norm)):  # one broken batch must not cost the run
        run.optimizer.step()
    follow(run, run.model.named_parameters(), recipe.ema)
    return {name: term.detach() for name, term in terms.items()} | {"norm": norm.detach()}


def told(run: UnitRun, wav: Tensor, units: Tensor, hidden: Tensor) -> dict[str, Tensor]:
    """How well units [B, F] are told: cross entropy of the hidden and of the visible frames, share told right of the hidden."""
    wav, units, hidden = (x.to(run.device) for x in (wav, units, hidden))
    with torch.autocast(torch.device(run.device).type, torch.bfloat16, enabled=run.recipe.bf16):
        logits = run.learner(wav, hidden).float()
    right = (logits.detach()[hidden].argmax(-1) == units[hidden]).float().mean()
    return {
        "loss": F.cross_entropy(logits[hidden], units[hidden]),
        "visible": F.cross_entropy(logits[~hidden], units[~hidden]),
        "right": right,
    }


@torch.no_grad()
def scores(run: UnitRun) -> dict[str, float]:
    """The same of the held-out clips, with the averaged weights and the same frames hidden each time."""
    table: list[dict[str, Tensor]] = []
    with at_average(run):
        for number, wav in enumerate(run.corpus.heldout):
            frames = (len(wav) - WINDOW) // HOP + 1
            if frames >= run.recipe.span:
                units = frames_at(labelled(run, [wav]), torch.zeros(1, dtype=torch.int64), moments(torch.zeros(1), frames))
                hidden = spans(run.recipe, 1, frames, torch.Generator().manual_seed(number))
                table.append(told(run, wav[None], units, hidden))
    return {
        f"heldout_{name}": float(torch.stack([terms[name] for terms in table]).mean()) for name in ("loss", "visible", "right") if table
    }


def samples(frames: int) -> int:
    """What so many frames hear."""
    return (frames - 1) * HOP + WINDOW


def moments(offset: Tensor, frames: int) -> Tensor:
    """The middles [B, F] of the frames of crops that begin at sample `offset` [B] of their clips, in seconds."""
    return (offset[:, None] + torch.arange(frames) * HOP + WINDOW / 2).double() / mfcc.RATE


def spans(recipe: UnitRecipe, count: int, frames: int, generator: torch.Generator) -> Tensor:
    """Which frames [count, F] are hidden: spans that start at different frames, as many in each item, and may overlap."""
    room = frames - recipe.span + 1
    starts = torch.rand(count, room, generator=generator).topk(max(1, round(recipe.start * frames)) if room > 1 else 1).indices
    hidden = torch.zeros(count, frames, dtype=torch.bool)
    for step in range(recipe.span):
        hidden.scatter_(1, starts + step, True)
    return hidden


def cepstra(wav: Tensor) -> Tensor:
    """wav [B, 1, T] -> [B, F, 39], 100 a second, without the clip's mean."""
    found = mfcc.Mfcc()(wav)
    return found - found.mean(1, keepdim=True)


def label(run: UnitRun) -> Track:
    """The units of all clips, at the speed that each was recorded at; fits what they are before the first step."""
    clips, targets = recorded(run.corpus), run.learner.targets
    if not targets.any():
        frames = track(clips, cepstra, CEPSTRA_A_SECOND, 0.0).values
        targets.copy_(cluster(frames, len(targets), run.seed)[0])
    return at_all_speeds(labelled(run, clips), run.corpus)


def labelled(run: UnitRun, clips: list[Tensor]) -> Track:
    """The units of clips [T] at their own speed."""
    targets = run.learner.targets.cpu()
    half = targets.square().sum(-1) / 2
    return track(clips, lambda wav: nearest(cepstra(wav)[0], targets, half)[None], CEPSTRA_A_SECOND, mfcc.WINDOW / 2 / mfcc.RATE)
