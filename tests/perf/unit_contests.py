"""The contests of what encodes only: HuBERT, wav2vec 2.0, WavLM, w2v-BERT and CPC with k-means units, vq-wav2vec, GLM-4-Voice."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.nn.hubert import Hubert
from bench.nn.hubert_names import renamed
from bench.nn.kmeans import Units
from bench.nn.quantize import nearest
from bench.tokenizers import glm4_voice as glm
from bench.weights.files import fold_weight_norm
from tests.parity import (
    cpc_recipe,
    glm4_voice_recipe,
    test_cpc,
    test_vq_wav2vec,
    vq_wav2vec_recipe,
    write_cpc,
    write_glm4_voice,
    write_vq_wav2vec,
)
from tests.parity.ties import residual_levels
from tests.parity.wavtokenizer_recipe import sound
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


def vq_wav2vec(kind: str) -> Contests:
    """Against fairseq's classes; FAIRSEQ_CHECKOUT names a checkout of it."""

    def contests(batch: int, seconds: float, device: str) -> Iterator[Contest]:
        checkout = os.environ.get("FAIRSEQ_CHECKOUT")
        if not checkout:
            pytest.skip("name a checkout of https://github.com/facebookresearch/fairseq in FAIRSEQ_CHECKOUT")
        _, state = test_vq_wav2vec.facts_of("full", kind)
        official = write_vq_wav2vec.official(Path(checkout), vq_wav2vec_recipe.options("full", kind))
        official.load_state_dict(state)
        with TemporaryDirectory() as folder:
            mine = test_vq_wav2vec.model_of("full", kind, state, Path(folder)).to(device)
        official.to(device)
        wav = sound(batch, round(16_000 * seconds), 1).to(device)

        def equal() -> str:
            found, codes = mine.encode(wav), write_vq_wav2vec.encode(official, wav)
            share = (found == codes).double().mean().item()
            if device == "cpu":
                test_vq_wav2vec.only_ties(mine, found, codes, mine.latents(wav))
            assert share > 0.98, f"{share:.4%} of the codes are equal"
            return f"{100 * share:.3f} % of {codes.numel()} codes equal"

        calls: dict[str, Call] = {"ours": lambda: mine.encode(wav), "fairseq": lambda: write_vq_wav2vec.encode(official, wav)}
        yield Contest(f"vq_wav2vec@{kind} encode", calls, equal)

    return contests


def cpc(batch: int, seconds: float, device: str) -> Iterator[Contest]:
    """Against the authors' code, clip by clip in pieces of 4 s as their reader hears files; CPC_CHECKOUT names a checkout of it."""
    checkout = os.environ.get("CPC_CHECKOUT")
    if not checkout or device != "cpu":
        pytest.skip("name a checkout of https://github.com/facebookresearch/CPC_audio in CPC_CHECKOUT; its calls of a GPU stay on the CPU")
    facts = cpc_recipe.stored()["full"]
    state = cpc_recipe.weights(facts["shapes"])
    official = write_cpc.Official(Path(checkout), cpc_recipe.SIZES["full"], cpc_recipe.LAYERS)
    official.model.load_state_dict(state, strict=False)
    with TemporaryDirectory() as folder:
        mine = test_cpc.units_of("full", state, cpc_recipe.codebook(facts["middle"], facts["spread"]), Path(folder))
    wav = sound(batch, round(16_000 * seconds), 1)

    def theirs() -> Tensor:
        return nearest(official.features(wav).flatten(0, 1), mine.centroids, mine.half_norms).view(batch, 1, -1)

    def equal() -> str:
        hidden = official.features(wav)
        torch.testing.assert_close(mine.features(wav), hidden, rtol=0, atol=1e-5)
        return same_codes(mine.encode(wav), theirs(), residual_levels(hidden.transpose(1, 2), [mine.centroids], theirs()))

    yield Contest("cpc_kmeans@big-l2-km50 encode", {"ours": lambda: mine.encode(wav), "official": theirs}, equal)


def w2v_bert(batch: int, seconds: float, device: str) -> Iterator[Contest]:
    """Against transformers' network cut off after the layer, its feature extractor included."""
    from tests.parity import test_w2v_bert

    if device != "cpu":
        pytest.skip("their features are numpy's")
    layer = 17
    model = test_w2v_bert.alive("600m", layer - 1)
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        mine = test_w2v_bert.units_of(model, layer, Path(folder), patch)
    wav = sound(batch, round(16_000 * seconds), 1)

    def theirs() -> Tensor:
        hidden = test_w2v_bert.official(model, wav, layer)
        return nearest(hidden.flatten(0, 1), mine.centroids, mine.half_norms).view(batch, 1, -1)

    def equal() -> str:
        hidden = test_w2v_bert.official(model, wav, layer)
        torch.testing.assert_close(mine.features(wav), hidden, rtol=0, atol=1e-4)
        return same_codes(mine.encode(wav), theirs(), residual_levels(hidden.transpose(1, 2), [mine.centroids], theirs()))

    yield Contest(f"{mine.spec.label} encode", {"ours": lambda: mine.encode(wav), "transformers, cut": theirs}, equal)


def glm4_voice(batch: int, seconds: float, device: str) -> Iterator[Contest]:
    """At the official size, clip by clip on their side; GLM4_VOICE_CHECKOUT names a checkout of the authors' code."""
    checkout = os.environ.get("GLM4_VOICE_CHECKOUT")
    if not checkout or device != "cpu":
        pytest.skip("name a checkout of https://github.com/THUDM/GLM-4-Voice in GLM4_VOICE_CHECKOUT; its features are numpy's")
    config, spec = glm.CONFIGS["12.5hz"], glm.VARIANTS["12.5hz"].spec
    official = write_glm4_voice.official_model(Path(checkout), config)
    facts = write_glm4_voice.fill(official)
    with TemporaryDirectory() as folder:
        torch.save(glm4_voice_recipe.weights(**facts), Path(folder) / "model.pt")
        mine = glm.made(spec, config, Path(folder) / "model.pt")
    wav = sound(batch, round(16_000 * seconds), 1)

    def theirs() -> Tensor:
        return torch.tensor([write_glm4_voice.codes(official, clip) for clip in wav[:, 0]])[:, None]

    def equal() -> str:
        """Features are alike; of random weights all frames are, too, so that float32 does not always tell the nearest of 16,384 vectors."""
        pooled, found = list[Tensor](), mine.encode(wav)
        for clip in wav[:, 0]:
            write_glm4_voice.codes(official, clip, pooled)
        hidden = torch.cat(pooled).transpose(1, 2)[:, : found.shape[-1]]
        torch.testing.assert_close(mine.features(wav), hidden, rtol=0, atol=1e-4)
        share = (found == theirs()).double().mean().item()
        assert share > 0.85, f"{share:.2%} of the codes are equal"
        return f"{100 * share:.2f} % of {found.numel()} codes equal"

    yield Contest(f"{mine.spec.label} encode", {"ours": lambda: mine.encode(wav), "official": theirs}, equal)
