"""What a run of the reconstruction suite takes beside PESQ's C code and the codec:

    pytest tests/perf/test_suite_time.py -m perf -s

`bench run` on 60 and on 180 clips of 5 s (SUITE_CLIPS=60,180), of each tokenizer named by SUITE_TOKENIZERS; one whose weights would be
fetched gets random ones, which take as long. CPU time is that of all processes, so that other programs disturb the figures little; what
they are divided by, PESQ and encode and decode called alone, is measured before and after on all cores at once. The slope from the one
number of clips to the other is a clip without the start of the processes. Wall time times cores over the same is the figure of a quiet
machine.
"""

import os
import sys
from pathlib import Path

import pytest
import soundfile

from bench import registry
from bench.records.hardware import cores
from tests.conftest import speech_like
from tests.perf.suite_time import Cost, alone_on_all_cores, measured

pytestmark = [pytest.mark.perf, pytest.mark.skipif(sys.platform != "linux", reason="counts processes as Linux does")]
FEW, MANY = (int(number) for number in os.environ.get("SUITE_CLIPS", "60,180").split(","))
TOKENIZERS = os.environ.get("SUITE_TOKENIZERS", "mulaw@8bit,mimi@mini,encodec@24khz-6kbps,mimi@24khz").split(",")
SECONDS, RATE = 5.0, 24_000


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for each number of clips."""
    root = tmp_path_factory.mktemp("clips")
    for count in (FEW, MANY):
        (root / str(count)).mkdir()
        for i in range(count):
            soundfile.write(root / str(count) / f"{i:04}.flac", speech_like(SECONDS, RATE, i % FEW).numpy() * (1 - i // FEW / 100), RATE)
    return root


def run(tokenizer: str, data: Path, results: Path) -> Cost:
    fetched = any(file.url for file in registry.variant(tokenizer).files)
    words = ["run", "--tokenizer", tokenizer, "--suite", "reconstruction", "--data", str(data), "--results", str(results)]
    cost = measured([sys.executable, "-m", "bench", *words, *(["--untrained"] if fetched else [])])
    (rows,) = results.rglob("rows.csv")
    values = [line.split(",") for line in rows.read_text().splitlines() if ",pesq_wb," in line]
    assert len(values) == len(list(data.glob("*.flac"))) and all(value[4] != "nan" for value in values)
    return cost


@pytest.mark.parametrize("tokenizer", TOKENIZERS)
def test_the_suite_beside_its_kernels(tokenizer: str, clips: Path, tmp_path: Path) -> None:
    files = sorted((clips / str(FEW)).glob("*.flac"))
    before = alone_on_all_cores(tokenizer, files, cores())
    few, many = (run(tokenizer, clips / str(count), tmp_path / str(count)) for count in (FEW, MANY))
    kernels = before + alone_on_all_cores(tokenizer, files, cores())
    each, more = kernels.per_clip, MANY - FEW
    pesq, codec = (1000 * part / kernels.clips for part in (kernels.pesq, kernels.codec))
    print(f"\n{tokenizer}, clips of {SECONDS:g} s, {cores()} cores; alone, ms a clip: PESQ {pesq:.1f}, codec {codec:.1f}")
    for count, cost in ((FEW, few), (MANY, many)):
        cpu, wall = cost.cpu / count / each, cores() * cost.wall / count / each
        print(f"{count} clips: CPU {cost.cpu:.1f} s = {cpu:.2f} x, wall {cost.wall:.1f} s = {wall:.2f} x")
    slopes = [(b - a) / more for a, b in ((few.cpu, many.cpu), (cores() * few.wall, cores() * many.wall))]
    print(f"a clip more: CPU {1000 * slopes[0]:.1f} ms = {slopes[0] / each:.2f} x, wall {slopes[1] / each:.2f} x")
