"""Where a run happens: on this machine, or by the workers of a Ray cluster."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from bench.api import Data, Suite, UserError, Variant

if TYPE_CHECKING:
    from bench.commands.arguments import Place
    from bench.engine.cluster_worker import Work
    from bench.engine.run import Progress
    from bench.records.finished import Run
    from bench.records.options import Options

    Engine = Callable[[Sequence[Variant], Suite, Data], Iterator[Run]]

LOCAL, RAY = "local", "ray"


def add(place: Place) -> None:
    """Its words."""
    place.add_argument(
        "--executor",
        choices=(LOCAL, RAY),
        default=LOCAL,
        help="where it runs: local (this machine, the default) or ray, workers of a Ray cluster, each of --workers cores",
    )
    place.add_argument(
        "--address",
        metavar="HOST:PORT",
        help="the cluster's head, for --executor ray (default: $RAY_ADDRESS, else a cluster of this machine alone)",
    )


def refuse_words(options: argparse.Namespace) -> None:
    """UserError for words that do not go together."""
    if options.address and options.executor != RAY:
        raise UserError("--address belongs to --executor ray: leave it out, or name that executor")


def refuse(options: argparse.Namespace, suite: Suite) -> None:
    """UserError for what a cluster cannot do."""
    if options.executor == RAY:
        from bench.engine import cluster_run

        cluster_run.refuse(suite, options.shard, options.save_audio)


@contextmanager
def chosen(options: argparse.Namespace, how: Options, report: Progress, work: Callable[[str], Work]) -> Iterator[tuple[Engine, str]]:
    """What runs tokenizers through a suite, and the device of the tokenizers. `work` opens a suite's work in another process."""
    if options.executor == LOCAL:
        from bench.engine.run import run as locally

        yield lambda variants, suite, data: locally(list(variants), suite, data, how, report), how.device
        return
    from bench.engine import cluster_run
    from bench.engine.cluster import Cluster

    with Cluster(options.address or "") as cluster:
        there = replace(how, device=cluster.device(options.device))
        yield (
            lambda variants, suite, data: cluster_run.run(list(variants), suite, data, there, cluster, partial(work, suite.name), report),
            there.device,
        )
