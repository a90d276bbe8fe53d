"""The core data types of the benchmark, on one page. Everything else in bench/ works on these.

Audio is float32 in [-1, 1]; `wav` is [B, C, T], `codes` is [B, K, F] int64, rates are in Hz, bitrates in bit/s.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Generic, Literal, Protocol, TypeVar, runtime_checkable

if TYPE_CHECKING:  # --help and a wrong flag answer without waiting for torch
    from torch import Tensor


Payload = TypeVar("Payload")
Key = TypeVar("Key")
Result = TypeVar("Result")
Domain = Literal["speech", "music", "general"]
DOMAINS: tuple[Domain, ...] = ("speech", "music", "general")
LEVEL_BITS = 16  # of the loudness of a clip, a float16, where a tokenizer loses it
LARGEST_COUNTED = 2**16  # a codebook beyond it holds raw samples: no entropy can be counted, and its tokenizer is a reference condition
SHARE, POSITIVE, CORRELATION = (0.0, 1.0), (0.0, math.inf), (-1.0, 1.0)  # where the scores of many metrics lie


TOKENIZER_FAILED = "tokenizer failed: "
"""How the note of a score begins that is missing because of the tokenizer, not of the clip or the metric: such clips are tried again."""


class UserError(Exception):
    """Something the user can correct: one line that says what, where and how. The CLI prints it and ends with `exit_code`."""

    exit_code = 2


class TokenizerFailed(UserError):
    """A tokenizer failed on a clip, and the run was to stop at that."""

    exit_code = 1


@dataclass(frozen=True)
class Codebook:
    """One stream of codes: `size` possible values, `rate` codes per second.

    NaN: it varies, as the bytes of a VBR codec do, or frames whose lengths are codes; 0: one code an utterance (in Spec.side alone).
    """

    size: int
    rate: float
    role: Literal["", "semantic", "acoustic", "prosody", "content", "timbre", "duration"] = ""
    """What its authors made it for; duration: how long its frame lasts, of a tokenizer whose frames vary."""
    table: str = ""  # streams that name the same table look their codes up in the same entries, as the columns of a fast level do
    levels: tuple[int, ...] = ()  # of a product code (FSQ): the steps of each dimension; their product is `size`


@dataclass(frozen=True)
class TrainedHere:
    """Says of weights that this project trained them, on a small model of its own: they are not those that a paper published."""

    hours: float  # of distinct audio that they were trained on
    published: str = ""  # the label of the published model of that name; "": none was published


@dataclass(frozen=True)
class Spec:
    """What a tokenizer is, as data. Frame rate, bitrate and token rate follow from it and are never typed in."""

    name: str
    variant: str
    sample_rate: int | None  # Hz of what encode takes, and of what decode gives unless output_rate says otherwise; None: the clip's own
    codebooks: tuple[Codebook, ...]
    weights: str = "none"  # "sha256:<hex>" of the file, "<hex>+<hex>" of two; "seed:<n>" when untrained, "none" without any
    channels: int = 1
    causal: bool = False  # a frame depends on no later sample: right padding changes nothing before it
    decodes: bool = True
    encodes: bool = True  # False: its authors released no encoder, so that no suite can run it; decode takes codes from elsewhere
    shuffled: bool = False  # the floor of every table: encodes ANOTHER clip of the corpus
    delay: int = 0  # samples of the output by which it lags the input, as the codec's authors state it: taken out before scores
    beam: int = 1  # sequences of codes that encode follows from codebook to codebook; above 1 it finds better ones than level by level
    source: str = ""  # paper, standard or repository
    licence: str = ""  # of the weights, or of the library that does the work
    trained_here: TrainedHere | None = None  # None: published weights, or none. Every table marks the others
    block: int = 1  # samples that encode fills a clip up to whole multiples of: a short clip costs as many codes as a block
    sampled: bool = False  # decode draws noise, and is given a seed for each item: see `Draws`
    longest: float | None = None  # s of the longest clip that encode and decode take: the harness cuts longer ones into such pieces
    context: float = 0.0  # s, within longest, of what comes before each piece but the first: coded with it, decoded with it, dropped again
    labelled: bool = False  # the ceiling of what codes can tell: a suite that reads alignments puts the phones in place of its codes
    side: tuple[Codebook, ...] = ()  # codes beside those of the frames: all of rate 0, once an utterance, or all once a chunk, at one rate
    output_rate: int | None = None  # Hz of what decode gives; None: sample_rate
    keeps_level: bool = True  # False: decode gives another loudness; the harness restores it, and counts LEVEL_BITS a clip

    @property
    def label(self) -> str:
        """`family@variant`, the name in every table."""
        return f"{self.name}@{self.variant}"

    @property
    def frame_rate(self) -> float:
        """Frames per second: the rate of the fastest codebook."""
        return max(c.rate for c in self.codebooks)

    @property
    def tokens_per_s(self) -> float:
        """Codes per second over all codebooks, without what is sent once an utterance."""
        return sum(c.rate for c in (*self.codebooks, *self.side))

    @property
    def durations(self) -> bool:
        """Whether frames vary in length, and how long each lasts is among the codes."""
        return any(c.role == "duration" for c in self.codebooks)

    @property
    def tables(self) -> tuple[tuple[int, ...], ...]:
        """The streams (their numbers, from 0) of each table of entries; a stream that names none has its own."""
        groups: dict[str, list[int]] = {}
        for k, book in enumerate(self.codebooks):
            groups.setdefault(book.table or f"\0{k}", []).append(k)
        return tuple(map(tuple, groups.values()))

    @property
    def bitrate(self) -> float:
        """Nominal bit/s: the sum of rate x log2(size), without bits_once. NaN where the rate varies; there only the measured one counts."""
        return sum(c.rate * math.log2(c.size) for c in (*self.codebooks, *self.side))

    @property
    def bits_once(self) -> float:
        """Nominal bits that an utterance costs whatever its length: side codes of rate 0, and the level where decode loses it."""
        return sum(math.log2(c.size) for c in self.side if c.rate == 0) + (0 if self.keeps_level else LEVEL_BITS)

    def decoded(self, samples: int) -> int:
        """Samples that decode owes for so many that encode was given: as many, or at output_rate as long, rounded up."""
        return -(-samples * self.output_rate // self.sample_rate) if self.output_rate and self.sample_rate else samples

    @property
    def reference(self) -> bool:
        """Whether it is a reference condition: its codes are samples, of the original, of a filtered or of another clip."""
        return any(c.size > LARGEST_COUNTED for c in self.codebooks)

    @property
    def trained(self) -> bool:
        """False for seeded random weights, whose rows are marked and never enter a leaderboard."""
        return not self.weights.startswith("seed:")


@dataclass(frozen=True)
class Codes:
    """All that encode gives for a batch, in the hands of the harness."""

    frames: Tensor  # [B, K, F] int64
    side: Tensor | None = None  # [B, S, N] int64, of each of spec.side a code (N = 1) or one for each of N chunks, or pieces; None: none

    @property
    def parts(self) -> tuple[Tensor, ...]:
        """What a tokenizer's decode is called with."""
        return (self.frames,) if self.side is None else (self.frames, self.side)


