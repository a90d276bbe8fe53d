"""FocalCodec against its authors' code (focalcodec 0.0.2), with shared random weights; at the official sizes slowly."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from bench.nn.focal import Focal
from bench.nn.latent_codec import LatentCodec
from bench.nn.quantizers import BinarySphericalQuantizer
from bench.tokenizers.focalcodec import CONFIGS, VARIANTS, Config, Decoder, Encoder, StreamingFocalCodec, renamed
from tests.parity.noise import swelling

official = pytest.importorskip(
    "focalcodec", reason="the oracle is missing: pip install --no-deps git+https://github.com/lucadellalib/focalcodec@912b7f2"
)
SMALL = {  # the official numbers but for widths
    name: replace(
        CONFIGS[name],
        focal=replace(CONFIGS[name].focal, features=64, widths=(64, 48, 32)),
        encoder=replace(CONFIGS[name].encoder, dimension=64, heads=4, feedforward=128, channels=32),
        width=48,
        hidden=96,
    )
    for name in ("50hz", "25hz", "12.5hz")
}
SMALL |= {  # with windows that a second of audio is longer than
    name: replace(
        CONFIGS[name],
        focal=replace(CONFIGS[name].focal, features=64, widths=(64, 48, 32), past=24),
        encoder=replace(CONFIGS[name].encoder, dimension=64, heads=4, feedforward=128, channels=32),
        width=48,
        hidden=96,
        window=32,
    )
    for name in ("50hz-65k-causal", "50hz-2k-causal")
}
CASES = [pytest.param(config, id=f"small-{name}") for name, config in SMALL.items()]
CASES += [pytest.param(CONFIGS[name], id=name, marks=pytest.mark.slow) for name in (*SMALL, "50hz-4k-causal")]
STREAMING = [pytest.param(config, id=f"small-{name}") for name, config in SMALL.items() if config.streams]
CLOSE = 2e-5  # of a latent's length: so far apart are sums in another order after some thirty layers


def focal_arguments(focal: Focal, up: bool) -> dict[str, Any]:
    """What the authors' compressor or decompressor is made with."""
    ends = (focal.features, focal.dimension)
    return {
        "input_dim": ends[up],
        "output_dim": ends[not up],
        "hidden_dims": focal.widths[::-1] if up else focal.widths,
        "upscale_factors" if up else "downscale_factors": focal.strides[::-1] if up else focal.strides,
        "focal_window": focal.window,
        "focal_level": focal.levels,
        "focal_factor": focal.growth,
        **({"causal": True, "window_size": focal.past} if focal.past else {}),
        **({"last_window_size": focal.past, "lookahead_size": focal.chunk - 1} if up and focal.past else {}),
    }


