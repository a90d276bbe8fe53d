"""The contests of SNAC, SpeechTokenizer, X-codec, MusicGen's EnCodec, Qwen3-TTS's tokenizer, FocalCodec, FACodec, S3 and Lyra.

Oracles and lively weights are those of the parity tests; Lyra has its own weights, whose folder LYRA_WEIGHTS names, and FACodec's authors'
code is the checkout of Amphion that AMPHION_CHECKOUT names.
A parity test without its oracle skips where it is imported: in the contest alone.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from torch import Tensor

from bench.nn.quantize import Codebook
from bench.tokenizers import lyra as lyra_files
from tests.parity import facodec_recipe, write_facodec
from tests.parity.ties import residual_levels
from tests.perf.contest import Call, Contest, Contests, same_audio, same_codes


def vectors(books: list[Codebook]) -> list[Tensor]:
    """Of each codebook."""
    return [book.vectors()[0] for book in books]


def snac(kind: str, encode: float, decode: float) -> Contests:
    """The contests of a SNAC. Every decoding of the authors' draws new noise, so that audio is compared by the parity test alone."""

    def contests(batch: int, seconds: float, device: str) -> Iterator[Contest]:
        from tests.parity import test_snac

        official = test_snac.alive(kind, 0)
        mine, strides = test_snac.ours(kind, official).to(device), test_snac.CONFIGS[kind].strides
        official.to(device)
        wav = test_snac.noise((batch, 1, int(seconds * official.sampling_rate)), 1).to(device)
        theirs = official.encode(wav)
        codes = test_snac.columns(theirs, strides)

        def equal() -> str:
            share = (mine.encode(wav) == codes).double().mean().item()
            assert share > 0.998, f"{share:.4%} of the codes are equal"
            return f"{100 * share:.3f} % of {codes.numel()} codes equal"

        def as_long() -> str:
            assert mine.decode(codes).shape == official.decode(theirs).shape
            return "as long"

        calls: dict[str, Call] = {"ours": lambda: mine.encode(wav), "official": lambda: official.encode(wav)}
        yield Contest(f"snac@{kind} encode", calls, equal, encode)
        calls = {"ours": lambda: mine.decode(codes), "official": lambda: official.decode(theirs)}
        yield Contest(f"snac@{kind} decode", calls, as_long, decode)

    return contests


def speechtokenizer(batch: int, seconds: float, device: str) -> Iterator[Contest]:
    from tests.parity import test_speechtokenizer

    official = test_speechtokenizer.alive(0)
    mine = test_speechtokenizer.ours(official).to(device)
    official.to(device)
    wav = test_speechtokenizer.noise((batch, 1, int(seconds * 50) * 320), 1).to(device)
    theirs = official.encode(wav)
    codes = theirs.transpose(0, 1)

    def equal() -> str:
        levels = residual_levels(official.encoder(wav), vectors(mine.quantizer.codebooks()), codes)
        return same_codes(mine.encode(wav), codes, levels)

    calls: dict[str, Call] = {"ours": lambda: mine.encode(wav), "official": lambda: official.encode(wav)}
    yield Contest("speechtokenizer@16khz encode", calls, equal, 6.29)
    calls = {"ours": lambda: mine.decode(codes), "official": lambda: official.decode(theirs)}
    yield Contest("speechtokenizer@16khz decode", calls, lambda: same_audio(mine.decode(codes), official.decode(theirs)), 4.24)


def xcodec(batch: int, seconds: float, device: str) -> Iterator[Contest]:
    from tests.parity import test_xcodec

    port = test_xcodec.alive(0)
    mine, port = test_xcodec.ours(port).to(device), port.to(device)
    wav = test_xcodec.noise((batch, 1, int(seconds * 50) * 320), 1).to(device)
    codes = port.encode(wav).audio_codes

    def equal() -> str:
        levels = residual_levels(test_xcodec.latents(port, wav), vectors(mine.quantizer.codebooks()), codes)
        return same_codes(mine.encode(wav), codes, levels)

    calls: dict[str, Call] = {"ours": lambda: mine.encode(wav), "transformers": lambda: port.encode(wav)}
    yield Contest("xcodec@hubert encode", calls, equal, 12.90)
    calls = {"ours": lambda: mine.decode(codes), "transformers": lambda: port.decode(codes)}
    yield Contest("xcodec@hubert decode", calls, lambda: same_audio(mine.decode(codes), port.decode(codes).audio_values), 12.22)


