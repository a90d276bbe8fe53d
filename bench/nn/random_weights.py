"""What a codec with random weights needs so that its codes vary and its audio lies within full scale: for tests, never for scores."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from bench.nn.factorised import FactorisedQuantizer
from bench.nn.finite_scalar import FiniteScalarQuantizer
from bench.nn.latent_codec import LatentCodec

SCALE = 0.2  # rms of the audio


def loud_and_quiet(hop: int, generator: torch.Generator) -> Tensor:
    """wav [1, 1, 100 hop]: noise whose loudness changes twice a frame."""
    loudness = torch.rand(1, 1, 200, generator=generator).repeat_interleave(hop // 2, dim=-1)
    return 0.5 * loudness * torch.randn(loudness.shape, generator=generator)


@torch.no_grad()
def soften(last: nn.Conv1d, decode: Callable[[], Tensor]) -> None:
    """Scale and shift a decoder's last layer, before a hyperbolic tangent, so that what `decode` gives is quiet and without offset."""
    for value in last.parameters():
        value.mul_(1e-3)  # far from the bounds of the hyperbolic tangent
    loud = decode().atanh()
    for value in last.parameters():
        value.mul_(SCALE / loud.std())
    assert last.bias is not None
    last.bias.sub_(SCALE / loud.std() * loud.mean())


@torch.no_grad()
def centre(model: LatentCodec[FactorisedQuantizer], generator: torch.Generator) -> None:
    """Latents around zero, codebooks around the latents of noise, and a last layer before the hyperbolic tangent that gives quiet audio.

    Snake is never far below zero: its mean is most of what it gives, and without this all latents would get the same few codes.
    """
    assert isinstance(model.encoder, nn.Sequential) and isinstance(model.decoder, nn.Sequential)
    latents = model.latents(loud_and_quiet(model.hop, generator))
    ends = model.encoder[-1], model.decoder[-2]
    assert isinstance(ends[0], nn.Conv1d) and isinstance(ends[1], nn.Conv1d) and ends[0].bias is not None and ends[1].bias is not None
    middle = latents.mean((0, 2))
    ends[0].bias.sub_(middle)
    model.quantizer.scatter(latents - middle[:, None], generator)
    wav = nn.Sequential(*list(model.decoder)[:-1])(latents - middle[:, None])
    ends[1].weight.mul_(SCALE / wav.std())
    ends[1].bias.sub_(SCALE / wav.std() * wav.mean())


@torch.no_grad()
def spread(model: LatentCodec[FiniteScalarQuantizer], generator: torch.Generator) -> None:
    """What a finite scalar quantizer rounds: each number around zero for noise, as far from it as its steps are wide."""
    quantizer = model.quantizer
    points = quantizer.input_proj(model.latents(loud_and_quiet(320, generator)))
    mean, deviation = points.mean((0, 2)), points.std((0, 2))
    quantizer.input_proj.weight.div_(deviation[:, None, None])
    assert quantizer.input_proj.bias is not None
    quantizer.input_proj.bias.sub_(mean).div_(deviation)