class Tokenizer(Protocol):
    """The whole contract of a tokenizer. The harness resamples, pads and trims; `bench check` tests the rest."""

    @property
    def spec(self) -> Spec: ...

    def encode(self, wav: Tensor) -> Tensor:
        """wav [B, C, T] float32 at spec.sample_rate, any T >= 1 -> codes [B, K, F] int64, 0 <= code < size."""
        ...

    def decode(self, codes: Tensor) -> Tensor:
        """codes [B, K, F], and nothing else -> wav [B, C, T'] float32; T' >= T, or the missing tail is reported."""
        ...


class Draws(Protocol):
    """A tokenizer whose decoder draws noise (`Spec.sampled`): an item's audio is that of its codes and its seed, whatever is beside it."""

    def decode(self, codes: Tensor, seeds: Sequence[int] = ()) -> Tensor:
        """As `Tokenizer.decode`, with a seed from 0 to 2**32 - 1 for each item. The harness always gives them; without, all are 0."""
        ...


class SideTokenizer(Protocol):
    """The contract of a tokenizer whose spec names side codes: encode gives them beside the frames', decode takes both."""

    @property
    def spec(self) -> Spec: ...

    def encode(self, wav: Tensor) -> tuple[Tensor, Tensor]:
        """wav [B, C, T] -> codes [B, K, F] and side [B, S, N], both int64; N is 1, or the number of chunks."""
        ...

    def decode(self, codes: Tensor, side: Tensor) -> Tensor:
        """The two, and nothing else -> wav [B, C, T']; `seeds` beside them as in `Draws`."""
        ...


