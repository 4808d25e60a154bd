"""Faults of the MLflow store, and their outcomes."""

import os
import random
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from tests.chaos import forks, store
from tests.chaos.trials import Outcome


def _outcome(kind: str, fault: str, act: Callable[[], object], after: Callable[[], str]) -> Outcome:
    """Inject a fault, complete the store, and compare."""
    exited = forks.in_child(act)
    if exited.status != 0:
        return Outcome(kind, fault, f"the sync raised: {exited.output}")
    return Outcome(kind, fault, _wrong(after))


def _wrong(compare: Callable[[], str]) -> str:
    """Return what is wrong with the store; a comparison that dies counts as wrong."""
    end = forks.in_child(compare)
    return end.output or ("" if end.status == 0 else f"the comparison ended with {end.status}")


def all_faults(
    some: Callable[[int], int], seed: int, folder: Path, *, may_mount: bool
) -> Iterator[Outcome]:
    """Inject faults into a store and the way to it."""
    import mlflow.tracking  # noqa: F401, PLC0415 - once for all children

    os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] = "5"
    empty = store.make(folder / "empty")

    def bare(name: str) -> Path:
        runs = folder / name
        runs.mkdir()
        return runs

    def fresh(name: str) -> Path:
        runs = bare(name)
        shutil.copy(empty, runs / "mlflow.db")
        return runs

    for kind, act, times in (
        ("store locked", store.locked, 3),
        ("store gone and back", store.gone, 3),
        ("store deleted", store.emptied, 2),
        ("store, 200 trials at once", store.crowd, 1),
    ):
        for i in range(some(times)):
            runs = fresh(f"{kind}-{i}".replace(" ", "-"))
            trials = store.MANY if act is store.crowd else store.TRIALS
            yield _outcome(kind, "", partial(act, runs), partial(store.complete, runs, trials))
    yield from _killed("sync killed", some(8), 1.2, seed, fresh)
    yield from _killed("killed while it makes a store", some(4), 2.0, seed, bare)
    yield from _server(some(len(store.MODES)), fresh)
    if may_mount:
        for i in range(some(3)):
            with store.small_disk(folder / f"store-disk-{i}") as runs:
                shutil.copy(empty, runs / "mlflow.db")
                yield _outcome(
                    "store on a full disk",
                    "",
                    partial(store.full, runs),
                    partial(store.complete, runs),
                )


def _killed(
    kind: str, count: int, latest: float, seed: int, fresh: Callable[[str], Path]
) -> Iterator[Outcome]:
    """Kill the process that writes the store, or creates it."""
    rng = random.Random(seed)
    for i in range(count):
        runs, when = fresh(f"{kind}-{i}".replace(" ", "-")), rng.uniform(0.02, latest)
        store.killed(runs, when)
        problem = _wrong(partial(store.complete, runs))
        yield Outcome(kind, f"after {when:.2f} s", problem)


def _server(count: int, fresh: Callable[[str], Path]) -> Iterator[Outcome]:
    """Put the gate of a server into each faulty mode, a server for each."""
    for mode in store.MODES[:count]:
        runs = fresh(f"server-{mode}")
        with store.server(runs) as uri:
            os.environ["MLFLOW_TRACKING_URI"] = uri
            try:
                act, after = partial(store.misbehaving, runs, mode), partial(store.complete, runs)
                yield _outcome("faulty server", mode, act, after)
            finally:
                del os.environ["MLFLOW_TRACKING_URI"]
