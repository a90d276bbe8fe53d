"""Held-out scores during training, on speakers that no crop came from."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bench.data.audio import resample
from bench.metrics.stoi import stoi
from bench.train import codebooks
from bench.train.state import Run, at_average

SECONDS = 6.0  # of each clip
RATE = 16_000  # Hz that STOI is taken at


@torch.no_grad()
def heldout_scores(run: Run) -> dict[str, float]:
    """Mean STOI and mel loss with the averaged weights: at all codebooks and at one, or without codes while there are none yet."""
    depths = {"_free": 0} if run.started is None else {"": run.levels, "_1cb": 1}
    scores: dict[str, float] = {}
    with at_average(run):
        for label, levels in depths.items():
            table = torch.tensor([one_clip(run, clip[: int(SECONDS * run.sample_rate)], levels) for clip in run.corpus.heldout])
            scores |= {f"stoi{label}": float(table[:, 0].nanmean()), f"mel{label}": float(table[:, 1].mean())}
    return scores


def one_clip(run: Run, ref: Tensor, levels: int) -> tuple[float, float]:
    """STOI and mel loss of a clip [T] at a number of codebooks."""
    est = rebuilt(run, ref.to(run.device), levels)
    mel = run.loss(ref[None].to(run.device), est[None])["mel"]
    score = stoi(resample(ref, run.sample_rate, RATE), resample(est.cpu(), run.sample_rate, RATE), RATE)
    return score.value, float(mel)


def rebuilt(run: Run, wav: Tensor, levels: int) -> Tensor:
    """wav [T] through the codec's first `levels` codebooks (0: no codes at all) -> [T]."""
    codec = run.codec
    latents = codec.latents(nn.functional.pad(wav, (0, -len(wav) % run.hop))[None, None])
    if levels == 0:
        latents = codebooks.bypass(run.model, latents)
    else:
        latents = codec.quantizer.decode(codec.quantizer.encode(latents, levels))
    return codec.synthesis(latents)[0, 0, : len(wav)]