@runtime_checkable
class Packs(Protocol):
    """A tokenizer whose codes are already bytes or otherwise know their own size, as a variable-rate codec's do."""

    def packed_bits(self, codes: Tensor) -> int:
        """Bits of the stream that codes [1, K, F] stand for, without any container and without side codes, which the harness counts."""
        ...


class Stream(Protocol):
    """One direction of a live conversation with a codec. State has a constant size however long it runs."""

    def feed(self, chunk: Tensor) -> Tensor:
        """The next piece, of any length along the last axis -> all that it completes (may be empty along the last axis)."""
        ...

    def flush(self) -> Tensor:
        """The end of the input -> what was still held back, padded as the offline path pads it."""
        ...


@runtime_checkable
class Streams(Protocol):
    """A causal tokenizer that works chunk by chunk and gives the codes and the audio of the offline path."""

    def stream_encoder(self) -> Stream:
        """wav pieces [B, C, n] -> codes [B, K, m]."""
        ...

    def stream_decoder(self) -> Stream:
        """codes [B, K, m] -> wav pieces [B, C, n]. Of a tokenizer that draws (`Draws`): stream_decoder(seeds)."""
        ...


@dataclass(frozen=True)
class Checkpoint:
    """A file of weights, known by its content."""

    file: str  # its name, under tokenizers/weights/ where it is shipped, under the cache folder where it is fetched, or beside ./file.py
    sha256: str = ""  # needed where it is fetched; of a file beside a ./file.py it is computed
    url: str = ""  # pinned to a revision; empty: shipped
    cure: str = ""  # where --weights is not the way to give it: what is
    gated: bool = False  # the hub gives it to accounts alone that accepted its licence


def sha256_of_all(*files: Checkpoint) -> str:
    """What Spec.weights says of these files, each once; "?" for one that the user has yet to give."""
    return "sha256:" + "+".join(file.sha256 or "?" for file in dict.fromkeys(files))


@dataclass(frozen=True)
class Variant:
    """A line of a family's VARIANTS: facts now, weights only when it is loaded."""

    spec: Spec
    load: Callable[..., Tokenizer]  # called as load(spec), or load(spec, path, *paths of beside) where there is a checkpoint
    checkpoint: Checkpoint | None = None  # --weights takes its place
    code: str = ""  # of a tokenizer named by a path: sha256 of the file and of all that it loads; its rows belong to that very code
    file: Path | None = None  # of such a tokenizer: its file
    beside: tuple[Checkpoint, ...] = ()  # further files, as the encoder to a codebook; the checkpoint again where one file is both
    features: Callable[..., Callable[[Tensor], Tensor]] | None = None
    """features(spec, *paths of beside) -> wav [B, C, T] -> [B, F, D]: what `bench kmeans` fits a codebook to; None: nothing to fit."""
    exact: Variant | None = None  # the same in float32, of a variant that runs in half precision
    audio: Mapping[str, Clip] | None = None  # of audio that is scored without a tokenizer: the reconstruction of each clip, by its id

    @property
    def files(self) -> tuple[Checkpoint, ...]:
        """All that load needs, in its order."""
        return (self.checkpoint, *self.beside) if self.checkpoint else ()


