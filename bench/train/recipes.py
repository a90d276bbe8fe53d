"""What `bench train` does for each family, as data."""

from __future__ import annotations

from dataclasses import dataclass, field

from bench.train.data import Augment
from bench.train.losses import LossConfig


@dataclass(frozen=True)
class Recipe:
    """How one family is trained; the steps, the seed and the device are the caller's."""

    seconds: float = 1.6  # of a crop, rounded to whole frames
    batch: int = 6
    rate: float = 1e-3  # of AdamW, at its height: it rises for `rise` steps, then falls along half a cosine to nothing
    rise: int = 100
    betas: tuple[float, float] = (0.8, 0.99)
    decay: float = 0.01
    clip: float = 1.0  # norm of the gradient
    plain: int = 2500  # first steps, without codes: the latents need all their dimensions before quantization noise drowns the small ones
    bypass: float = 0.5  # share of crops decoded without codes, falling to none: as Mimi's authors do, it keeps small dimensions alive
    start: int = 480  # crops whose latents the codebooks are started on, by k-means
    settle: float = 0.1  # last share of the steps: the encoder stands still, its codebooks are fitted once more, the decoder learns on
    refit: int = 1800  # crops that they are fitted on
    dropout: float = 0.3  # share of crops rebuilt from fewer codebooks
    ema: float = 0.999  # of the weights, a step
    bf16: bool = True
    loss: LossConfig = field(default_factory=LossConfig)
    augment: Augment = field(default_factory=Augment)
    heldout: int = 12  # speakers
    report_every: int = 50  # steps
    check_every: int = 500


RECIPES: dict[str, Recipe] = {"mimi": Recipe()}
