"""The CPU's own paths of inference give what torch's layers give, and step aside wherever those are needed."""

from __future__ import annotations

import copy
import io
from collections.abc import Callable, Iterator
from functools import partial

import pytest
import torch
from torch import Tensor, nn

from bench.nn import attentive_vocos, onednn
from bench.nn.conv import CausalConv1d, CausalConvTranspose1d, Memory
from bench.nn.onednn import Linear, elu, for_onednn, joined, linear
from bench.nn.quantize import Codebook, nearest
from bench.nn.reflect import CentredConv1d, CentredConvTranspose1d, Norm, ReflectConv1d, SkipLSTM
from bench.nn.seanet import Residual
from bench.nn.vocos import PaddedConv1d

pytestmark = [
    pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="this torch has no oneDNN: there is one path only"),
    pytest.mark.filterwarnings("ignore:TF32 acceleration"),  # of every change to the flags
]
LAYERS: dict[str, Callable[[], nn.Module]] = {
    "causal": lambda: CausalConv1d(6, 10, 4, stride=2),
    "causal dilated": lambda: CausalConv1d(6, 10, 3, dilation=4),
    "causal depthwise": lambda: CausalConv1d(6, 6, 3, groups=6),
    "causal replicated": lambda: CausalConv1d(6, 10, 4, stride=2, pad="replicate"),
    "one tap": lambda: CausalConv1d(6, 10, 1),
    "transposed": lambda: CausalConvTranspose1d(6, 10, 8, 4),
    "transposed, no overlap": lambda: CausalConvTranspose1d(6, 10, 4, 4, bias=False),
    "transposed depthwise": lambda: CausalConvTranspose1d(6, 6, 4, 2, groups=6),
    "reflected": lambda: ReflectConv1d(6, 10, 8, 4),
    "centred": lambda: CentredConv1d(6, 10, 8, 4),
    "padded": lambda: PaddedConv1d(6, 10, 3, groups=1),
    "padded, seven taps": lambda: PaddedConv1d(6, 10, 7, groups=1),
    "padded depthwise": lambda: PaddedConv1d(6, 6, 7, groups=6),
    "centred transposed": lambda: CentredConvTranspose1d(6, 10, 8, 4),
    "residual": lambda: Residual(6, 3, 2, 2),
    "norm": lambda: Norm(6),
    "group norm": lambda: attentive_vocos.GroupNorm(2, 6, 1e-6),
}


@pytest.fixture(autouse=True)
def no_grad() -> Iterator[None]:
    with torch.no_grad():
        yield


@pytest.mark.parametrize("one_order", [True, False])
def test_a_convolution_is_torchs_whichever_order_the_processor_wants(one_order: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onednn, "ONE_ORDER", one_order)
    monkeypatch.setattr(onednn, "UNFOLDED", 3000)  # so that long signals are unfolded piece by piece
    ways = {"unfolded": 0, "plain": 0}
    for name, module, way in (("_unfolded", onednn, "unfolded"), ("conv2d", nn.functional, "plain")):
        monkeypatch.setattr(module, name, counted(getattr(module, name), ways, way))
    for stride, dilation, padding, taps in ((1, 1, 0, 7), (1, 3, 2, 3), (1, 1, 1, 2), (4, 1, 0, 8), (5, 2, 3, 5), (2, 1, 0, 1)):
        weight, bias = random(48, 64, taps), random(48)
        kept = onednn.ordered(weight, stride, dilation)
        few, either = weight.numel() <= onednn.FEW, stride == 1 and taps > 2
        assert isinstance(kept, onednn.Unordered) is (not one_order and (few or either))
        for length in (19, 20, 57, 500):
            x, before = random(2, 64, length), dict(ways)
            wanted = nn.functional.conv1d(x, weight, bias, stride, padding, dilation)
            torch.testing.assert_close(onednn.convolved(x, kept, bias, stride, dilation, padding=padding), wanted, rtol=1e-4, atol=1e-4)
            added = onednn.convolved(x, kept, bias, stride, dilation, wanted.clone(), padding)
            torch.testing.assert_close(added, 2 * wanted, rtol=1e-4, atol=1e-4)
            way = "" if one_order else "plain" if few or (either and length == 500) else "unfolded"
            assert {name: ways[name] - before[name] for name in ways} == {name: 2 * (name == way) for name in ways}