@dataclass(frozen=True)
class Clip:
    """One piece of audio in a data set. The samples stay in the file until they are needed."""

    id: str
    path: Path
    sha256: str
    domain: Domain = "speech"
    speaker: str = ""
    text: str = ""
    language: str = "en"  # ISO 639, of what is spoken
    split: str = ""  # "train": for probes to learn from; anything else: for their test; "": the suite decides
    alignment: Path | None = None  # the file that says when each phone is spoken (bench/data/alignments.py)
    labels: tuple[tuple[str, str], ...] = ()  # (name, value) of whatever else is known of it, by name: an emotion, a genre
    span: tuple[int, int] | None = None  # of audio inside a larger file, as a tar shard: its first byte there, and its bytes; None: all

    def label(self, name: str) -> str:
        """The value of a label; "" where the clip has none of that name."""
        return dict(self.labels).get(name, "")


@dataclass(frozen=True)
class Data:
    """A named list of clips; `sha256` covers every fact of every clip, audio included."""

    name: str
    clips: Sequence[Clip]
    sha256: str
    notes: tuple[str, ...] = ()  # what the user should know of it: files that were left out, and why


@dataclass(frozen=True)
class Audio:
    """Samples [C, T] and their rate in Hz."""

    wav: Tensor
    sample_rate: int
    note: str = ""  # what is odd in the file that it was read from, and was heard in spite of it


@dataclass(frozen=True)
class Reconstruction:
    """One clip through a tokenizer. `failure` says why there is none; then est and codes are empty, and length is 0."""

    clip: Clip
    ref: Audio  # [C, T] at the file's own rate
    est: Audio  # [C, T'] at the tokenizer's output rate, as long as what was encoded; no samples where nothing was decoded
    codes: Tensor  # [K, F] int64 on the CPU
    length: int  # samples that encode was given
    tokens: int = 0  # codes, side codes among them; for a codec of varying bytes, bytes
    packed_bits: int = 0
    tail_loss: int = 0  # samples at the output rate that decode did not return; zero in est
    failure: str = ""
    seams: tuple[float, ...] = ()  # s at which it was cut into pieces, where it is longer than the tokenizer takes
    side: Tensor | None = None  # [S, N] int64 on the CPU; None where the spec names no side codes
    rate: int = 0  # Hz of what encode was given; 0: est's
    level: float = math.nan  # root mean square of that, rounded as it is counted, where decode loses it

    @property
    def seconds(self) -> float:
        """Duration of what was encoded."""
        return self.length / (self.rate or self.est.sample_rate)


@dataclass(frozen=True)
class Given:
    """One clip as a tokenizer gets it. `failure` says why there is nothing to encode; then ref and wav are empty."""

    clip: Clip
    ref: Audio  # [C, T] at the file's own rate
    wav: Tensor  # [C, length] at the tokenizer's rate
    rate: int
    failure: str = ""


@dataclass(frozen=True)
class Coded:
    """What a tokenizer made of a batch of audio. `failure` says why it made nothing of it; then codes and est are empty."""

    codes: Tensor  # [B, K, F] int64 on the CPU
    est: Tensor  # [B, C, T'] float32 on the CPU, at the output rate, as long as what was encoded; [B, C, 0] where nothing was decoded
    tail_loss: int = 0  # samples that decode did not return; zero in est
    failure: str = ""
    side: Tensor | None = None  # [B, S, N] int64 on the CPU; None where the spec names no side codes


class Code(Protocol):
    """A tokenizer in the hands of the thread that owns it. Never raises for the tokenizer's faults."""

    def __call__(self, wav: Tensor, decode: bool, draw: int = 0) -> Coded:
        """wav [B, C, T]. `draw`: which of several noises a decoder mixes in that draws them; 0 is the one of the clip's reconstruction."""
        ...


@dataclass(frozen=True)
class Mixture(Generic[Key]):
    """Codes that encode did not give, to be decoded: those of several clips, say."""

    key: Key
    clip: Clip  # whose noise a decoder draws
    codes: Codes  # of one item, on the CPU
    length: int  # samples that encode would be given: decode owes as long a sound
    rate: int  # Hz of those
    level: float = math.nan  # their root mean square, for a tokenizer that loses it