def encodec_32khz(batch: int, seconds: float, device: str) -> Iterator[Contest]:
    from tests.parity import test_encodec

    port = test_encodec.alive_32khz(0)
    mine, port = test_encodec.ours_32khz(port).to(device), port.to(device)
    wav = test_encodec.noise((batch, 1, int(seconds * 50) * 640), 1).to(device)
    codes = port.encode(wav, bandwidth=2.2).audio_codes[0]

    def equal() -> str:
        return same_codes(mine.encode(wav), codes, residual_levels(port.encoder(wav), test_encodec.books(mine), codes))

    calls: dict[str, Call] = {"ours": lambda: mine.encode(wav), "transformers": lambda: port.encode(wav, bandwidth=2.2)}
    yield Contest("encodec@32khz-2.2kbps encode", calls, equal)
    calls = {"ours": lambda: mine.decode(codes), "transformers": lambda: port.decode(codes[None], [None])}
    yield Contest("encodec@32khz-2.2kbps decode", calls, lambda: same_audio(mine.decode(codes), port.decode(codes[None], [None])[0]))


def qwen3_tts(batch: int, seconds: float, device: str) -> Iterator[Contest]:
    """Their encoder computes all 32 codebooks, of which they keep 16."""
    from tests.parity import test_qwen3_tts

    mimi, decoder = test_qwen3_tts.alive(0)
    mine = test_qwen3_tts.ours(test_qwen3_tts.state_of(mimi, decoder)).to(device)
    mimi, decoder = mimi.to(device), decoder.to(device)
    wav = test_qwen3_tts.noise((batch, 1, max(1, int(seconds * 12.5)) * test_qwen3_tts.HOP), 1).to(device)
    codes = mimi.encode(wav, num_quantizers=32).audio_codes[:, : test_qwen3_tts.LEVELS]

    def equal() -> str:
        parts = test_qwen3_tts.parts(mine, mine.encode(wav), codes, test_qwen3_tts.latents_of(mimi, wav))
        return "; ".join(f"{name}: {same_codes(*part)}" for name, part in zip(("first", "rest"), parts, strict=True))

    calls: dict[str, Call] = {"ours": lambda: mine.encode(wav), "official": lambda: mimi.encode(wav, num_quantizers=32)}
    yield Contest("qwen3_tts@12hz encode", calls, equal, 2.92)
    calls = {"ours": lambda: mine.decode(codes), "official": lambda: decoder.chunked_decode(codes)}
    yield Contest("qwen3_tts@12hz decode", calls, lambda: same_audio(mine.decode(codes), decoder.chunked_decode(codes)), 31.02)


def focalcodec(kind: str) -> Contests:
    """The contests of a FocalCodec. Audio is long enough that the last whole hop is heard to its end by both."""

    def contests(batch: int, seconds: float, device: str) -> Iterator[Contest]:
        from tests.parity import test_focalcodec

        config = test_focalcodec.CONFIGS[kind]
        official = test_focalcodec.alive(config, 0)
        mine, official = test_focalcodec.ours(config, official).to(device), official.to(device)
        wav = test_focalcodec.swelling((batch, 1, int(seconds * 50) * 320 + 80), 1).to(device)
        codes = official.sig_to_toks(wav[:, 0])

        def equal() -> str:
            found = mine.encode(wav)[:, 0]
            test_focalcodec.only_ties(found.cpu(), codes.cpu(), test_focalcodec.raw_latents(official, wav).cpu())
            return f"{int((found != codes).sum())} of {codes.numel()} codes differ, by ties"

        def same() -> str:
            return same_audio(mine.decode(codes[:, None])[:, 0], official.toks_to_sig(codes))

        calls: dict[str, Call] = {"ours": lambda: mine.encode(wav), "official": lambda: official.sig_to_toks(wav[:, 0])}
        yield Contest(f"focalcodec@{kind} encode", calls, equal)
        calls = {"ours": lambda: mine.decode(codes[:, None]), "official": lambda: official.toks_to_sig(codes)}
        yield Contest(f"focalcodec@{kind} decode", calls, same)

    return contests