@pytest.mark.parametrize("one_order", [True, False])
def test_a_small_weight_is_never_put_in_an_order_that_is_not_the_right_one(one_order: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onednn, "ONE_ORDER", one_order)
    weight, bias, x = random(96, 1, 7), random(96), random(1, 1, 300)
    kept = onednn.ordered(weight)
    assert (isinstance(kept, onednn.Unordered) and kept.matrix is None) is not one_order
    torch.testing.assert_close(onednn.convolved(x, kept, bias), nn.functional.conv1d(x, weight, bias), rtol=1e-4, atol=1e-5)


def counted(function: Callable[..., Tensor], counts: dict[str, int], name: str) -> Callable[..., Tensor]:
    def called(*given, **named) -> Tensor:
        counts[name] += 1
        return function(*given, **named)

    return called


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def plain(call: Callable[[], Tensor]) -> Tensor:
    """What torch's own layers give."""
    with torch.backends.mkldnn.flags(enabled=False):
        return call()


def lively(layer: nn.Module) -> nn.Module:
    for index, value in enumerate(layer.parameters()):
        value.copy_(random(*value.shape, seed=index + 1) / value[0].numel() ** 0.5)
    return layer


@pytest.mark.parametrize("length", [1, 2, 3, 101])
def test_three_taps_by_pairs_of_samples_lose_no_digits(length: int) -> None:
    layer, x = PaddedConv1d(64, 48, 3, groups=1), random(3, 64, length)
    lively(layer)
    found, exact = layer(x), layer.double()(x.double())
    assert found.shape == exact.shape
    torch.testing.assert_close(found.double(), exact, rtol=0, atol=2e-6)


