"""The writer of esc.json: what the authors' ESC makes of the recipe's weights and sounds.

    git clone https://github.com/yzGuu830/efficient-speech-codec
    git -C efficient-speech-codec checkout 1ec4cf3fa2beb7825df1ecb322a357b0784215b2
    PYTHONPATH=. python tests/parity/write_esc.py efficient-speech-codec

It needs torch and einops beside that checkout. Of torchaudio and timm, which that code imports, it takes the spectrum and its inverse, two
calls of torch, and the starting values of a parameter that the recipe fills: stand-ins serve.
"""

from __future__ import annotations

import importlib
import json
import sys
import types
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn

from bench.tokenizers.esc import Config
from tests.parity.esc_recipe import CASES, SMALL, STORED, Books, book, weights
from tests.parity.wavtokenizer_recipe import Shapes, heard, sound
from tests.parity.write_wavtokenizer import rounded

COMMIT = "1ec4cf3fa2beb7825df1ecb322a357b0784215b2"  # of the authors' repository
SEED = 0
DERIVED = ("relative_position_index", ".window")


class Spectrogram(nn.Module):
    """torchaudio's, with power=None."""

    def __init__(self, n_fft: int, win_length: int, hop_length: int, power: None = None):
        super().__init__()
        self.settings = n_fft, hop_length, win_length
        self.window: Tensor
        self.register_buffer("window", torch.hann_window(win_length))

    def forward(self, x: Tensor) -> Tensor:
        return torch.stft(x, *self.settings, window=self.window, pad_mode="reflect", return_complex=True)


class InverseSpectrogram(Spectrogram):
    """torchaudio's."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.istft(x, *self.settings, window=self.window)


def module(name: str, **values: object) -> types.ModuleType:
    """A stand-in."""
    made = types.ModuleType(name)
    made.__dict__.update(values)
    return made


def official_model(checkout: Path, config: Config) -> Any:
    """The authors' codec of that size."""
    transforms = module("torchaudio.transforms", Spectrogram=Spectrogram, InverseSpectrogram=InverseSpectrogram, MelSpectrogram=None)
    layers = module("timm.models.layers", trunc_normal_=lambda *_, **__: None, to_2tuple=lambda x: (x, x))
    stand_ins = [module("torchaudio", transforms=transforms), transforms, module("timm"), module("timm.models"), layers]
    stand_ins.append(module("esc.models.discriminator", Discriminator=None))  # for training
    modules = {made.__name__: made for made in stand_ins}
    with mock.patch.dict(sys.modules, modules), mock.patch.object(sys, "path", [str(checkout), *sys.path]):
        kind = importlib.import_module("esc.models").ESC
    return kind(
        h_dims=list(config.widths),
        max_streams=len(config.widths),
        swin_heads=list(config.heads),
        swin_depth=config.layers,
        window_size=config.window,
        codebook_size=config.size,
        codebook_dims=[config.dimension] * len(config.widths),
    ).eval()


@torch.no_grad()
def settle(model: Any, state: dict[str, Tensor]) -> Books:
    """Puts each codebook, in the order of encoding, around what reaches it."""
    books: Books = {}
    wav = sound(1, 19_200, SEED + 100)[:, 0]
    for i, level in enumerate(model.quantizers):
        for m, vq in enumerate(level.vqs):
            name, seen = f"quantizers.{i}.vqs.{m}.embedding.weight", list[Tensor]()
            with mock.patch.object(vq, "encode", side_effect=lambda z, vq=vq, seen=seen: (seen.append(z), vq.quantize_to_code(z))[1]):
                model.encode(wav, len(model.quantizers))
            points = seen[0][0]
            books[name] = [rounded(points.mean(0), 3), rounded(points.std(0), 3)]
            vq.embedding.weight.copy_(book(name, list(state[name].shape), SEED, books[name]))
    return books


def fill(model: Any) -> tuple[Shapes, Books]:
    """Gives the authors' codec the recipe's weights: their shapes, and where the codebooks are."""
    shapes = {name: list(value.shape) for name, value in sorted(model.state_dict().items()) if not name.endswith(DERIVED)}
    state = weights(shapes, SEED, {})
    model.load_state_dict(state, strict=False)
    books = settle(model, state)
    left, unknown = model.load_state_dict(weights(shapes, SEED, books), strict=False)
    if unknown or not all(name.endswith(DERIVED) for name in left):
        raise ValueError(f"the checkout has other weights than the recipe: {left[:3]} are missing, {unknown[:3]} unknown")
    return shapes, books


@torch.no_grad()
def measure(model: Any, clips: int, samples: int, levels: int) -> dict[str, Any]:
    """What the authors' code makes of one batch."""
    codes, shape = model.encode(sound(clips, samples, SEED)[:, 0], levels)
    wav = model.decode(codes, shape)[:, None]
    kept = {"codes": codes.flatten(1, 2).tolist(), "decoded": wav.shape[-1], "heard": [rounded(clip, 8) for clip in heard(wav)]}
    return {"clips": clips, "samples": samples} | kept


def main(checkout: Path) -> None:
    model = official_model(checkout, SMALL)
    shapes, books = fill(model)
    cases = [measure(model, *case) for case in CASES]
    print(f"different codes of each codebook: {[len(set(codes)) for codes in cases[0]['codes'][0]]}")
    record = {"commit": COMMIT, "torch": torch.__version__, "written by": "tests/parity/write_esc.py", "shapes": shapes, "seed": SEED}
    STORED.write_text(json.dumps(record | {"books": books, "cases": cases}, separators=(",", ":")) + "\n", encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]).resolve())
