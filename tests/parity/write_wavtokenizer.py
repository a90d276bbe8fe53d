"""The writer of wavtokenizer.json: what the authors' WavTokenizer makes of the recipe's weights and sounds.

    git clone https://github.com/jishengpeng/WavTokenizer
    git -C WavTokenizer checkout 5cf440d91ac420ca338f117b7003a77450d64730
    PYTHONPATH=. python tests/parity/write_wavtokenizer.py WavTokenizer

It needs torch, einops, pyyaml, scipy and huggingface_hub beside that checkout, whose code it runs at the authors' two configurations.
Torchaudio, which that code imports for reading files and for training, may be missing.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import sys
import types
import warnings
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch import Tensor

from tests.parity.wavtokenizer_recipe import BOOK, CASES, RATES, SEEDS, STORED, Shapes, heard, sound, weights

COMMIT = "5cf440d91ac420ca338f117b7003a77450d64730"  # of the authors' repository
CONFIG = "configs/wavtokenizer_smalldata_frame{}_3s_nq1_code4096_dim512_kmeans200_attn.yaml"
UNUSED = "feature_extractor.encodec.decoder."  # EnCodec's own decoder, which they make, too, and never call
BANDWIDTH = torch.tensor([0])


def official_model(checkout: Path, rate: str) -> Any:
    """The authors' model of that frame rate."""
    audio, functional, inner = (types.ModuleType(f"torchaudio{part}") for part in ("", ".functional", ".functional.functional"))
    inner.__dict__.update(_hz_to_mel=None, _mel_to_hz=None)
    modules = {module.__name__: module for module in (audio, functional, inner)}
    with mock.patch.dict(sys.modules, modules), mock.patch.object(sys, "path", [str(checkout), *sys.path]), warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # weight_norm is old
        kind = importlib.import_module("decoder.pretrained").WavTokenizer
        return kind.from_hparams0802(str(checkout / CONFIG.format(rate))).eval()


def fill(model: Any, state: dict[str, Tensor]) -> None:
    """Give the authors' model these weights; it must have a place for each, and want no others."""
    missing, unexpected = model.load_state_dict(state, strict=False)
    left = [name for name in missing if not name.startswith(UNUSED) and name != "head.istft.window"]
    if left or unexpected:
        raise ValueError(f"the checkout has other weights than the recipe: {left[:3]} are missing, {unexpected[:3]} unknown")


def shapes_of(model: Any) -> Shapes:
    """Names and shapes of all that the authors' model makes use of."""
    return {name: list(value.shape) for name, value in sorted(model.state_dict().items()) if not name.startswith(UNUSED)}


@torch.no_grad()
def latent_facts(model: Any, shapes: Shapes, seed: int) -> tuple[list[float], list[float]]:
    """Where the codebook belongs: the mean of the latents of a sound, and how far codes lie from it, in each coordinate; rounded."""
    size = shapes[f"{BOOK}embed"][1]
    fill(model, weights(shapes, seed, [0.0] * size, [1.0] * size))
    latents = model.feature_extractor.encodec.encoder(sound(1, 96_000, seed + 100))[0]
    return rounded(latents.mean(-1), 3), rounded(0.4 * latents.std(-1), 3)


def rounded(x: Tensor, digits: int) -> list[float]:
    """The values of x [n]."""
    return [round(value, digits) for value in x.tolist()]


@torch.no_grad()
def measure(model: Any, clips: int, samples: int, seed: int) -> dict[str, Any]:
    """What the authors' code makes of one batch."""
    _, codes = model.encode_infer(sound(clips, samples, seed)[:, 0], bandwidth_id=BANDWIDTH)  # [1, B, F]
    wav = model.decode(model.codes_to_features(codes), bandwidth_id=BANDWIDTH)[:, None]
    return {
        "clips": clips,
        "samples": samples,
        "codes": codes[0].tolist(),
        "decoded": wav.shape[-1],
        "heard": [rounded(clip, 8) for clip in heard(wav)],
        "rms": rounded(wav.square().mean((1, 2)).sqrt(), 8),
    }


def sources_of(checkout: Path) -> str:
    """sha256 of the authors' Python files, one after the other by path."""
    files = sorted(path for part in ("decoder", "encoder") for path in (checkout / part).rglob("*.py"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()


def main(checkout: Path) -> None:
    record: dict[str, object] = {"commit": COMMIT, "sources": sources_of(checkout), "torch": torch.__version__}
    record["written by"] = "tests/parity/write_wavtokenizer.py"
    for rate in RATES:
        model = official_model(checkout, rate)
        shapes = shapes_of(model)
        runs = []
        for seed in SEEDS:
            middle, spread = latent_facts(model, shapes, seed)
            fill(model, weights(shapes, seed, middle, spread))
            cases = [measure(model, clips, samples, seed) for clips, samples in CASES]
            runs.append({"seed": seed, "middle": middle, "spread": spread, "cases": cases})
            different = {code for case in cases for clip in case["codes"] for code in clip}
            print(f"{rate} frames per second, seed {seed}: {len(different)} different codes")
        record[rate] = {"shapes": shapes, "runs": runs}
    STORED.write_text(json.dumps(record, separators=(",", ":")) + "\n", encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]).resolve())
