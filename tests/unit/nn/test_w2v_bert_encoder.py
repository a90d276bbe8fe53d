"""w2v-BERT's encoder: what the parity tests, whose clips are short, do not reach."""

import pytest
import torch

from bench.nn import w2v_bert
from bench.nn.w2v_bert import Attention, W2vBert, W2vBertShape

SHAPE = W2vBertShape(dimension=16, heads=2, feedforward=32, mels=20, kernel=5, before=4, after=2)


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("frames", [1, 3, 40])
def test_keys_draw_by_their_clipped_distance_in_blocks_of_queries_too(frames: int, monkeypatch: pytest.MonkeyPatch) -> None:
    layer, x = Attention(SHAPE), noise(2, frames, 16)
    with torch.no_grad():
        q, k, v = layer.in_proj(layer.norm(x)).unflatten(-1, (3, 2, 8)).permute(2, 0, 3, 1, 4)
        places = torch.arange(frames)
        distance = (places - places[:, None]).clamp(-4, 2) + 4
        scores = q @ k.transpose(-1, -2) + torch.einsum("bhqd,qkd->bhqk", q, layer.distances(distance))
        expected = layer.out_proj(((scores / 8**0.5).softmax(-1) @ v).transpose(1, 2).flatten(2))
        torch.testing.assert_close(layer(x), expected, rtol=0, atol=2e-6)
        monkeypatch.setattr(w2v_bert, "SCORES", 7 * 2 * 2 * frames)  # seven queries at a time
        torch.testing.assert_close(layer(x), expected, rtol=0, atol=2e-6)


@pytest.mark.parametrize(("samples", "frames"), [(1, 1), (560, 1), (879, 1), (880, 2), (16_000, 49)])
def test_pairs_of_frames_lie_within_the_clip(samples: int, frames: int) -> None:
    with torch.no_grad():
        assert W2vBert(SHAPE, 2).eval()(noise(2, 1, samples)).shape == (2, frames, 16)


def test_energies_are_normed_over_the_whole_clip() -> None:
    with torch.no_grad():
        pairs = W2vBert(SHAPE, 1).heard(noise(1, 16_160) * torch.linspace(0.1, 1, 16_160))[0].unflatten(-1, (2, 20)).flatten(0, 1)
    assert pairs.mean(0).abs().max() < 0.05 and (pairs.std(0) - 1).abs().max() < 0.05


@pytest.mark.parametrize(("samples", "more"), [(1, 0), (560, 0), (720, 1), (880, 0), (16_000, 0), (16_080, 1)])
def test_an_odd_energy_gives_a_frame_more_that_nobody_hears(samples: int, more: int) -> None:
    plain, rounded_up = W2vBert(SHAPE, 2).eval(), W2vBert(SHAPE, 2, rounded_up=True).eval()
    rounded_up.load_state_dict(plain.state_dict())
    with torch.no_grad():
        expected, found = plain(noise(2, 1, samples)), rounded_up(noise(2, 1, samples))
    assert found.shape[1] - expected.shape[1] == more == rounded_up.unheard(samples)
    torch.testing.assert_close(found[:, : expected.shape[1]], expected, rtol=0, atol=1e-6)
