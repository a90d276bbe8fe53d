"""Weights: only proven files are read, nothing in them is run, and every failure is one line that says how to correct it."""

import copy
import pickle
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from bench import registry
from bench.api import UserError
from bench.cli import main
from bench.tokenizers.mimi import RELEASED, VARIANTS, Mimi, load
from bench.weights import files


def one_line(error: pytest.ExceptionInfo) -> str:
    message = str(error.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize("name", ["w.safetensors", "w.th"])
@pytest.mark.parametrize("content", [b"", b"\x00" * 100, b"not weights at all", b"PK\x03\x04 half a zip file", b"\x80\x02}q\x00"])
def test_a_corrupt_file_is_one_line(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError) as error:
        files.load_state(tmp_path / name)
    assert name in one_line(error)


def test_a_truncated_file_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_file({"a": torch.zeros(1000)}, path)
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(UserError, match="cannot be read"):
        files.load_state(path)


class Bomb:
    def __init__(self, target: Path):
        self.target = target

    def __reduce__(self):
        return Path.touch, (self.target,)


@pytest.mark.parametrize("how", ["torch", "pickle"])
@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_a_pickle_that_runs_code_is_refused_and_does_not_run(tmp_path: Path, how: str) -> None:
    path, target = tmp_path / "w.pt", tmp_path / "ran"
    state = {"a": torch.zeros(1), "b": Bomb(target)}
    if how == "torch":
        torch.save(state, path)
    else:
        path.write_bytes(pickle.dumps(state))
    with pytest.raises(UserError, match="cannot be read"):
        files.load_state(path)
    assert not target.exists()


@pytest.mark.parametrize("wrap", [None, "model", "state_dict"])
def test_plain_pickles_of_tensors_load(tmp_path: Path, wrap: str | None) -> None:
    state = {"a": torch.arange(3.0)}
    torch.save({wrap: state, "step": 7} if wrap else state, tmp_path / "w.th")
    loaded = files.load_state(tmp_path / "w.th")
    assert loaded.keys() == {"a"} and torch.equal(loaded["a"], state["a"])


def test_half_precision_becomes_single(tmp_path: Path) -> None:
    save_file({"a": torch.ones(2, dtype=torch.float16), "n": torch.tensor([3])}, tmp_path / "w.safetensors")
    loaded = files.load_state(tmp_path / "w.safetensors")
    assert loaded["a"].dtype == torch.float32 and loaded["n"].dtype == torch.int64


def test_something_else_than_tensors_is_refused(tmp_path: Path) -> None:
    torch.save([1, 2], tmp_path / "w.pt")
    with pytest.raises(UserError, match="tensors by name"):
        files.load_state(tmp_path / "w.pt")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda s: s.pop("bias"), "Missing key.*bias"),
        (lambda s: s.update(extra=torch.zeros(1)), "Unexpected key.*extra"),
        (lambda s: s.update(bias=torch.zeros(9)), "size mismatch.*bias"),
    ],
)
def test_weights_must_fit_exactly(tmp_path: Path, change, expected: str) -> None:
    state = nn.Linear(2, 3).state_dict()
    change(state)
    with pytest.raises(UserError, match=expected) as error:
        files.fill(nn.Linear(2, 3), state, tmp_path / "w.safetensors")
    one_line(error)


def test_mimi_reads_its_own_file(tmp_path: Path) -> None:
    tiny = load(VARIANTS["tiny"].spec)
    save_file(tiny.state_dict(), tmp_path / "tiny.safetensors")
    again = load(VARIANTS["tiny"].spec, tmp_path / "tiny.safetensors")
    wav = torch.randn(1, 1, 9999, generator=torch.Generator().manual_seed(0))
    assert torch.equal(again.encode(wav), tiny.encode(wav))


def test_seeded_weights_depend_on_the_seed_alone() -> None:
    spec = VARIANTS["tiny"].spec
    torch.manual_seed(1)
    one: Mimi = load(spec)
    torch.manual_seed(2)
    same, other = load(spec), load(replace(spec, weights="seed:1"))
    assert all(torch.equal(value, same.state_dict()[key]) for key, value in one.state_dict().items())
    assert not torch.equal(one.downsample.weight, other.downsample.weight)


