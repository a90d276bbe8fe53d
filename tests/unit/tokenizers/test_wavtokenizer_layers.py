"""WavTokenizer: the authors' checkpoints fit, nothing else does; it trains; its networks are data."""

from __future__ import annotations

import re
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from torch import Tensor

from bench.api import UserError
from bench.nn.lapped import Lapped
from bench.tokenizers.wavtokenizer import CHECKPOINTS, CONFIGS, VARIANTS, Config, WavTokenizer, load, renamed
from bench.weights.files import fill
from tests.parity.wavtokenizer_recipe import stored

NOT_NEEDED = (
    "multiperioddisc.discriminators.0.convs.0.weight_v",
    "multiresddisc.discriminators.2.conv_post.bias",
    "dac.discriminators.0.convs.0.0.weight_g",
    "dacdiscriminator.discriminator.discriminators.0.convs.0.0.weight_g",
    "melspec_loss.mel_spec.spectrogram.window",
    "feature_extractor.encodec.decoder.model.1.lstm.weight_hh_l0",
    "head.istft.window",
)


def authors_state(rate: str = "75") -> dict[str, Tensor]:
    """Names and shapes of the authors' generator, without any memory behind them."""
    return {name: torch.empty(shape, device="meta") for name, shape in stored()[rate]["shapes"].items()}


def model(rate: str = "75") -> WavTokenizer:
    with torch.device("meta"):
        return WavTokenizer(CONFIGS[f"{rate}tps"], VARIANTS[f"small-{rate}tps"].spec)


@pytest.mark.parametrize("rate", ["75", "40"])
@pytest.mark.parametrize("names", ["old", "parametrized"])
def test_the_authors_checkpoint_fits(rate: str, names: str) -> None:
    state = authors_state(rate)
    assert "feature_extractor.encodec.encoder.model.0.conv.conv.weight_g" in state
    if names == "parametrized":
        new = {"weight_g": "parametrizations.weight.original0", "weight_v": "parametrizations.weight.original1"}
        state = {re.sub("weight_[gv]$", lambda found: new[found[0]], name): value for name, value in state.items()}
    ours = renamed(state | {name: torch.empty(3, device="meta") for name in NOT_NEEDED})
    assert {name: value.shape for name, value in ours.items()} == {name: value.shape for name, value in model(rate).state_dict().items()}


@pytest.mark.parametrize(
    "lacking",
    ["backbone.pos_net.2.proj_out.bias", "backbone.convnext.11.gamma", "feature_extractor.encodec.encoder.model.13.lstm.bias_hh_l1"],
)
def test_a_checkpoint_that_lacks_a_tensor_is_refused(lacking: str) -> None:
    state = authors_state()
    del state[lacking]
    with pytest.raises(UserError, match="does not fit this configuration: Missing"):
        fill(model(), renamed(state), Path("w.ckpt"))


@pytest.mark.parametrize("unknown", ["backbone.convnext.12.gamma", "discriminator.weight", "head.window", "feature_extractor.codebook"])
def test_a_tensor_that_is_not_known_is_refused(unknown: str) -> None:
    with pytest.raises(UserError, match="does not fit this configuration: Unexpected"):
        fill(model(), renamed(authors_state() | {unknown: torch.empty(768, device="meta")}), Path("w.ckpt"))


def test_a_checkpoint_of_the_other_rate_is_refused() -> None:
    with pytest.raises(UserError, match="does not fit this configuration: size mismatch"):
        fill(model("75"), renamed(authors_state("40")), Path("w.ckpt"))


def test_a_training_checkpoint_loads_and_a_name_of_ours_stays(tmp_path: Path) -> None:
    tiny = load(VARIANTS["tiny"].spec)
    with torch.no_grad():
        tiny.decoder.head.linear.bias.add_(1)  # type: ignore[union-attr]
    lightning = {
        "epoch": 3,
        "pytorch-lightning_version": "1.8.6",
        "state_dict": OrderedDict(tiny.state_dict()),
        "optimizer_states": [{"state": {0: {"exp_avg": torch.zeros(2)}}}],
        "hyper_parameters": {"sample_rate": 24_000, "resume_config": "a.yaml"},
    }
    torch.save(lightning, tmp_path / "w.ckpt")
    loaded = load(VARIANTS["tiny"].spec, tmp_path / "w.ckpt").state_dict()
    assert all(torch.equal(loaded[name], value) for name, value in tiny.state_dict().items())


def test_one_row_of_the_adaptive_norms_is_taken() -> None:
    state = {"backbone.norm.scale.weight": torch.arange(8.0).view(4, 2), "backbone.convnext.0.norm.shift.weight": torch.ones(4, 2)}
    found = renamed(state)
    assert found["decoder.stack.norm1.weight"].tolist() == [0, 1]
    assert found["decoder.stack.layers.0.norm.bias"].tolist() == [1, 1]


@pytest.mark.parametrize("name", [name for name in CHECKPOINTS if "tps" in name])
def test_a_published_variant_is_what_its_name_says(name: str) -> None:
    found = re.search(r"(\d+)tps", name)
    spec, checkpoint = VARIANTS[name].spec, CHECKPOINTS[name]
    assert found is not None and spec.frame_rate == spec.tokens_per_s == spec.bitrate / 12 == float(found[1])
    assert f"_{round(24_000 / spec.frame_rate)}_" in checkpoint.file and checkpoint.url.endswith(checkpoint.file)
    assert name.split("-")[0] in checkpoint.file  # small, medium, large
    assert re.fullmatch("[0-9a-f]{64}|", checkpoint.sha256)


@pytest.mark.parametrize("networks", ["official", "another pair"])
def test_gradients_reach_every_weight(networks: str) -> None:
    config = CONFIGS["tiny"]
    if networks == "another pair":
        shape = Lapped(dimension=16, hop=320, width=24, hidden=32, encoder_layers=1, decoder_layers=1)
        config = Config(shape, shape, size=64)
    torch.manual_seed(0)
    codec = WavTokenizer(config, VARIANTS["tiny"].spec).train()
    wav = torch.randn(2, 1, 40 * 320) * 0.1
    generator = torch.Generator().manual_seed(0)
    latents = codec.latents(wav)
    assert latents.shape == (2, 16, 40)
    quantized = codec.quantizer(latents, torch.ones(2, dtype=torch.int64), generator)
    est = codec.synthesis(quantized.x)
    assert est.shape == wav.shape
    ((est - wav).abs().mean() + quantized.loss).backward()
    lacking = [name for name, value in codec.named_parameters() if value.grad is None or not value.grad.abs().sum() > 0]
    assert not lacking


@pytest.mark.parametrize("wav", [torch.zeros(1, 2, 5), torch.zeros(1, 5), torch.zeros(1, 1, 0)])
def test_wrong_audio_is_refused(wav: Tensor) -> None:
    with pytest.raises(ValueError, match=r"wav must be \[B, 1, T\]"):
        load(VARIANTS["tiny"].spec).encode(wav)


@pytest.mark.parametrize("codes", [torch.zeros(1, 2, 5, dtype=torch.int64), torch.zeros(1, 1, 5), torch.zeros(1, 1, 0, dtype=torch.int64)])
def test_wrong_codes_are_refused(codes: Tensor) -> None:
    with pytest.raises(ValueError, match="codes must be"):
        load(VARIANTS["tiny"].spec).decode(codes)
