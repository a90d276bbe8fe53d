"""Checkpoints of wav2vec 2.0, HuBERT and WavLM under the names of bench/nn/hubert.py: those of transformers and of the authors' own code.

Strict: a tensor that is neither known nor known to be of use in training alone keeps its name, and the model refuses it.
"""

from __future__ import annotations

import re

import torch
from torch import Tensor

from bench.weights.files import renamed_by

NAMES = (  # pattern, transformers' or the authors' (fairseq, unilm) -> here
    (r"^(?:hubert|wavlm|wav2vec2)\.", ""),
    (r"^feature_extractor\.conv_layers\.(\d+)\.(?:conv|0)\.", r"convolutions.layers.\1."),
    (r"^feature_extractor\.conv_layers\.(\d+)\.(?:layer_norm|2\.1|2)\.", r"convolutions.norms.\1."),
    (r"^(?:feature_projection\.)?layer_norm\.", "projection_norm."),
    (r"^(?:feature_projection\.projection|post_extract_proj)\.", "projection."),
    (r"^encoder\.(?:pos_conv_embed\.conv|pos_conv\.0)\.", "positions."),
    (r"^encoder\.layer_norm\.", "norm."),
    (r"^encoder\.layers\.0\.(?:attention\.rel_attn_embed|self_attn\.relative_attention_bias)\.", "distances."),
    (r"^encoder\.layers\.", "layers."),
    (r"^(layers\.\d+)\.self_attn\.", r"\1.attention."),
    (r"^(layers\.\d+)\.(?:self_attn_)?layer_norm\.", r"\1.norm1."),
    (r"^(layers\.\d+)\.final_layer_norm\.", r"\1.norm2."),
    (r"^(layers\.\d+)\.(?:feed_forward\.intermediate_dense|fc1)\.", r"\1.linear1."),
    (r"^(layers\.\d+)\.(?:feed_forward\.output_dense|fc2)\.", r"\1.linear2."),
    (r"\.attention\.(?:gru_rel_pos_linear|grep_linear)\.", ".attention.gate."),
    (r"\.attention\.(?:gru_rel_pos_const|grep_a)$", ".attention.gate_scale"),
)
TRAINING = re.compile(r"^(masked_spec_embed|mask_emb|label_embs_concat|(final_proj|quantizer|project_hid|project_q|lm_head)\..*)$")


def renamed(state: dict[str, Tensor], layers: int, pre_norm: bool = False) -> dict[str, Tensor]:
    """A state dict, its weight norm folded already, under our names; without what training alone needs and the layers past `layers`."""
    result = {}
    for name, value in state.items():
        name = renamed_by(NAMES, name)
        depth = re.match(r"layers\.(\d+)\.", name)
        if not TRAINING.match(name) and (depth is None or int(depth[1]) < layers):
            result[name] = value
    if pre_norm:  # the norm after the last layer
        for name in ("norm.weight", "norm.bias"):
            result.pop(name, None)
    for name in [name for name in result if ".attention.q_proj." in name]:
        parts = [result.pop(name.replace("q_proj", f"{part}_proj")) for part in "qkv" if name.replace("q_proj", f"{part}_proj") in result]
        result[name.replace("q_proj", "in_proj")] = torch.cat(parts)
    return result