def test_released_weights_are_pinned() -> None:
    assert len(RELEASED.sha256) == 64 and "/resolve/main/" not in RELEASED.url
    assert all(variant.spec.weights == f"sha256:{RELEASED.sha256}" for name, variant in VARIANTS.items() if name.startswith("24khz"))


@pytest.mark.parametrize("names", ["old", "parametrized"])
@pytest.mark.parametrize(("layer", "dim"), [(nn.Conv1d(3, 5, 4), 0), (nn.ConvTranspose1d(6, 1, 3), 0), (nn.Conv1d(4, 8, 16, groups=2), 2)])
def test_folded_weight_norm_is_the_weight_that_torch_computes(layer: nn.Module, dim: int, names: str) -> None:
    convolution = nn.utils.parametrizations.weight_norm(copy.deepcopy(layer), dim=dim)
    state = nn.Sequential(convolution).state_dict()
    state["0.parametrizations.weight.original0"] *= 1.7  # otherwise it would be the length that it already has
    if names == "old":
        state["0.weight_g"] = state.pop("0.parametrizations.weight.original0")
        state["0.weight_v"] = state.pop("0.parametrizations.weight.original1")
    before = dict(state)
    folded = files.fold_weight_norm(state)
    assert folded.keys() == {"0.weight", "0.bias"} and state.keys() == before.keys()
    torch.testing.assert_close(folded["0.weight"], convolution.get_submodule("parametrizations.weight")().detach(), rtol=1e-6, atol=0)


@pytest.mark.parametrize("name", ["mimi@24khz-4cb", "encodec@mini", "mfcc_kmeans@km100"])
def test_any_tokenizer_can_be_had_with_random_weights_and_is_called_untrained(name: str) -> None:
    variant = registry.variant(name)
    bare = registry.untrained(variant, seed=7)
    assert not bare.spec.trained and bare.files == () and bare.spec == replace(variant.spec, weights="seed:7", trained_here=None)
    with torch.inference_mode():
        wav = 0.1 * torch.randn(1, 1, 8000)
        one, again, other = (registry.load_tokenizer(registry.untrained(variant, seed)).encode(wav) for seed in (7, 7, 8))
    assert torch.equal(one, again) and not torch.equal(one, other)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--tokenizer opus@6kbps --untrained", "opus@6kbps takes no weights from a file: leave --untrained out"),
        ("--tokenizer mimi --untrained --weights setup.py", "--untrained and --weights cannot be used together"),
    ],
)
def test_random_weights_where_they_make_no_sense_are_one_line(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], words: str, message: str
) -> None:
    (tmp_path / "setup.py").touch()
    words = words.replace("setup.py", str(tmp_path / "setup.py"))
    assert main(["run", *words.split(), "--results", str(tmp_path / "r")]) == 2
    printed = capfd.readouterr()
    assert printed.err == f"error: {message}\n" and not (tmp_path / "r").exists()


OTHERS = {
    "a sound": b"RIFF\x24\x5d\x00\x00WAVEfmt \x10\x00\x00\x00",
    "an archive": b"PK\x03\x04 and no more",
    "nothing": b"",
    "a page": b"<html>",
}


@pytest.mark.parametrize("content", OTHERS.values(), ids=OTHERS)
@pytest.mark.parametrize("suffix", [".pt", ".safetensors", ".ckpt"])
def test_a_file_of_another_kind_is_no_weights(tmp_path: Path, content: bytes, suffix: str) -> None:
    path = tmp_path / f"w{suffix}"
    path.write_bytes(content)
    with pytest.raises(UserError, match="cannot be read as weights") as caught:
        files.load_state(path)
    assert "weights_only" not in str(caught.value)


@pytest.mark.parametrize("content", OTHERS.values(), ids=OTHERS)
@pytest.mark.parametrize("suffix", [".npy", ".bin", ".safetensors"])
def test_a_file_of_another_kind_is_no_codebook(tmp_path: Path, content: bytes, suffix: str) -> None:
    path = tmp_path / f"k{suffix}"
    path.write_bytes(content)
    with pytest.raises(UserError, match="cannot be read as"):
        files.load_centroids(path, 3, 3)
