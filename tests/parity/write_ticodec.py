"""The writer of ticodec.json: what the authors' TiCodec makes of the recipe's weights and sounds.

    git clone https://github.com/y-ren16/TiCodec
    git -C TiCodec checkout 13af0ebad99f01ebbe25ce449b7e33eebc56672e
    PYTHONPATH=. python tests/parity/write_ticodec.py TiCodec

It needs torch, matplotlib and pyyaml beside that checkout.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import sys
import warnings
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.parity.ticodec_recipe import CASES, HOP, LEVELS, PARTS, STORED, book, weights
from tests.parity.wavtokenizer_recipe import Shapes, heard, sound
from tests.parity.write_wavtokenizer import rounded

COMMIT = "13af0ebad99f01ebbe25ce449b7e33eebc56672e"  # of the authors' repository
CONFIG = "egs/TiCodec-24k-320d/config_24k_320d_conv_1g{}r_8g3k1s.json"


class Official(nn.Module):
    """The authors' classes as their `vqvae.py` uses them, which wants a file of weights to be made."""

    def __init__(self, checkout: Path, levels: int):
        super().__init__()
        with mock.patch.object(sys, "path", [str(checkout), *sys.path]), warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # weight_norm is old
            models: Any = importlib.import_module("academicodec.models.ticodec.models")
            attributes: Any = importlib.import_module("academicodec.models.ticodec.env")
            numbers = attributes.AttrDict(json.loads((checkout / CONFIG.format(levels)).read_text()))
            self.encoder, self.generator, self.quantizer = models.Encoder(numbers), models.Generator(numbers), models.Quantizer(numbers)

    def fill(self, state: dict[str, dict[str, Tensor]]) -> None:
        """Weights of a file."""
        for part in PARTS:
            getattr(self, part).load_state_dict(state[part], strict=True)

    def latents(self, wav: Tensor) -> tuple[Tensor, Tensor]:
        """wav [B, 1, T] -> latents [B, D, F] and the clip's vector [B, C]."""
        return self.encoder(F.pad(wav, (0, -wav.shape[-1] % HOP)))

    def encode(self, wav: Tensor) -> tuple[Tensor, Tensor]:
        """wav [B, 1, T] -> codes [B, F, K], side codes [B, 1, 8]."""
        _, _, codes, _, side = self.quantizer(*self.latents(wav))
        return torch.stack([code.reshape(len(wav), -1) for code in codes], -1), torch.stack(side, -1).unsqueeze(1)

    def decode(self, codes: Tensor, side: Tensor) -> Tensor:
        """codes [B, F, K], side codes [B, 1, 8] -> wav [B, 1, F * 320]."""
        return self.generator(self.quantizer.embed(codes), self.quantizer.embed_gst(side).squeeze(-1))

    def shapes(self) -> Shapes:
        """Of all that a file holds."""
        return {name: list(value.shape) for name, value in sorted(self.state_dict().items())}


@torch.no_grad()
def book_facts(model: Official) -> dict[str, list[list[float]]]:
    """Where each codebook belongs: the mean of what reaches it from a sound, and how far codes lie from it, in each coordinate; rounded."""
    model.fill(weights(model.shapes(), {}))
    rest, vectors = model.latents(sound(2, 9_600, 100))
    around: dict[str, list[list[float]]] = {}
    for level in range(LEVELS):
        name = f"quantizer.quantizer_modules{level + 1 if level else ''}.0.embedding.weight"
        around[name] = [rounded(rest.mean((0, 2)), 3), rounded(0.4 * rest.std((0, 2)), 3)]
        model.get_parameter(name).copy_(book(name, model.shapes()[name], around))
        rest = rest - model.quantizer.for_one_step(rest, level)[0]
    for index, part in enumerate(vectors.chunk(8, dim=1)):
        name = f"quantizer.quantizer_modules_globaltokens.{index}.embedding.weight"
        around[name] = [rounded(part.mean(0), 3), rounded(part.std(0) + 0.01, 3)]
    return around


@torch.no_grad()
def measure(model: Official, clips: int, samples: int) -> dict[str, Any]:
    """What the authors' code makes of one batch."""
    codes, side = model.encode(sound(clips, samples, 0))
    wav = model.decode(codes, side)
    return {
        "clips": clips,
        "samples": samples,
        "codes": codes.transpose(1, 2).tolist(),
        "side": side.transpose(1, 2).tolist(),
        "decoded": wav.shape[-1],
        "heard": [rounded(clip, 8) for clip in heard(wav)],
        "rms": rounded(wav.square().mean((1, 2)).sqrt(), 8),
    }


def main(checkout: Path) -> None:
    sources = hashlib.sha256((checkout / "academicodec/models/ticodec/models.py").read_bytes()).hexdigest()
    record: dict[str, object] = {"commit": COMMIT, "sources": sources, "torch": torch.__version__}
    record["written by"] = "tests/parity/write_ticodec.py"
    model = Official(checkout, LEVELS).eval()
    around = book_facts(model)
    model.fill(weights(model.shapes(), around))
    cases = [measure(model, clips, samples) for clips, samples in CASES]
    record |= {"shapes": model.shapes(), "around": around, "cases": cases}
    different = [len({code for case in cases for clip in case["codes"] for code in clip[level]}) for level in range(LEVELS)]
    print(f"{different} different codes, side {cases[0]['side']}, rms {[case['rms'] for case in cases]}")
    STORED.write_text(json.dumps(record, separators=(",", ":")) + "\n", encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]).resolve())