@dataclass(frozen=True)
class Trial(Generic[Result]):
    """What a trial found out about one clip; None where there was no audio to try."""

    clip: Clip
    seconds: float
    result: Result | None
    failure: str = ""


@dataclass(frozen=True)
class Score:
    """One clip's value. A corpus value is the weighted mean (weight: words for WER, seconds for a rate, 1 for PESQ)."""

    value: float
    weight: float = 1.0
    note: str = ""  # why the value is NaN


ScoreFunction = Callable[["Tensor", "Tensor", int], Score]
"""ref [T], est [T] of equal length, sample rate in Hz -> Score. Never raises for a bad clip: NaN with a note."""


@dataclass(frozen=True)
class Metric:
    """A column: its facts and, for a signal metric, the function that scores one channel of one clip."""

    name: str
    unit: str
    better: Literal["higher", "lower", "zero", ""]  # "zero": nearest to zero; "": a fact, neither good nor bad
    rates: Mapping[Domain, int]  # the one rate it is evaluated at, by domain; a domain not named has no such column
    tolerance: float  # a smaller change means nothing
    score: ScoreFunction | None  # None: not a function of two signals; the suite fills it in
    about: str = ""  # one line for `bench list metrics`
    per: Literal["clip", "corpus", "codebook"] = "clip"
    """"corpus": one value pooled over all clips, in a row of clip "*"; "codebook": the same, and beside it one for each codebook."""
    span: tuple[float, float] = (-math.inf, math.inf)  # no score lies outside: a leaderboard refuses it
    fixed: bool = False  # decided by a tokenizer's design, as its bitrate: shown, but never tested or called best
    raw: bool = False  # a delay that the tokenizer states is left in; a column of those tokenizers alone that state one
    cut: bool = False  # of clips that were cut into pieces; a column of those tokenizers alone that state a longest clip

    @property
    def scale(self) -> float:
        """What a value is multiplied with in tables and plots: shares are shown in per cent. Files hold them plain, from 0 to 1."""
        return 100.0 if self.unit == "share" else 1.0

    @property
    def shown_unit(self) -> str:
        """The unit of what tables and plots show."""
        return "%" if self.unit == "share" else self.unit

    def of_codebook(self, k: int) -> str:
        """The name in the row of codebook k, counted from 0, as `codebook_utilization_cb1`."""
        return f"{self.name}_cb{k + 1}"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of rows.csv. Clip "*" is the whole corpus."""

    clip: str
    domain: str
    speaker: str
    metric: str
    value: float
    weight: float = 1.0
    note: str = ""


Task = Callable[[Payload, Sequence[str]], Iterator[Result]]
"""A module-level function: payload, steps -> one result per step, in order."""


@dataclass(frozen=True)
class Job(Generic[Key, Payload]):
    """Work for one process: `key` stays here, `payload` travels."""

    key: Key
    payload: Payload
    steps: tuple[str, ...]


@dataclass(frozen=True)
class Failure:
    """In place of a result that could not be had: why."""

    note: str


class Session(Protocol):
    """What a suite sees of one run: the clips that still need rows, their reconstructions, and the worker processes."""

    @property
    def spec(self) -> Spec: ...

    @property
    def data(self) -> Data:
        """All clips of the run, those done already among them."""
        ...

    @property
    def todo(self) -> Sequence[Clip]:
        """The clips that still need rows: what a resumed run yields."""
        ...

    @property
    def done(self) -> Sequence[Clip]:
        """The clips of this run that have their rows already."""
        ...

    @property
    def whole(self) -> bool:
        """Whether this run has all clips of the data; a shard's have no pooled rows: what they are made of is left in `folder`."""
        ...

    @property
    def seed(self) -> int:
        """Of everything random."""
        ...

    @property
    def device(self) -> str:
        """Where the tokenizer runs, in torch's words."""
        ...

    @property
    def fresh(self) -> bool:
        """Whether what earlier runs left is to be forgotten."""
        ...

    @property
    def metric_seconds(self) -> float:
        """A step that takes longer on one clip is stopped."""
        ...

    @property
    def folder(self) -> Path:
        """Where a suite may keep more than rows."""
        ...

    @property
    def on_gpu(self) -> bool:
        """Whether the tokenizer runs on another device than the CPU, where metrics may run, too."""
        ...

    def load(self) -> Tokenizer:
        """A tokenizer of the run on its device: one for each thread that encodes."""
        ...

    def reconstructions(self, clips: Iterable[Clip]) -> Iterator[Reconstruction]:
        """Clips through the tokenizer, in the order of completion. A suite that needs no decode gets an est without samples."""
        ...

    def trials(self, trial: Callable[[Code, Given], Result], clips: Iterable[Clip]) -> Iterator[Trial[Result]]:
        """What `trial` finds out about each clip, by the thread that owns a tokenizer, in the order of completion."""
        ...

    def decodings(self, mixtures: Iterable[Mixture[Key]]) -> Iterator[tuple[Key, Audio | Failure]]:
        """Audio [C, T] of codes, by the threads that own a tokenizer, in the order of completion."""
        ...

    def scores(self, task: Task, jobs: Iterator[Job]) -> Iterator[tuple]:
        """(key, scores) of every job, from the worker processes, in the order of completion."""
        ...

    def answers(self, task: Task[Payload, Result], jobs: Iterator[Job[Key, Payload]]) -> Iterator[tuple[Key, list[Result | Failure]]]:
        """The same for results other than scores."""
        ...

    def expected(self, domain: Domain) -> tuple[Metric, ...]:
        """The suite's metrics that a clip of the domain has."""
        ...

    def clip_rows(self, clip: Clip, scores: Mapping[str, Score], seconds: float, some: bool = False) -> list[Row]:
        """The rows of one clip, one per expected metric, ended by the row that marks it as done. `some`: scores left out do not apply."""
        ...


