"""X-codec2 and NeuCodec against transformers 5.23.0 with shared random weights: small, and at full size (slow).

Their feature extractors want torchaudio; the authors' code calls transformers' SeamlessM4TFeatureExtractor, and so does `official` here.
"""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.nn.finite_scalar import FiniteScalarQuantizer
from bench.nn.latent_codec import LatentCodec
from bench.nn.semantic_snake import SemanticSnake, renamed
from bench.nn.transformer_vocos import TransformerVocos
from bench.nn.w2v_bert import W2vBertShape
from bench.tokenizers import neucodec, xcodec2
from tests.parity.ties import RARE
from tests.parity.wavtokenizer_recipe import sound

ROUNDING = 2e-4  # of a step, within which a number may be rounded either way
ROOMS: dict[str, Any] = {"xcodec2": xcodec2, "neucodec": neucodec}
FULL = {"xcodec2": "16khz", "neucodec": "24khz"}
SEMANTIC = {
    "model_type": "wav2vec2-bert",
    "hidden_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 128,
    "conv_depthwise_kernel_size": 7,
    "left_max_position_embeddings": 16,
    "right_max_position_embeddings": 4,
}
SMALL = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 2}
SMALL |= {"head_dim": 32, "encoder_hidden_size": 6, "quantization_dim": 128}


def config(kind: str, small: bool) -> SemanticSnake:
    """Ours of that size."""
    full: SemanticSnake = ROOMS[kind].CONFIGS[FULL[kind]]
    if not small:
        return full
    return replace(
        full,
        acoustic=replace(full.acoustic, filters=6, dimension=64),
        semantic=W2vBertShape(64, heads=2, feedforward=128, kernel=7, before=16, after=4),
        semantic_layers=3,
        vocos=TransformerVocos(dimension=128, step=full.vocos.step, width=64, heads=2, feedforward=128, layers=2),
    )


@torch.no_grad()
def alive(kind: str, small: bool, seed: int) -> Any:
    """transformers' model with random weights under which codes vary."""
    transformers = pytest.importorskip("transformers")
    name = {"xcodec2": "Xcodec2", "neucodec": "NeuCodec"}[kind]
    numbers = {**SMALL, "semantic_model_config": SEMANTIC} if small else {}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = getattr(transformers, f"{name}Model")(getattr(transformers, f"{name}Config")(**numbers)).eval()
        for key, value in model.named_parameters():
            if value.ndim > 1:
                value.normal_(0, value[0].numel() ** -0.5)
            elif key.endswith("weight"):
                value.uniform_(0.7, 1.3)
            else:
                value.normal_(0, 0.3 if key.endswith(("alpha", "beta")) else 0.1)
        points: list[Tensor] = []
        hook = model.quantizer.project_in.register_forward_hook(lambda _module, _given, made: points.append(made))
        official_encode(kind, model, sound(1, 48_000, seed + 100))
        hook.remove()
        deviation, mean = points[0].flatten(0, 1).std(0), points[0].flatten(0, 1).mean(0)
        model.quantizer.project_in.weight.div_(deviation[:, None])
        model.quantizer.project_in.bias.sub_(mean).div_(deviation)
    return model


def official_encode(kind: str, model: Any, wav: Tensor) -> Tensor:
    """wav [B, 1, T] -> codes [B, 1, F], with the features that the authors' code computes."""
    extractor = pytest.importorskip("transformers").SeamlessM4TFeatureExtractor()
    wav = F.pad(wav, (0, 320 - wav.shape[-1] % 320))
    margin = 160 if kind == "xcodec2" else 0
    clips = [extractor(F.pad(clip[0], (margin, margin)).cpu().numpy(), sampling_rate=16_000, return_tensors="pt") for clip in wav]
    features = torch.cat([clip["input_features"] for clip in clips]).to(wav.device)
    return model.encode(wav, input_features=features).audio_codes.long()


