"""How busy a command keeps the cores: python -m tests.perf.busy ROWS WORDS...  ROWS: the folder below which its rows.csv will be.

Every 20 ms the threads of its session that run or wait for a core are counted, up to as many as there are cores: what the command would use
of an idle machine, whatever else runs on this one. Counted from the first clip's rows to the last one's. Linux only.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
EVERY = 0.02  # s


@dataclass(frozen=True)
class Busy:
    """Of a run."""

    share: float  # of the cores, 0..1
    alone: float  # of the time, one thread or none could run
    seconds: float  # from the first rows to the last ones
    samples: int


def runnable(session: int) -> int:
    """Threads of the session that run or could."""
    count = 0
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            if int(_fields(folder / "stat")[3]) == session:
                count += sum(_fields(task / "stat")[0] == "R" for task in (folder / "task").iterdir())
        except (OSError, IndexError):  # it has ended
            continue
    return count


def _fields(stat: Path) -> list[str]:
    """State, parent, group, session, ... of proc(5): what follows the name, which may hold anything."""
    return stat.read_text().rpartition(")")[2].split()


def watched(rows: Path, words: list[str], cores: int) -> Busy:
    """Runs the command to its end. Raises SystemExit where it fails."""
    command = subprocess.Popen(words, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, start_new_session=True)
    seen: list[tuple[float, int, int]] = []  # time, threads, bytes of rows
    while command.poll() is None:
        size = sum(path.stat().st_size for path in rows.rglob("rows.csv"))
        seen.append((time.perf_counter(), runnable(command.pid), size))
        time.sleep(EVERY)
    if command.returncode:
        raise SystemExit(f"{' '.join(words)}: exit code {command.returncode}")
    grown = [i for i in range(1, len(seen)) if seen[i][2] > seen[i - 1][2] > 0]
    within = seen[grown[0] : grown[-1] + 1]
    threads = [min(count, cores) for _, count, _ in within]
    share = sum(threads) / cores / len(threads)
    return Busy(share, sum(count < 2 for count in threads) / len(threads), within[-1][0] - within[0][0], len(within))


if __name__ == "__main__":
    print(json.dumps(asdict(watched(Path(sys.argv[1]), sys.argv[2:], len(os.sched_getaffinity(0))))))
