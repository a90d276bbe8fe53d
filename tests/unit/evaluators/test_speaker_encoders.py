"""The speaker judges themselves: resemblyzer's encoder rebuilt, x-vector folders, and what is kept of their answers."""

import json
import shutil
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from bench.api import UserError
from bench.evaluators import dvector, speaker, xvector
from bench.evaluators.cache import Answers
from tests.conftest import speech_like

RATE = 16_000
# every 8th value of what resemblyzer 0.1.4 gives for the wave of `golden`, its own volume applied and its cutting of pauses not
GOLDEN = {
    0: 0.132344,
    2: 0.054999,
    6: 0.002954,
    8: 0.070826,
    12: 0.024774,
    13: 0.060364,
    15: 0.086265,
    16: 0.031923,
    17: 0.059854,
    18: 0.07942,
    20: 0.0771,
    21: 0.121476,
    22: 0.143621,
    23: 0.001003,
    25: 0.038176,
    31: 0.03539,
}


@pytest.fixture(scope="module")
def encoder() -> dvector.DVector:
    """Resemblyzer's; the test is skipped where the package is not installed."""
    try:
        return dvector.load("cpu")
    except UserError as error:
        pytest.skip(str(error))


def test_the_encoder_gives_what_the_package_gives(encoder: dvector.DVector) -> None:
    vector = encoder(0.05 * speech_like(3.3, RATE, 3))
    expected = torch.tensor([GOLDEN.get(i, 0.0) for i in range(32)])
    assert vector.shape == (256,) and float(vector.norm()) == pytest.approx(1, abs=1e-6)
    assert torch.allclose(vector[::8], expected, atol=2e-5)


@pytest.mark.parametrize(
    ("samples", "starts"),
    [
        (1, [0]),
        (25_440, [0]),  # 1.59 s
        (25_600, [0]),  # the second window would be covered for 0.83 s of 1.6 s
        (31_520, [0, 77]),  # 1.2 s of it
        (31_519, [0]),
        (160_000, [77 * i for i in range(12)]),  # the last starts at 8.47 s and is covered to 96 %
    ],
)
def test_windows_lie_where_three_quarters_of_them_are_in_the_clip(samples: int, starts: list[int]) -> None:
    assert dvector.partials(samples) == starts


def test_low_volume_is_raised_and_high_volume_kept() -> None:
    wave = speech_like(1.0, RATE)
    for gain in (1e-3, 1e-2):
        assert 20 * torch.log10(dvector.raised(gain * wave).square().mean().sqrt()) == pytest.approx(-30, abs=1e-3)
    loud = wave / wave.square().mean().sqrt() * 0.1
    assert torch.equal(dvector.raised(loud), loud)


