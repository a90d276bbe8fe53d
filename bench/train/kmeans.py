"""K-means codebooks: features of every clip -> centroids [clusters, D], by mini-batches from k-means++ starts (scikit-learn), seeded.

Frames are pooled over the clips; past `frames` of them a fair sample is kept, so memory stays bounded however much audio there is. A
cluster that no frame belongs to starts again at a frame that is badly served.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors.torch import save_file
from torch import Tensor

from bench import registry
from bench.api import Data, UserError, Variant
from bench.data.audio import BadAudio, read_clip, resample, to_channels
from bench.weights.download import locate, sha256_of
from bench.weights.files import load_state

if TYPE_CHECKING:
    from sklearn.cluster import MiniBatchKMeans

FRAMES = 1_000_000  # in memory at once: 3 GB of 768 values each
BATCH, STARTS, ROUNDS = 10_000, 3, 100  # of mini-batch k-means: the batch and rounds of HuBERT's recipe, with fewer starts
RESTARTS = 20  # rounds of starting dead clusters again
CHUNK = 1 << 16  # frames compared with the centroids at once

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Pool:
    """Frames [N, D] of a data set, and what they stand for."""

    frames: Tensor
    seen: int  # frames, kept or not
    seconds: float
    failures: tuple[str, ...]  # clips that could not be read


@dataclass(frozen=True)
class Record:
    """What is written beside a codebook. Distances are squared and a frame's mean; shares are of the frames it was fitted to."""

    tokenizer: str
    clusters: int
    dimension: int
    sha256: str  # of the codebook
    encoder: tuple[str, ...]  # sha256 of the files that made the features
    data: str
    data_sha256: str
    clips: int
    failures: int
    seconds: float
    frames: int
    frames_seen: int
    seed: int
    inertia: float
    explained: float  # share of the frames' variance that the centroids account for
    used: int  # clusters that some frame belongs to
    perplexity: float  # how many clusters of equal use would be as even
    restarted: int  # clusters that had died
    scikit_learn: str
    torch: str


def fit(
    variant: Variant, data: Data, out: Path, seed: int = 0, device: str = "cpu", frames: int = FRAMES, progress: Progress | None = None
) -> Record:
    """Fit the codebook of a variant, write it to `out` (safetensors, "centroids") and its record to the same name with .json."""
    features = registry.load_features(variant, device)
    _refuse(out)
    pool = gather(variant, features, data, seed, device, frames, progress)
    clusters = variant.spec.codebooks[0].size
    centroids, restarted = cluster(pool.frames, clusters, seed)
    labels, distances = assign(pool.frames, centroids)
    share = torch.bincount(labels, minlength=clusters).double() / len(labels)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        whole = variant.checkpoint  # where the encoder lies in the codebook's file, it goes along
        encoder = load_state(locate(whole)) if whole and whole in variant.beside else {}
        facts = {"tokenizer": variant.spec.label, "data_sha256": data.sha256, "seed": str(seed)}
        save_file(encoder | {"centroids": centroids}, out, metadata=facts)
    except OSError as error:
        raise UserError(f"cannot write {out} ({error.strerror or error}): name another place with --out") from error
    record = Record(
        tokenizer=variant.spec.label,
        clusters=clusters,
        dimension=centroids.shape[1],
        sha256=sha256_of(out),
        encoder=tuple(file.sha256 for file in variant.beside) or ((variant.spec.weights,) if not variant.spec.trained else ()),
        data=data.name,
        data_sha256=data.sha256,
        clips=len(data.clips) - len(pool.failures),
        failures=len(pool.failures),
        seconds=round(pool.seconds, 3),
        frames=len(pool.frames),
        frames_seen=pool.seen,
        seed=seed,
        inertia=float(distances.mean()),
        explained=float(1 - distances.mean() / pool.frames.double().var(0, correction=0).sum()),
        used=int((share > 0).sum()),
        perplexity=float(torch.special.entr(share).sum().exp()),
        restarted=restarted,
        scikit_learn=metadata.version("scikit-learn"),
        torch=torch.__version__,
    )
    out.with_suffix(".json").write_text(json.dumps(asdict(record), indent=2) + "\n", encoding="utf-8")
    return record


def _refuse(out: Path) -> None:
    """What can be known before the work: a wrong name, a missing package."""
    if out.suffix != ".safetensors":
        raise UserError(f"a codebook is a .safetensors file, not {out.name!r}: name one with --out")
    _mini_batch_kmeans()


