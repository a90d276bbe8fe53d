"""Checkpoints of w2v-BERT 2.0 in transformers' form, the only one that is released, under the names of bench/nn/w2v_bert.py.

Strict: a tensor that is neither known nor known to be of use in training alone keeps its name, and the model refuses it.
"""

from __future__ import annotations

import re

import torch
from torch import Tensor

from bench.weights.files import renamed_by

NAMES = (  # pattern, transformers' -> here
    (r"^feature_projection\.layer_norm\.", "projection_norm."),
    (r"^feature_projection\.projection\.", "projection."),
    (r"^encoder\.layers\.", "layers."),
    (r"\.(ffn[12])_layer_norm\.", r".\1.norm."),
    (r"\.intermediate_dense\.", ".linear1."),
    (r"\.output_dense\.", ".linear2."),
    (r"\.self_attn_layer_norm\.", ".attention.norm."),
    (r"\.self_attn\.linear_out\.", ".attention.out_proj."),
    (r"\.self_attn\.distance_embedding\.", ".attention.distances."),
    (r"\.self_attn\.", ".attention."),
    (r"\.conv_module\.layer_norm\.", ".convolution.norm."),
    (r"\.conv_module\.depthwise_layer_norm\.", ".convolution.norm2."),
    (r"\.conv_module\.depthwise_conv\.", ".convolution.depthwise."),
    (r"\.conv_module\.pointwise_conv1\.", ".convolution.gated."),
    (r"\.conv_module\.pointwise_conv2\.", ".convolution.mixed."),
    (r"\.final_layer_norm\.", ".norm."),
)


def renamed(state: dict[str, Tensor], layers: int) -> dict[str, Tensor]:
    """A state dict under our names, without what training alone needs and the layers past `layers`."""
    result = {}
    for name, value in state.items():
        name = renamed_by(NAMES, name)
        depth = re.match(r"layers\.(\d+)\.", name)
        if name != "masked_spec_embed" and (depth is None or int(depth[1]) < layers):
            result[name] = value[..., 0] if value.ndim == 3 and name.endswith(("gated.weight", "mixed.weight")) else value
    for name in [name for name in result if ".attention.linear_q." in name]:
        parts = [name.replace("linear_q", f"linear_{part}") for part in "qkv"]
        if all(part in result for part in parts):
            result[name.replace("linear_q", "in_proj")] = torch.cat([result.pop(part) for part in parts])
    return result