def scored_domains(metrics: Sequence[Metric]) -> tuple[Domain, ...]:
    """The domains of which a suite with these columns scores any clip."""
    return tuple(domain for domain in DOMAINS if any(domain in metric.rates for metric in metrics))


@dataclass(frozen=True)
class Suite:
    """A question asked of every tokenizer. `run` yields the rows of one clip at a time, so that a run can stop anywhere."""

    name: str
    version: int  # raised whenever a score could move
    about: str
    metrics: tuple[Metric, ...]
    data: str  # the data set it runs on unless told otherwise
    run: Callable[[Session], Iterator[Sequence[Row]]]
    needs_decode: bool = True
    needs_codes: bool = False  # takes codes apart: audio that is scored without a tokenizer has none
    reads_alignments: bool = False  # when each phone is spoken: what the clips' alignments hold is part of what a run is
    judge: str = ""  # the model that its columns ask, with its weights' sha256: part of what a run is
    with_judge: Callable[[str], Suite] | None = None  # the same suite with another judge, by name or path; None: it asks nobody
    sweep: str = (
        ""  # of a suite that times: the points it looks at. With the machine it is part of what a run is, and nothing runs beside it
    )
    with_sweep: Callable[[str], Suite] | None = None  # the same suite at other points; None: it does not time
    judges: tuple[str, ...] = ()  # the names that with_judge knows
    halves: bool = False  # its judge works in half precision on a GPU, where scores are therefore others: that is part of what a run is
    asked: str = ""  # of a suite that can be asked for further columns: what was asked. Part of what a run is
    with_asked: Callable[[str], Suite] | None = None  # the same suite, asked for that; None: there is nothing to ask for
    prepare: Callable[[], None] | None = None  # UserError before anything starts, where the judge's package or weights are missing
    merge: Callable[[Spec, Sequence[Path], Path], Sequence[Row]] | None = None
    """merge(spec, folders of shards, folder of the whole run) -> the pooled rows that no shard could give; joins what else they left.
    None: a suite with pooled columns is not run in shards."""
    headline: tuple[str, ...] = ()  # the columns that tables show unless asked for others; none named: all
    overview: tuple[str, ...] = ()  # those of them that stand for the suite in one table over several suites
