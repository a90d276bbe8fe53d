"""Learning from a discriminator: both sides' losses, feature matching, and one step of it beside the codec's own.

Losses are means over the networks. ref and est are waveforms [B, T]. The discriminator hears each once a step: both sides' gradients
come from the same opinions, those before either moves, which spares two of five forward passes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from bench.train.discriminators import Discriminators, DiscriminatorShape, Opinion

Kind = Literal["hinge", "squares"]


@dataclass(frozen=True)
class AdversarialConfig:
    """From step `start` on a discriminator learns; `alone` steps later the codec also learns to pass for a recording."""

    start: int
    alone: int = 200  # first of those steps, in which it learns unheard: one that knows nothing yet would only do harm
    every: int = 1  # steps, that it learns
    part: float = 0.33  # of each crop that is heard, from a random moment on: the time that it takes is in proportion
    kind: Kind = "hinge"
    rate: float = 1e-3  # of the discriminator's AdamW; it rises and falls as the codec's does
    betas: tuple[float, float] = (0.8, 0.99)
    decay: float = 0.0
    clip: float = 10.0  # norm of its gradient
    shape: DiscriminatorShape = DiscriminatorShape()


def discriminator_loss(kind: Kind, real: Sequence[Opinion], fake: Sequence[Opinion]) -> Tensor:
    """Small where recordings score above 1 and reconstructions below -1 (hinge), or 1 and 0 (least squares)."""
    if kind == "hinge":
        terms = [(1 - r.logits).relu().mean() + (1 + f.logits).relu().mean() for r, f in zip(real, fake, strict=True)]
    else:
        terms = [(1 - r.logits).square().mean() + f.logits.square().mean() for r, f in zip(real, fake, strict=True)]
    return torch.stack(terms).mean()


def generator_loss(kind: Kind, fake: Sequence[Opinion]) -> Tensor:
    """Small where reconstructions score as recordings should."""
    terms = [(1 - f.logits).relu() if kind == "hinge" else (1 - f.logits).square() for f in fake]
    return torch.stack([term.mean() for term in terms]).mean()


def feature_loss(real: Sequence[Opinion], fake: Sequence[Opinion]) -> Tensor:
    """L1 between the feature maps, each as a share of the recording's own mean size; the recording's side gets no gradient."""
    terms = []
    for r, f in zip(real, fake, strict=True):
        for wanted, given in zip(r.features, f.features, strict=True):
            wanted = wanted.detach().float()
            terms.append((given.float() - wanted).abs().mean() / wanted.abs().mean().clamp(min=1e-6))
    return torch.stack(terms).mean()


@dataclass
class Adversary:
    """A discriminator that learns beside a codec."""

    config: AdversarialConfig
    network: Discriminators
    optimizer: torch.optim.Optimizer

    def losses(self, ref: Tensor, est: Tensor, learns: bool, generator: torch.Generator) -> tuple[dict[str, Tensor], Tensor | None]:
        """The codec's losses, whose gradient reaches est, and the discriminator's own if it `learns`."""
        length = max(1, round(self.config.part * ref.shape[-1]))
        start = int(torch.randint(ref.shape[-1] - length + 1, (), generator=generator))
        ref, est = ref[:, start : start + length], est[:, start : start + length]
        self.network.requires_grad_(learns)
        with torch.set_grad_enabled(learns):
            real = self.network(ref)
        fake = self.network(est)
        terms = {"adversarial": generator_loss(self.config.kind, fake), "features": feature_loss(real, fake)}
        return terms, discriminator_loss(self.config.kind, real, fake) if learns else None

    def learn(self, loss: Tensor, share: float) -> None:
        """One update of the discriminator at that share of its rate; nothing else gets a gradient."""
        parameters = list(self.network.parameters())
        for parameter, gradient in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
            parameter.grad = gradient
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.rate * share
        if bool(torch.isfinite(nn.utils.clip_grad_norm_(parameters, self.config.clip))):
            self.optimizer.step()
        self.optimizer.zero_grad()


def adversary(config: AdversarialConfig, seed: int, device: str) -> Adversary:
    """A discriminator that depends on the seed alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = Discriminators(config.shape).to(device)
    optimizer = torch.optim.AdamW(network.parameters(), config.rate, betas=config.betas, weight_decay=config.decay, fused=True)
    return Adversary(config, network, optimizer)
