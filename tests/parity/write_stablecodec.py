"""The writer of stablecodec.json: what Stable Codec's authors' code makes of the recipe's weights and sounds.

    pip install --no-deps --target stable stable-audio-tools==0.0.17 stable-codec==0.1.2 torchaudio
    PYTHONPATH=.:stable python tests/parity/write_stablecodec.py stable

0.0.17 is the version that stable-codec 0.1.2 names; of 0.0.19 the autoencoder cannot be built, as its attention knows no window. It needs
torch, einops and packaging beside them. What those packages import for training has stand-ins, and so has FlashAttention, the one way in
which that code knows windows, for a GPU in half precision: here torch's attention with the same window as a mask, in float32.
"""

from __future__ import annotations

import importlib
import json
import sys
import types
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from bench.data import torchaudio_guard
from bench.nn.taae import Taae
from bench.tokenizers.stablecodec import LUFS, RATE, STAGES
from tests.parity.stablecodec_recipe import CASES, SMALL, STORED, weights
from tests.parity.wavtokenizer_recipe import Shapes, heard, sound
from tests.parity.write_wavtokenizer import rounded

SEED = 0
DERIVED = ".inv_freq"
TOOLS = "stable_audio_tools"
ABSENT = {  # module -> what others import of it and never call here
    "alias_free_torch": ("Activation1d",),
    f"{TOOLS}.inference.sampling": ("sample",),
    f"{TOOLS}.models.diffusion": ("ConditionedDiffusionModel", "DAU1DCondWrapper", "UNet1DCondWrapper", "DiTWrapper"),
    f"{TOOLS}.models.factory": ("create_pretransform_from_config", "create_bottleneck_from_config"),
}


def official_modules(folder: Path) -> dict[str, Any]:
    """The modules of the two packages that a codec is made of, by their last names."""
    torchaudio_guard.load()
    for package in (TOOLS, *(f"{TOOLS}.{part}" for part in ("models", "data", "inference")), "stable_codec"):
        made = types.ModuleType(package)
        made.__path__ = [str(folder / package.replace(".", "/"))]  # its own __init__ imports everything
        sys.modules[package] = made
    for name, values in ABSENT.items():
        made = types.ModuleType(name)
        made.__dict__.update(dict.fromkeys(values, object))
        sys.modules[name] = made
    names = (f"{TOOLS}.models.autoencoders", f"{TOOLS}.models.pretransforms", f"{TOOLS}.data.utils", "stable_codec.residual_fsq")
    return {name.rpartition(".")[2]: importlib.import_module(name) for name in names}


def windowed(q: Tensor, k: Tensor, v: Tensor, before: int, after: int) -> Tensor:
    """FlashAttention's window: a frame sees so many before it, itself, and so many after it."""
    frames = torch.arange(q.shape[2])
    behind = frames[:, None] - frames
    return F.scaled_dot_product_attention(q, k, v, attn_mask=(behind <= before) & (behind >= -after))


class Official:
    """The authors' codec of that size, with the calls of their `StableCodec`, whose module imports what trains it."""

    def __init__(self, modules: dict[str, Any], shape: Taae):
        self.modules = modules
        net = {
            "channels": shape.dimension,
            "c_mults": [1] * len(shape.depths),
            "strides": list(shape.strides),
            "latent_dim": shape.latent,
            "transformer_depths": list(shape.depths),
            "use_snake": shape.snake,
            "sliding_window": [shape.before, shape.after],
        }
        parts = modules["autoencoders"]
        self.model = parts.AudioAutoencoder(
            parts.TAAEEncoder(in_channels=shape.patch, **net),
            parts.TAAEDecoder(out_channels=shape.patch, **net),
            latent_dim=shape.latent,
            downsampling_ratio=shape.hop,
            sample_rate=RATE,
            io_channels=1,
            pretransform=modules["pretransforms"].PatchedPretransform(1, shape.patch),
        ).eval()
        for layer in self.model.modules():
            if type(layer).__name__ == "Attention":
                layer.use_fa_flash, layer.use_pt_flash = False, True
                layer.flash_attn = lambda q, k, v, causal, mask, window=layer.sliding_window: windowed(q, k, v, *window)

    def prepared(self, wav: Tensor) -> Tensor:
        """Each clip as their encode of a file makes it."""
        norm = self.modules["utils"].VolumeNorm([LUFS, 0], RATE)
        clips = [self.model.preprocess_audio_for_encoder(clip, RATE) for clip in wav]
        return torch.stack([norm(clip.squeeze(0)) for clip in clips])

    def encode(self, prepared: Tensor, stages: str) -> list[Tensor]:
        """Codes [B, F, 1] of each stage."""
        return self.quantizer(stages).encode(self.model.encode_audio(prepared, skip_bottleneck=True))

    def decode(self, codes: list[Tensor], stages: str) -> Tensor:
        """Codes [B, F, 1] of each stage -> wav [B, 1, T]."""
        return self.model.decode_audio(self.quantizer(stages).decode(codes))

    def quantizer(self, stages: str) -> Any:
        """Their post-hoc bottleneck."""
        return self.modules["residual_fsq"].ResidualFSQBottleneck([(list(steps), scale) for steps, scale in STAGES[stages]])


@torch.no_grad()
def measure(official: Official, stages: str, clips: int, samples: int) -> dict[str, Any]:
    """What the authors' code makes of one batch."""
    prepared = official.prepared(sound(clips, samples, SEED))
    codes = official.encode(prepared, stages)
    wav = official.decode(codes, stages)
    found = torch.cat(codes, dim=2).transpose(1, 2)
    print(f"{stages} {clips} x {samples}: {[len(level.unique()) for level in found.unbind(1)]} codes, audio of {wav.std():.3f}")
    kept = {"codes": found.tolist(), "peak": rounded(prepared.abs().amax(-1)[:, 0], 8), "heard": [rounded(clip, 8) for clip in heard(wav)]}
    return {"stages": stages, "clips": clips, "samples": samples, "decoded": wav.shape[-1]} | kept


@torch.no_grad()
def written(modules: dict[str, Any], shape: Taae) -> dict[str, Any]:
    """All that is stored of one shape."""
    official = Official(modules, shape)
    shapes: Shapes = {name: list(value.shape) for name, value in sorted(official.model.state_dict().items()) if not name.endswith(DERIVED)}
    nothing = [[0.0] * shape.latent, [1.0] * shape.latent]
    official.model.load_state_dict(weights(shapes, SEED, nothing), strict=False)
    latents = official.model.encode_audio(official.prepared(sound(1, 64_000, SEED + 100)), skip_bottleneck=True)
    around = [rounded(latents.mean((0, 2)), 4), rounded(latents.std((0, 2)), 4)]
    left, unknown = official.model.load_state_dict(weights(shapes, SEED, around), strict=False)
    if unknown or not all(name.endswith(DERIVED) for name in left):
        raise ValueError(f"the package has other weights than the recipe: {left[:3]} are missing, {unknown[:3]} unknown")
    return {"snake": shape.snake, "shapes": shapes, "around": around, "cases": [measure(official, *case) for case in CASES]}


def main(folder: Path) -> None:
    modules = official_modules(folder)
    record = {"versions": "stable-audio-tools 0.0.17, stable-codec 0.1.2", "torch": torch.__version__, "seed": SEED}
    record |= {"written by": "tests/parity/write_stablecodec.py", "runs": [written(modules, shape) for shape in SMALL.values()]}
    STORED.write_text(json.dumps(record, separators=(",", ":")) + "\n", encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]).resolve())
