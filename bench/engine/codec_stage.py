"""The codec stage: clips in, reconstructions out. Reads, resamples, pads, encodes, decodes, trims; batches on a GPU, threads on a CPU.

On a CPU a batch is slower per second of audio than clips one by one (it falls out of the caches), and two clips on two single-threaded
instances beat one clip on two threads (nothing waits for the slower half of a convolution): tests/perf/test_engine.py measures both. On
a GPU clips of like length share a batch; right padding is only for causal tokenizers, others are batched where the lengths are equal.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial

import torch
from torch import Tensor

from bench.api import (
    TOKENIZER_FAILED,
    Audio,
    Clip,
    Code,
    Coded,
    Codes,
    Failure,
    Given,
    Key,
    Mixture,
    Packs,
    Reconstruction,
    Result,
    Spec,
    Tokenizer,
    Trial,
)
from bench.data.audio import BadAudio, mixed, read_clip, resample
from bench.data.decoders import WHOLE, Limits
from bench.engine.worker_threads import ahead, staged
from bench.plugins import boundary
from bench.plugins.calls import seed_of
from bench.plugins.pieces import seams
from bench.records.hardware import cores
from bench.tokens.codes import check_codes, packed_bits, side_bits

BATCH_SECONDS = 240.0  # of padded audio in one GPU batch, to begin with: running out of memory halves it
WINDOW = 64  # clips that a GPU stage sorts by length at a time


def reconstructions(
    spec: Spec,
    load: Callable[[], Tokenizer],
    clips: Iterable[Clip],
    device: str = "cpu",
    partner: Mapping[str, Clip] | None = None,
    batch_seconds: float | None = None,
    batch: int = 0,
    decode: bool = True,
    seed: int = 0,
    limits: Limits = WHOLE,
) -> Iterator[Reconstruction]:
    """Every clip through the tokenizer, in the order of completion; holds a handful of clips in memory, however many there are.

    `load` gives an instance to each thread. `partner`: for the shuffled floor, the clip that is encoded in place of each.
    `batch_seconds` of padded audio make a batch, 0: every clip goes alone; None: what is faster on the device. `batch`: at most so many
    clips, 0: as many as that. Without `decode`, and of a tokenizer that gives tokens only, est has no samples; codes, tokens, bits and
    seconds are the same. `seed`: the run's, for the noise that decoders draw. `limits`: of the clips' files.
    """
    source = _read(spec, clips, partner, limits)
    if spec.durations:  # clips of one length have unlike numbers of frames
        batch_seconds = 0.0
    if batch_seconds is None:
        batch_seconds = math.inf if batch > 1 else 0.0 if batch == 1 or _on_cpu(device) else BATCH_SECONDS
    groups = _batches(ahead(source, WINDOW), spec, batch_seconds, batch or WINDOW) if batch_seconds else ([given] for given in source)
    work = partial(_through, device=device, decode=decode and spec.decodes, seed=seed)
    return staged(groups, partial(own, load, device), work, threads(device))


def trials(
    spec: Spec,
    load: Callable[[], Tokenizer],
    clips: Iterable[Clip],
    trial: Callable[[Code, Given], Result],
    device: str = "cpu",
    partner: Mapping[str, Clip] | None = None,
    seed: int = 0,
) -> Iterator[Trial[Result]]:
    """trial(code, given) for every clip, in the order of completion: for what a tokenizer is asked beyond one reconstruction a clip."""

    def work(tokenizer: Tokenizer, given: Given) -> Iterator[Trial[Result]]:
        def code(wav: Tensor, decode: bool, draw: int = 0) -> Coded:
            own = _seed(seed, given.clip)
            return _code(tokenizer, device, wav, decode, [seed_of(own, f"draw {draw}") if draw else own] * len(wav))

        yield Trial(given.clip, given.wav.shape[-1] / given.rate, None if given.failure else trial(code, given), given.failure)

    return staged(_read(spec, clips, partner), partial(own, load, device), work, threads(device))


def decodings(
    load: Callable[[], Tokenizer], mixtures: Iterable[Mixture[Key]], device: str = "cpu", seed: int = 0
) -> Iterator[tuple[Key, Audio | Failure]]:
    """Audio of codes that encode did not give, in the order of completion."""

    def work(tokenizer: Tokenizer, mixture: Mixture[Key]) -> Iterator[tuple[Key, Audio | Failure]]:
        yield mixture.key, _mixed(tokenizer, mixture, device, seed)

    return staged(mixtures, partial(own, load, device), work, threads(device))


@torch.inference_mode()
def _mixed(tokenizer: Tokenizer, mixture: Mixture, device: str, seed: int) -> Audio | Failure:
    spec = tokenizer.spec
    try:
        with boundary.guarded():
            codes = Codes(*(part.to(device) for part in mixture.codes.parts))
            est, _ = decoded(tokenizer, codes, [_seed(seed, mixture.clip)], spec.decoded(mixture.length))
    except torch.OutOfMemoryError:
        return Failure(TOKENIZER_FAILED + f"out of memory on {device}: {mixture.length} samples do not fit")
    except boundary.Failed as failed:
        return Failure(TOKENIZER_FAILED + str(failed))
    if not spec.keeps_level:
        est = levelled(est, torch.full((1, 1, 1), mixture.level))
    if not bool(torch.isfinite(est).all()):
        return Failure(TOKENIZER_FAILED + "decode gave NaN or infinite samples")
    return Audio(est[0], spec.output_rate or mixture.rate)


def _on_cpu(device: str) -> bool:
    return torch.device(device).type == "cpu"


def threads(device: str) -> int:
    """How many threads share the tokenizer's work."""
    return min(cores(), 4) if _on_cpu(device) else 1  # each holds the weights once more


