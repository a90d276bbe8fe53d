"""Checkpoints of DAC's authors, and of transformers' port, under the names of bench/nn/snake.py and bench/nn/factorised.py.

Strict: a tensor that is not known keeps its name, and the model refuses it.
"""

from __future__ import annotations

from torch import Tensor

from bench.nn.snake import DILATIONS
from bench.weights.files import renamed_by

NAMES = (  # pattern in a checkpoint of the authors' code -> here
    (r"^(encoder|decoder)\.(?:block|model)\.", r"\1."),
    (r"\.block\.", "."),
    (r"^quantizer\.quantizers\.", "quantizer.layers."),
)
UNIT = ("snake1", "conv1", "snake2", "conv2")  # the parts of a residual unit in transformers' port


def port_names(stages: int) -> dict[str, str]:
    """Module of transformers' port -> ours; its quantizer is named as the authors'."""
    names = {f"{side}.{part}": f"{side}.{at}" for side in ("encoder", "decoder") for part, at in _ends(stages).items()}
    for i in range(stages):
        for side, parts, first in (("encoder", {"snake1": 3, "conv1": 4}, 0), ("decoder", {"snake1": 0, "conv_t1": 1}, 2)):
            theirs, ours = f"{side}.block.{i}", f"{side}.{i + 1}"
            names |= {f"{theirs}.{part}": f"{ours}.{at}" for part, at in parts.items()}
            for unit in range(len(DILATIONS)):
                names |= {f"{theirs}.res_unit{unit + 1}.{part}": f"{ours}.{first + unit}.{at}" for at, part in enumerate(UNIT)}
    return names


def _ends(stages: int) -> dict[str, int]:
    return {"conv1": 0, "snake1": stages + 1, "conv2": stages + 2}


def renamed(state: dict[str, Tensor], stages: int) -> dict[str, Tensor]:
    """A state dict, its weight norm folded already, under our names; a name of ours stays."""
    port, result = port_names(stages), {}
    for name, value in state.items():
        module, _, leaf = name.rpartition(".")
        if module.endswith(".act"):  # of an activation at twice the rate
            module, leaf = module.removesuffix(".act"), f"act.{leaf}"
        name = f"{port.get(module, module)}.{leaf}"
        name = renamed_by(NAMES, name)
        result[name] = value.flatten() if leaf == "alpha" else value
    return result
