"""The writer of cpc.json: what the authors' CPC makes of the recipe's weights and sounds.

    git clone https://github.com/facebookresearch/CPC_audio
    git -C CPC_audio checkout b98a1bdf1fe9ea219816db7a6c28115d404a3510
    PYTHONPATH=. python tests/parity/write_cpc.py CPC_audio

It needs torch beside that checkout; what reads audio files there is stood in for, and their calls of a GPU stay on the CPU.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn

from tests.parity.cpc_recipe import CASES, LAYERS, SIZES, STORED, chosen, codebook, weights
from tests.parity.wavtokenizer_recipe import Shapes, sound
from tests.parity.write_wavtokenizer import rounded

COMMIT = "b98a1bdf1fe9ea219816db7a6c28115d404a3510"
FILES = ("cpc/model.py", "cpc/feature_loader.py")


@contextmanager
def stood_in(checkout: Path, wav: Tensor | None = None) -> Iterator[None]:
    """The checkout can be imported; every file that it reads holds wav [C, T]."""
    reader = ModuleType("torchaudio")
    vars(reader)["load"] = lambda _: (wav, 16_000)
    strangers = {name: ModuleType(name) for name in ("tqdm", "soundfile", "cpc.dataset")}
    vars(strangers["cpc.dataset"])["parseSeqLabels"] = None
    with (
        mock.patch.dict(sys.modules, {"torchaudio": reader, **strangers}),
        mock.patch.object(sys, "path", [str(checkout), *sys.path]),
        mock.patch.object(Tensor, "cuda", lambda self, *_, **__: self),
    ):
        yield


class Official(nn.Module):
    """The authors' model, heard up to an LSTM's layer."""

    def __init__(self, checkout: Path, size: int, layers: int):
        super().__init__()
        self.checkout = checkout
        with stood_in(checkout):
            room: Any = importlib.import_module("cpc.model")
            encoder = room.CPCEncoder(size, "layerNorm")
            self.model = room.CPCModel(encoder, room.CPCAR(size, size, False, layers, mode="LSTM")).eval()
            self.shapes: Shapes = {name: list(value.shape) for name, value in sorted(self.model.state_dict().items())}

    def features(self, wav: Tensor) -> Tensor:
        """wav [B, 1, T] -> [B, F, D], as their reader of files gives it clip by clip."""
        found = []
        for clip in wav:
            with stood_in(self.checkout, clip):
                loader: Any = importlib.import_module("cpc.feature_loader")
                heard = loader.FeatureModule(self.model, False)
                loader.torchaudio = sys.modules["torchaudio"]
                found.append(loader.buildFeature(heard, "any"))
        return torch.cat(found)


@torch.no_grad()
def main(checkout: Path) -> None:
    sources = hashlib.sha256(b"".join((checkout / name).read_bytes() for name in FILES)).hexdigest()
    record: dict[str, object] = {
        "commit": COMMIT,
        "sources": sources,
        "torch": torch.__version__,
        "written by": "tests/parity/write_cpc.py",
    }
    for name, size in SIZES.items():
        model, whole = Official(checkout, size, LAYERS), Official(checkout, size, LAYERS + 1)
        model.model.load_state_dict(weights(whole.shapes), strict=False)  # as theirs are loaded
        points = model.features(sound(1, 64_000, 100))[0]
        middle, spread = rounded(points.mean(0), 3), rounded(0.4 * points.std(0), 3)
        book, cases = codebook(middle, spread).double(), []
        for clips, samples in CASES:
            features = model.features(sound(clips, samples, 1))
            codes = torch.cdist(features.double(), book[None]).argmin(-1)
            cases.append({"codes": codes.tolist(), "features": rounded(chosen(features), 7)})
        print(name, len({code for case in cases for clip in case["codes"] for code in clip}), "different codes")
        record[name] = {"shapes": whole.shapes, "middle": middle, "spread": spread, "cases": cases}
    STORED.write_text(json.dumps(record, separators=(",", ":")) + "\n", encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]).resolve())
