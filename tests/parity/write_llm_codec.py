"""The writer of llm_codec.json: what LLM-Codec's authors' code makes of the recipe's weights and sounds.

    git clone https://github.com/yangdongchao/LLM-Codec
    git -C LLM-Codec checkout b1629288a64c7b1f7776858625b37e6409ac41fa
    PYTHONPATH=. python tests/parity/write_llm_codec.py LLM-Codec

It needs torch, einops and transformers beside that checkout, of which the last is imported there for training alone.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock

import torch
from torch import Tensor

from bench.nn.noise import Noise
from bench.nn.snac import SnacConfig
from bench.nn.snac_layers import Decoder
from tests.parity.llm_codec_recipe import CASES, SMALL, STORED, Facts, projection, table, weights
from tests.parity.wavtokenizer_recipe import heard, sound
from tests.parity.write_wavtokenizer import rounded

COMMIT = "b1629288a64c7b1f7776858625b37e6409ac41fa"  # of the authors' repository
SEED = 0
BESIDE = "rel_pos.inv_freq"  # follows from the configuration


def official_model(checkout: Path, config: SnacConfig, words: Tensor, subwords: Tensor) -> Any:
    """The authors' codec of that size over those embeddings."""
    waveform = config.waveform
    with mock.patch.object(sys, "path", [str(checkout), *sys.path]), TemporaryDirectory() as folder:
        torch.save(words, Path(folder) / "words.pth")
        torch.save({"weight": subwords}, Path(folder) / "subwords.pth")
        return (
            importlib.import_module("codec.MSCodec")
            .MSCodecLM(
                sample_rate=config.sample_rate,
                encoder_dim=waveform.filters,
                encoder_rates=list(waveform.rates),
                latent_dim=waveform.dimension,
                decoder_dim=waveform.decoder_filters,
                decoder_rates=list(reversed(waveform.rates)),
                attn_window_size=waveform.window,
                vq_strides=list(config.strides),
                local_embedding_path=f"{folder}/subwords.pth",
                global_embedding_path=f"{folder}/words.pth",
            )
            .eval()
        )


class Drawn:
    """In place of torch.randn: the noise of each of the decoder's stages in turn, an item's by its own seed."""

    def __init__(self, config: SnacConfig, frames: int, seeds: Sequence[int]):
        noise, lengths = Noise(seeds, len(seeds)), Decoder(config.waveform).lengths(frames)
        self.stages = iter([noise.normal(1, length, like=torch.zeros(())) for length in lengths])

    def __call__(self, size: tuple[int, ...], **_: object) -> Tensor:
        return next(self.stages).view(size)


def columns(codes: list[Tensor], strides: tuple[int, ...]) -> Tensor:
    """The authors' codes of each level [B, n_l] as columns [B, K, n]."""
    return torch.cat([c.unflatten(1, (-1, strides[0] // s)).transpose(1, 2) for c, s in zip(codes, strides, strict=True)], dim=1)


def decoded(model: Any, codes: list[Tensor], config: SnacConfig, seeds: Sequence[int]) -> Tensor:
    """The authors' audio with that noise."""
    with mock.patch.object(torch, "randn", Drawn(config, codes[-1].shape[-1], seeds)):
        return model.decode(codes)


@torch.no_grad()
def settle(model: Any, seed: int) -> Facts:
    """Puts each level's codes around what reaches it."""
    facts: Facts = {}
    wav = sound(1, 96_000, seed + 100)
    for i, level in enumerate(model.quantizer.quantizers):
        seen: list[Tensor] = []
        find = level.decode_latents
        with mock.patch.object(level, "decode_latents", side_effect=lambda z, seen=seen, find=find: (seen.append(z), find(z))[1]):
            model.encode(wav)
        facts[str(i)] = [rounded(seen[0][0].mean(1), 4), rounded(seen[0][0].std(1), 4)]
        level.cb_proj.weight.data, level.cb_proj.bias.data = projection(i, seed, facts[str(i)])
    return facts


@torch.no_grad()
def measure(model: Any, clips: int, samples: int) -> dict[str, Any]:
    """What the authors' code makes of one batch."""
    codes = model.encode(sound(clips, samples, SEED))
    wav = decoded(model, codes, SMALL, range(1, clips + 1))
    kept = {"codes": columns(codes, SMALL.strides).tolist(), "decoded": wav.shape[-1], "heard": [rounded(clip, 8) for clip in heard(wav)]}
    print(f"{clips} x {samples}: {[len(level.unique()) for level in codes]} different codes, audio of {wav.std():.3f}")
    return {"clips": clips, "samples": samples} | kept


def main(checkout: Path) -> None:
    model = official_model(checkout, SMALL, table(0, SEED), table(1, SEED))
    shapes = {name: list(value.shape) for name, value in sorted(model.state_dict().items()) if not name.endswith(BESIDE)}
    model.load_state_dict(weights(shapes, SEED, {}), strict=False)
    facts = settle(model, SEED)
    left, unknown = model.load_state_dict(weights(shapes, SEED, facts), strict=False)
    if unknown or not all(name.endswith(BESIDE) for name in left):
        raise ValueError(f"the checkout has other weights than the recipe: {left[:3]} are missing, {unknown[:3]} unknown")
    record = {"commit": COMMIT, "torch": torch.__version__, "written by": "tests/parity/write_llm_codec.py", "shapes": shapes, "seed": SEED}
    record |= {"around": facts, "cases": [measure(model, *case) for case in CASES]}
    STORED.write_text(json.dumps(record, separators=(",", ":")) + "\n", encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]).resolve())
