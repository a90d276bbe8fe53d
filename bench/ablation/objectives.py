"""The losses and discriminators that designs name, and the columns that each draws to: these are no measure of what it trained."""

from __future__ import annotations

from collections.abc import Mapping

from bench.ablation.designs import Design
from bench.train.adversarial import AdversarialConfig
from bench.train.discriminators import DiscriminatorShape
from bench.train.losses import LossConfig

LOSSES: Mapping[str, LossConfig] = {
    "spectral": LossConfig(),
    "mel": LossConfig(stft=0.0, wave=0.0),
    "stft": LossConfig(mel=0.0, wave=0.0),
    "wave": LossConfig(mel=0.0, stft=0.0, wave=20.0),
    "spectral+wave": LossConfig(wave=1.0),
    "spectral+envelope": LossConfig(envelope=1.0),
}
WINDOWS, PERIODS = (1024, 512, 256), (2, 3, 5)
SHAPES: Mapping[str, DiscriminatorShape] = {
    "stft": DiscriminatorShape(WINDOWS, filters=8, periods=()),
    "period": DiscriminatorShape(windows=(), periods=PERIODS, channels=(8, 16, 32)),
    "both": DiscriminatorShape(WINDOWS, filters=8, periods=PERIODS, channels=(8, 16, 32)),
}
AIMS: Mapping[str, tuple[str, ...]] = {  # term of a loss -> beginnings of the columns that it draws to
    "mel": ("mel_", "mfcc_", "mcd", "lsd"),
    "stft": ("stft_", "lsd", "mel_", "mfcc_", "mcd"),
    "wave": ("snr", "si_sdr"),
    "envelope": ("stoi", "estoi"),
}


def adversarial(design: Design) -> AdversarialConfig | None:
    """The discriminator, from the first step with codes on."""
    shape = SHAPES.get(design.discriminator)
    return AdversarialConfig(start=0, alone=0, part=0.5, shape=shape) if shape else None


def aimed_at(design: Design) -> tuple[str, ...]:
    """Beginnings of the columns that the design's losses draw to."""
    weights = LOSSES[design.losses]
    return tuple(dict.fromkeys(start for term, starts in AIMS.items() if getattr(weights, term) for start in starts))