@torch.inference_mode()
def gather(
    variant: Variant, features: Callable[[Tensor], Tensor], data: Data, seed: int, device: str, limit: int, progress: Progress | None = None
) -> Pool:
    """Features of every clip, at most `limit` frames, each kept with the same chance."""
    generator = torch.Generator().manual_seed(seed)
    kept, pool = 0, torch.empty(0)
    seen, seconds, failures = 0, 0.0, []
    rate = variant.spec.sample_rate
    for done, clip in enumerate(data.clips, 1):
        try:
            audio = read_clip(clip)
        except BadAudio as error:
            failures.append(str(error))
            continue
        wav = to_channels(resample(audio.wav, audio.sample_rate, rate or audio.sample_rate), variant.spec.channels)
        new = features(wav[None].to(device))[0].float().cpu()
        if not len(pool):
            pool = torch.empty(limit, new.shape[1])  # untouched pages of it cost nothing
        fits = min(len(new), limit - kept)
        pool[kept : kept + fits] = new[:fits]
        # a frame that comes when the pool is full takes the place of a random one, ever less often (reservoir sampling)
        places = (torch.rand(len(new) - fits, generator=generator) * (seen + fits + 1 + torch.arange(len(new) - fits))).long()
        for place, frame in zip(places.tolist(), new[fits:], strict=True):
            if place < limit:
                pool[place] = frame
        kept, seen, seconds = kept + fits, seen + len(new), seconds + audio.wav.shape[-1] / audio.sample_rate
        if progress:
            progress(variant.spec.label, done, len(data.clips))
    return Pool(pool[:kept], seen, seconds, tuple(failures))


def cluster(frames: Tensor, clusters: int, seed: int) -> tuple[Tensor, int]:
    """frames [N, D] -> centroids [clusters, D], float32, none of them dead, and how many had to be started again."""
    if len(frames) < clusters or len(frames[: 4 * clusters].unique(dim=0)) < min(2, clusters):
        raise UserError(f"{len(frames)} frames are too few for {clusters} clusters: give more audio with --data")
    model = _mini_batch_kmeans()(
        clusters, init="k-means++", n_init=STARTS, batch_size=BATCH, max_iter=ROUNDS, random_state=seed, compute_labels=False
    )
    centroids = torch.from_numpy(model.fit(frames.numpy()).cluster_centers_).float()
    return revive(frames, centroids, torch.Generator().manual_seed(seed))


def revive(frames: Tensor, centroids: Tensor, generator: torch.Generator) -> tuple[Tensor, int]:
    """Dead clusters start again at frames drawn by squared distance, as k-means++ draws, until every cluster has members."""
    restarted = count = 0
    for _ in range(RESTARTS):
        labels, distances = assign(frames, centroids)
        dead = torch.bincount(labels, minlength=len(centroids)) == 0
        count = int(dead.sum())
        if count == 0:
            return centroids, restarted
        if int((distances > 0).sum()) < count:
            break
        restarted += count
        centroids = centroids.clone()
        centroids[dead] = frames[weighted(distances, count, generator)]
    raise UserError(f"the frames are too alike for {len(centroids)} clusters, {count} stay empty: give more audio with --data")


def weighted(weights: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """`count` different indices, likelier where the weight is larger (exponential keys: torch.multinomial stops at 2**24 weights)."""
    keys = torch.empty_like(weights, dtype=torch.float64).exponential_(generator=generator)
    return (weights.double() / keys).topk(count).indices


def assign(frames: Tensor, centroids: Tensor) -> tuple[Tensor, Tensor]:
    """The nearest centroid [N] of each frame and its squared distance [N]."""
    labels, distances = [], []
    half = centroids.square().sum(-1) / 2
    for piece in frames.split(CHUNK):
        nearest = torch.addmm(half, piece, centroids.T, beta=-1).argmax(-1)
        labels.append(nearest)
        distances.append((piece - centroids[nearest]).square().sum(-1))
    return torch.cat(labels), torch.cat(distances)


def _mini_batch_kmeans() -> Callable[..., MiniBatchKMeans]:
    """scikit-learn's class, or the line that installs it."""
    try:
        from sklearn.cluster import MiniBatchKMeans
    except ImportError as error:
        raise UserError("bench kmeans needs scikit-learn: pip install 'audio-tokenizer-bench[kmeans]'") from error
    return MiniBatchKMeans
