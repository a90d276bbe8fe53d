"""Embeddings of which distances between sets are taken: wav [T] at the embedding's own rate -> vectors [N, D] on the CPU, float32.

Distill-MOS: what its last layer gives, of pieces of 7.68 s side by side; the package carries it. EnCodec: the latents of its 24 kHz encoder
before they are quantized, the "encodec-emb" of the package fadtk; its authors' file (MIT) is fetched, the address holds its digest.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.api import Checkpoint
from bench.evaluators import distill_mos
from bench.nn import encodec_names
from bench.nn.seanet_lstm import SEANetLSTM
from bench.weights.download import locate
from bench.weights.files import fill, fold_weight_norm, load_state

Embed = Callable[[Tensor], Tensor]
"""wav [T] -> [N, D]."""

FRAME = 320  # samples at 16 kHz between what Distill-MOS gives
ENCODEC_RATE = 24_000
ENCODEC = Checkpoint(
    "encodec_24khz-d7cc33bc.th",
    "d7cc33bcf1aad7f2dad9836f36431530744abeace3ca033005e3290ed4fa47bf",
    "https://dl.fbaipublicfiles.com/encodec/v0/encodec_24khz-d7cc33bc.th",
    "or ask for another embedding: fad_distill_mos needs no download",
)


@torch.inference_mode()
def _distill_mos(model: distill_mos.DistillMos, device: str, wav: Tensor) -> Tensor:
    windows = F.pad(wav, (0, -len(wav) % distill_mos.WINDOW)).unflatten(0, (-1, distill_mos.WINDOW))
    frames = [model.frames(part.to(device)).cpu() for part in windows.split(distill_mos.AT_ONCE)]
    return torch.cat(frames).flatten(0, 1)[: -(-len(wav) // FRAME)]  # what lies beyond the clip is zeros' embedding


def load_distill_mos(device: str) -> Embed:
    """UserError where the package distillmos is missing."""
    return partial(_distill_mos, distill_mos.network().to(device).eval().requires_grad_(False), device)


@torch.inference_mode()
def _encodec(encoder: nn.Module, device: str, wav: Tensor) -> Tensor:
    return encoder(wav[None, None].to(device))[0].mT.cpu()


def load_encodec(device: str) -> Embed:
    """The encoder with its authors' weights, from the cache or fetched now."""
    return load_encodec_file(locate(ENCODEC, "MIT"), device)


def load_encodec_file(path: Path, device: str, shape: SEANetLSTM | None = None) -> Embed:
    """The same with the weights of a whole EnCodec's file, of which only the encoder's are taken."""
    encoder = (shape or SEANetLSTM()).encoder()
    state = encodec_names.renamed(fold_weight_norm(load_state(path)))
    fill(encoder, {name.removeprefix("encoder."): value for name, value in state.items() if name.startswith("encoder.")}, path)
    return partial(_encodec, encoder.to(device).eval().requires_grad_(False), device)
