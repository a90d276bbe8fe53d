"""Workers of a cluster that say what each shard took; in a module that they can import by its name."""

import json
import os
import time
from dataclasses import replace
from pathlib import Path

from bench import registry
from bench.data.manifests import open_data
from bench.engine.cluster_worker import Files, Work, Worker
from bench.records.shards import Shard

TIMES = "times.json"
LIGHT = ("kbps_packed", "kbps_nominal")


class Timed(Worker):
    """Says with each shard when it had it, and what it cost its process."""

    def shard(self, key: str, shard: Shard) -> Files:
        start, cpu = time.time(), time.process_time()
        files = super().shard(key, shard)
        told = {"worker": os.getpid(), "start": start, "end": time.time(), "cpu": time.process_time() - cpu}
        return {**files, TIMES: json.dumps(told).encode()}


def work(data: Path) -> Work:
    suite = registry.load_suite("reconstruction")
    light = tuple(metric for metric in suite.metrics if metric.name in LIGHT)
    return Work([registry.untrained(registry.variant("encodec@24khz-6kbps"), 0)], replace(suite, metrics=light), open_data(str(data)))
