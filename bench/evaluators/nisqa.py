"""NISQA 2 (Mittag et al. 2021, arxiv.org/abs/2104.09494): a speech MOS and its four dimensions without a reference, at 48 kHz.

48 mel magnitudes up to 20 kHz in dB, every 10 ms; six convolutions over 150 ms around every fourth frame, two layers of self-attention,
and for each of five answers an attention pooling of its own. The network is written here; its weights (CC BY-NC-SA 4.0, not for commercial
use) come from the authors' repository at a pinned commit once that licence was accepted.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.api import Checkpoint
from bench.evaluators.sounds import Answer, Sound
from bench.metrics.mel import mel_filters, power_spectra
from bench.weights.download import locate
from bench.weights.files import Patterns, fill, load_state, renamed_by

FILE = Checkpoint(
    "nisqa/nisqa.tar",
    "7ec4cf937514dd3f8860b21e66fabd8ca87a168572675ef8d979c4c4ad2e805c",
    "https://raw.githubusercontent.com/gabrielmittag/NISQA/fe84f0f252abec382b24367d5b22498a7ce34dbb/weights/nisqa.tar",
    "or ask other evaluators: --quality-model default needs no download",
)
LICENCE = "CC-BY-NC-SA-4.0"
RATE, FFT, WINDOW, HOP, MELS, HIGHEST = 48_000, 4096, 960, 480, 48, 20_000.0
FLOOR, RANGE = 1e-4, 80.0  # of magnitudes; dB below the loudest
AROUND, STEP, MOST = 15, 4, 1300  # frames of a segment, frames between two, segments of a clip
CHANNELS = (1, 16, 32, 64, 64, 64, 64)
POOLED = {0: (24, 7), 1: (12, 5), 3: (6, 3)}  # size after these convolutions
WIDTH, HIDDEN, ANSWERS = 64, 128, 5
ORDER = (0, 1, 3, 2, 4)  # the network says mos, noisiness, discontinuity, coloration, loudness; columns have coloration third
NAMES: Patterns = (
    (r"^cnn\.model\.conv(\d)\.", r"convolutions.\1."),
    (r"^cnn\.model\.bn(\d)\.", r"norms.\1."),
    (r"^time_dependency\.model\.linear\.", "projection."),
    (r"^time_dependency\.model\.norm1\.", "norm."),
    (r"^time_dependency\.model\.layers\.", "layers."),
    (r"^pool_layers\.(\d)\.model\.linear1\.", r"attention.\1.0."),
    (r"^pool_layers\.(\d)\.model\.linear2\.", r"attention.\1.2."),
    (r"^pool_layers\.(\d)\.model\.linear3\.", r"answers.\1."),
)


class Nisqa(nn.Module):
    """segments [N, 1, 48, 15] of one clip -> MOS, noisiness, discontinuity, coloration, loudness [5], each about 1..5."""

    def __init__(self) -> None:
        super().__init__()
        pairs = list(zip(CHANNELS, CHANNELS[1:], strict=False))
        last = len(pairs) - 1  # reaches over all that is left of the time
        self.convolutions = nn.ModuleDict(
            {str(i + 1): nn.Conv2d(a, b, 3, padding=(1, 0) if i == last else 1) for i, (a, b) in enumerate(pairs)}
        )
        self.norms = nn.ModuleDict({str(i + 1): nn.BatchNorm2d(b) for i, (_, b) in enumerate(pairs)})
        self.projection = nn.Linear(CHANNELS[-1] * POOLED[3][0], WIDTH)
        self.norm = nn.LayerNorm(WIDTH)
        self.layers = nn.ModuleList(nn.TransformerEncoderLayer(WIDTH, 1, WIDTH, batch_first=True) for _ in range(2))
        self.attention = nn.ModuleList(nn.Sequential(nn.Linear(WIDTH, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 1)) for _ in range(ANSWERS))
        self.answers = nn.ModuleList(nn.Linear(WIDTH, 1) for _ in range(ANSWERS))

    def forward(self, x: Tensor) -> Tensor:
        for i, (convolution, norm) in enumerate(zip(self.convolutions.values(), self.norms.values(), strict=True)):
            x = norm(convolution(x)).relu()
            if i in POOLED:
                x = F.adaptive_max_pool2d(x, POOLED[i])
        x = self.norm(self.projection(x.flatten(1)))[None]
        for layer in self.layers:
            x = layer(x)
        pooled = [answer((attend(x).softmax(1) * x).sum(1)) for attend, answer in zip(self.attention, self.answers, strict=True)]
        return torch.cat(pooled, 1)[0]


def decibels(wav: Tensor) -> Tensor:
    """wav [T] at 48 kHz -> mel magnitudes in dB [1 + T // 480, 48], at most 80 below the loudest."""
    window = F.pad(torch.hann_window(WINDOW), ((FFT - WINDOW) // 2,) * 2)
    frames = F.pad(wav[None], (FFT // 2, FFT // 2), mode="reflect")[0].unfold(0, FFT, HOP) * window
    magnitudes = power_spectra(frames).sqrt() @ mel_filters(RATE, FFT, MELS, 0.0, HIGHEST)
    found = 20 * magnitudes.clamp(min=FLOOR).log10()
    return found.clamp(min=float(found.max()) - RANGE)


def segments_of(wav: Tensor) -> Tensor:
    """wav [T] -> [N, 1, 48, 15]."""
    return decibels(wav).unfold(0, AROUND, 1)[::STEP][:, None]


class Scorer:
    """The network on its device."""

    def __init__(self, model: Nisqa, device: str):
        self.model, self.device = model.to(device).eval().requires_grad_(False), device

    @torch.inference_mode()
    def __call__(self, sounds: Sequence[Sound]) -> list[Answer]:
        return [self.answer(segments_of(sound.est)) for sound in sounds]

    def answer(self, segments: Tensor) -> Answer:
        """Of a clip's segments: MOS, noisiness, coloration, discontinuity, loudness."""
        if len(segments) > MOST:
            return f"the audio is too long: NISQA hears {MOST * STEP * HOP // RATE} s"
        said = self.model(segments.to(self.device)).tolist()
        return tuple(said[place] for place in ORDER)


def load(device: str) -> Scorer:
    """The network with its authors' weights, from the cache or fetched now."""
    return load_file(locate(FILE, LICENCE), device)


def load_file(path: Path, device: str) -> Scorer:
    """The same with the weights of a file: a pickle of "model_state_dict" and of settings that are not read."""
    model = Nisqa()
    fill(model, {renamed_by(NAMES, name): value for name, value in load_state(path).items()}, path)
    return Scorer(model, device)
