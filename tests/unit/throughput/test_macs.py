"""The count of multiply-accumulates against counts by hand, and of parameters."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from bench import registry
from bench.api import Codebook, Spec
from bench.engine.autocast import layers
from bench.nn.conv import CausalConv1d, CausalConvTranspose1d
from bench.nn.onednn import Linear
from bench.nn.reflect import SkipLSTM
from bench.nn.seanet import Residual
from bench.throughput.macs import macs, parameters


def test_convolution() -> None:
    # 50 outputs of 8 channels, each of 4 channels x 3 taps, 2 signals
    assert macs(lambda: nn.Conv1d(4, 8, 3, stride=2)(torch.zeros(2, 4, 101))) == 2 * 50 * 8 * 4 * 3
    # in groups each output hears its own group alone
    assert macs(lambda: nn.Conv1d(4, 8, 3, groups=4)(torch.zeros(1, 4, 12))) == 10 * 8 * 1 * 3


@pytest.mark.filterwarnings("ignore:TF32 acceleration")
@pytest.mark.parametrize("onednn", [True, False])
def test_the_layers_of_both_ways_of_inference(onednn: bool) -> None:
    with torch.backends.mkldnn.flags(enabled=onednn):
        assert macs(lambda: CausalConv1d(4, 8, 3)(torch.zeros(1, 4, 100))) == 100 * 8 * 4 * 3
        assert macs(lambda: CausalConv1d(4, 8, 1)(torch.zeros(1, 4, 100))) == 100 * 8 * 4  # a product
        assert macs(lambda: Residual(4, 3, 1, 2)(torch.zeros(1, 4, 100))) == 100 * (4 * 3 * 2 + 2 * 4)
        assert macs(lambda: CausalConv1d(4, 8, 3).valid(torch.zeros(2, 4, 102), torch.zeros(2, 8, 100))) == 2 * 100 * 8 * 4 * 3
        assert macs(lambda: Linear(8, 16)(torch.zeros(2, 5, 8), "gelu")) == 2 * 5 * 8 * 16


def test_transposed_convolution() -> None:
    # every input goes to each of 8 channels x 6 taps, the trimmed ends included
    assert macs(lambda: nn.ConvTranspose1d(4, 8, 6, stride=3)(torch.zeros(2, 4, 50))) == 2 * 50 * 4 * 8 * 6
    assert macs(lambda: CausalConvTranspose1d(4, 8, 6, 3)(torch.zeros(2, 4, 50))) == 2 * 50 * 4 * 8 * 6


def test_linear() -> None:
    assert macs(lambda: nn.Linear(8, 16)(torch.zeros(2, 5, 8))) == 2 * 5 * 8 * 16


@pytest.mark.parametrize("batch", [1, 3])
def test_lstm(batch: int) -> None:
    # four gates of 16, from the input and from the state; the second layer's input is the first one's state
    assert macs(lambda: nn.LSTM(8, 16, 2)(torch.zeros(5, batch, 8))) == 5 * batch * 4 * 16 * ((8 + 16) + (16 + 16))
    assert macs(lambda: SkipLSTM(8, 1)(torch.zeros(batch, 8, 5))) == 5 * batch * 4 * 8 * (8 + 8)


def test_attention() -> None:
    q, k = torch.zeros(1, 2, 7, 4), torch.zeros(1, 2, 9, 4)
    mask = torch.ones(7, 9, dtype=torch.bool)
    assert macs(lambda: F.scaled_dot_product_attention(q, k, k)) == 2 * 7 * 9 * (4 + 4)
    assert macs(lambda: F.scaled_dot_product_attention(q, k, k, attn_mask=mask)) == 2 * 7 * 9 * (4 + 4)


def test_distances_to_a_codebook() -> None:
    assert macs(lambda: torch.cdist(torch.zeros(1, 20, 8), torch.zeros(1, 21, 8))) == 20 * 21 * 8  # the small, direct way
    assert macs(lambda: torch.cdist(torch.zeros(1, 40, 8), torch.zeros(1, 30, 8))) == 40 * 30 * 8  # by a matrix product


def test_a_second_of_mimi_costs_the_same_in_any_length() -> None:
    tokenizer = registry.load_tokenizer("mimi@tiny")
    long, short = (macs(lambda s=s: tokenizer.encode(torch.zeros(1, 1, 1920 * s))) for s in (64, 128))
    assert short == pytest.approx(2 * long, rel=0.01)  # attention alone depends on what came before


def test_a_parameter_is_counted_once_wherever_it_stands() -> None:
    class Holder:
        spec = Spec("holder", "v", 16_000, (Codebook(2, 1.0),))

        def __init__(self) -> None:
            self.model = nn.Linear(3, 5)
            self.tied = nn.Linear(3, 5)
            self.tied.weight = self.model.weight

        def encode(self, wav: torch.Tensor) -> torch.Tensor:
            return wav.long()

        def decode(self, codes: torch.Tensor) -> torch.Tensor:
            return codes.float()

    assert parameters(Holder()) == 3 * 5 + 5 + 5
    assert len(layers(Holder())) == 2
    assert layers(registry.load_tokenizer("mulaw")) == []


def test_codebooks_are_parameters_though_no_gradient_made_them() -> None:
    tokenizer = registry.load_tokenizer("mimi@tiny")
    assert isinstance(tokenizer, nn.Module)
    learned = sum(p.numel() for p in tokenizer.parameters())
    assert parameters(tokenizer) >= learned + 4 * 64 * 8
