"""The shipped mimi@mini streams."""

from __future__ import annotations

import pytest
import torch

from bench import registry
from bench.tokenizers.mimi import Mimi


@pytest.fixture(scope="module")
def mini() -> Mimi:
    model = registry.load_tokenizer("mimi@mini")
    assert isinstance(model, Mimi)
    return model


def test_a_stream_gives_the_codes_and_the_audio_of_the_whole_clip(mini: Mimi):
    wav = torch.randn(1, 1, 30_000, generator=torch.Generator().manual_seed(0)) * 0.1
    whole = mini.encode(wav)
    encoder, decoder = mini.stream_encoder(), mini.stream_decoder()
    codes = torch.cat([*(encoder.feed(piece) for piece in wav.split(1_111, dim=-1)), encoder.flush()], dim=-1)
    assert torch.equal(codes, whole)
    sound = torch.cat([*(decoder.feed(piece) for piece in codes.split(3, dim=-1)), decoder.flush()], dim=-1)
    assert torch.allclose(sound, mini.decode(whole), atol=1e-5)
