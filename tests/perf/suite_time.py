"""CPU time of a run of the reconstruction suite with all of its processes, and of the work in it that no suite can save.

python -m tests.perf.suite_time all WORDS...            a command and whatever it starts, waited for to the last process: JSON
python -m tests.perf.suite_time alone TOKENIZER FILES.. PESQ's C code and the codec, encode and decode, nothing else: JSON

Linux only: the first becomes the parent of processes that outlive their own.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from functools import reduce
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER of linux/prctl.h


@dataclass(frozen=True)
class Cost:
    """Of a command."""

    wall: float  # s
    cpu: float  # s of all its processes, user and system


@dataclass(frozen=True)
class Kernels:
    """CPU seconds of what cannot be saved."""

    pesq: float
    codec: float
    clips: int

    def __add__(self, other: Kernels) -> Kernels:
        return Kernels(self.pesq + other.pesq, self.codec + other.codec, self.clips + other.clips)

    @property
    def per_clip(self) -> float:
        """Both."""
        return (self.pesq + self.codec) / self.clips


def cost_of(words: list[str]) -> Cost:
    """Runs a command, its output thrown away; this process must have no other children."""
    if ctypes.CDLL(None, use_errno=True).prctl(SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "this process cannot adopt others")
    start = time.perf_counter()
    command = subprocess.Popen(words, stdout=subprocess.DEVNULL, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)})
    code, wall = None, 0.0
    while True:
        try:
            pid, status = os.wait()
        except ChildProcessError:
            break
        if pid == command.pid:
            code, wall = os.waitstatus_to_exitcode(status), time.perf_counter() - start
    if code:
        raise SystemExit(f"{' '.join(words)}: exit code {code}")
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return Cost(wall, spent.ru_utime + spent.ru_stime)


def alone(name: str, files: list[Path]) -> Kernels:
    """The calls on the very signals that the suite makes of these clips, on one thread."""
    import pesq
    import soundfile
    import torch

    from bench import registry
    from bench.data.audio import resample

    torch.set_num_threads(1)
    variant = registry.variant(name)
    if any(file.url for file in variant.files):
        variant = registry.untrained(variant, seed=0)
    tokenizer = registry.load_tokenizer(variant)
    kernels = Kernels(0.0, 0.0, 0)
    for file in [files[0], *files]:  # the first one, twice, warms up
        heard, rate = soundfile.read(file, dtype="float32")
        ref, own = torch.from_numpy(heard)[None], tokenizer.spec.sample_rate or rate
        wav = resample(ref, rate, own)[None]
        with torch.inference_mode():
            start = time.thread_time()
            est = tokenizer.decode(tokenizer.encode(wav))
            codec = time.thread_time() - start
        back = est[0, :1, : wav.shape[-1]].float().clone()
        spent = 0.0
        for mode, at in (("wb", 16_000), ("nb", 8_000)):
            a, b = resample(ref, rate, at)[0], resample(back, tokenizer.spec.output_rate or own, at)[0]
            b = torch.nn.functional.pad(b, (0, len(a) - len(b)))
            start = time.thread_time()
            pesq.pesq(at, a.numpy(), b.numpy(), mode, on_error=pesq.PesqError.RETURN_VALUES)
            spent += time.thread_time() - start
        kernels = kernels + Kernels(spent, codec, 1) if kernels.clips or file is not files[0] else Kernels(0.0, 0.0, 0)
    return kernels


def alone_on_all_cores(name: str, files: list[Path], cores: int) -> Kernels:
    """The same by a process for each core at once, as in the run: a core whose neighbours work is slower."""
    parts = [files[i::cores] for i in range(cores)]
    words = [sys.executable, "-m", "tests.perf.suite_time", "alone", name]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    running = [subprocess.Popen([*words, *map(str, part)], stdout=subprocess.PIPE, cwd=ROOT, env=env, text=True) for part in parts]
    answers = [process.communicate()[0] for process in running]
    assert not any(process.returncode for process in running)
    return reduce(Kernels.__add__, (Kernels(**json.loads(answer)) for answer in answers))


def measured(words: list[str]) -> Cost:
    """`cost_of`, by a process of its own."""
    command = [sys.executable, "-m", "tests.perf.suite_time", "all", *words]
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True, stdout=subprocess.PIPE, text=True)
    return Cost(**json.loads(done.stdout))


if __name__ == "__main__":
    what, *given = sys.argv[1:]
    print(json.dumps(asdict(cost_of(given) if what == "all" else alone(given[0], [Path(file) for file in given[1:]]))))
