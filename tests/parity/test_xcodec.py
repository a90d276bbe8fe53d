"""X-codec against transformers 5.23.0 (XcodecModel), at the official configuration with shared random weights, and its authors' file.

The authors' code (github.com/zhenye234/xcodec) is in no registry. It is DAC's encoder and decoder, transformers' HuBERT and a few layers
between them: `Authors` puts them together under the names that it gives them, from descript-audio-codec 1.0.0 and transformers.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from bench.nn.latent_codec import LatentCodec
from bench.nn.quantize import ResidualQuantizer
from bench.tokenizers.xcodec import CONFIGS, VARIANTS, build, renamed
from tests.parity.test_dac import official_class
from tests.parity.test_encodec import noise
from tests.parity.ties import residual_levels, ties


@torch.no_grad()
def alive(seed: int) -> Any:
    """transformers' model with random weights under which codes vary."""
    transformers = pytest.importorskip("transformers")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = transformers.XcodecModel(transformers.XcodecConfig()).eval()
        for name, value in model.named_parameters():
            if "acoustic_encoder" in name and name.endswith("weight"):
                value.mul_(2)
            elif name == "acoustic_decoder.conv2.weight":
                value.mul_(0.2)  # audio within full scale, as trained weights give it
            elif name.endswith("bias"):
                value.normal_(0, 0.05)
        rest = latents(model, noise((1, 1, 32_000), seed + 100)).transpose(1, 2).flatten(0, 1)
        for level in model.quantizer.quantizers:
            book = level.codebook
            book.embed.copy_(rest.mean(0) + 0.4 * rest.std(0) * torch.randn(book.embed.shape))
            book.embed_avg.copy_(torch.randn(book.embed.shape))  # nobody may read it
            rest = rest - book.embed[book.quantize(rest)]
    return model


def latents(model: Any, wav: torch.Tensor) -> torch.Tensor:
    """What transformers' model quantizes [B, D, F], for whole frames of wav."""
    semantic = model.encoder_semantic(model._extract_semantic_features(wav).transpose(1, 2))
    return model.fc(torch.cat([model.acoustic_encoder(wav), semantic], dim=1).transpose(1, 2)).transpose(1, 2)


def ours(model: nn.Module) -> LatentCodec[ResidualQuantizer]:
    mine = build(VARIANTS["hubert"].spec)
    mine.load_state_dict(renamed(model.state_dict(), CONFIGS["hubert"]), strict=True)
    return mine.eval()


@pytest.mark.parametrize("seed", (0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2))))
@torch.no_grad()
def test_codes_and_audio_equal_transformers(seed: int) -> None:
    model = alive(seed)
    mine = ours(model)
    books = [layer.codebook.embed for layer in model.quantizer.quantizers]
    for shape in ((1, 1, 16_000), (3, 1, 9_999), (1, 1, 321)):
        wav = noise(shape, seed)
        whole = torch.nn.functional.pad(wav, (0, -shape[-1] % 320))
        expected, codes = model.encode(whole).audio_codes, mine.encode(wav)
        assert codes.shape == expected.shape == (shape[0], 8, -(-shape[-1] // 320))
        ties(codes, expected, residual_levels(latents(model, whole), books, expected))
        torch.testing.assert_close(mine.decode(expected), model.decode(expected).audio_values, rtol=0, atol=1e-5)
        assert shape[-1] < 1000 or len(codes.unique()) > 100


class Nested(nn.Module):
    """A convolution one level deeper, as the authors' semantic module has them."""

    def __init__(self, width: int, bias: bool):
        super().__init__()
        self.conv = nn.Conv1d(width, width, 3, padding=1, bias=bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv(x)


class AuthorsUnit(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.conv1, self.conv2 = Nested(width, bias=False), nn.Conv1d(width, width, 1, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.conv2(F.elu(self.conv1(F.elu(x))))


class AuthorsBlock(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.res_units, self.conv = nn.Sequential(AuthorsUnit(width), AuthorsUnit(width)), Nested(width, bias=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv(self.res_units(x))


class AuthorsSemantic(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.conv, self.conv_blocks = Nested(width, bias=False), nn.Sequential(AuthorsBlock(width), AuthorsBlock(width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv_blocks(self.conv(x))


class Authors(nn.Module):
    """Their SoundStream: what a file of theirs holds, under their names."""

    def __init__(self) -> None:
        super().__init__()
        rates = [8, 5, 4, 2]
        dac = official_class()(64, rates, latent_dim=256, decoder_dim=1024, decoder_rates=rates)
        transformers = pytest.importorskip("transformers")
        self.encoder = dac.encoder
        self.encoder_semantic, self.decoder_semantic = AuthorsSemantic(768), AuthorsSemantic(768)
        self.quantizer: Any = nn.Module()
        self.quantizer.vq = nn.Module()
        self.quantizer.vq.layers = nn.ModuleList(nn.Module() for _ in range(8))
        for layer in self.quantizer.vq.layers:
            layer._codebook = nn.Module()
            for name, shape in (("inited", (1,)), ("cluster_size", (1024,)), ("embed", (1024, 1024)), ("embed_avg", (1024, 1024))):
                layer._codebook.register_buffer(name, torch.rand(shape))
        self.decoder_2 = dac.decoder
        del self.decoder_2.model[-1]  # their copy has no hyperbolic tangent, and loses no sample where a stride is odd
        for layer in self.decoder_2.modules():
            if isinstance(layer, nn.ConvTranspose1d):
                layer.output_padding = (layer.stride[0] % 2,)
        self.semantic_model = transformers.HubertModel(transformers.HubertConfig())
        self.fc_prior, self.fc_post1, self.fc_post2 = nn.Linear(1024, 1024), nn.Linear(1024, 768), nn.Linear(1024, 256)

    def latents(self, wav: torch.Tensor) -> torch.Tensor:
        """What they quantize [B, D, F]."""
        states = self.semantic_model(F.pad(wav[:, 0], (160, 160)), output_hidden_states=True).hidden_states
        both = [self.encoder(wav), self.encoder_semantic(torch.stack(states).mean(0).transpose(1, 2))]
        return self.fc_prior(torch.cat(both, dim=1).transpose(1, 2)).transpose(1, 2)

    def decode(self, codes: torch.Tensor) -> torch.Tensor:
        """codes [B, K, F] -> wav."""
        vectors = [layer._codebook.embed[code] for layer, code in zip(self.quantizer.vq.layers, codes.unbind(1), strict=True)]
        return self.decoder_2(self.fc_post2(torch.stack(vectors).sum(0)).transpose(1, 2))


@torch.no_grad()
def test_takes_the_authors_names_and_hears_the_same() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        theirs = Authors().eval()
    mine = ours(theirs)
    wav, codes = noise((1, 1, 1600), 0), torch.randint(1024, (1, 8, 3), generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(mine.latents(wav), theirs.latents(wav), rtol=0, atol=1e-5)
    torch.testing.assert_close(mine.decode(codes), theirs.decode(codes), rtol=0, atol=1e-5)
    assert "fc_other.weight" in renamed({"fc_other.weight": torch.zeros(1)}, CONFIGS["hubert"])  # a stranger stays, and is refused
