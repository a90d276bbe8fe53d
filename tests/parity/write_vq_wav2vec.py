"""The writer of vq_wav2vec.json: what fairseq's vq-wav2vec makes of the recipe's weights and sounds.

    git clone https://github.com/facebookresearch/fairseq
    git -C fairseq checkout 3d262bb25690e4eb2e7d3c1309b1e9c406ca4b99
    PYTHONPATH=. python tests/parity/write_vq_wav2vec.py fairseq

It needs torch beside that checkout: of fairseq only the model and its modules are imported, the rest of what they name is stood in for.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import sys
from argparse import Namespace
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn

from tests.parity.vq_wav2vec_recipe import BOOK, CASES, KINDS, LOGITS, SIZES, STORED, options, weights
from tests.parity.wavtokenizer_recipe import Shapes, sound
from tests.parity.write_wavtokenizer import rounded

COMMIT = "3d262bb25690e4eb2e7d3c1309b1e9c406ca4b99"
MODULES = ("fp32_group_norm", "layer_norm", "transpose_last", "gumbel_vector_quantizer", "kmeans_vector_quantizer")
MODEL = "models/wav2vec/wav2vec"
STAND_INS: dict[str, dict[str, Any]] = {
    "fairseq": {"__path__": []},
    "fairseq.dataclass": {"ChoiceEnum": lambda _: str, "FairseqDataclass": object},
    "fairseq.models": {"BaseFairseqModel": nn.Module, "register_model": lambda *_, **__: lambda kind: kind},
    "fairseq.tasks": {"FairseqTask": object},
    "fairseq.utils": {"buffered_arange": None},
    "fairseq.modules": {},
    "omegaconf": {"II": lambda _: False},
}


def loaded(path: Path) -> ModuleType:
    """A file of the checkout, as a module."""
    spec = importlib.util.spec_from_file_location(f"fairseq_{path.stem}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def official(checkout: Path, told: Namespace) -> Any:
    """fairseq's model of these training options."""
    stands = {name: ModuleType(name) for name in STAND_INS}
    for name, values in STAND_INS.items():
        vars(stands[name]).update(values)
    with mock.patch.dict(sys.modules, stands):
        for name in MODULES:
            vars(stands["fairseq.modules"]).update(vars(loaded(checkout / "fairseq" / "modules" / f"{name}.py")))
        room = loaded(checkout / "fairseq" / f"{MODEL}.py")
        config = room.Wav2VecConfig()
        for name, value in vars(told).items():
            setattr(config, name, value)
        return room.Wav2VecModel(config).eval()


def encode(model: Any, wav: Tensor) -> Tensor:
    """wav [B, 1, T] -> codes [B, 2, F], as README's example does it."""
    return model.vector_quantizer.forward_idx(model.feature_extractor(wav[:, 0]))[1].transpose(1, 2)


def shapes(model: nn.Module) -> Shapes:
    """Of all that a file holds."""
    return {name: list(value.shape) for name, value in sorted(model.state_dict().items())}


def deciding(model: Any, wav: Tensor) -> Tensor:
    """wav -> what the codes are chosen by: logits [n, 2 size], or the points of both groups [n, 2 D]."""
    x = model.feature_extractor(wav[:, 0])
    if hasattr(model.vector_quantizer, "weight_proj"):
        return model.vector_quantizer.weight_proj(x.transpose(1, 2)).flatten(0, 1)
    return model.vector_quantizer.projection(x).transpose(1, 2).flatten(0, 1)


@torch.no_grad()
def around(model: Any) -> tuple[list[float], list[float]]:
    """Where the codes belong: the mean of what they are chosen by, and how far it varies, in each coordinate; rounded."""
    made = shapes(model)
    size = 2 * made[BOOK][-1] if BOOK in made else made[f"{LOGITS}.bias"][0]
    model.load_state_dict(weights(made, [0.0] * size, [1.0] * size))
    points = deciding(model, sound(1, 64_000, 100))
    near = 0.3 if BOOK in made else 1.0  # vectors that are farther from the middle than most points would hardly be used
    return rounded(points.mean(0), 3), rounded(near * points.std(0).clamp(min=0.01), 3)


@torch.no_grad()
def main(checkout: Path) -> None:
    files = [checkout / "fairseq" / f"{name}.py" for name in (*(f"modules/{name}" for name in MODULES), MODEL)]
    record: dict[str, object] = {"commit": COMMIT, "sources": hashlib.sha256(b"".join(map(Path.read_bytes, files))).hexdigest()}
    record |= {"torch": torch.__version__, "written by": "tests/parity/write_vq_wav2vec.py"}
    for size in SIZES:
        for kind in KINDS:
            model = official(checkout, options(size, kind))
            middle, spread = around(model)
            model.load_state_dict(weights(shapes(model), middle, spread))
            cases = [encode(model, sound(clips, samples, 1)).tolist() for clips, samples in CASES]
            record[f"{size} {kind}"] = {"shapes": shapes(model), "middle": middle, "spread": spread, "cases": cases}
            print(size, kind, [len({code for case in cases for clip in case for code in clip[group]}) for group in range(2)])
    STORED.write_text(json.dumps(record, separators=(",", ":")) + "\n", encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]).resolve())
