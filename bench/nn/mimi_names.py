"""Checkpoints of Mimi's authors, of transformers' port, and of codecs that build on it, under the names used here.

Strict: a tensor that is not known keeps its name, and the model refuses it.
"""

from __future__ import annotations

import torch
from torch import Tensor

from bench.weights.files import renamed_by

NAMES = (  # pattern in a checkpoint of the authors' code or of transformers' port -> here
    (r"^(?:en|de)coder\.(encoder_transformer|decoder_transformer|downsample|upsample)\.", r"\1."),
    (r"^(encoder|decoder)\.(?:model|encoder_seanet|decoder_seanet)\.", r"\1.layers."),
    (r"^((?:en|de)coder\.layers)\.layers\.", r"\1."),
    (r"\.block\.", ".layers."),
    (r"(?:\.conv|\.convtr)+\.(weight|bias)$", r".\1"),
    (r"_transformer\.transformer\.", "_transformer."),
    (r"\.self_attn\.in_proj(?:s\.0\.|_|\.)weight$", ".attention.in_proj.weight"),
    (r"\.self_attn\.(?:out_projs\.0|out_proj|o_proj)\.weight$", ".attention.out_proj.weight"),
    (r"\.(?:layer_scale_1|self_attn_layer_scale)\.scale$", ".scale1"),
    (r"\.(?:layer_scale_2|mlp_layer_scale)\.scale$", ".scale2"),
    (r"\.input_layernorm\.", ".norm1."),
    (r"\.post_attention_layernorm\.", ".norm2."),
    (r"\.mlp\.fc(\d)\.", r".linear\1."),
    (r"\.semantic_residual_vector_quantizer\.", ".rvq_first."),
    (r"\.acoustic_residual_vector_quantizer\.", ".rvq_rest."),
    (r"(?:\.vq)?\.layers\.(\d+)\.(?:_codebook|codebook)\.", r".layers.\1."),
    (r"\._initialized$", ".initialized"),
    (r"\.embed_sum$", ".embedding_sum"),
)


def renamed(state: dict[str, Tensor], heads: int) -> dict[str, Tensor]:
    """A state dict of the authors' or of transformers' class under our names; a name of ours stays."""
    result = {renamed_by(NAMES, name): value for name, value in state.items()}
    for name in [name for name in result if name.endswith(".self_attn.q_proj.weight")]:
        stem = name.removesuffix("self_attn.q_proj.weight")
        q, k, v = (result.pop(f"{stem}self_attn.{part}_proj.weight") for part in "qkv")
        result[f"{stem}attention.in_proj.weight"] = torch.cat([interleaved(q, heads), interleaved(k, heads), v])
    return result


def interleaved(weight: Tensor, heads: int) -> Tensor:
    """Rows of a query or key projection: transformers turns the two halves of a head against each other, we turn neighbours."""
    return weight.unflatten(0, (heads, 2, -1)).transpose(1, 2).flatten(0, 2)
