"""The writer of glm4_voice.json: what the authors' GLM-4-Voice tokenizer makes of the recipe's weights and sounds.

    git clone https://github.com/THUDM/GLM-4-Voice
    git -C GLM-4-Voice checkout eb00ce9142e8d98b0ed7c57cd47e0d6d5dce9a1a
    PYTHONPATH=. python tests/parity/write_glm4_voice.py GLM-4-Voice

It needs torch and transformers 5 beside that checkout, whose encoder it runs at a small size.
"""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch import Tensor

from bench.tokenizers.glm4_voice import PIECE, Config
from tests.parity.glm4_voice_recipe import CASES, SMALL, STORED, weights
from tests.parity.wavtokenizer_recipe import sound
from tests.parity.write_wavtokenizer import rounded

COMMIT = "eb00ce9142e8d98b0ed7c57cd47e0d6d5dce9a1a"  # of the authors' repository
SEED = 0


def official_model(checkout: Path, config: Config) -> Any:
    """The authors' encoder of that size."""
    shape = config.encoder
    with mock.patch.object(sys, "path", [str(checkout), *sys.path]):
        settings = importlib.import_module("speech_tokenizer.configuration_whisper").WhisperVQConfig(
            num_mel_bins=shape.mels,
            d_model=shape.dimension,
            encoder_attention_heads=shape.heads,
            encoder_ffn_dim=4 * shape.dimension,
            max_source_positions=shape.positions,
            encoder_causal_convolution=True,
            quantize_causal_block_size=shape.block,
            quantize_ema_decay=0.99,
            quantize_encoder_only=True,
            quantize_position=shape.layers,
            quantize_vocab_size=config.size,
            pooling_kernel_size=4,
            pooling_position=shape.layers,
            pooling_type="avg",
        )
        return importlib.import_module("speech_tokenizer.modeling_whisper").WhisperVQEncoder(settings).eval()


@torch.no_grad()
def codes(model: Any, wav: Tensor, pooled: list[Tensor] | None = None) -> list[int]:
    """Of a clip [T], as extract_speech_token of their speech_tokenizer/utils.py has them; what is quantized is appended to `pooled`."""
    from transformers import WhisperFeatureExtractor

    extractor = WhisperFeatureExtractor(feature_size=model.config.num_mel_bins)
    pieces = [piece.numpy() for piece in wav.split(PIECE)]
    options = {"padding": "longest", "pad_to_multiple_of": 1280, "return_attention_mask": True, "return_tensors": "pt"}
    features = extractor(pieces, sampling_rate=16_000, **options)
    hook = model.pooling_layer.register_forward_hook(lambda _, __, y: pooled.append(y)) if pooled is not None else None
    found = model(**features).quantized_token_ids
    if hook:
        hook.remove()
    return found[features.attention_mask[:, ::2][:, ::4].bool()].tolist()


def fill(model: Any) -> dict[str, Any]:
    """Gives the authors' encoder the recipe's weights: what `weights` is told of them."""
    shapes = {name: list(value.shape) for name, value in sorted(model.state_dict().items())}
    zeros, pooled = [0.0] * model.config.d_model, list[Tensor]()
    model.load_state_dict(weights(shapes, SEED, zeros, zeros), strict=True)
    codes(model, sound(1, 160_000, SEED + 100)[0, 0], pooled)
    middle, spread = rounded(pooled[0][0].mean(-1), 3), rounded(0.6 * pooled[0][0].std(-1), 3)
    model.load_state_dict(weights(shapes, SEED, middle, spread), strict=True)
    return {"shapes": shapes, "seed": SEED, "middle": middle, "spread": spread}


def main(checkout: Path) -> None:
    record: dict[str, object] = {"commit": COMMIT, "torch": torch.__version__, "written by": "tests/parity/write_glm4_voice.py"}
    model = official_model(checkout, SMALL)
    record |= fill(model)
    found = [{"samples": samples, "codes": codes(model, sound(1, samples, SEED)[0, 0])} for samples in CASES]
    print(f"{len({code for case in found for code in case['codes']})} different codes of {sum(len(case['codes']) for case in found)}")
    record |= {"cases": found}
    STORED.write_text(json.dumps(record, separators=(",", ":")) + "\n", encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]).resolve())
