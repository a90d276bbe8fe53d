"""The contests of the speech encoders with k-means units: HuBERT, wav2vec 2.0, WavLM."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.nn.hubert import Hubert
from bench.nn.hubert_names import renamed
from bench.nn.kmeans import Units
from bench.nn.quantize import nearest
from bench.weights.files import fold_weight_norm
from tests.parity.ties import residual_levels
from tests.perf.contest import Call, Contest, Contests, same_codes

LARGE = {"hidden_size": 1024, "num_attention_heads": 16, "intermediate_size": 4096, "num_hidden_layers": 24}
STABLE = {"feat_extract_norm": "layer", "do_stable_layer_norm": True}


def units(room: ModuleType, name: str, kind: str, gmacs: float = 0.0, **differs: object) -> Contests:
    """Against transformers' network cut off after the layer, as the authors' code stops there, and against all of it."""

    def contests(batch: int, seconds: float, device: str) -> Iterator[Contest]:
        transformers = pytest.importorskip("transformers")
        shape_name, layers, size = room.FAMILY.parts(name)
        shape = room.FAMILY.shapes[shape_name]
        torch.manual_seed(0)
        whole = getattr(transformers, f"{kind}Model")(getattr(transformers, f"{kind}Config")(**differs)).eval()
        cut = type(whole)(whole.config).eval()
        cut.load_state_dict(whole.state_dict())
        cut.encoder.layers = cut.encoder.layers[:layers]
        if shape.pre_norm:
            cut.encoder.layer_norm = nn.Identity()  # a whole one ends in it
        features = Hubert(shape, layers).eval()
        features.load_state_dict(renamed(fold_weight_norm(whole.state_dict()), layers, shape.pre_norm))
        mine = Units(room.VARIANTS[name].spec, features, shape.dimension).to(device)
        whole, cut = whole.to(device), cut.to(device)
        wav = (torch.randn(batch, 1, round(16_000 * seconds)) * torch.linspace(0.01, 0.3, round(16_000 * seconds))).to(device)
        x = F.layer_norm(wav[:, 0], wav.shape[-1:]) if shape.normalized else wav[:, 0]
        seen = features(wav).flatten(0, 1)
        mine.set_centroids(seen[torch.randint(len(seen), (size,))])

        def theirs(hidden: Tensor) -> Tensor:
            return nearest(hidden.flatten(0, 1), mine.centroids, mine.half_norms).view(batch, 1, -1)

        def equal() -> str:
            hidden = cut(x).last_hidden_state
            torch.testing.assert_close(features(wav), hidden, rtol=0, atol=1e-4)
            return same_codes(mine.encode(wav), theirs(hidden), residual_levels(hidden.transpose(1, 2), [mine.centroids], theirs(hidden)))

        calls: dict[str, Call] = {
            "ours": lambda: mine.encode(wav),
            "transformers, cut": lambda: theirs(cut(x).last_hidden_state),
            "transformers": lambda: theirs(whole(x, output_hidden_states=True).hidden_states[layers]),
        }
        yield Contest(f"{mine.spec.label} encode", calls, equal, gmacs)

    return contests
