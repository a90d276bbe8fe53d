"""A run of very many short clips, in a process of its own: python -m tests.perf.many_clips CLIPS FOLDER. Prints what it took as JSON.

The clips are made first, unless they are there: 0.2 s of noise, of a speaker for every 40. The suite is reconstruction with three columns
that cost next to nothing, so that what is measured is everything else.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import soundfile

ROOT = Path(__file__).resolve().parents[2]  # nothing here imports torch before the data are open: bench run does not, either
LIGHT = ("snr", "si_sdr", "kbps_packed", "kbps_nominal", "kbps_entropy")
RATE, SECONDS, BY_SPEAKER, BY_FOLDER = 16_000, 0.2, 40, 1000


@dataclass(frozen=True)
class Taken:
    """Of one number of clips."""

    clips: int
    first_open: float  # s, every file hashed
    open: float  # s, nothing hashed
    run: float  # s
    peak: float  # MB, of the process that runs, its workers not counted
    answer: float = 0.0  # s of `bench run` when all is finished
    answer_peak: float = 0.0  # MB


def made(folder: Path, clips: int) -> Path:
    """A manifest of so many clips, which states no sha256."""
    manifest = folder / "manifest.jsonl"
    if manifest.exists():
        return manifest
    noise = np.random.default_rng(0).standard_normal(round(RATE * SECONDS) + clips) * 0.1
    lines = []
    for i in range(clips):
        path = folder / f"{i // BY_FOLDER:03}" / f"{i:06}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, noise[i : i + round(RATE * SECONDS)], RATE, subtype="PCM_16")
        os.utime(path, (1.7e9, 1.7e9))
        facts = {"path": path.relative_to(folder).as_posix(), "speaker": f"s{i // BY_SPEAKER}", "text": f"the {i}th clip is a noise"}
        lines.append(json.dumps(facts) + "\n")
    manifest.write_text("".join(lines))
    return manifest


def opened(manifest: Path) -> float:
    """s."""
    from bench.data.manifests import open_data

    start = time.perf_counter()
    open_data(str(manifest))
    return time.perf_counter() - start


def taken(manifest: Path, results: Path) -> Taken:
    """The run, in this process."""
    first_open, again = opened(manifest), opened(manifest)
    from bench import registry
    from bench.data.manifests import open_data
    from bench.engine.run import Options, run
    from bench.tasks.reconstruction import SUITE

    light = replace(SUITE, metrics=tuple(m for m in SUITE.metrics if m.name in LIGHT), headline=("snr", "si_sdr"))
    data = open_data(str(manifest))
    start = time.perf_counter()
    (done,) = run([registry.variant("mulaw")], light, data, Options(results))
    assert done.digest.clips == len(data.clips) and not done.failed
    return Taken(len(data.clips), first_open, again, time.perf_counter() - start, peak())


def peak() -> float:
    """MB that this process had at most; getrusage would count those of the process that started it, too."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


ANSWER = "import sys; from bench.cli import main; main(sys.argv[1:]); print(open('/proc/self/status').read().split('VmHWM:')[1].split()[0])"


def measured(clips: int, folder: Path) -> Taken:
    """All of it, in processes of their own, in a cache of its own."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), "AUDIO_TOKENIZER_BENCH_CACHE": str(folder / f"cache-{clips}")}

    def said(*words: str) -> str:
        return subprocess.run([sys.executable, *words], env=env, cwd=ROOT, check=True, capture_output=True, text=True).stdout

    home = folder / str(clips)
    found = Taken(**json.loads(said("-m", "tests.perf.many_clips", str(clips), str(home)).splitlines()[-1]))
    words = ("run", "--tokenizer", "mulaw", "--data", str(home / "manifest.jsonl"), "--results", str(home / "results"))
    start = time.perf_counter()
    most = said("-c", ANSWER, *words).splitlines()[-1]
    return replace(found, answer=time.perf_counter() - start, answer_peak=int(most) / 1024)


def rows_of(folder: Path) -> str:
    """sha256 of the rows of a run, the seconds that each clip took left out."""
    (path,) = folder.rglob("rows.csv")
    kept = (line for line in path.read_text().splitlines() if ",seconds," not in line)
    return hashlib.sha256("\n".join(kept).encode()).hexdigest()


if __name__ == "__main__":
    home = Path(sys.argv[2])
    print(json.dumps(asdict(taken(made(home, int(sys.argv[1])), home / "results"))))
