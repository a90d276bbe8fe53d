"""UTMOS22, strong learner (Saeki et al. 2022, arxiv.org/abs/2204.02152): a speech MOS without a reference, at 16 kHz.

wav2vec 2.0 base, what the network learned of one kind of data and of one listener, a bidirectional LSTM over the frames, a score for each
frame, and their mean. The network is written here; the weights (MIT) are those of tarepan/SpeechMOS, made of the authors' checkpoint, under
the names of its `utmos22_strong`. The release states no sha256; the pinned one is what several projects independently found.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from bench.api import Checkpoint
from bench.evaluators.sounds import Answer, Sound
from bench.nn.hubert import Hubert, HubertShape
from bench.nn.hubert_names import renamed
from bench.weights.download import locate
from bench.weights.files import fill, fold_weight_norm, load_state

FILE = Checkpoint(
    "utmos/utmos22_strong_step7459_v1.pt",
    "38aa51ab79e2a4e09a1449758a4b37e9cbb2e8235a49662a732d33a9ba1e9bff",
    "https://github.com/tarepan/SpeechMOS/releases/download/v1.0.0/utmos22_strong_step7459_v1.pt",
    "or ask other evaluators: --quality-model default needs no download",
)
LICENCE = "MIT"
LAYERS, EMBEDDING, HIDDEN, PROJECTED = 12, 128, 512, 2048
ENCODER = "wav2vec2."  # how names of the encoder begin in the file


class Utmos(nn.Module):
    """wav [B, 1, T] at 16 kHz, T >= 400 -> MOS [B], about 1..5; `layers` and `shape` of the encoder."""

    def __init__(self, shape: HubertShape = HubertShape(), layers: int = LAYERS):  # noqa: B008, a frozen value
        super().__init__()
        self.encoder = Hubert(shape, layers)
        self.domain_emb, self.judge_emb = (nn.Parameter(torch.zeros(1, EMBEDDING)) for _ in range(2))
        self.blstm = nn.LSTM(shape.dimension + 2 * EMBEDDING, HIDDEN, batch_first=True, bidirectional=True)
        self.projection = nn.Sequential(nn.Linear(2 * HIDDEN, PROJECTED), nn.ReLU(), nn.Linear(PROJECTED, 1))

    def forward(self, wav: Tensor) -> Tensor:
        heard = self.encoder(wav)
        known = torch.cat([self.domain_emb, self.judge_emb], -1).expand(*heard.shape[:2], -1)
        scores = self.projection(self.blstm(torch.cat([heard, known], -1))[0])
        return scores.mean(1)[:, 0] * 2 + 3


def ours(state: dict[str, Tensor], layers: int = LAYERS) -> dict[str, Tensor]:
    """A file's tensors under the names of `Utmos`."""
    encoder = {name.removeprefix(ENCODER): value for name, value in fold_weight_norm(state).items() if name.startswith(ENCODER)}
    rest = {name: value for name, value in state.items() if not name.startswith(ENCODER)}
    return {f"encoder.{name}": value for name, value in renamed(encoder, layers).items()} | rest


class Scorer:
    """The network on its device."""

    def __init__(self, model: Utmos, device: str):
        self.model, self.device = model.to(device).eval().requires_grad_(False), device

    @torch.inference_mode()
    def __call__(self, sounds: Sequence[Sound]) -> list[Answer]:
        return [(float(self.model(sound.est[None, None].to(self.device))),) for sound in sounds]


def load(device: str) -> Scorer:
    """The network with the published weights, from the cache or fetched now."""
    return load_file(locate(FILE, LICENCE), device)


def load_file(path: Path, device: str) -> Scorer:
    """The same with the weights of a file."""
    model = Utmos()
    fill(model, ours(load_state(path)), path)
    return Scorer(model, device)
