"""The writer of bigcodec.json: what the authors' BigCodec makes of the recipe's weights and sounds.

    git clone https://github.com/Aria-K-Alethia/BigCodec
    git -C BigCodec checkout 09845ab1f5bc7a3d1589c16de820ef15bc2afefe
    PYTHONPATH=. python tests/parity/write_bigcodec.py BigCodec

It needs torch and einops beside that checkout.
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

from tests.parity.bigcodec_recipe import BOOK, CASES, HOP, PARTS, SEEDS, SIZES, STORED, weights
from tests.parity.wavtokenizer_recipe import Shapes, heard, sound
from tests.parity.write_wavtokenizer import rounded

COMMIT = "09845ab1f5bc7a3d1589c16de820ef15bc2afefe"  # of the authors' repository


class Official(nn.Module):
    """The authors' two classes as their script `inference.py` uses them, without the frame of zeros that it adds to whole frames."""

    def __init__(self, checkout: Path, filters: int, dimension: int, decoder_filters: int, size: int):
        super().__init__()
        with mock.patch.object(sys, "path", [str(checkout), *sys.path]), warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # weight_norm is old
            vq: Any = importlib.import_module("vq")
            self.CodecEnc = vq.CodecEncoder(ngf=filters, out_channels=dimension)
            self.generator = vq.CodecDecoder(
                in_channels=dimension, upsample_initial_channel=decoder_filters, ngf=filters, vq_dim=dimension, codebook_size=size
            )

    def fill(self, state: dict[str, dict[str, Tensor]]) -> None:
        """Weights of a file."""
        for part in PARTS:
            getattr(self, part).load_state_dict(state[part], strict=True)

    def latents(self, wav: Tensor) -> Tensor:
        """wav [B, 1, T] -> [B, D, F]."""
        return self.CodecEnc(F.pad(wav, (0, -wav.shape[-1] % HOP)))

    def encode(self, wav: Tensor) -> Tensor:
        """wav [B, 1, T] -> codes [B, 1, F]."""
        return self.generator(self.latents(wav), vq=True)[1].transpose(0, 1)

    def decode(self, codes: Tensor) -> Tensor:
        """codes [B, 1, F] -> wav [B, 1, F * 200]."""
        return self.generator(self.generator.vq2emb(codes.transpose(1, 2)).transpose(1, 2), vq=False)

    def shapes(self) -> Shapes:
        """Of all that a file holds."""
        return {name: list(value.shape) for name, value in sorted(self.state_dict().items())}


@torch.no_grad()
def latent_facts(model: Official, seed: int) -> tuple[list[float], list[float]]:
    """Where the codebook belongs: the mean of a sound's projected latents, and how far codes lie from it, in each coordinate; rounded."""
    size = model.shapes()[BOOK][1]
    model.fill(weights(model.shapes(), seed, [0.0] * size, [1.0] * size))
    (level,) = model.generator.quantizer.layers
    points = level.in_proj(model.latents(sound(1, 32_000, seed + 100)).transpose(1, 2))[0]
    return rounded(points.mean(0), 3), rounded(0.8 * points.std(0), 3)


@torch.no_grad()
def measure(model: Official, clips: int, samples: int, seed: int) -> dict[str, Any]:
    """What the authors' code makes of one batch."""
    codes = model.encode(sound(clips, samples, seed))
    wav = model.decode(codes)
    return {
        "clips": clips,
        "samples": samples,
        "codes": codes[:, 0].tolist(),
        "decoded": wav.shape[-1],
        "heard": [rounded(clip, 8) for clip in heard(wav)],
        "rms": rounded(wav.square().mean((1, 2)).sqrt(), 8),
    }


def main(checkout: Path) -> None:
    sources = hashlib.sha256(b"".join(path.read_bytes() for path in sorted((checkout / "vq").rglob("*.py")))).hexdigest()
    record: dict[str, object] = {"commit": COMMIT, "sources": sources, "torch": torch.__version__}
    record["written by"] = "tests/parity/write_bigcodec.py"
    for name, numbers in SIZES.items():
        model, runs = Official(checkout, *numbers).eval(), []
        for seed in SEEDS[name]:
            middle, spread = latent_facts(model, seed)
            model.fill(weights(model.shapes(), seed, middle, spread))
            cases = [measure(model, clips, samples, seed) for clips, samples in CASES]
            runs.append({"seed": seed, "middle": middle, "spread": spread, "cases": cases})
            different = {code for case in cases for clip in case["codes"] for code in clip}
            print(f"{name}, seed {seed}: {len(different)} different codes, rms {[case['rms'] for case in cases]}")
        record[name] = {"shapes": model.shapes(), "runs": runs}
    STORED.write_text(json.dumps(record, separators=(",", ":")) + "\n", encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]).resolve())
