"""Distill-MOS (Stahl and Gamper 2025, arxiv.org/abs/2502.05356, MIT): a speech MOS from 1 to 5 without a reference, at 16 kHz.

A small network that was taught by a large one: six convolutions over the compressed complex spectrum, seven transformer layers, attention
pooling. Only the file of weights of the package distillmos is read. A clip is heard in windows of 7.68 s at most 1 s apart, each scaled to
a peak of 1; a shorter clip is filled up with zeros. Its score is the mean over the windows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.evaluators.package_files import PackageFile
from bench.evaluators.packages import DISTILLMOS
from bench.evaluators.sounds import Answer, Sound
from bench.weights.files import Patterns, fill, load_state, renamed_by

FILE = PackageFile(
    DISTILLMOS,
    "distillmos",
    "0.9.1",
    "distillmos/weights/distill_mos_v7.pt",
    "b18b3ac60227267cfb91e5d00ce22cc7b73716fd92f269484da1446e27031a40",
)
FFT, HOP = 320, 160
CHANNELS = (2, 64, 64, 128, 256, 256, 256)
BINS = 4  # of the spectrum that the convolutions leave
WIDTH, LAYERS, HEADS, FRAMES = 200, 7, 8, 384
WINDOW, STEP = 122_880, 16_000  # samples
AT_ONCE = 16  # windows
NAMES: Patterns = (
    (r"^cnn\.cnn\.", "convolutions."),
    (r"^transformer_pool_attn\.norm_input\.", "norms.0."),
    (r"^transformer_pool_attn\.transformer\.norm\.", "norms.1."),
    (r"^transformer_pool_attn\.transformer\.position_encoding\.pe$", "position"),
    (r"^transformer_pool_attn\.transformer\.linear_proj\.", "projection."),
    (r"^transformer_pool_attn\.transformer\.transformer_encoder\.", "transformer."),
    (r"^transformer_pool_attn\.norm_trans\.", "last_norm."),
    (r"^transformer_pool_attn\.pool\.linear1\.", "attention.0."),
    (r"^transformer_pool_attn\.pool\.linear2\.", "attention.2."),
    (r"^transformer_pool_attn\.pool\.linear3\.", "score."),
)


class DistillMos(nn.Module):
    """windows [N, 122880] -> MOS [N], 1..5."""

    position: Tensor
    window: Tensor

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for i, (before, after) in enumerate(zip(CHANNELS, CHANNELS[1:], strict=False)):
            stride = (1 if i == 0 else 2, 2 if i == len(CHANNELS) - 2 else 1)  # of frequency and of time
            layers += [nn.Conv2d(before, after, 3, stride, (0, 1)), nn.LeakyReLU(0.1)]
        self.convolutions = nn.Sequential(*layers)
        self.norms = nn.ModuleList(nn.BatchNorm1d(CHANNELS[-1] * BINS) for _ in range(2))
        self.projection = nn.Linear(CHANNELS[-1] * BINS, WIDTH)
        self.register_buffer("position", torch.zeros(1, FRAMES, WIDTH))
        layer = nn.TransformerEncoderLayer(WIDTH, HEADS, 2 * WIDTH, batch_first=True)
        self.transformer = nn.TransformerEncoder(layer, LAYERS, enable_nested_tensor=False)
        self.last_norm = nn.BatchNorm1d(WIDTH)
        self.attention = nn.Sequential(nn.Linear(WIDTH, 2 * WIDTH), nn.ReLU(), nn.Linear(2 * WIDTH, 1))
        self.score = nn.Linear(WIDTH, 1)
        self.register_buffer("window", torch.hann_window(FFT), persistent=False)

    def forward(self, windows: Tensor) -> Tensor:
        x = self.last_norm(self.frames(windows).mT).mT
        pooled = (self.attention(x).softmax(1) * x).sum(1)
        return 1 + 4 * self.score(pooled).sigmoid()[:, 0]

    def frames(self, windows: Tensor) -> Tensor:
        """What the last layer gives, 50 times a second: [N, 384, 200]."""
        windows = windows / (windows.abs().amax(-1, keepdim=True) + 1e-8)
        x = self.convolutions(self.spectra(windows)).flatten(1, 2)  # [N, 1024, 384]
        for norm in self.norms:
            x = norm(x)
        return self.transformer(self.projection(x.mT) + self.position)

    def spectra(self, windows: Tensor) -> Tensor:
        """Complex spectra with magnitudes to the power of 0.3, as real and imaginary parts [N, 2, 161, 768]."""
        padded = F.pad(windows, ((FFT - HOP) // 2,) * 2, mode="reflect")
        parts = torch.view_as_real(torch.stft(padded, FFT, HOP, window=self.window, center=False, return_complex=True))
        magnitude = parts.square().sum(-1, keepdim=True).sqrt().clamp(min=1e-12)
        return (magnitude**0.3 * parts / magnitude).permute(0, 3, 1, 2)


def windows_of(wav: Tensor) -> Tensor:
    """wav [T] -> [N, 122880], evenly spread from its beginning to its end."""
    beyond = max(0, len(wav) - WINDOW)
    wav = F.pad(wav, (0, max(0, WINDOW - len(wav))))
    count = math.ceil(beyond / STEP) + 1
    starts = [int(share * beyond) for share in torch.linspace(0, 1, count, dtype=torch.float64).tolist()]
    return torch.stack([wav[start : start + WINDOW] for start in starts])


class Scorer:
    """The network on its device, asked about clips of any lengths at once."""

    def __init__(self, model: DistillMos, device: str):
        self.model, self.device = model.to(device).eval().requires_grad_(False), device

    @torch.inference_mode()
    def __call__(self, sounds: Sequence[Sound]) -> list[Answer]:
        windows = [windows_of(sound.est) for sound in sounds]
        found = [self.model(part.to(self.device)).cpu() for part in torch.cat(windows).split(AT_ONCE)]
        return [(float(scores.mean()),) for scores in torch.cat(found).split([len(part) for part in windows])]


def network() -> DistillMos:
    """The network with the package's weights."""
    path = FILE.locate()
    model = DistillMos()
    fill(model, {renamed_by(NAMES, name): value for name, value in load_state(path).items()}, path)
    return model


def load(device: str) -> Scorer:
    """The evaluator on its device."""
    return Scorer(network(), device)
