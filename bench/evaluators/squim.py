"""TorchAudio-SQUIM, objective: STOI, PESQ and SI-SDR estimated without the original, at 16 kHz.

Kumar et al. 2023, arxiv.org/abs/2304.01448. The network is torchaudio's own, which works without its compiled part; the weights (CC BY 4.0,
trained on DNS 2020) are fetched from its server and proven by sha256.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn

from bench.api import Checkpoint
from bench.data import torchaudio_guard
from bench.evaluators.sounds import Answer, Sound
from bench.weights.download import locate
from bench.weights.files import fill, load_state

FILE = Checkpoint(
    "squim/squim_objective_dns2020.pth",
    "2c54586fea83fb5eb5394d710038ee89f55cab7011a5bf730bebed4c8777e828",
    "https://download.pytorch.org/torchaudio/models/squim_objective_dns2020.pth",
    "or ask other evaluators: --quality-model default needs no download",
)
LICENCE = "CC-BY-4.0"


class Scorer:
    """The network on its device: STOI, wideband PESQ, SI-SDR in dB of each sound."""

    def __init__(self, model: nn.Module, device: str):
        self.model, self.device = model.to(device).eval().requires_grad_(False), device

    @torch.inference_mode()
    def __call__(self, sounds: Sequence[Sound]) -> list[Answer]:
        return [tuple(float(said) for said in self.model(sound.est[None].to(self.device))) for sound in sounds]


def load(device: str) -> Scorer:
    """The published network, from the cache or fetched now; UserError where torchaudio is missing."""
    torchaudio_guard.load()
    return load_file(locate(FILE, LICENCE), device)


def load_file(path: Path, device: str) -> Scorer:
    """The same with the weights of a file."""
    model = torchaudio_guard.load().models.squim_objective_base()
    fill(model, load_state(path), path)
    return Scorer(model, device)
