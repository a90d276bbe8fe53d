"""UTMOS22: a file of the official names is read strictly and answers as the official code does on the same weights."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from bench.api import UserError
from bench.evaluators import quality, utmos
from bench.evaluators.sounds import Sound
from tests.conftest import speech_like

KNOWN = {(1.0, 0): 3.588656, (2.33, 1): 3.647667, (0.51, 2): 3.464643}
"""Seconds and seed of speech_like -> what UTMOS22Strong of tarepan/SpeechMOS v1.2.0 says with the weights of `drawn(shapes())`."""


def shapes(wide: int = 768, feedforward: int = 3072, heads_of: int = 48, layers: int = 12) -> dict[str, tuple[int, ...]]:
    """Every tensor of the official file."""
    found: dict[str, tuple[int, ...]] = {"domain_emb": (1, 128), "judge_emb": (1, 128), "wav2vec2.mask_emb": (wide,)}
    for i, kernel in enumerate((10, 3, 3, 3, 3, 2, 2)):
        found[f"wav2vec2.feature_extractor.conv_layers.{i}.0.weight"] = (512, 512 if i else 1, kernel)
    encoder = "wav2vec2.encoder"
    pairs: dict[str, tuple[int, ...]] = {"wav2vec2.feature_extractor.conv_layers.0.2": (512,), "wav2vec2.layer_norm": (512,)}
    pairs |= {"wav2vec2.post_extract_proj": (wide, 512), f"{encoder}.layer_norm": (wide,)}
    pairs |= {"projection.0": (2048, 1024), "projection.2": (1, 2048)}
    for i in range(layers):
        pairs |= {f"{encoder}.layers.{i}.self_attn.{part}_proj": (wide, wide) for part in ("q", "k", "v", "out")}
        pairs |= {f"{encoder}.layers.{i}.{norm}_layer_norm": (wide,) for norm in ("self_attn", "final")}
        pairs |= {f"{encoder}.layers.{i}.fc1": (feedforward, wide), f"{encoder}.layers.{i}.fc2": (wide, feedforward)}
    for stem, shape in pairs.items():
        found |= {f"{stem}.weight": shape, f"{stem}.bias": shape[:1]}
    position = f"{encoder}.pos_conv.0"
    found |= {f"{position}.bias": (wide,), f"{position}.weight_g": (1, 1, 128), f"{position}.weight_v": (wide, heads_of, 128)}
    for way in ("", "_reverse"):
        found |= {f"blstm.weight_ih_l0{way}": (2048, wide + 256), f"blstm.weight_hh_l0{way}": (2048, 512)}
        found |= {f"blstm.bias_ih_l0{way}": (2048,), f"blstm.bias_hh_l0{way}": (2048,)}
    return found


def drawn(wanted: dict[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """Weights of a file, by one seed in the order of the names."""
    rng = torch.Generator().manual_seed(0)
    state = {}
    for name, shape in sorted(wanted.items()):
        if name.endswith("weight_g"):
            state[name] = torch.rand(shape, generator=rng) + 0.5
        elif "norm" in name or (name.endswith(".2.weight") and len(shape) == 1):
            state[name] = float(name.endswith("weight")) + 0.1 * torch.randn(shape, generator=rng)
        elif len(shape) >= 2:
            state[name] = torch.randn(shape, generator=rng) / torch.Size(shape[1:]).numel() ** 0.5
        else:
            state[name] = torch.randn(shape, generator=rng) / 10
    return state


@pytest.mark.slow
def test_the_official_weights_form_gives_the_official_answers(tmp_path: Path) -> None:
    path = tmp_path / "utmos.pt"
    torch.save(drawn(shapes()), path)
    scorer = utmos.load_file(path, "cpu")
    answers = scorer([Sound(speech_like(seconds, utmos_rate(), seed)) for seconds, seed in KNOWN])
    assert [answer[0] for answer in answers if isinstance(answer, tuple)] == pytest.approx(list(KNOWN.values()), abs=2e-5)


def utmos_rate() -> int:
    """Hz of what it hears."""
    return quality.UTMOS.rates["speech"]


def test_official_names_are_all_known_and_nothing_else_is() -> None:
    with torch.device("meta"):
        model = utmos.Utmos()
        state = utmos.ours({name: torch.empty(shape) for name, shape in shapes().items()})
    assert {name: value.shape for name, value in model.state_dict().items()} == {name: value.shape for name, value in state.items()}
    assert "wav2vec2.unknown" not in state and "encoder.unknown.x" in utmos.ours({"wav2vec2.unknown.x": torch.zeros(1)})


def test_a_score_is_the_mean_over_frames_of_one_known_listener() -> None:
    torch.manual_seed(0)
    model = utmos.Utmos(layers=1).eval()
    wav = speech_like(0.5, 16_000)[None, None]
    with torch.inference_mode():
        before = model(wav)
        dict(model.named_parameters())["projection.2.bias"].add_(1.0)
        assert model(wav) == pytest.approx(before + 2, abs=1e-5)  # scores are answered in halves around 3
        model.judge_emb.add_(1.0)
        assert abs(float(model(wav) - before) - 2) > 1e-4


def test_it_is_asked_by_its_name_and_pinned(tmp_path: Path) -> None:
    panel = quality.panel("utmos")
    assert [metric.name for metric in panel.metrics] == ["utmos", "utmos_original"] and utmos.FILE.sha256 in panel.label
    torch.save({}, tmp_path / "bad.pt")
    with pytest.raises(UserError, match="bad.pt does not fit this configuration"):
        utmos.load_file(tmp_path / "bad.pt", "cpu")