def ours(kind: str, small: bool, model: nn.Module) -> LatentCodec[FiniteScalarQuantizer]:
    shape = config(kind, small)
    mine = shape.model(ROOMS[kind].VARIANTS[FULL[kind]].spec)
    mine.load_state_dict(renamed(model.state_dict(), shape), strict=True)
    return mine.eval()


def same_but_for_ties(mine: LatentCodec[FiniteScalarQuantizer], wav: Tensor, expected: Tensor) -> int:
    """How many codes differ because a number lies between two steps but for rounding; AssertionError where one does without."""
    codes, quantizer = mine.encode(wav), mine.quantizer
    assert codes.shape == expected.shape, f"codes {tuple(codes.shape)}, expected {tuple(expected.shape)}"
    digits = [(x[:, 0, :, None] // quantizer.places) % quantizer.steps for x in (codes, expected)]
    differ = digits[0] != digits[1]
    points = quantizer.bounded(mine.latents(wav))[:, 0]
    away = (points - (digits[0] + digits[1]) / 2).abs()  # from the middle between the two steps
    assert (away[differ] < ROUNDING).all(), f"{int((away[differ] >= ROUNDING).sum())} numbers are rounded another way, no tie"
    count = int((codes != expected).sum())
    assert count <= math.ceil(codes.numel() / RARE) + 1, f"{count} ties among {codes.numel()} codes"
    return count


SIZES = [pytest.param(True, id="small"), pytest.param(False, id="full", marks=pytest.mark.slow)]


@pytest.mark.parametrize("small", SIZES)
@pytest.mark.parametrize("kind", ROOMS)
@torch.no_grad()
def test_codes_and_audio_equal_transformers(kind: str, small: bool) -> None:
    model = alive(kind, small, 0)
    mine = ours(kind, small, model)
    for clips, samples in ((2, 32_001), (1, 16_000), (1, 700)):
        wav = sound(clips, samples, 1)
        expected = official_encode(kind, model, wav)
        assert expected.shape == (clips, 1, samples // 320 + (kind == "xcodec2"))
        same_but_for_ties(mine, wav, expected)
        audio = model.decode(expected).audio_values
        assert audio.shape == (clips, 1, expected.shape[-1] * mine.hop) and audio.std() > 0.01
        torch.testing.assert_close(mine.decode(expected), audio, rtol=0, atol=1e-5)
        assert samples < 1000 or len(expected.unique()) > 0.7 * expected.numel()


AUTHORS = (  # pattern in transformers' port -> in the authors' checkpoint
    (r"^semantic_encoder\.", "semantic_model."),
    (r"^semantic_adapter\.conv1\.", "SemanticEncoder_module.initial_conv."),
    (r"^semantic_adapter\.conv2\.", "SemanticEncoder_module.residual_blocks.1."),
    (r"^semantic_adapter\.conv3\.", "SemanticEncoder_module.residual_blocks.3."),
    (r"^semantic_adapter\.conv4\.", "SemanticEncoder_module.final_conv."),
    (r"^fc_encoder\.", "fc_prior."),
    (r"^acoustic_decoder\.fc\.", "fc_post_a."),
    (r"^quantizer\.", "generator.quantizer."),
    (r"^acoustic_decoder\.head\.linear\.", "generator.head.out."),
    (r"^acoustic_decoder\.norm\.", "generator.backbone.final_layer_norm."),
    (r"^acoustic_decoder\.layers\.(\d+)\.input_layernorm\.", r"generator.backbone.transformers.\1.att_norm."),
    (r"^acoustic_decoder\.layers\.(\d+)\.post_attention_layernorm\.", r"generator.backbone.transformers.\1.ffn_norm."),
    (r"^acoustic_decoder\.layers\.(\d+)\.self_attn\.o_proj\.", r"generator.backbone.transformers.\1.att.c_proj."),
    (r"^acoustic_decoder\.layers\.(\d+)\.mlp\.", r"generator.backbone.transformers.\1.mlp."),
    (r"^acoustic_decoder\.(embed|prior_net|post_net)\.", r"generator.backbone.\1."),
    (r"^acoustic_encoder\.conv1\.", "CodecEnc.conv_blocks.0."),
    (r"^acoustic_encoder\.snake1\.", "CodecEnc.conv_final_block.0."),
    (r"^acoustic_encoder\.conv2\.", "CodecEnc.conv_final_block.1."),
    (r"^acoustic_encoder\.block\.(\d)\.snake1\.", r"CodecEnc.conv_blocks.\1.block.3."),
    (r"^acoustic_encoder\.block\.(\d)\.conv1\.", r"CodecEnc.conv_blocks.\1.block.4."),
    (r"^acoustic_encoder\.block\.(\d)\.res_unit(\d)\.snake1\.", r"CodecEnc.conv_blocks.\1.block.\2.block.0."),
    (r"^acoustic_encoder\.block\.(\d)\.res_unit(\d)\.conv1\.", r"CodecEnc.conv_blocks.\1.block.\2.block.1."),
    (r"^acoustic_encoder\.block\.(\d)\.res_unit(\d)\.snake2\.", r"CodecEnc.conv_blocks.\1.block.\2.block.2."),
    (r"^acoustic_encoder\.block\.(\d)\.res_unit(\d)\.conv2\.", r"CodecEnc.conv_blocks.\1.block.\2.block.3."),
)


def authors(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """A state dict of transformers' as the authors' X-codec2 would have it: other names, weight norm, filters, one product for q, k, v."""
    result: dict[str, Tensor] = {"fc_post_s.weight": torch.zeros(2), "generator.head.istft.window": torch.zeros(2)}
    for name, value in state.items():
        found = name
        for pattern, theirs in AUTHORS:
            found = re.sub(pattern, theirs, found)
        found = re.sub(
            r"conv_blocks\.(\d)\.block\.(\d)\.block", lambda m: f"conv_blocks.{int(m[1]) + 1}.block.{int(m[2]) - 1}.block", found
        )
        found = re.sub(r"conv_blocks\.(\d)\.block\.([34])\.(?!block)", lambda m: f"conv_blocks.{int(m[1]) + 1}.block.{m[2]}.", found)
        if ".self_attn." in name and name.startswith("acoustic_decoder") and "o_proj" not in name:
            layer = name.split(".self_attn.")[0]
            if "q_proj" in name:
                product = torch.cat([state[f"{layer}.self_attn.{part}_proj.weight"] for part in "qkv"])
                result[f"generator.backbone.transformers.{layer.split('.')[-1]}.att.c_attn.weight"] = product
        elif found.startswith("CodecEnc") and found.endswith("weight"):
            length = value.norm(dim=(1, 2), keepdim=True)
            result |= {found.replace("weight", "weight_g"): length, found.replace("weight", "weight_v"): 3 * value}
        elif found.endswith(".act.beta"):
            result[found.replace("beta", "bias")] = value
        else:
            result[found] = value
        if found.endswith(".act.alpha"):
            for part in ("upsample.filter", "downsample.lowpass.filter"):
                result[found.replace("act.alpha", part)] = torch.full((1, 1, 12), 0.5)
    return result


def test_takes_the_authors_names() -> None:
    state, shape = alive("xcodec2", True, 3).state_dict(), config("xcodec2", True)
    theirs = authors(state)
    expected, found = renamed(state, shape), renamed(theirs, shape)
    assert expected.keys() == found.keys()
    for name, value in expected.items():
        wanted = torch.full_like(value, 0.5) if name.endswith((".up", ".down")) else value
        torch.testing.assert_close(found[name], wanted, msg=name)
    assert "stranger.weight" in renamed(theirs | {"stranger.weight": torch.zeros(1)}, shape)  # stays, and is refused
