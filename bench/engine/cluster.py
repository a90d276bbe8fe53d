"""A Ray cluster, as far as a run needs it: workers wherever there is room, and units of work that come back, whoever dies on the way.

Ray places the workers, as actors, and says when one is gone; what is retried is decided here, because an actor that Ray restarts keeps its
unit while it waits for a machine that may never come.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from bench.api import UserError
from bench.engine.cluster_worker import Files, Work, Worker, setting
from bench.records.options import Options
from bench.records.shards import Shard

if TYPE_CHECKING:
    from ray import ObjectRef
    from ray.actor import ActorHandle

BEAT = 2.0  # s between two looks at how much room there is
DEATHS = 5  # so many workers may die at one unit: the next death is taken for the unit's own doing
PATIENCE = 10.0  # s for the head of a cluster to answer
AUTO, LOCAL = "auto", "local"


WITH_ITS_MACHINE = "node has died"  # of an actor, as Ray words it: there is no other sign


class Lost(Exception):
    """A worker is gone, or what it had made."""


@dataclass(frozen=True)
class Unit:
    """A shard of the run of that key."""

    key: str
    shard: Shard


@dataclass(frozen=True)
class Needs:
    """What a worker needs of its machine."""

    cpus: int
    gpus: int

    def room(self, resources: dict[str, float]) -> int:
        """How many workers a machine with these has room for."""
        cpus = int(resources.get("CPU", 0)) // self.cpus
        return min(cpus, int(resources.get("GPU", 0)) // self.gpus) if self.gpus else cpus


class Cluster:
    """A connection to the cluster at an address, "" for RAY_ADDRESS or else for this machine alone. Use as a context manager."""

    def __init__(self, address: str = ""):
        self.address = address or os.environ.get("RAY_ADDRESS", "") or LOCAL

    def __enter__(self) -> Cluster:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is told to anybody
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        try:
            import ray
        except ImportError as error:
            raise UserError("--executor ray needs ray: pip install audio-tokenizer-bench[ray]") from error
        self._refuse_silent_head()
        try:
            if self.address == LOCAL:
                os.environ.setdefault("RAY_worker_niceness", "0")  # as a run without Ray has it
                ray.init(address=LOCAL, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
            else:
                ray.init(address=self.address, log_to_driver=False, logging_level=logging.ERROR)
        except Exception as error:  # Ray raises bare ones where a part of it does not start in time
            raise self._not_there(" ".join(str(error).split())) from error
        return self

    def __exit__(self, *_: object) -> None:
        import ray

        ray.shutdown()

    def _refuse_silent_head(self) -> None:
        """Ray itself would wait for two minutes, and then end this process."""
        if self.address in (AUTO, LOCAL):
            return
        host, _, port = self.address.rpartition(":")
        if not host or not port.isdigit() or "/" in host:
            raise self._not_there("it is not HOST:PORT")
        try:
            socket.create_connection((host.strip("[]"), int(port)), PATIENCE).close()
        except (OSError, OverflowError) as error:
            raise self._not_there(str(error)) from error

    def _not_there(self, why: str) -> UserError:
        if self.address == LOCAL:
            return UserError(
                f"Ray cannot be started on this machine ({why}): repeat the command when it is less busy, or leave --executor out"
            )
        cure = "give the address that `ray start --head` told, on one of its machines, or leave --address out to use this machine alone"
        return UserError(f"no Ray cluster at {self.address} ({why}): {cure}")

    def machines(self) -> list[dict[str, float]]:
        """What each machine that is there offers: CPU, GPU, memory."""
        import ray

        return [node["Resources"] for node in ray.nodes() if node["Alive"]]

    def device(self, name: str) -> str:
        """Where tokenizers run, of a name as --device has it: which GPU of a machine is chosen by Ray."""
        gpus = any(machine.get("GPU", 0) >= 1 for machine in self.machines())
        if name == "auto":
            return "cuda" if gpus else "cpu"
        if name not in ("cpu", "cuda"):
            raise UserError(f"device {name!r} cannot be asked of a cluster, which chooses among its GPUs: give --device cpu or cuda")
        if name == "cuda" and not gpus:
            raise UserError(f"no machine of the cluster at {self.address} has a GPU: give --device cpu")
        return name

    def needs(self, device: str, workers: int) -> Needs:
        """What a worker is given: `workers` cores if so many are asked for, else one, or with a GPU its share of the machine's cores."""
        gpus = int(device == "cuda")
        shares = [int(m.get("CPU", 0) // m["GPU"]) for m in self.machines() if m.get("GPU", 0) >= 1] if gpus else []
        needs = Needs(workers or max(1, min(shares, default=1)), gpus)
        if not any(map(needs.room, self.machines())):
            raise UserError(f"no machine of the cluster at {self.address} has {needs.cpus} cores for a worker: give fewer --workers")
        return needs

    def done(self, units: Iterable[Unit], work: Callable[[], Work], options: Options) -> Iterator[tuple[Unit, Files]]:
        """Each unit with what a worker made of it, in the order of completion."""
        needs = self.needs(options.device, options.workers)
        crew = Crew(lambda: sum(map(needs.room, self.machines())), _hiring(needs, work, replace(options, workers=needs.cpus)))
        try:
            yield from crew.done(units)
        finally:
            crew.dismiss()


def _hiring(needs: Needs, work: Callable[[], Work], options: Options) -> Callable[[], ActorHandle]:
    import ray

    actor = ray.remote(num_cpus=needs.cpus, num_gpus=needs.gpus, scheduling_strategy="SPREAD")(Worker)
    return partial(actor.remote, setting(), work, options)  # pyright: ignore[reportReturnType]: Ray types a handle as what it was made of


class Crew:
    """Workers that units are handed to, one at a time."""

    def __init__(self, room: Callable[[], int], hire: Callable[[], ActorHandle]):
        self.room, self.hire = room, hire
        self.doing: dict[ObjectRef, tuple[ActorHandle, Unit | None]] = {}  # None: it opens what it works with
        self.idle: list[ActorHandle] = []
        self.deaths: Counter[Unit | None] = Counter()  # at each unit; of None: while opening on a machine that lives, since one last could

    def done(self, units: Iterable[Unit]) -> Iterator[tuple[Unit, Files]]:
        """Each unit with what became of it, in the order of completion."""
        todo = deque(units)
        looked = -BEAT
        while todo or any(unit for _, unit in self.doing.values()):
            while self.idle and todo:
                self._give(self.idle.pop(), todo.popleft())
            if time.monotonic() - looked > BEAT:
                self._fill(len(todo))
                looked = time.monotonic()
            for worker, unit, found in self._ready():
                if isinstance(found, Lost):
                    self._bury(worker, unit, found)
                    looked = -BEAT
                    todo.extendleft([unit] if unit else [])
                    continue
                self.deaths[None] = 0
                self.idle.append(worker)
                if unit:
                    yield unit, found

    def dismiss(self) -> None:
        """Ends all of them."""
        import ray

        for worker in [*self.idle, *(worker for worker, _ in self.doing.values())]:
            ray.kill(worker)

    def _give(self, worker: ActorHandle, unit: Unit) -> None:
        self.doing[worker.shard.remote(unit.key, unit.shard)] = worker, unit

    def _fill(self, units: int) -> None:
        """Hires as many as there is room and work for."""
        busy = sum(unit is not None for _, unit in self.doing.values())
        for _ in range(min(self.room(), units + busy) - len(self.doing) - len(self.idle)):
            worker = self.hire()
            self.doing[worker.open.remote()] = worker, None

    def _ready(self) -> Iterator[tuple[ActorHandle, Unit | None, Files | Lost]]:
        """What was finished since, or within the next BEAT."""
        import ray

        if not self.doing:
            time.sleep(BEAT)
            return
        found, _ = ray.wait(list(self.doing), timeout=BEAT)
        for ref in found:
            yield *self.doing.pop(ref), _result(ref)

    def _bury(self, worker: ActorHandle, unit: Unit | None, lost: Lost) -> None:
        import ray

        ray.kill(worker)  # one that cannot be reached may still be at work
        self.deaths[unit] += bool(unit) or WITH_ITS_MACHINE not in str(lost)  # a unit may be what kills a machine
        if self.deaths[unit] > DEATHS:
            what = f"at shard {unit.shard}" if unit else "when they started"
            alone = f"run it alone to see why (--executor local --shard {unit.shard})" if unit else "see Ray's log on those machines"
            raise UserError(f"{self.deaths[unit]} workers died {what} ({lost}): {alone}")


def _result(ref: ObjectRef) -> Files | Lost:
    """What a worker gave; what it raised is raised."""
    import ray
    from ray.exceptions import RayError, RayTaskError

    try:
        return ray.get(ref)
    except RayTaskError as error:
        raise error.cause if isinstance(error.cause, UserError) else error from None
    except RayError as error:
        return Lost(" ".join(str(error).split())[:300])
