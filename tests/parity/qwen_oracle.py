"""The authors' Qwen3-TTS-Tokenizer-12Hz (qwen-tts 0.1.1), which asks for transformers 4.57.3, beside the transformers that is here.

Only the two files of this tokenizer are imported, not the package around them, which wants audio and serving libraries. Three names of
transformers have changed since: a decorator takes no arguments any more, the plain rotary rates have left the table of kinds, and a keyword
of the masks is spelt another way. They are put right here, and nothing else: with either release of transformers the authors' code gives
the same audio, bit for bit.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import torch

DECODER: dict[str, Any] = {  # as the released config.json has it: with it the state dict has the 170,557,441 numbers of the released file
    "codebook_dim": 512,
    "codebook_size": 2048,
    "latent_dim": 1024,
    "hidden_size": 512,
    "intermediate_size": 1024,
    "head_dim": 64,
    "num_hidden_layers": 8,
    "num_attention_heads": 16,
    "num_key_value_heads": 16,
    "num_quantizers": 16,
    "sliding_window": 72,
    "rope_theta": 10_000,
    "rms_norm_eps": 1e-5,
    "layer_scale_initial_scale": 0.01,
    "decoder_dim": 1536,
    "upsample_rates": (8, 5, 4, 3),
    "upsampling_ratios": (2, 2),
}
PACKAGE = "qwen_tts"
FOLDER = f"{PACKAGE}.core.tokenizer_12hz"


def default_rates(config: Any, device: Any = None, **_: object) -> tuple[torch.Tensor, float]:
    """Rotary rates of a head and the scale of attention, as transformers 4 has them."""
    return 1.0 / config.rope_theta ** (torch.arange(0, config.head_dim, 2, device=device).float() / config.head_dim), 1.0


def official_decoder() -> Any:
    """The authors' decoder at the released configuration, with weights drawn from the global generator; skips without their code."""
    found = importlib.util.find_spec(PACKAGE)
    if found is None or not found.submodule_search_locations:
        pytest.skip("the oracle is missing: pip install --no-deps qwen-tts")
    generic = pytest.importorskip("transformers.utils.generic")
    rope = importlib.import_module("transformers.modeling_rope_utils")
    (root,) = found.submodule_search_locations
    with (
        packages(Path(root)),
        mock.patch.object(generic, "check_model_inputs", lambda *_: lambda function: function),
        mock.patch.dict(rope.ROPE_INIT_FUNCTIONS, {"default": default_rates}),
    ):
        configuration = importlib.import_module(f"{FOLDER}.configuration_qwen3_tts_tokenizer_v2")
        modeling = importlib.import_module(f"{FOLDER}.modeling_qwen3_tts_tokenizer_v2")
        for name in ("create_causal_mask", "create_sliding_window_causal_mask"):
            setattr(modeling, name, respelt(getattr(modeling, name)))
        return modeling.Qwen3TTSTokenizerV2Decoder(configuration.Qwen3TTSTokenizerV2DecoderConfig(**DECODER)).eval()


@contextmanager
def packages(root: Path) -> Iterator[None]:
    """Meanwhile the authors' package is there without what its __init__ files import."""
    for name in (PACKAGE, f"{PACKAGE}.core", FOLDER):
        package = types.ModuleType(name)
        package.__path__ = [str(root.joinpath(*name.split(".")[1:]))]
        sys.modules[name] = package
    try:
        yield
    finally:
        for name in [name for name in sys.modules if name.split(".")[0] == PACKAGE]:
            del sys.modules[name]


def respelt(mask: Any) -> Any:
    """A mask function of transformers 5 under the keywords of transformers 4."""

    def call(input_embeds: torch.Tensor, cache_position: torch.Tensor, **others: Any) -> Any:
        return mask(inputs_embeds=input_embeds, **others)

    return call
