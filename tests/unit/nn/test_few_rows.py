"""Products of few rows: every library gives what torch's layers give, and the verdict is measured once, kept, and can be forced."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from bench.api import Streams, UserError
from bench.nn import few_rows
from bench.nn.conv import CausalConv1d, CausalConvTranspose1d
from bench.nn.onednn import Linear, Order
from bench.nn.quantize import Codebook
from bench.nn.reflect import SkipLSTM
from bench.registry import load_tokenizer

pytestmark = [
    pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="this torch has no oneDNN: there is one path only"),
    pytest.mark.filterwarnings("ignore:TF32 acceleration"),  # of every change to the flags
]
WIDE = 640  # channels: weights of so many are larger than what counts as small
LAYERS: dict[str, tuple[Callable[[], nn.Module], int]] = {
    "one tap": (lambda: CausalConv1d(WIDE, WIDE + 8, 1), 1),
    "strided": (lambda: CausalConv1d(WIDE, 200, 8, stride=4), 4),
    "dilated": (lambda: CausalConv1d(WIDE, 200, 3, dilation=2), 1),
    "small": (lambda: CausalConv1d(24, 40, 3), 1),
    "transposed": (lambda: CausalConvTranspose1d(WIDE, 200, 8, 4), 1),
    "transposed, no overlap, no bias": (lambda: CausalConvTranspose1d(24, 40, 4, 4, bias=False), 1),
    "linear": (lambda: Linear(WIDE, 2 * WIDE), 0),
}


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """No verdict from before, none left behind."""
    monkeypatch.delenv(few_rows.FORCED, raising=False)
    monkeypatch.setenv("AUDIO_TOKENIZER_BENCH_CACHE", str(tmp_path / "cache"))
    few_rows.libraries.cache_clear()
    with torch.no_grad():
        yield
    few_rows.libraries.cache_clear()


def forced(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(few_rows.FORCED, library)
    few_rows.libraries.cache_clear()


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def of_blas(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """The shapes of the weights that BLAS multiplies by from now on."""
    seen: list[tuple[int, ...]] = []

    def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        seen.append(tuple(weight.shape))
        return torch.ops.aten.linear(x, weight, bias)

    monkeypatch.setattr(few_rows.F, "linear", linear)
    return seen


@pytest.mark.parametrize("rows", [1, 2, 3, 9])
@pytest.mark.parametrize("library", few_rows.LIBRARIES)
@pytest.mark.parametrize("name", LAYERS)
def test_each_library_gives_what_torch_gives(name: str, library: str, rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    forced(library, monkeypatch)
    make, hop = LAYERS[name]
    torch.manual_seed(0)
    layer = make()
    width = next(layer.parameters()).shape[0 if "transposed" in name else 1]
    x = random(1, width, rows * hop) if hop else random(1, rows, width)
    with torch.backends.mkldnn.flags(enabled=False):
        expected = layer(x)
    seen = of_blas(monkeypatch)
    torch.testing.assert_close(layer(x), expected, rtol=1e-5, atol=1e-5)
    assert bool(seen) is (library == "blas" and (width < WIDE or rows <= few_rows.FEW))


@pytest.mark.parametrize("library", few_rows.LIBRARIES)
def test_each_library_adds_and_makes_gelu(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    forced(library, monkeypatch)
    weight, bias, x, onto = random(700, 500), random(700, seed=1), random(1, 500, seed=2), random(1, 700, seed=3)
    plain = nn.functional.linear(x, weight, bias)
    torch.testing.assert_close(Order().product(x, weight, bias, onto.clone()), plain + onto, rtol=1e-5, atol=1e-4)
    torch.testing.assert_close(Order().product(x, weight, bias, after="gelu"), nn.functional.gelu(plain), rtol=1e-5, atol=1e-4)
    layer, wav, target = CausalConv1d(48, 24, 3), random(1, 48, 6), random(1, 24, 4)
    torch.testing.assert_close(layer.valid(wav, target.clone()), layer.valid(wav) + target, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("library", few_rows.LIBRARIES)
def test_each_library_steps_as_torchs_lstm(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    layer, x = SkipLSTM(300, 2), random(1, 300, 6)
    with torch.enable_grad():
        whole = layer(x).detach()
    forced(library, monkeypatch)
    memory = {}
    pieces = [layer(part, memory) for part in (x[..., :2], x[..., 2:3], x[..., 3:5], x[..., 5:])]
    torch.testing.assert_close(torch.cat(pieces, -1), whole, rtol=1e-5, atol=1e-6)


def test_a_weight_that_changes_is_laid_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    forced("blas", monkeypatch)
    layer, x = Linear(WIDE, 2 * WIDE, bias=False), random(1, WIDE)
    before = layer(x)
    layer.weight.mul_(2)
    torch.testing.assert_close(layer(x), 2 * before)
    book = Codebook(64, 8)
    for seed in range(3):
        book.embedding_sum.copy_(random(64, 8, seed=seed))
        book.forget()
        assert torch.equal(book.encode(random(1, 8)), torch.cdist(random(1, 8), book.vectors()[0].clone()).argmin(-1))


@pytest.mark.parametrize("library", few_rows.LIBRARIES)
@pytest.mark.parametrize("name", ["encodec@tiny", "mimi@tiny"])
def test_a_stream_by_each_library_is_the_whole_clip(name: str, library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer = load_tokenizer(name)
    rate = tokenizer.spec.sample_rate
    assert isinstance(tokenizer, Streams) and rate
    hop = round(rate / tokenizer.spec.frame_rate)
    wav = random(1, 1, 24 * hop) / 10
    with torch.backends.mkldnn.flags(enabled=False):
        codes = tokenizer.encode(wav)
        audio = tokenizer.decode(codes)
    forced(library, monkeypatch)
    encoder, decoder = tokenizer.stream_encoder(), tokenizer.stream_decoder()
    found = torch.cat([*map(encoder.feed, wav.split(hop, -1)), encoder.flush()], -1)
    assert torch.equal(found, codes)
    heard = torch.cat([*map(decoder.feed, codes.split(1, -1)), decoder.flush()], -1)
    torch.testing.assert_close(heard, audio, rtol=0, atol=1e-5)


def test_the_verdict_is_measured_once_and_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    found = few_rows.libraries()
    (file,) = (tmp_path / "cache" / "libraries").iterdir()
    seconds = json.loads(file.read_text())["seconds"]
    assert set(found) == set(seconds) == {"row", "pair", "small"}
    assert all(seconds[kind][found[kind]] == min(seconds[kind].values()) > 0 for kind in found)
    monkeypatch.setattr(few_rows, "measured", lambda: pytest.fail("measured twice"))
    few_rows.libraries.cache_clear()
    assert few_rows.libraries() == found


@pytest.mark.parametrize("sooner", few_rows.LIBRARIES)
def test_the_sooner_library_multiplies(sooner: str, monkeypatch: pytest.MonkeyPatch) -> None:
    times = {library: 1.0 + (library != sooner) for library in few_rows.LIBRARIES}
    monkeypatch.setattr(few_rows, "measured", lambda: dict.fromkeys(few_rows.USUAL, times))
    seen = of_blas(monkeypatch)
    Linear(WIDE, WIDE)(random(1, WIDE))
    assert bool(seen) is (sooner == "blas")


def test_of_processes_that_measure_at_once_the_first_one_counts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def kept(library: str) -> dict[str, str]:
        times = {other: 1.0 + (other != library) for other in few_rows.LIBRARIES}
        monkeypatch.setattr(few_rows, "measured", lambda: dict.fromkeys(few_rows.USUAL, times))
        return dict(few_rows._kept(tmp_path / "of.json"))

    first = kept("onednn")
    exists = Path.exists
    monkeypatch.setattr(Path, "exists", lambda self: False if self.name == "of.json" else exists(self))  # as the second one found it
    assert kept("blas") == first == dict.fromkeys(few_rows.USUAL, "onednn")
    assert [path.name for path in tmp_path.glob("of*")] == ["of.json"] and not list(tmp_path.glob("*.part"))


def test_threads_and_torch_are_part_of_the_name(monkeypatch: pytest.MonkeyPatch) -> None:
    names = {few_rows._machine()}
    monkeypatch.setattr(torch, "get_num_threads", lambda: 61)
    names.add(few_rows._machine())
    monkeypatch.setattr(torch, "__version__", "0.0")
    names.add(few_rows._machine())
    assert len(names) == 3


def test_where_nothing_can_be_kept_all_processes_take_the_usual(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("AUDIO_TOKENIZER_BENCH_CACHE", str(tmp_path / "file"))
    assert few_rows.libraries() == few_rows.USUAL


@pytest.mark.parametrize("content", ["", "[]", '{"libraries": {}}', '{"libraries": {"row": "mkl", "pair": "blas", "small": "blas"}}'])
def test_a_broken_verdict_is_told(content: str, tmp_path: Path) -> None:
    (tmp_path / "of.json").write_text(content)
    with pytest.raises(UserError, match="of.json does not say which library multiplies: delete it"):
        few_rows._kept(tmp_path / "of.json")


def test_a_wrong_word_in_the_environment_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    forced("mkl", monkeypatch)
    with pytest.raises(UserError, match="AUDIO_TOKENIZER_BENCH_FEW_ROWS=mkl in the environment: choose from blas, onednn"):
        few_rows.libraries()


def test_many_threads_agree() -> None:
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: dict(few_rows.libraries()), range(4)))
    assert all(one == found[0] for one in found)
