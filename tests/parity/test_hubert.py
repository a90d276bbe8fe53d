"""HuBERT, WavLM and wav2vec 2.0 units against transformers 5.23.0, at the official configurations with shared random weights.

Centroids are drawn around features that occur, so hundreds of units do, and every test that compares units asserts it. The oracle hears
what the authors' code feeds its networks: for the large models the clip at zero mean and unit variance.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import ModuleType

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from bench.api import Checkpoint, UserError, Variant
from bench.nn.hubert import Hubert
from bench.nn.hubert_names import renamed
from bench.nn.kmeans import Units
from bench.tokenizers import hubert_kmeans, wav2vec2_kmeans, wavlm_kmeans
from bench.weights.files import fold_weight_norm
from tests.parity.ties import residual_levels, ties

transformers = pytest.importorskip("transformers", reason="the oracle is missing: pip install transformers")

LARGE = {
    "hidden_size": 1024,
    "num_attention_heads": 16,
    "intermediate_size": 4096,
    "feat_extract_norm": "layer",
    "do_stable_layer_norm": True,
}


@dataclass(frozen=True)
class Case:
    """A variant, and the class and configuration of transformers that it equals."""

    room: ModuleType
    variant: str
    kind: str  # the model's class; its configuration is called alike
    differs: Mapping[str, object]  # from the configuration's defaults, which are the base model
    seeds: tuple[int, ...] = (0,)


BASE = (
    Case(hubert_kmeans, "base-l9-km500", "Hubert", {}, (0, 1)),
    Case(wavlm_kmeans, "base-plus-l9-km500", "WavLM", {}),
    Case(wav2vec2_kmeans, "base-l6-km500", "Wav2Vec2", {}),
)
BIG = (
    Case(hubert_kmeans, "large-l18-km500", "Hubert", LARGE | {"conv_bias": True}, (0, 1)),
    Case(wavlm_kmeans, "large-l23-km500", "WavLM", LARGE),
)
HUBERT, WAVLM, WAV2VEC2 = ((case, 0) for case in BASE)
EVERY = [
    pytest.param((case, seed), id=f"{case.variant}-{case.kind}-{seed}", marks=[pytest.mark.slow] * (case in BIG or seed > 0))
    for case in BASE + BIG
    for seed in case.seeds
]


def noise(batch: int, length: int, seed: int) -> Tensor:
    """Noise [B, 1, T] whose loudness rises and falls, so that frames differ."""
    generator = torch.Generator().manual_seed(seed)
    time = torch.arange(length) / 16_000
    speed = 1 + 4 * torch.rand(batch, 1, 1, generator=generator)
    return torch.randn(batch, 1, length, generator=generator) * (0.02 + 0.3 * torch.sin(2 * math.pi * speed * time).square())


@dataclass(frozen=True)
class Pair:
    """The oracle and ours with the same weights and the same centroids."""

    official: nn.Module
    mine: Units
    layer: int
    normalized: bool

    @torch.inference_mode()
    def features(self, wav: Tensor) -> Tensor:
        """The oracle's [B, F, D] of the layer."""
        x = F.layer_norm(wav[:, 0], wav.shape[-1:]) if self.normalized else wav[:, 0]
        return self.official(x, output_hidden_states=True).hidden_states[self.layer]

    @torch.inference_mode()
    def compare(self, wav: Tensor) -> Tensor:
        """Assert equal features and units, but for ties; give our units."""
        expected, codes = self.features(wav), self.mine.encode(wav)
        frames = (wav.shape[-1] - 80) // 320
        assert expected.shape[:2] == (len(wav), frames) and codes.shape == (len(wav), 1, frames)
        torch.testing.assert_close(self.mine.features(wav), expected, rtol=0, atol=1e-4)
        units = torch.cdist(expected.double(), self.mine.centroids.double()[None]).argmin(-1)[
            :, None
        ]  # the definition, in double precision
        ties(codes, units, residual_levels(expected.transpose(1, 2), [self.mine.centroids], units))
        return codes


