"""The authors' DualCodec (dualcodec 0.4.2) without what it imports for training, for the hub and for its command line.

Stand-ins: audiotools, of which the codec takes the name of a base class; cached_path, which fetches the released files; torchaudio where it
is not installed, of which inference takes the resampler. Their inference runs w2v-BERT in half precision; here it runs in float32.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import sys
from functools import cache
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest import mock

import pytest
import torch
from torch import Tensor, nn

from bench.data import torchaudio_guard
from bench.nn.resample import SincResample

PACKAGE = "dualcodec"
STATISTICS = "w2vbert2_mean_var_stats_emilia.pt"  # the name of their file


def module(name: str, **members: Any) -> ModuleType:
    """A module of that name that holds nothing else."""
    result = ModuleType(name)
    result.__dict__.update(members)
    return result


def resample(wav: Tensor, source: int, target: int) -> Tensor:
    """Ours, which tests/parity/test_dualcodec.py compares with torchaudio's where it is installed."""
    return SincResample(source, target).to(wav.device)(wav)


@cache  # the second import of a class gives another class
def package() -> Any:
    """The authors' package, with its DualCodec and Inference; skips without it."""
    missing = [name for name in (PACKAGE, "einops", "easydict") if importlib.util.find_spec(name) is None]
    if missing:
        pytest.skip(f"the oracle is missing ({', '.join(missing)}): pip install --no-deps dualcodec easydict einops")
    parts = {
        "audiotools": module("audiotools", AudioSignal=object, STFTParams=object),
        "audiotools.ml": module("audiotools.ml", BaseModel=nn.Module),
        "cached_path": module("cached_path", cached_path=lambda path: path),
    }
    if torchaudio_guard.guard():
        parts["torchaudio"] = module("torchaudio", functional=SimpleNamespace(resample=resample))
    with mock.patch.dict(sys.modules, parts):
        return importlib.import_module(PACKAGE)


def inference(model: nn.Module, semantic: nn.Module, statistics: dict[str, Tensor], folder: Path) -> Any:
    """Their Inference with this codec, this w2v-BERT and the mean and variance of its features."""
    transformers = pytest.importorskip("transformers")
    torch.save(statistics, folder / STATISTICS)
    with (
        mock.patch.object(transformers.Wav2Vec2BertModel, "from_pretrained", lambda *_: semantic),
        mock.patch.object(
            transformers.SeamlessM4TFeatureExtractor, "from_pretrained", lambda *_: transformers.SeamlessM4TFeatureExtractor()
        ),
        mock.patch.object(torch.cuda, "is_available", lambda: False),
    ):
        return package().Inference(model, dualcodec_path=str(folder), w2v_path="", device="cpu", autocast=False)


def encode(official: Any, wav: Tensor, levels: int) -> Tensor:
    """wav [B, 1, T] -> codes [B, K, F]."""
    with mock.patch.object(torch, "autocast", lambda **_: contextlib.nullcontext()):
        first, rest = official.encode(wav, n_quantizers=levels)
    return first if rest is None else torch.cat([first, rest], dim=1)


def decode(official: Any, codes: Tensor) -> Tensor:
    """codes [B, K, F] -> wav [B, 1, T]."""
    return official.decode(codes[:, :1], codes[:, 1:] if codes.shape[1] > 1 else None)