def own(load: Callable[[], Tokenizer], device: str) -> Tokenizer:
    """A thread's tokenizer."""
    if _on_cpu(device):  # a setting of the thread that makes it
        torch.set_num_threads(max(1, cores() // threads(device)))
    return load()


def _read(spec: Spec, clips: Iterable[Clip], partner: Mapping[str, Clip] | None, limits: Limits = WHOLE) -> Iterator[Given]:
    return (_load(spec, clip, clip if partner is None else partner.get(clip.id), limits) for clip in clips)


def _load(spec: Spec, clip: Clip, encoded: Clip | None, limits: Limits) -> Given:
    nothing = torch.zeros(spec.channels, 0)
    try:
        if encoded is None:
            raise BadAudio("no other clip of this domain to replace it")
        ref = mixed(read_clip(clip, limits), spec.channels)
        source = ref if encoded is clip else mixed(read_clip(encoded, limits), spec.channels)
    except BadAudio as error:
        return Given(clip, Audio(nothing, 1), nothing, 1, str(error))
    rate = spec.sample_rate or source.sample_rate
    return Given(clip, ref, resample(source.wav, source.sample_rate, rate), rate)


def _batches(items: Iterator[Given], spec: Spec, seconds: float, most: int) -> Iterator[list[Given]]:
    """Groups of like length, of at most so many clips: any for a causal tokenizer, equal lengths for others."""
    whole = bool(spec.side) or not spec.keeps_level  # hears the clip to its end
    paddable = spec.causal and math.isfinite(spec.frame_rate) and not whole  # it is known which frames are of the padding
    while window := list(itertools.islice(items, WINDOW)):
        yield from ([item] for item in window if item.failure)
        group: list[Given] = []
        for item in sorted((item for item in window if not item.failure), key=lambda item: (item.rate, item.wav.shape[-1])):
            fits = (
                group and len(group) < most and item.rate == group[0].rate and item.wav.shape[-1] * (len(group) + 1) <= seconds * item.rate
            )
            if group and not (fits and _together(spec, paddable, item, group[0])):
                yield group
                group = []
            group.append(item)
        if group:
            yield group


def _together(spec: Spec, paddable: bool, one: Given, other: Given) -> bool:
    """Whether two clips may share a batch: of equal lengths, or padded, cut into as many pieces as each alone."""
    a, b = (given.wav.shape[-1] for given in (one, other))
    return a == b or (paddable and len(seams(spec, a)) == len(seams(spec, b)))


def _through(tokenizer: Tokenizer, group: list[Given], device: str, decode: bool, seed: int) -> list[Reconstruction]:
    """A group through encode and decode; where that fails, its halves, one after the other, down to the clip that is to blame."""
    if group[0].failure:
        return [_failed(given, given.failure) for given in group]
    longest = max(given.wav.shape[-1] for given in group)
    wav = torch.stack([torch.nn.functional.pad(given.wav, (0, longest - given.wav.shape[-1])) for given in group])
    coded = _code(tokenizer, device, wav, decode, [_seed(seed, given.clip) for given in group])
    if coded.failure and len(group) > 1:
        if not _on_cpu(device):
            torch.cuda.empty_cache()
        half = len(group) // 2
        return [item for part in (group[:half], group[half:]) for item in _through(tokenizer, part, device, decode, seed)]
    if coded.failure:
        return [_failed(group[0], coded.failure)]
    return [_one(tokenizer, given, coded, i, given.wav.shape[-1] < longest) for i, given in enumerate(group)]


def _seed(seed: int, clip: Clip) -> int:
    """Of the noise that a decoder draws for the clip, the same in whichever data set, batch or resumed run it is."""
    return seed_of(seed, clip.sha256)


def _failed(given: Given, why: str) -> Reconstruction:
    empty = Audio(torch.zeros(given.ref.wav.shape[0], 0), given.rate)
    return Reconstruction(given.clip, given.ref, empty, torch.zeros(0, 0, dtype=torch.int64), 0, failure=why)


@torch.inference_mode()
def _code(tokenizer: Tokenizer, device: str, wav: Tensor, decode: bool, seeds: Sequence[int] = ()) -> Coded:
    try:
        with boundary.guarded():  # what is lazy on a device may fail as late as in a copy
            codes = boundary.encode(tokenizer, wav.to(device))
            check_codes(codes, tokenizer.spec, len(wav))
            length = tokenizer.spec.decoded(wav.shape[-1])
            est, missing = decoded(tokenizer, codes, seeds, length) if decode else (wav[..., :0].clone(), 0)
            frames, *side = (part.cpu() for part in codes.parts)
    except torch.OutOfMemoryError:
        return _nothing(wav, f"out of memory on {device}: {len(wav)} x {wav.shape[-1]} samples do not fit")
    except boundary.Failed as failed:
        return _nothing(wav, str(failed))
    if not tokenizer.spec.keeps_level and decode:
        est = levelled(est, level(wav))
    if not bool(torch.isfinite(est).all()):
        return _nothing(wav, "decode gave NaN or infinite samples")
    return Coded(frames.clone(), est.clone(), missing, side=side[0].clone() if side else None)


def level(wav: Tensor) -> Tensor:
    """wav [B, C, T] -> [B, 1, 1]: the root mean square of each clip, rounded to the float16 that is counted for it."""
    return _loudness(wav).half().float()


def levelled(est: Tensor, stated: Tensor) -> Tensor:
    """est [B, C, T'] as loud as `stated` [B, 1, 1], which is what `level` gives."""
    found = _loudness(est)
    return est * torch.where(found > 0, stated / found, 1.0)


def _loudness(wav: Tensor) -> Tensor:
    return wav.square().mean((1, 2), keepdim=True).sqrt()


def _nothing(wav: Tensor, why: str) -> Coded:
    return Coded(torch.zeros(len(wav), 0, 0, dtype=torch.int64), wav[..., :0].clone(), failure=TOKENIZER_FAILED + why)


def decoded(tokenizer: Tokenizer, codes: Codes, seeds: Sequence[int], length: int) -> tuple[Tensor, int]:
    """Audio [B, C, length] float32 on the CPU, and how many of its samples decode did not return: they are zero."""
    wav, expected = boundary.decode(tokenizer, codes, seeds), (len(codes.frames), tokenizer.spec.channels)
    if wav.ndim != 3 or wav.shape[:2] != expected:
        raise ValueError(f"decode must give audio [{expected[0]}, {expected[1]}, T], got {list(wav.shape)}")
    missing = max(0, length - wav.shape[-1])
    return torch.nn.functional.pad(wav.float().cpu()[..., :length], (0, missing)), missing


def _one(tokenizer: Tokenizer, given: Given, coded: Coded, i: int, padded: bool) -> Reconstruction:
    spec, length, codes = tokenizer.spec, given.wav.shape[-1], coded.codes[i]
    side = None if coded.side is None else coded.side[i]
    if padded:  # frames past the clip's own end are of the padding
        codes = codes[:, : math.ceil(length * spec.frame_rate / given.rate - 1e-6)]
    est = Audio(coded.est[i, :, : spec.decoded(length)].clone(), spec.output_rate or given.rate)
    missing = max(0, spec.decoded(length) - (coded.est.shape[-1] - coded.tail_loss)) if coded.est.shape[-1] else 0
    if isinstance(tokenizer, Packs):
        try:
            bits = boundary.bits(tokenizer, codes[None])
        except boundary.Failed as failed:
            return _failed(given, TOKENIZER_FAILED + str(failed))
        bits, tokens = bits + side_bits(spec, side), bits // 8
    else:
        bits, tokens = packed_bits(codes, spec, side), codes.numel()
    tokens += 0 if side is None else side.numel()
    return Reconstruction(
        given.clip,
        given.ref,
        est,
        codes.clone(),
        length,
        tokens,
        bits,
        missing,
        seams=seams(spec, length),
        side=side,
        rate=given.rate,
        level=math.nan if spec.keeps_level else float(level(given.wav[None])),
    )