def oracle(case: Case, seed: int, layers: int) -> nn.Module:
    """transformers' model with random weights, and one layer more than is asked for: the state after the last may be normed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        config = getattr(transformers, f"{case.kind}Config")(num_hidden_layers=layers, **case.differs)
        model = getattr(transformers, f"{case.kind}Model")(config).eval()
        with torch.no_grad():
            for name, value in model.named_parameters():
                if value.ndim == 1:  # norms and biases start at ones and zeros, where mistakes do not show
                    value.add_(0.1 * torch.randn(value.shape))
                elif name.endswith("gru_rel_pos_const"):
                    value.uniform_(0.5, 2)
                elif name.endswith("rel_attn_embed.weight"):
                    value.normal_(0, 1)
    return model


def ours(case: Case, official: nn.Module, seed: int) -> Units:
    """The tokenizer of the variant with the oracle's weights, its centroids near features that occur."""
    spec, shape = case.room.VARIANTS[case.variant].spec, case.room.FAMILY.shapes[case.room.FAMILY.parts(case.variant)[0]]
    model = Hubert(shape, case.room.FAMILY.parts(case.variant)[1])
    state = renamed(fold_weight_norm(official.state_dict()), len(model.layers), shape.pre_norm)
    model.load_state_dict(state, strict=True)
    units = Units(spec, model, shape.dimension).eval()
    with torch.inference_mode():
        seen = model(noise(3, 16_000 * 4, seed + 50)).flatten(0, 1)
    generator = torch.Generator().manual_seed(seed)
    size = spec.codebooks[0].size
    units.set_centroids(seen[torch.randperm(len(seen), generator=generator)[:size]].clone())
    return units


@pytest.fixture(scope="module", params=EVERY)
def pair(request: pytest.FixtureRequest) -> Iterator[Pair]:
    case, seed = request.param
    name, layer, _ = case.room.FAMILY.parts(case.variant)
    official = oracle(case, seed, layer + 1)
    yield Pair(official, ours(case, official, seed), layer, case.room.FAMILY.shapes[name].normalized)


def test_features_and_units_equal_transformers(pair: Pair) -> None:
    codes = pair.compare(noise(2, 16_000 * 4 + 123, 1))
    assert len(codes.unique()) > 150


@pytest.mark.parametrize("length", [400, 719, 720, 721, 16_000, 23_457])
def test_any_length_from_a_frame_on(pair: Pair, length: int) -> None:
    pair.compare(noise(1, length, length))


def test_a_quiet_or_a_shifted_clip(pair: Pair) -> None:
    pair.compare(torch.cat([noise(1, 9_000, 5) * 1e-3, noise(1, 9_000, 6) + 0.3]))


@pytest.mark.parametrize("length", [1, 2, 79, 399])
def test_less_than_a_frame_is_filled_up_with_zeros(pair: Pair, length: int) -> None:
    wav = noise(2, length, length)
    assert torch.equal(pair.mine.encode(wav), pair.mine.encode(F.pad(wav, (0, 400 - length))))


@torch.inference_mode()
def test_a_clip_in_a_batch_is_the_clip_alone(pair: Pair) -> None:
    wav = noise(3, 12_345, 7) * torch.tensor([1.0, 0.1, 0.01])[:, None, None]
    together = pair.mine.features(wav)
    for clip, features in zip(wav, together, strict=True):
        torch.testing.assert_close(pair.mine.features(clip[None])[0], features, rtol=0, atol=1e-5)