@pytest.mark.parametrize("found", ["none", "another"])
def test_a_missing_package_and_other_weights_are_one_line_with_the_cure(
    found: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Elsewhere:
        def locate_file(self, name: str) -> Path:
            return tmp_path / name

    def distribution(name: str) -> Elsewhere:
        if found == "none":
            raise metadata.PackageNotFoundError(name)
        return Elsewhere()

    (tmp_path / "resemblyzer").mkdir()
    (tmp_path / dvector.FILE).write_bytes(b"another")
    monkeypatch.setattr(metadata, "distribution", distribution)
    with pytest.raises(UserError) as caught:
        dvector.load("cpu")
    message = str(caught.value)
    assert "\n" not in message and "pip install 'audio-tokenizer-bench[speaker]'" in message
    assert ("not installed" if found == "none" else "not the pinned 39373b86598f") in message


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small WavLMForXVector of random weights."""
    transformers = pytest.importorskip("transformers")
    folder = tmp_path_factory.mktemp("models") / "Tiny SV!"
    torch.manual_seed(0)
    config = transformers.WavLMConfig(
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        conv_dim=(32,) * 7,
        num_conv_pos_embeddings=16,
        num_conv_pos_embedding_groups=4,
        tdnn_dim=(32, 32, 32, 32, 96),
        tdnn_kernel=(5, 3, 3, 1, 1),
        tdnn_dilation=(1, 2, 3, 1, 1),
        xvector_output_dim=48,
        num_labels=5,
    )
    transformers.WavLMForXVector(config).save_pretrained(folder)
    transformers.Wav2Vec2FeatureExtractor(do_normalize=False).save_pretrained(folder)
    return folder


@pytest.fixture
def copied(tiny: Path, tmp_path: Path) -> Path:
    """The same folder, to be changed."""
    return Path(shutil.copytree(tiny, tmp_path / "copied"))


def by_transformers(folder: Path, wav: Tensor) -> Tensor:
    from transformers import Wav2Vec2FeatureExtractor, WavLMForXVector

    scaled = Wav2Vec2FeatureExtractor.from_pretrained(folder)(wav.numpy(), sampling_rate=RATE, return_tensors="pt").input_values
    with torch.inference_mode():
        return torch.nn.functional.normalize(WavLMForXVector.from_pretrained(folder).eval()(scaled).embeddings[0], dim=0)


def normalising(folder: Path) -> None:
    path = folder / "preprocessor_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"do_normalize": True}))


@pytest.mark.parametrize("change", [None, normalising])
def test_a_folder_gives_what_transformers_gives(copied: Path, change: Callable[[Path], None] | None) -> None:
    if change:
        change(copied)
    embed, wav = speaker.judge(str(copied)).load("cpu"), speech_like(1.3, RATE)
    assert torch.allclose(embed(wav), by_transformers(copied, wav), atol=1e-6)
    assert torch.allclose(embed(wav), embed(0.1 * wav), atol=1e-5) == bool(change)


def test_a_long_clip_is_the_mean_over_equal_pieces(tiny: Path) -> None:
    embed, wav = speaker.judge(str(tiny)).load("cpu"), speech_like(31.0, RATE)
    halves = [embed(half) for half in wav.split(len(wav) // 2)]
    assert torch.allclose(embed(wav), torch.nn.functional.normalize(sum(halves, torch.zeros(48)), dim=0), atol=1e-6)


def as_pickle(folder: Path) -> None:
    state = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    torch.save(state, folder / "pytorch_model.bin")


def with_old_names(folder: Path) -> None:
    path, stem = folder / "model.safetensors", "wavlm.encoder.pos_conv_embed.conv."
    state = load_file(path)
    for old, new in (("weight_g", "parametrizations.weight.original0"), ("weight_v", "parametrizations.weight.original1")):
        state[stem + old] = state.pop(stem + new)
    save_file(state, path)


@pytest.mark.parametrize("change", [as_pickle, with_old_names])
def test_weights_in_the_forms_that_hubs_hold_are_the_same(tiny: Path, copied: Path, change: Callable[[Path], None]) -> None:
    change(copied)
    wav = speech_like(1.0, RATE)
    assert torch.equal(speaker.judge(str(copied)).load("cpu")(wav), speaker.judge(str(tiny)).load("cpu")(wav))


def lacking(folder: Path) -> None:
    state = load_file(folder / "model.safetensors")
    del state["projector.weight"]
    save_file(state, folder / "model.safetensors")


def of_another_kind(folder: Path) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"model_type": "bert"}))


def at_another_rate(folder: Path) -> None:
    path = folder / "preprocessor_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"sampling_rate": 8000}))


def broken(folder: Path) -> None:
    (folder / "config.json").write_text("{")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lacking, "projector.weight"),
        (of_another_kind, "cannot be used as a speaker model"),
        (broken, "cannot be used as a speaker model"),
        (at_another_rate, "does not hear 16 kHz waveforms"),
    ],
)
def test_a_folder_that_cannot_be_used_is_one_line(copied: Path, change: Callable[[Path], None], message: str) -> None:
    change(copied)
    with pytest.raises(UserError) as caught:
        speaker.judge(str(copied)).load("cpu")
    assert message in str(caught.value) and str(copied) in str(caught.value) and "\n" not in str(caught.value)


def test_code_in_a_folder_is_never_run(copied: Path) -> None:
    path = copied / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"auto_map": {"AutoModelForAudioXVector": "evil.Model"}}))
    (copied / "evil.py").write_text(f"open({str(copied / 'ran')!r}, 'w')")
    embed = speaker.judge(str(copied)).load("cpu")
    assert embed(speech_like(1.0, RATE)).shape == (48,) and not (copied / "ran").exists()


def test_without_transformers_the_error_is_the_cure(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(UserError, match=r"needs transformers .*: pip install 'audio-tokenizer-bench\[hf\]'"):
        speaker.judge(str(tiny)).load("cpu")


def test_models_of_ones_own_have_columns_of_their_own(tiny: Path, copied: Path) -> None:
    one, digests = speaker.judge(str(tiny)), xvector.digests(tiny)
    assert one.name == f"tiny_sv_{digests[2][:8]}" and one.sha256 == "+".join(digests)
    with_old_names(copied)
    another = speaker.judge(str(copied))
    assert another.name != one.name and another.name.startswith("copied_") and another.label != one.label
    normalising(copied)
    assert speaker.judge(str(copied)).label != another.label


def test_a_folder_that_holds_a_known_model_is_that_model(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = speaker.SpeakerJudge("wavlm_base_plus_sv", "+".join(xvector.digests(tiny)), "", xvector.load_wavlm)
    monkeypatch.setitem(speaker.JUDGES, "wavlm-base-plus-sv", known)
    found = speaker.judge(str(tiny))
    assert found.label == known.label and found.load("cpu")(speech_like(1.0, RATE)).shape == (48,)


def test_the_named_model_is_found_in_the_cache_folder(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUDIO_TOKENIZER_BENCH_CACHE", str(tmp_path))
    shutil.copytree(tiny, tmp_path / "wavlm-base-plus-sv")
    with pytest.raises(UserError, match="config.json has sha256 .*, not the pinned c6ac8c0ce55b"):
        speaker.judge("wavlm-base-plus-sv").load("cpu")


def test_an_answer_is_kept_by_clip_and_judge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUDIO_TOKENIZER_BENCH_CACHE", str(tmp_path))
    one, answer = Answers("one"), {"text": "hello", "vector": [0.1, 1e-9]}
    assert one.get("aa") is None
    one.keep("aa", answer)
    assert Answers("one").get("aa") == answer and one.get("bb") is None and Answers("two").get("aa") is None
    one.keep("aa", "again")
    assert one.get("aa") == "again"
    with pytest.raises(TypeError):
        one.keep("cc", object())
    assert [path.name for path in one.folder.iterdir()] == ["aa.json"]  # nothing half-written is left
    (one.folder / "aa.json").write_text('{"text": "hel')
    assert one.get("aa") is None


def test_a_cache_that_cannot_be_written_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("AUDIO_TOKENIZER_BENCH_CACHE", str(tmp_path / "file"))
    with pytest.raises(UserError, match="set AUDIO_TOKENIZER_BENCH_CACHE to another folder"):
        Answers("one")
