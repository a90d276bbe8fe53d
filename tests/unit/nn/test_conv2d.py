"""2-D convolutions, causal in time: against torch's own, whole and piece by piece."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.nn.conv import Memory
from bench.nn.conv2d import CausalConv2d, CausalConvTranspose2d
from bench.nn.spectral import Decoder, Down, Encoder, SpectralNet, Up, windows
from bench.weights.files import seeded

KERNELS = [((7, 7), (1, 1)), ((3, 4), (1, 2)), ((3, 6), (1, 3)), ((4, 4), (2, 2)), ((4, 3), (2, 1)), ((3, 3), (1, 1))]


def maps(rows: int, width: int, bins: int = 12) -> Tensor:
    return torch.randn(2, rows, bins, width, generator=torch.Generator().manual_seed(rows))


def drawn(layer: nn.Module) -> nn.Module:
    seeded(layer, torch.Generator().manual_seed(0))
    return layer.eval()


def image(x: Tensor) -> Tensor:
    return x.permute(0, 3, 1, 2)


def fed(layer: nn.Module, x: Tensor, rows: int) -> Tensor:
    memory: Memory = {}
    return torch.cat([layer(piece, memory) for piece in x.split(rows, dim=1)], dim=1)


@pytest.mark.parametrize("plain", [False, True], ids=["onednn", "torch"])
@pytest.mark.parametrize(("kernel", "stride"), KERNELS)
@torch.no_grad()
def test_a_convolution_is_torchs_between_zeros(kernel: tuple[int, int], stride: tuple[int, int], plain: bool) -> None:
    layer, x = drawn(CausalConv2d(5, 8, kernel, stride)), maps(9, 5)
    assert isinstance(layer, CausalConv2d)
    spare = kernel[1] - stride[1]
    padded = F.pad(image(x), (spare // 2, spare - spare // 2, kernel[0] - stride[0], -9 % stride[0]))
    expected = F.conv2d(padded, layer.weight, layer.bias, stride)
    with torch.backends.mkldnn.flags(enabled=not plain):
        torch.testing.assert_close(image(layer(x)), expected)
        added = torch.ones_like(expected).permute(0, 2, 3, 1).contiguous()
        torch.testing.assert_close(image(layer(x, onto=added)), expected + 1)


@pytest.mark.parametrize("plain", [False, True], ids=["onednn", "torch"])
@pytest.mark.parametrize(("kernel", "stride"), KERNELS)
@torch.no_grad()
def test_a_transposed_convolution_is_torchs_without_its_ends(kernel: tuple[int, int], stride: tuple[int, int], plain: bool) -> None:
    layer, x = drawn(CausalConvTranspose2d(5, 8, kernel, stride)), maps(6, 5)
    assert isinstance(layer, CausalConvTranspose2d)
    whole = F.conv_transpose2d(image(x), layer.weight, layer.bias, stride)
    lower = (kernel[1] - stride[1]) // 2
    with torch.backends.mkldnn.flags(enabled=not plain):
        torch.testing.assert_close(image(layer(x)), whole[:, :, : 6 * stride[0], lower : lower + 12 * stride[1]])


@pytest.mark.parametrize(("kind", "stride"), [*itertools.product((Down, Up), ((1, 1), (1, 2), (1, 3), (2, 2), (2, 1)))])
@torch.no_grad()
def test_a_stage_gives_the_same_in_pieces(kind: type[Down | Up], stride: tuple[int, int]) -> None:
    stage, x = drawn(kind(4, 6, stride)), maps(12, 4)
    expected = stage(x.clone())
    torch.testing.assert_close(fed(stage, x, 2), expected)
    torch.testing.assert_close(fed(stage, x, 8), expected)


def test_a_stage_leaves_its_input_alone_and_has_gradients() -> None:
    for stage in (drawn(Down(4, 4, (1, 1))), drawn(Up(4, 4, (1, 1)))):
        x = maps(6, 4)
        with torch.no_grad():
            expected = stage(x)
        assert torch.equal(x, maps(6, 4))
        found = stage(x.requires_grad_())
        torch.testing.assert_close(found.detach(), expected)
        found.sum().backward()
        assert x.grad is not None and x.grad.abs().min() > 0


@torch.no_grad()
def test_the_transform_gives_back_what_it_was_given() -> None:
    """Spectra of the encoder's windows, summed as the decoder sums them, are the audio but for its first half window."""
    shape = SpectralNet(width=2, decoder_width=2, dimension=4)
    encoder, decoder = Encoder(shape), Decoder(shape)
    wav = torch.randn(2, 2, 9 * 480, generator=torch.Generator().manual_seed(0))
    frames = windows(F.pad(wav, (0, 480)), 480).transpose(1, 2).unflatten(-1, (2, -1)).transpose(1, 2)
    spectra = torch.fft.rfft(frames * encoder.window)[..., :-1].contiguous()
    kept: Memory = {decoder: (torch.zeros(4, 1, 480),)}  # as if a stream had begun: nothing is dropped
    found = decoder.audio(torch.view_as_real(spectra).flatten(0, 1), kept)
    alternating = torch.tensor([1.0, -1.0]).repeat(480)  # the highest bin, which is left out
    lost = (frames * encoder.window * alternating).sum(-1, keepdim=True) * alternating / 960 * decoder.window
    lost = lost[:, :, 1:, :480] + lost[:, :, :-1, 480:]
    torch.testing.assert_close(found[..., 480:] + lost.flatten(2), wav[..., 480:], rtol=0, atol=1e-5)


@pytest.mark.parametrize("kernel", [(1, 3), (3, 1)])
def test_kernels_that_skip_samples_are_refused(kernel: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="kernel >= stride"):
        CausalConv2d(2, 2, kernel, (2, 2))
    with pytest.raises(ValueError, match="whole strides"):
        CausalConvTranspose2d(2, 2, kernel, (2, 2))