@torch.inference_mode()
def test_pieces_join_without_a_seam(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    wav = noise(1, 16_000 * 2 + 77, 8)
    apart = pair.mine.features(wav)
    monkeypatch.setattr("bench.nn.hubert.PIECE", 10_000)
    monkeypatch.setattr("bench.nn.hubert.SCORES", 1)  # one query at a time
    torch.testing.assert_close(pair.mine.features(wav), apart, rtol=0, atol=1e-4)


def files(pair: Pair, folder, state: dict[str, Tensor]) -> tuple:
    """The two files that a variant is loaded from."""
    save_file({key: value.contiguous() for key, value in state.items()}, folder / "encoder.safetensors")
    save_file({"centroids": pair.mine.centroids}, folder / "codebook.safetensors")
    return folder / "codebook.safetensors", folder / "encoder.safetensors"


def old_names(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weight norm as it was called when the released files were written."""
    for new, old in (("parametrizations.weight.original0", "weight_g"), ("parametrizations.weight.original1", "weight_v")):
        state = {key.replace(new, old): value for key, value in state.items()}
    return state


def pretraining(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """As a released wav2vec 2.0 has it: one model among heads that only training needs."""
    heads = {"quantizer.codevectors": torch.zeros(1, 640, 128), "project_hid.weight": torch.zeros(2, 2), "project_q.bias": torch.zeros(2)}
    return {f"wav2vec2.{key}": value for key, value in state.items()} | heads


AUTHORS = (  # transformers' names -> those of fairseq and unilm
    ("feature_projection.layer_norm.", "layer_norm."),
    ("feature_projection.projection.", "post_extract_proj."),
    ("pos_conv_embed.conv.", "pos_conv.0."),
    ("masked_spec_embed", "mask_emb"),
    (".attention.gru_rel_pos_linear", ".self_attn.grep_linear"),
    (".attention.gru_rel_pos_const", ".self_attn.grep_a"),
    (".attention.rel_attn_embed", ".self_attn.relative_attention_bias"),
    (".attention.", ".self_attn."),
    (".feed_forward.intermediate_dense.", ".fc1."),
    (".feed_forward.output_dense.", ".fc2."),
    ("conv_layers.0.layer_norm.", "conv_layers.0.2."),
    (".conv.", ".0."),
)


def authors(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The names of the authors' own files (of base models), and what else lies in them."""
    result = {"final_proj.weight": torch.zeros(2, 2), "label_embs_concat": torch.zeros(2)}
    for key, value in old_names(state).items():
        for theirs, name in AUTHORS:
            key = key.replace(theirs, name)
        if key.startswith("encoder.layers."):
            key = key.replace(".layer_norm.", ".self_attn_layer_norm.")
        result[key] = value
    return result


@pytest.mark.parametrize(
    ("pair", "names"), [(HUBERT, dict), (HUBERT, authors), (WAVLM, old_names), (WAVLM, authors), (WAV2VEC2, pretraining)], indirect=["pair"]
)
def test_loads_a_checkpoint_with_published_names(tmp_path, pair: Pair, names) -> None:
    room = {"hubert": hubert_kmeans, "wavlm": wavlm_kmeans, "wav2vec2": wav2vec2_kmeans}[pair.mine.spec.name.removesuffix("_kmeans")]
    loaded = room.FAMILY.load(pair.mine.spec, *files(pair, tmp_path, names(pair.official.state_dict())))
    for key, value in pair.mine.state_dict().items():
        torch.testing.assert_close(loaded.state_dict()[key], value, rtol=0, atol=1e-6, msg=key)
    wav = noise(1, 8_000, 9)
    assert torch.equal(loaded.encode(wav), pair.mine.encode(wav))


@pytest.mark.parametrize("pair", [HUBERT], indirect=True)
@pytest.mark.parametrize("broken", ["encoder.layers.3.attention.k_proj.bias", "feature_extractor.conv_layers.2.conv.weight"])
def test_a_missing_or_an_unknown_tensor_is_refused(tmp_path, pair: Pair, broken: str) -> None:
    state = pair.official.state_dict()
    with pytest.raises(UserError, match="does not fit"):
        hubert_kmeans.FAMILY.load(pair.mine.spec, *files(pair, tmp_path, {key: value for key, value in state.items() if key != broken}))
    with pytest.raises(UserError, match="a_new_idea"):
        hubert_kmeans.FAMILY.load(pair.mine.spec, *files(pair, tmp_path, state | {"encoder.a_new_idea": torch.zeros(1)}))


@pytest.mark.parametrize("pair", [HUBERT], indirect=True)
def test_only_the_layers_that_are_needed_are_built(pair: Pair) -> None:
    features = pair.mine.features
    assert isinstance(features, Hubert) and len(features.layers) == pair.layer


def test_official_variants_name_two_proven_files() -> None:
    for room in (hubert_kmeans, wavlm_kmeans, wav2vec2_kmeans):
        for name, variant in room.VARIANTS.items():
            assert not variant.spec.decodes
            if name not in ("mini", "tiny"):
                codebook, encoder = variant.files
                assert encoder.url.startswith("https://huggingface.co/") and "/main/" not in encoder.url and len(encoder.sha256) == 64
                assert variant.spec.weights == f"sha256:{codebook.sha256 or '?'}+{encoder.sha256}"
                assert published(codebook) != bool(codebook.cure)


def published(codebook: Checkpoint) -> bool:
    return len(codebook.sha256) == 64 and codebook.url.startswith("https://")


def test_the_mini_is_the_default_and_the_published_ones_follow() -> None:
    variants: dict[str, Variant] = hubert_kmeans.VARIANTS
    assert list(variants)[:2] == ["mini", "base-l9-km500"] and published(variants["base-l9-km500"].files[0])
    assert list(variants)[-1] == "tiny" and not variants["tiny"].spec.trained
