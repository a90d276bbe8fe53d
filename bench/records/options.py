"""How to run: everything that a command asks of the engine beside what to run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.api import Clip, Data
from bench.records.shards import Shard


@dataclass(frozen=True)
class Options:
    """How to run, as opposed to what: none of these but the seed can change a score."""

    results: Path = Path("results")
    device: str = "cpu"
    workers: int = 0  # 0: one a core
    seed: int = 0
    save_audio: Path | None = None
    fresh: bool = False
    fail_fast: bool = False  # the first clip on which a tokenizer fails ends the run
    metric_seconds: float = 120.0  # of CPU time: a metric that takes more on one clip is stopped
    batch: int = 0  # clips that the tokenizer is given at once; 0: what is faster on the device
    shard: Shard | None = None  # None: all clips

    def clips(self, data: Data) -> Sequence[Clip]:
        """Those of the data that this run scores."""
        return self.shard.clips(data.clips) if self.shard else data.clips

    @property
    def part(self) -> Path:
        """Where its rows are, in the folder of the whole run."""
        return self.shard.place if self.shard else Path()