def facodec(batch: int, seconds: float, device: str) -> Iterator[Contest]:
    """Their voice depends on the place in a batch: voices are compared by the parity test."""
    from tests.parity import test_facodec

    checkout = os.environ.get("AMPHION_CHECKOUT")
    if not checkout:
        pytest.skip("name a checkout of github.com/open-mmlab/Amphion in AMPHION_CHECKOUT")
    facts = facodec_recipe.stored()["full"]
    run = facts["runs"][0]
    state = facodec_recipe.weights(facts["shapes"], run["seed"], run["middles"], run["spreads"])
    official = write_facodec.Official(Path(checkout), *facodec_recipe.SIZES["full"])
    official.fill(state)
    for part in (official.encoder, official.decoder):
        part.to(device)
    with tempfile.TemporaryDirectory() as folder:
        mine = test_facodec.model_of("full", state, Path(folder)).to(device)
    wav = write_facodec.sound(batch, int(seconds * 80) * 200, 0).to(device)
    latents, codes, _, _, voice = official.decoder(official.latents(wav), eval_vq=False, vq=True)

    def equal() -> str:
        share = (mine.codes(mine.latents(wav)) == codes.transpose(0, 1)).double().mean().item()
        assert share > 0.998, f"{share:.4%} of the codes are equal"
        return f"{100 * share:.3f} % of {codes.numel()} codes equal"

    def theirs() -> object:
        return official.decoder(official.latents(wav), eval_vq=False, vq=True)

    calls: dict[str, Call] = {"ours": lambda: mine.encode(wav), "official": theirs}
    yield Contest("facodec@16khz encode", calls, equal, 3.81)
    codes = codes.transpose(0, 1)
    calls = {"ours": lambda: mine.synthesis(codes, voice), "official": lambda: official.decoder.inference(latents, voice)}
    yield Contest(
        "facodec@16khz decode", calls, lambda: same_audio(mine.synthesis(codes, voice), official.decoder.inference(latents, voice)), 12.73
    )


def s3(name: str) -> Contests:
    """The contests of an S3 tokenizer, log-mel spectra included."""

    def contests(batch: int, seconds: float, device: str) -> Iterator[Contest]:
        from tests.parity import test_s3

        config = test_s3.CONFIGS[name]
        official = test_s3.alive(name, config, 0)
        mine, official = test_s3.ours(name, config, official.state_dict()).to(device), official.to(device)
        wav = test_s3.swelling((batch, 1, int(seconds * 16_000)), 1).to(device)
        codes = test_s3.theirs(official, wav)

        def equal() -> str:
            found = mine.encode(wav)[:, 0]
            if device == "cpu":
                test_s3.only_ties(official, found, codes, test_s3.hidden(official, wav))
            share = (found == codes).double().mean().item()
            assert share > 0.98, f"{share:.4%} of the codes are equal"
            return f"{100 * share:.3f} % of {codes.numel()} codes equal"

        calls: dict[str, Call] = {"ours": lambda: mine.encode(wav), "s3tokenizer": lambda: test_s3.theirs(official, wav)}
        yield Contest(f"s3@{name} encode", calls, equal)

    return contests


def lyra(batch: int, seconds: float, device: str) -> Iterator[Contest]:
    """Against LiteRT, which knows neither batches nor GPUs. Its integers are ours but for a few float sums (see the parity test).

    In the codes of noise, such a sum now and then tips an integer of the decoder, which is heard for as long as its layers look back.
    """
    from tests.parity import test_encodec

    folder = os.environ.get("LYRA_WEIGHTS")
    if not folder or device != "cpu":
        pytest.skip("name the folder of Lyra's three .tflite files in LYRA_WEIGHTS; LiteRT runs on a CPU")
    pytest.importorskip("ai_edge_litert")
    files = (lyra_files.ENCODER, lyra_files.QUANTIZER, lyra_files.DECODER)
    paths = [Path(folder) / file.file.removeprefix("lyra_") for file in files]
    spec = lyra_files.VARIANTS["6kbps"].spec
    mine, official = lyra_files.load(spec, *paths), lyra_files.LyraByLiteRT(spec, *paths)
    wav = test_encodec.noise((batch, 1, int(seconds * 50) * 320), 1)
    codes = official.encode(wav)

    def equal() -> str:
        share = (mine.encode(wav) == codes).double().mean().item()
        assert share > 0.95, f"{share:.2%} of the codes are equal"
        return f"{100 * share:.2f} % of {codes.numel()} codes equal"

    def same() -> str:
        share = ((mine.decode(codes) - official.decode(codes)).abs() < 1e-4).double().mean().item()
        assert share > 0.95, f"{share:.2%} of the samples are within 1e-4"
        return f"{100 * share:.2f} % of the samples within 1e-4"

    calls: dict[str, Call] = {"ours": lambda: mine.encode(wav), "LiteRT": lambda: official.encode(wav)}
    yield Contest("lyra@6kbps encode", calls, equal)
    calls = {"ours": lambda: mine.decode(codes), "LiteRT": lambda: official.decode(codes)}
    yield Contest("lyra@6kbps decode", calls, same)
