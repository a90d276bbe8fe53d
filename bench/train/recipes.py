"""What `bench train` does for each family, as data."""

from __future__ import annotations

from dataclasses import dataclass, field

from bench.train.adversarial import AdversarialConfig
from bench.train.data import Augment
from bench.train.discriminators import DiscriminatorShape
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
    pool: int = 0  # above 0: once settled, so many batches come again and again, and each is searched for its codes once
    dropout: float = 0.3  # share of crops rebuilt from fewer codebooks
    ema: float = 0.999  # of the weights, a step
    bf16: bool = True
    loss: LossConfig = field(default_factory=LossConfig)
    adversarial: AdversarialConfig | None = None
    distill: str = ""  # tokenizer whose features the first codebook looks up, as hubert_kmeans@mini
    augment: Augment = field(default_factory=Augment)
    heldout: int = 12  # speakers
    report_every: int = 50  # steps
    check_every: int = 500


RECIPES: dict[str, Recipe] = {
    "mimi": Recipe(distill="hubert_kmeans@mini"),
    "encodec": Recipe(plain=300, start=200, refit=1200, bypass=0.3, loss=LossConfig(wave=1.0)),
    "dac": Recipe(plain=300, start=300, refit=1200, bypass=0.3, loss=LossConfig(wave=1.0, commit=0.5, envelope=1.0)),
    "wavtokenizer": Recipe(plain=1500, start=300, bypass=0.3),
    # from the paper (arXiv 2107.03312): codebooks from the start, by k-means; each crop rebuilt from 1 to all of them; discriminators
    "soundstream": Recipe(plain=0, bypass=0.0, dropout=1.0, adversarial=AdversarialConfig(start=0)),
}


# A run from trained weights learns with discriminators, where its family has a recipe here. The losses have shares of the gradient: by
# their own sizes that of the log-mel distance is nine times as long as all that discriminators say (shipped wavtokenizer, 150 steps).
FURTHER: dict[str, Recipe] = {
    # Distill-MOS of 12 speakers held out of the training data: +.24 in 2,400 of 6,000 steps; +.11 in 3,000 without periods and with an
    # encoder that stands still
    "encodec": Recipe(
        plain=0,
        start=200,
        refit=1200,
        bypass=0.0,
        rate=3e-4,
        loss=LossConfig(balance=0.2, mel=1.5, stft=0.5, wave=0.1, adversarial=1.0, features=3.0),
        adversarial=AdversarialConfig(start=0, alone=100),
    ),
    "wavtokenizer": Recipe(
        plain=0,
        bypass=0.0,
        rate=3e-4,
        loss=LossConfig(balance=0.2, mel=1.5, stft=0.5, wave=0.1, adversarial=1.0, features=3.0),
        adversarial=AdversarialConfig(start=0, alone=150, shape=DiscriminatorShape(periods=())),
    ),
}

OWN = Recipe(plain=300, start=300, bypass=0.3)  # of a codec in a file of its own, as that of the small ones above


@dataclass(frozen=True)
class UnitRecipe:
    """How an encoder of units is trained: masked prediction of k-means units, as HuBERT's first iteration (arXiv 2106.07447)."""

    seconds: float = 4.0  # of a crop, rounded to whole frames
    batch: int = 10
    rate: float = 1e-3  # of AdamW, at its height: it rises for this share of the steps, then falls in a straight line to nothing
    rise: float = 0.03
    betas: tuple[float, float] = (0.9, 0.98)
    decay: float = 0.01
    clip: float = 1.0  # norm of the gradient
    units: int = 100  # that are predicted: clusters of MFCC
    label: int = 128  # numbers of a unit's embedding
    start: float = 0.08  # share of the frames at which a masked span starts; spans may overlap
    span: int = 10  # frames
    temperature: float = 0.1  # that cosine similarities are divided by
    visible: float = 0.5  # weight of the frames not hidden, falling to none at half the steps: little is learnt at first without them
    ema: float = 0.999  # of the weights, a step
    bf16: bool = True
    augment: Augment = field(default_factory=lambda: Augment(image=0.0, mix=0.25, eq=0.5, reverb=0.25))
    heldout: int = 12  # speakers
    frames: int = 100_000  # that the codebook of each layer is fitted to
    report_every: int = 50  # steps
    check_every: int = 500


UNIT_RECIPES: dict[str, UnitRecipe] = {"hubert_kmeans": UnitRecipe()}
