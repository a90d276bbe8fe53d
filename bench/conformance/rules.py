"""The contract of every tokenizer, as a list of named checks: `check()` runs them and gives one Finding each.

wav is [B, C, T] float32, codes are int64. A check returns one line when the contract is kept, raises Broken with one line
when it is not, Skip when it does not apply, and Warn where it is kept but wants a word. A new rule is a function here and a line in CHECKS.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from bench.api import Codes, Packs, Spec, Streams, Tokenizer, Variant, sha256_of_all
from bench.conformance.fixture import Broken, Skip, Subject, Warn, good_audio, good_codes, same_audio
from bench.data import synthetic_audio
from bench.data.audio import resample
from bench.engine.autocast import layers
from bench.metrics.delay import delay_ms
from bench.plugins import boundary, calls
from bench.plugins.given import codes_of
from bench.plugins.pieces import Cutting

DELAY_TOLERANCE = 7.5  # ms: a step and a half of the envelopes by which a delay is found
HALFWAY = 3.0  # dB, of 6 by which the input changes: by more, a coarse quantizer loses what it is given


@dataclass(frozen=True)
class Finding:
    """What one check found."""

    name: str  # of the check
    outcome: Literal["pass", "fail", "skip", "warn"]
    detail: str  # one line


def spec(s: Subject) -> str:
    """The spec is sane, and the loaded tokenizer states the facts that the listing showed."""
    stated = s.variant.spec
    if s.spec != stated:
        raise Broken("the loaded tokenizer's spec is not the variant's")
    if not stated.codebooks or any(b.size < 1 or b.rate <= 0 for b in stated.codebooks) or stated.channels < 1 or stated.delay < 0:
        raise Broken(f"a size, a rate, the channels or the delay is out of range in {stated}")
    if stated.sample_rate is not None and stated.sample_rate <= 0:
        raise Broken(f"sample_rate is {stated.sample_rate}")
    if stated.output_rate is not None and (stated.output_rate <= 0 or stated.sample_rate is None):
        raise Broken(f"output_rate is {stated.output_rate}, sample_rate {stated.sample_rate}: give both in Hz")
    if any(b.levels and math.prod(b.levels) != b.size for b in stated.codebooks):
        raise Broken("a codebook's levels do not multiply to its size")
    if any(len({(stated.codebooks[k].size, stated.codebooks[k].rate) for k in table}) > 1 for table in stated.tables):
        raise Broken("streams of one table differ in size or rate")
    if stated.longest is not None:
        if stated.sample_rate is None or not math.isfinite(stated.frame_rate):
            raise Broken("Spec.longest needs a sample rate and a frame rate, by which clips are cut")
        cutting = Cutting(stated)
        if not 0 <= cutting.context < cutting.longest:
            raise Broken(f"pieces of {stated.longest:g} s with {stated.context:g} s of context hold no whole frame, or block, of their own")
    if wrong := _wrong_rates(stated):
        raise Broken(wrong)
    once = f" and {stated.bits_once:g} bit once" if stated.bits_once else ""
    return f"{len(stated.codebooks)} codebooks, {stated.bitrate:g} bit/s{once} nominal"


def _wrong_rates(stated: Spec) -> str:
    """What cannot be of codes that come once, once a chunk, or at varying times."""
    varies, rates = [math.isnan(b.rate) for b in stated.codebooks], {b.rate for b in stated.side}
    if any(varies) and not all(varies):
        return "some codebooks have a rate and some do not: all codes of a frame come together"
    if stated.durations and not any(varies):
        return "a codebook of role duration says that frames vary in length: their rate is math.nan"
    if any(b.size < 1 or not b.rate >= 0 for b in stated.side) or len(rates) > 1:
        return "side codes must all have the rate 0 (once an utterance) or all the rate of their chunks"
    if stated.longest is not None and any(rates):
        return "pieces of the longest clip, and side codes of chunks that may lie across them: state one of the two"
    if stated.causal and (stated.side or not stated.keeps_level):
        return "causal, and yet side codes or a lost level depend on what is still to come"
    return ""


def weights(s: Subject) -> str:
    """spec.weights names what was loaded."""
    field, files = s.variant.spec.weights, s.variant.files
    if not re.fullmatch(r"none|seed:\d+|sha256:[0-9a-f]{64}(\+[0-9a-f]{64})*", field):
        raise Broken(f"weights is {field!r}: use 'none', 'seed:<n>' or 'sha256:<64 hex digits>'")
    if files and field != sha256_of_all(*files):
        raise Broken(f"weights is {field!r}, of the files it is {sha256_of_all(*files)!r}")
    if not files and field.startswith("sha256:"):
        raise Broken("weights names a file, but the variant has no checkpoint")
    count = sum(p.numel() for module in layers(s.tokenizer) for p in module.parameters())
    if field == "none" and count:
        raise Warn(f"none, but it has {count:,} parameters: give its Variant a Checkpoint, so that tables say which weights were scored")
    return field


def codes(s: Subject) -> str:
    """Codes are [B, K, F] int64, each below its codebook's size."""
    return f"{' and '.join(str(list(part.shape)) for part in good_codes(s, s.voice(s.rate, batch=s.some)).parts)}, in range"