@torch.no_grad()
def alive(config: Config, seed: int) -> Any:
    """The authors' model with random weights under which codes vary."""
    shape = config.encoder
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = official.FocalCodec(
            encoder_config={
                "hidden_dims": (shape.channels,) * 7,
                "num_layers": config.encoder_layers,
                "dim": shape.dimension,
                "ffn_dim": shape.feedforward,
                "num_heads": shape.heads,
                **({"causal": True, "window_size": config.window, "lookahead_size": config.focal.chunk - 1} if config.streams else {}),
            },
            compressor_config=focal_arguments(config.focal, up=False),
            quantizer_config={"codebook_size": 2**config.focal.dimension},
            decompressor_config=focal_arguments(config.focal, up=True),
            decoder_name="WaveNeXt" if config.streams else "Vocos",
            decoder_config={
                "input_dim": config.focal.features,
                "num_layers": config.decoder_layers,
                "dim": config.width,
                "ffn_dim": config.hidden,
                **({"causal": True, "hop_length": config.step} if config.streams else {}),
            },
        ).eval()
        for name, value in model.named_parameters():
            if name.endswith(("bias", "gru_rel_pos_const", "relative_embedding.weight")):
                value.add_(0.3 * torch.randn_like(value))
            elif name.endswith(("alpha", "gamma")):
                value.copy_(0.3 + torch.rand_like(value))
            elif "norm" in name:
                value.mul_(0.5 + torch.rand_like(value))
            elif name.startswith("compressor") and value.ndim > 1:
                value.mul_(2)
        model.load_state_dict(model.state_dict())  # the position bias is derived at loading
        found = raw_latents(model, swelling((1, 1, 64_000), seed + 100))
        model.compressor.out_proj.bias.sub_(found.mean((0, 1)))
        loud = model.toks_to_sig(torch.randint(2**config.focal.dimension, (1, 50))).square().mean().sqrt()
        if config.streams:
            for value in model.decoder.head.proj.parameters():
                value.div_(3)  # most samples within full scale, and a few clipped
            return model
        model.decoder.head.proj.bias[: len(model.decoder.head.proj.bias) // 2].sub_((loud / 0.1).log())  # within full scale
    return model


def raw_latents(model: Any, wav: Tensor) -> Tensor:
    """What the signs are taken of [B, F, D]."""
    return model.compressor(model.encoder(wav[:, 0])[0])[0]


def ours(config: Config, model: nn.Module) -> LatentCodec[BinarySphericalQuantizer]:
    quantizer = BinarySphericalQuantizer(config.focal.dimension)
    if config.streams:
        streaming = StreamingFocalCodec(config, VARIANTS["50hz-4k-causal"].spec)
        streaming.load_state_dict(renamed(model.state_dict()), strict=True)
        return streaming.eval()
    mine = LatentCodec(VARIANTS["50hz"].spec, Encoder(config), quantizer, Decoder(config), config.hop, whole=False)
    mine.load_state_dict(renamed(model.state_dict()), strict=True)
    return mine.eval()


def only_ties(codes: Tensor, expected: Tensor, latents: Tensor) -> None:
    """Where codes [B, F] differ, each bit that does is the sign of a number [B, F, D] next to zero."""
    bits = latents.shape[-1]
    places = 2 ** torch.arange(bits - 1, -1, -1)
    differ = (codes[..., None] ^ expected[..., None]) & places != 0
    assert (latents.abs() / latents.norm(dim=-1, keepdim=True))[differ].le(CLOSE).all(), "not a tie"
    assert differ.double().mean() < 1e-3, "more than ties"


@pytest.mark.parametrize("config", CASES)
@torch.no_grad()
def test_codes_and_audio_equal_the_authors(config: Config) -> None:
    model = alive(config, 0)
    mine = ours(config, model)
    for shape in ((1, 1, 48_000), (2, 1, 20_001), (1, 1, 400)):
        wav = swelling(shape, 1)
        expected = model.sig_to_toks(wav[:, 0])
        missing = 80 - shape[-1] % 320  # that the frame of the last whole hop would hear past the end; theirs leaves it out
        if not config.streams and config.focal.stride == 1 and missing > 0:
            assert expected.shape[1] == shape[-1] // 320 - 1
            wav = torch.nn.functional.pad(wav, (0, missing))
            expected = model.sig_to_toks(wav[:, 0])
        codes = mine.encode(wav)
        assert codes.shape == (shape[0], 1, expected.shape[1])
        only_ties(codes[:, 0], expected, raw_latents(model, wav))
        theirs = model.toks_to_sig(expected)
        assert shape[-1] < 1000 or theirs.square().mean() > 1e-4
        torch.testing.assert_close(mine.decode(expected[:, None])[:, 0], theirs, rtol=0, atol=1e-5)
        assert shape[-1] < 40_000 or len(codes.unique()) > 20


@pytest.mark.parametrize("config", STREAMING)
@torch.no_grad()
def test_a_stream_gives_the_codes_and_the_audio_of_the_whole(config: Config) -> None:
    """In pieces of any length; and chunk by chunk through the authors' code, whose state is another."""
    model = alive(config, 2)
    mine = ours(config, model)
    assert isinstance(mine, StreamingFocalCodec)
    for length in (1, 1279, 1280, 40_123):
        wav = swelling((1, 1, length), 3)
        codes, generator = mine.encode(wav), torch.Generator().manual_seed(length)
        for stream, whole, longest, expected in (
            (mine.stream_encoder(), wav, 3000, codes),
            (mine.stream_decoder(), codes, 7, mine.decode(codes)),
        ):
            found, at = [], 0
            while at < whole.shape[-1]:
                count = int(torch.randint(1, longest, (), generator=generator))
                found.append(stream.feed(whole[..., at : at + count]))
                at += count
            torch.testing.assert_close(torch.cat([*found, stream.flush()], dim=-1), expected, rtol=0, atol=1e-5)
    wav, theirs, state = wav[..., : 31 * 1280], [], []
    for chunk in wav[:, 0].split(1280, dim=-1):
        toks, *state = model.sig_to_toks(chunk, *state, return_state=True)
        theirs.append(toks)
    only_ties(mine.encode(wav)[:, 0], torch.cat(theirs, dim=-1), raw_latents(model, wav))


@pytest.mark.parametrize("config", STREAMING)
@torch.no_grad()
def test_a_chunk_hears_nothing_of_the_next(config: Config) -> None:
    mine = ours(config, alive(config, 4))
    wav = swelling((1, 1, 20 * 1280), 5)
    codes = mine.encode(wav)
    other = torch.cat([wav[..., : 10 * 1280], 3 * wav[..., 10 * 1280 :].flip(-1)], dim=-1)
    assert torch.equal(mine.encode(other)[..., :40], codes[..., :40])
    assert not torch.equal(mine.encode(other)[..., 40:], codes[..., 40:])


@pytest.mark.parametrize("length", [1, 319, 320, 399, 16_000, 16_001])
@torch.no_grad()
def test_every_whole_hop_has_a_frame(length: int) -> None:
    for name in ("50hz", "50hz-65k-causal"):
        config = SMALL[name]
        codes = ours(config, alive(config, 0)).encode(swelling((1, 1, length), 1))
        assert codes.shape[-1] == (-(-length // 320) if config.streams else max(1, length // 320))


OLD = (  # name in version 0.0.2 -> in 0.0.1
    ("compressor.layers.{}.downscale.", "compressor.layers.{}.0."),
    ("compressor.layers.{}.focal_block.", "compressor.layers.{}.1."),
    ("decompressor.layers.{}.focal_block.", "decompressor.layers.{}.0."),
    ("decompressor.layers.{}.upscale.", "decompressor.layers.{}.1."),
)


def old_state(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same weights as version 0.0.1 named them, with what its files held beside."""
    result = {}
    for name, value in state.items():
        for new, old in OLD:
            for layer in range(3):
                if name.startswith(new.format(layer)):
                    name = name.replace(new.format(layer), old.format(layer), 1)
        if ".qkv_proj." in name:
            result |= {name.replace("qkv_proj", f"{part}_proj"): rows for part, rows in zip("qkv", value.chunk(3), strict=True)}
        else:
            result[name] = value
    return result | {
        "encoder.encoder.norm.weight": torch.ones(1),
        "encoder.encoder.norm.bias": torch.ones(1),
        "quantizer.mask": torch.ones(1),
    }


def test_takes_the_names_of_the_released_files() -> None:
    """The files are of version 0.0.1; the authors' own translation says that these are its names."""
    state = alive(SMALL["25hz"], 1).state_dict()
    old = old_state(state)
    theirs = official.FocalCodec._remap_state_dict(old, list(state))
    assert all(torch.equal(theirs[name], value) for name, value in state.items())
    mine, expected = renamed(old), renamed(state)
    assert mine.keys() == expected.keys() and all(torch.equal(mine[name], value) for name, value in expected.items())
    assert "other.weight" in renamed({"other.weight": torch.zeros(1)})  # a stranger stays, and is refused
