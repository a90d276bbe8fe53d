"""A trained model as a file to ship: averaged weights in half precision, safetensors."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn


def export(model: nn.Module, average: dict[str, Tensor], path: Path) -> Path:
    """Write the model's state with its parameters replaced by their average, and give the path."""
    from safetensors.torch import save

    state: dict[str, Tensor] = {name: value.detach().cpu() for name, value in (model.state_dict() | average).items()}
    for name in [name for name in state if name.endswith("embedding_sum")]:
        count = name.replace("embedding_sum", "cluster_usage")
        state[name] = state[name] / state[count].clamp(min=1e-5)[:, None]  # vectors: the running sums would not fit half precision's range
        state[count] = torch.ones_like(state[count])
    part = path.with_suffix(".part")
    part.write_bytes(save({name: value.half().contiguous() for name, value in state.items()}))
    part.replace(path)
    return path
