"""Checkpoints of EnCodec's authors, of those who build on their code, and of transformers' port, under the names used here.

Strict: a tensor that is not known keeps its name, and the model refuses it.
"""

from __future__ import annotations

import torch
from torch import Tensor

from bench.weights.files import renamed_by

NAMES = (  # pattern in a checkpoint of the authors' code or of transformers' port -> here
    (r"^((?:en|de)coder)\.model\.", r"\1.layers."),
    (r"\.block\.", ".layers."),
    (r"\.lstm\.", "."),
    (r"\.(?:conv|convtr)\.norm\.", ".norm."),
    (r"(?:\.conv|\.convtr)+\.(weight|bias)$", r".\1"),
    (r"^quantizer\.(?:vq\.)?layers\.(\d+)\.(?:_codebook|codebook)\.", r"quantizer.layers.\1."),
    (r"\.inited$", ".initialized"),
    (r"\.cluster_size$", ".cluster_usage"),
)


def renamed(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """A state dict, its weight norm folded already, under our names; a name of ours stays."""
    result = {renamed_by(NAMES, name): value for name, value in state.items()}
    for name in [name for name in result if name.endswith(".embed")]:
        stem = name.removesuffix("embed")
        result.pop(f"{stem}embed_avg", None)  # their codebook is `embed` itself; its running sums have been smoothed and do not give it
        result[f"{stem}embedding_sum"] = result.pop(name)
        result[f"{stem}cluster_usage"] = torch.ones_like(result[f"{stem}cluster_usage"])
    return result
