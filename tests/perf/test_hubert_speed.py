"""Ours against transformers: the same weights, the same sound, in turns. Run on an idle machine:

    pytest tests/perf/test_hubert_speed.py -m perf -s

Printed, not asserted: machines are noisy. What is asserted is that both gave the same features and units. Two ratios: over
transformers' network cut off after the layer (as the authors' fairseq code stops there), and over all of it (as `output_hidden_states`
is used). "of floor" is the time that the multiply-accumulates alone would take at the rate of a large matrix product, timed beside.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.nn.hubert import Hubert
from bench.nn.hubert_names import renamed
from bench.nn.kmeans import Units
from bench.nn.quantize import nearest
from bench.tokenizers import hubert_kmeans, wav2vec2_kmeans, wavlm_kmeans
from bench.weights import fold_weight_norm

pytestmark = pytest.mark.perf
transformers = pytest.importorskip("transformers")

SECONDS, ROUNDS = 10, 5
LARGE = {"hidden_size": 1024, "num_attention_heads": 16, "intermediate_size": 4096, "num_hidden_layers": 24}
STABLE = {"feat_extract_norm": "layer", "do_stable_layer_norm": True}
CASES = (  # room, variant, class, differences from its default configuration, GMAC/s of audio up to the layer (0: not counted)
    (hubert_kmeans, "base-l6-km100", "Hubert", {}, 5.06),
    (hubert_kmeans, "base-l9-km500", "Hubert", {}, 6.25),
    (wav2vec2_kmeans, "base-l6-km500", "Wav2Vec2", {}, 5.06),
    (wavlm_kmeans, "base-plus-l9-km500", "WavLM", {}, 0),
    (hubert_kmeans, "large-l18-km500", "Hubert", LARGE | STABLE | {"conv_bias": True}, 15.14),
)


def timed(*functions: Callable[[], Tensor]) -> list[float]:
    """Median seconds of each, taken in turns after one warm-up."""
    times: list[list[float]] = [[] for _ in functions]
    for turn in range(ROUNDS + 1):
        for function, taken in zip(functions, times, strict=True):
            start = time.perf_counter()
            function()
            if turn:
                taken.append(time.perf_counter() - start)
    return [statistics.median(taken) for taken in times]


def cut(model, layers: int, pre_norm: bool) -> Callable[[Tensor], Tensor]:
    """transformers' model up to a layer, without the norm that a whole one ends in."""
    shorter = type(model)(model.config).eval()
    shorter.load_state_dict(model.state_dict())
    shorter.encoder.layers = shorter.encoder.layers[:layers]
    if pre_norm:
        shorter.encoder.layer_norm = nn.Identity()
    return lambda x: shorter(x).last_hidden_state


def product_rate() -> float:
    """Multiply-accumulates a second of a large matrix product."""
    a, b = torch.randn(1024, 1024), torch.randn(1024, 1024)
    return 1024**3 / timed(lambda: a @ b)[0]


@pytest.mark.parametrize("batch", [1, 8])
@pytest.mark.parametrize("case", CASES, ids=[case[1] + "-" + case[2] for case in CASES])
@torch.inference_mode()
def test_speed(case, batch: int) -> None:
    room, name, kind, differs, gmacs = case
    shape_name, layers, size = room.FAMILY.parts(name)
    shape = room.FAMILY.shapes[shape_name]
    torch.manual_seed(0)
    whole = getattr(transformers, f"{kind}Model")(getattr(transformers, f"{kind}Config")(**differs)).eval()
    features = Hubert(shape, layers).eval()
    features.load_state_dict(renamed(fold_weight_norm(whole.state_dict()), layers, shape.pre_norm))
    units = Units(room.VARIANTS[name].spec, features, shape.dimension)
    wav = torch.randn(batch, 1, 16_000 * SECONDS) * torch.linspace(0.01, 0.3, 16_000 * SECONDS)
    x = F.layer_norm(wav[:, 0], wav.shape[-1:]) if shape.normalized else wav[:, 0]
    seen = features(wav).flatten(0, 1)
    units.set_centroids(seen[torch.randint(len(seen), (size,))])
    part = cut(whole, layers, shape.pre_norm)

    def theirs(hidden: Tensor) -> Tensor:
        return nearest(hidden.flatten(0, 1), units.centroids, units.half_norms).view(batch, 1, -1)

    torch.testing.assert_close(features(wav), part(x), rtol=0, atol=1e-4)
    equal = (units.encode(wav) == theirs(part(x))).double().mean().item()
    assert equal > 0.999
    ours, short, full = timed(
        lambda: units.encode(wav),
        lambda: theirs(part(x)),
        lambda: theirs(whole(x, output_hidden_states=True).hidden_states[layers]),
    )
    floor = gmacs * 1e9 * SECONDS * batch / product_rate()
    print(
        f"\n{room.VARIANTS[name].spec.label:36} batch {batch}: ours {1000 * ours:7.0f} ms ({SECONDS * batch / ours:5.1f} x real time), "
        f"transformers cut {short / ours:4.2f} x, whole {full / ours:4.2f} x, floor {100 * floor / ours:3.0f} %, "
        f"units equal {100 * equal:.2f} %, {torch.get_num_threads()} threads"
    )