def audio(s: Subject) -> str:
    """Audio is [B, C, T'] float32, finite, and as long as the input."""
    length = s.rate + 1
    missing = s.spec.decoded(length) - good_audio(s, good_codes(s, s.voice(length, batch=s.some)), length).shape[-1]
    return "finite, nothing missing" if missing <= 0 else f"finite, tail loss {1000 * missing / s.output_rate:.1f} ms"


def lengths(s: Subject) -> str:
    """A clip may have any length from one sample."""
    tried = [n for n in (1, 333, round(s.hop) - 1, round(s.hop) + 1) if n > 0]
    for length in tried:
        given = good_codes(s, s.voice(length))
        if s.spec.decodes:
            good_audio(s, given, length)
    return f"{', '.join(map(str, tried))} samples"


def pieces(s: Subject) -> str:
    """A clip that is longer than it takes is coded and decoded in pieces: each gives all of its frames, and all of its audio."""
    if s.spec.longest is None:
        raise Skip("takes clips of any length")
    cutting = Cutting(s.spec)
    frames = cutting.longest + max(1, cutting.longest // 4)
    length = cutting.sample(frames) - 1
    given = good_codes(s, s.voice(length))
    found = given.frames.shape[-1]
    count = len(cutting.pieces(found))
    if found != cutting.frames(length):
        raise Broken(f"{length} samples in {count} pieces gave {found} frames, not {cutting.frames(length)}")
    if s.spec.decodes:
        good_audio(s, given, length)
        full = cutting.sample(cutting.longest)
        side = None if given.side is None else given.side[..., :1]
        good_audio(s, Codes(given.frames[..., : cutting.longest], side), full)
    return f"{length / s.rate:.3g} s in {count} pieces"


def silence(s: Subject) -> str:
    """Digital silence is coded like anything else."""
    return _goes_through(s, torch.zeros(1, s.spec.channels, s.rate, device=s.device))


def loud(s: Subject) -> str:
    """So are clipped audio, full-scale noise and a constant of 1."""
    voice = s.voice(s.rate)
    hiss = synthetic_audio.noise((1, s.spec.channels, s.rate), s.seed, level=1.0).to(s.device)
    return _goes_through(s, (voice * 8).clamp(-1, 1), hiss.clamp(-1, 1), torch.ones_like(voice))


def _goes_through(s: Subject, *wavs: Tensor) -> str:
    for wav in wavs:
        given = good_codes(s, wav)
        if s.spec.decodes:
            good_audio(s, given, wav.shape[-1])
    return "codes in range" + (", audio finite" if s.spec.decodes else "")


def frame_rate(s: Subject) -> str:
    """10 s give as many frames and chunks as the spec states, give or take two, which a window longer than the hop leaves out."""
    if not math.isfinite(s.spec.frame_rate):
        raise Skip("the length of a frame is among the codes" if s.spec.durations else "the spec states no frame rate")
    given, stated = good_codes(s, s.voice(10 * s.rate)), 10 * s.spec.frame_rate
    frames, chunks = given.frames.shape[-1], 10 * max((book.rate for book in s.spec.side), default=0.0)
    if abs(frames - stated) > 2:
        raise Broken(f"10 s gave {frames} frames, the spec states {stated:g}")
    if chunks and given.side is not None and abs(given.side.shape[-1] - chunks) > 2:
        raise Broken(f"10 s gave {given.side.shape[-1]} chunks, the spec states {chunks:g}")
    return f"{frames} frames in 10 s, {stated:g} stated"


def packed(s: Subject) -> str:
    """A tokenizer that counts its own bits counts them clip by clip."""
    if not isinstance(s.tokenizer, Packs):
        raise Skip("its codes are packed by the harness")
    bits = boundary.bits(s.tokenizer, good_codes(s, s.voice(s.rate)).frames)
    if bits <= 0:
        raise Broken(f"packed_bits gave {bits!r} for 1 s of audio")
    return f"{bits} bits for 1 s"


def deterministic(s: Subject) -> str:
    """The same twice, by the same instance and by a fresh one."""
    wav, other = s.voice(2 * s.rate), s.fresh()
    first = s.encode(wav)
    line = s.same(first, s.encode(wav), "a second encode")
    s.same(first, s.encode(wav, other), "a fresh instance's encode")
    if s.spec.decodes:
        line += ", " + same_audio(s.decode(first), s.decode(first), "a second decode")
    return line


def batch(s: Subject) -> str:
    """A batch of three gives what each clip gives alone."""
    if s.spec.durations:
        raise Skip("frames vary in length: the harness gives one clip at a time")
    wavs = s.voice(s.rate + s.rate // 7, batch=3) * torch.tensor([1.0, 0.3, 0.01], device=s.device)[:, None, None]
    together, alone = s.encode(wavs), [s.encode(wav[None]) for wav in wavs]
    joined = Codes(*map(torch.cat, zip(*(one.parts for one in alone), strict=True)))
    line = s.same(together, joined, "batch of 3 against single clips")
    if s.spec.decodes:
        apart = torch.cat([s.decode(one, first=i) for i, one in enumerate(alone)])
        line += ", " + same_audio(s.decode(joined), apart, "batch of 3 against single clips")
    return line


def seeds(s: Subject) -> str:
    """A decoder that says it draws noise draws by the seed: another seed gives other audio."""
    if not s.spec.sampled:
        raise Skip("the decoder draws no noise")
    given = s.encode(s.voice(s.rate))
    one, other = s.decode(given, first=1), s.decode(given, first=2)
    if one.shape == other.shape and torch.equal(one, other):
        raise Broken("two seeds gave the same audio: use them, or leave Spec.sampled out")
    return "two seeds, two signals"


def padding(s: Subject) -> str:
    """Zeros to the right of a causal tokenizer's input leave the frames before them alone."""
    if not s.spec.causal:
        raise Skip("not causal: the harness batches equal lengths only")
    length = s.rate + 77
    frames = s.whole_frames(length)
    wav = s.voice(length)
    padded = torch.nn.functional.pad(wav, (0, s.rate // 3))
    alone, with_zeros = (s.encode(w).frames[..., :frames] for w in (wav, padded))
    return s.agree(alone, with_zeros, "right-padded against not")


def causal(s: Subject) -> str:
    """No frame of a causal tokenizer hears what comes after it."""
    if not s.spec.causal:
        raise Skip("not claimed")
    hop, wav = s.hop, s.voice(2 * s.rate)
    frames = s.whole_frames(s.rate)
    start = math.ceil((frames + (0 if math.isfinite(s.spec.frame_rate) else 1)) * hop)
    changed = wav.clone()
    changed[..., start:] = 2 * s.voice(wav.shape[-1] - start, seed=1)  # louder, to find who looks at the level of the whole
    heard = s.encode(changed).frames[..., :frames]
    return s.agree(s.encode(wav).frames[..., :frames], heard, f"frames before a change at sample {start}")


def codes_only(s: Subject) -> str:
    """Another instance that never saw the clip decodes copied codes, after both have met other audio, to the same."""
    length = 2 * s.rate
    given = s.encode(s.voice(length))
    expected = s.decode(given)
    copied = Codes(*(torch.from_numpy(part.cpu().numpy().copy()).to(s.device) for part in given.parts))
    s.encode(s.voice(length, seed=1))  # whoever keeps a side door in a global now keeps the wrong clip there
    return same_audio(expected, s.decode(copied, s.fresh()), "decoded by an instance that never saw the clip")


def untouched(s: Subject) -> str:
    """Neither the samples nor the codes handed over are changed."""
    wav = (s.voice(s.rate) * 8).clamp(-1, 1)
    before = wav.clone()
    given = codes_of(s.tokenizer.encode(wav), s.spec).parts
    if not torch.equal(wav, before):
        raise Broken("encode changed its input")
    if s.spec.decodes:
        kept = [part.clone() for part in given]
        calls.decode(s.tokenizer, Codes(*given))
        if not all(map(torch.equal, given, kept)):
            raise Broken("decode changed its input")
    return "input as it was"


def delay(s: Subject) -> str:
    """The output lags as far as the spec says."""
    if not s.spec.trained:
        raise Skip("untrained: the output is unlike the input")
    wav = s.voice(8 * s.rate)  # a vocoder moves single syllables by some milliseconds: enough of them to even that out
    back = resample(s.decode(s.encode(wav))[0].cpu(), s.output_rate, s.rate)
    length = min(wav.shape[-1], back.shape[-1])
    found, stated = delay_ms(wav[0, 0, :length].cpu(), back[0, :length], s.rate), 1000 * s.spec.delay / s.output_rate
    if not abs(found.value - stated) <= DELAY_TOLERANCE:
        raise Broken(f"lags by {found.value:.1f} ms, the spec states {stated:.1f}" + (f" ({found.note})" if found.note else ""))
    return f"{found.value:.1f} ms, {stated:.1f} stated"


def level(s: Subject) -> str:
    """Noise 6 dB softer comes back softer where the spec says that decode keeps the loudness, and otherwise it does not."""
    if not s.spec.trained:
        raise Skip("untrained: the output is unlike the input")
    wav = synthetic_audio.noise((1, s.spec.channels, 2 * s.rate), s.seed, level=0.3).to(s.device).clamp(-1, 1)  # a voice has soft parts
    loud, soft = (s.decode(s.encode(x)).square().mean().sqrt() for x in (wav, wav / 2))
    follows = float(20 * torch.log10(loud / soft.clamp_min(1e-9)))
    if s.spec.keeps_level and follows < HALFWAY:
        raise Warn(f"6 dB softer came back {follows:.1f} dB softer: where decode loses the level, the spec says keeps_level=False")
    if not s.spec.keeps_level and follows > HALFWAY:
        raise Broken(f"6 dB softer came back {follows:.1f} dB softer: decode keeps the level, and the spec says that it does not")
    return f"6 dB softer came back {follows:.1f} dB softer"


def streaming(s: Subject) -> str:
    """Fed in pieces, a stream gives the codes and the audio of the offline path."""
    if not isinstance(s.tokenizer, Streams):
        raise Skip("does not stream")
    if s.spec.side:
        raise Broken("streams, and yet has side codes, for which a stream has no place")
    wav = s.voice(s.rate + 123)
    given, encoder, decoder = s.encode(wav), s.tokenizer.stream_encoder(), calls.stream_decoder(s.tokenizer)
    pieces = [encoder.feed(piece) for piece in _pieces(wav, round(1.7 * s.hop), s.seed)]
    line = s.agree(torch.cat([*pieces, encoder.flush()], dim=-1), given.frames, "streamed against offline")
    if not s.spec.decodes:
        return line
    heard = [decoder.feed(piece) for piece in _pieces(given.frames, 3, s.seed)]
    return f"{line}, " + same_audio(torch.cat([*heard, decoder.flush()], dim=-1), s.decode(given), "streamed against offline")


def _pieces(whole: Tensor, longest: int, seed: int) -> Iterable[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    while whole.shape[-1]:
        n = int(torch.randint(1, max(longest, 1) + 1, (), generator=generator))
        yield whole[..., :n]
        whole = whole[..., n:]


ALWAYS = (
    spec,
    weights,
    codes,
    lengths,
    pieces,
    silence,
    loud,
    frame_rate,
    packed,
    deterministic,
    batch,
    padding,
    causal,
    untouched,
    streaming,
)
DECODING = (audio, codes_only, seeds, delay, level)
CHECKS: tuple[Callable[[Subject], str], ...] = ALWAYS + DECODING


def check(variant: Variant, load: Callable[[], Tokenizer], device: str = "cpu", seed: int = 0) -> list[Finding]:
    """Every check on one tokenizer; `load` gives a new instance on the device each time. What `load` raises at first goes to the caller."""
    subject = Subject(variant, load(), load, device, seed)
    with torch.inference_mode():
        return [_find(subject, run) for run in CHECKS]


def _find(subject: Subject, run: Callable[[Subject], str]) -> Finding:
    if run in DECODING and not subject.variant.spec.decodes:
        return Finding(run.__name__, "skip", "encodes only")
    try:
        with boundary.guarded(Broken, Skip, Warn):
            return Finding(run.__name__, "pass", run(subject))
    except Broken as broken:
        return Finding(run.__name__, "fail", str(broken))
    except Skip as skip:
        return Finding(run.__name__, "skip", str(skip))
    except Warn as warning:
        return Finding(run.__name__, "warn", str(warning))
    except boundary.Failed as failed:
        return Finding(run.__name__, "fail", str(failed))