@pytest.mark.parametrize("length", [4, 8, 100, 5000])
@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_gives_what_torch_gives(name: str, length: int) -> None:
    layer, x = lively(LAYERS[name]()), random(2, 6, length)
    expected = plain(lambda: layer(x.clone()))
    torch.testing.assert_close(layer(x.clone()), expected, rtol=1e-5, atol=1e-5)
    frames = x.transpose(1, 2).contiguous().transpose(1, 2)  # as the layer before would store them
    torch.testing.assert_close(layer(frames), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("after", ["none", "gelu"])
@pytest.mark.parametrize("rows", [1, 300])
def test_products_give_what_torch_gives(rows: int, after) -> None:
    layer, x = Linear(20, 30), random(2, rows, 20)
    expected = plain(lambda: layer(x, after))
    assert (expected.min() > -0.2) == (after == "gelu")
    torch.testing.assert_close(layer(x, after), expected, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(linear(layer, x, after), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("steps", [1, 3, SkipLSTM.FEW, SkipLSTM.FEW + 1])
def test_a_few_steps_of_an_lstm_are_those_of_torch(steps: int) -> None:
    layer = lively(SkipLSTM(12, 2))
    first, then = random(3, 12, 20), random(3, 12, steps, seed=1)
    with torch.enable_grad():
        whole = layer(torch.cat([first, then], -1)).detach()
    memory: Memory = {}
    pieces = [layer(first, memory), layer(then, memory), layer(first[..., :1], memory)]
    torch.testing.assert_close(torch.cat(pieces[:2], -1), whole, rtol=1e-5, atol=1e-6)
    with torch.enable_grad():
        longer = layer(torch.cat([first, then, first[..., :1]], -1)).detach()
    torch.testing.assert_close(pieces[2], longer[..., -1:], rtol=1e-5, atol=1e-6)


def test_elu_gives_what_torch_gives() -> None:
    x = torch.cat([random(1, 2, 1000) * 3, torch.tensor([0.0, -0.0, 1e-30, -1e-30, -100, 100]).expand(1, 2, -1)], -1)
    expected = plain(lambda: elu(x, inplace=False))
    torch.testing.assert_close(elu(x, inplace=False), expected, rtol=0, atol=1e-7)
    assert elu(x, inplace=True) is x
    torch.testing.assert_close(x, expected, rtol=0, atol=1e-7)


def test_the_nearest_code_is_the_same() -> None:
    points, book = random(500, 16), random(64, 16, seed=1)
    expected = torch.cdist(points.double(), book.double()).argmin(-1)
    found, without = (way(lambda: nearest(points, book, book.square().sum(-1) / 2)) for way in (lambda call: call(), plain))
    assert torch.equal(found, expected) and torch.equal(without, expected)


@pytest.mark.parametrize("dim", [0, -1])
def test_joined_is_cat(dim) -> None:
    parts = [random(2, 3, 4), random(2, 3, 4, seed=1)]
    assert torch.equal(joined(parts, dim), torch.cat(parts, dim))


def test_what_the_tensor_is_decides() -> None:
    x = random(1, 6, 8)
    assert for_onednn(x) and for_onednn(x.bfloat16()) is torch.ops.mkldnn._is_mkldnn_bf16_supported()
    assert not any(for_onednn(other) for other in (x.double(), x.half(), x.to("meta")))
    with torch.enable_grad():
        assert not for_onednn(x)
    with torch.backends.mkldnn.flags(enabled=False):
        assert not for_onednn(x)
    with torch.autocast("cpu", torch.bfloat16):
        assert not for_onednn(x)


@pytest.mark.parametrize("name", LAYERS)
def test_gradients_reach_every_parameter(name: str) -> None:
    layer = lively(LAYERS[name]())
    x = random(2, 6, 40)
    layer(x.clone())  # the weight is ordered before it learns
    with torch.enable_grad():
        x.requires_grad_()
        layer(x).square().sum().backward()
    assert x.grad is not None and all(value.grad is not None and value.grad.abs().sum() > 0 for value in layer.parameters())


@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.AdamW, partial(torch.optim.AdamW, fused=True)])
@pytest.mark.parametrize("name", ["causal", "transposed", "centred", "one tap"])
def test_a_weight_that_has_learnt_is_ordered_anew(name: str, kind: Callable[..., torch.optim.Optimizer]) -> None:
    layer, x = lively(LAYERS[name]()), random(2, 6, 40)
    before, optimizer = layer(x), kind(layer.parameters(), lr=0.1)
    with torch.enable_grad():
        layer(x).square().sum().backward()
    optimizer.step()
    assert (layer(x) - before).abs().max() > 0.01
    torch.testing.assert_close(layer(x), plain(lambda: layer(x)), rtol=1e-5, atol=1e-5)


def test_a_loaded_a_copied_and_a_stored_layer_have_their_own_weights() -> None:
    layer, other, x = lively(CausalConv1d(6, 10, 4)), CausalConv1d(6, 10, 4), random(1, 6, 40)
    layer(x)
    other(x)
    other.load_state_dict(layer.state_dict())
    file = io.BytesIO()
    torch.save(layer.state_dict(), file)  # nothing of the order is in it
    twin = copy.deepcopy(layer)
    for same in (other, twin):
        torch.testing.assert_close(same(x), layer(x))
    assert isinstance(twin, CausalConv1d)
    twin.weight.zero_()
    assert (twin(x) - layer(x)).abs().max() > 0.1


def test_weights_made_in_inference_mode_may_change_too() -> None:
    with torch.inference_mode():
        layer, x = CausalConv1d(6, 10, 4), random(1, 6, 40)
        before = layer(x)
        layer.weight.mul_(2)
        assert (layer(x) - before).abs().max() > 0.01


@pytest.mark.parametrize("name", LAYERS)
def test_bfloat16_is_float32_but_for_its_digits(name: str) -> None:
    layer, x = lively(LAYERS[name]()), random(2, 6, 400)
    expected = layer(x.clone())
    found = layer.bfloat16()(x.bfloat16())
    assert found.dtype == torch.bfloat16
    assert (found.float() - expected).norm() < 0.02 * expected.norm()


@pytest.mark.parametrize("queries", [7, 100])
def test_attention_in_blocks_of_queries_is_attention(queries: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attentive_vocos, "QUERIES", queries)
    q, k, v = (2 * random(3, 33, 16, seed=seed) for seed in range(3))
    expected = nn.functional.scaled_dot_product_attention(q[:, None], k[:, None], v[:, None])[:, 0]
    torch.testing.assert_close(attentive_vocos.attended(q, k, v), expected, rtol=1e-5, atol=1e-6)


def test_a_codebook_in_order_finds_the_codes_of_one_that_is_not_and_follows_its_changes() -> None:
    points, book = random(50, 8), Codebook(64, 8)
    for seed in range(9):
        book.embedding_sum.copy_(random(64, 8, seed=seed))
        book.forget()
        assert torch.equal(book.encode(points), torch.cdist(points, book.vectors()[0].clone()).argmin(-1))
    assert book.order.made
