"""Faults that hit the store, and what became of each."""

import os
import random
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from tests.chaos import forks, store
from tests.chaos.trials import Outcome


def _outcome(kind: str, fault: str, act: Callable[[], object], after: Callable[[], str]) -> Outcome:
    """Inject a fault, bring the store level, and compare."""
    hit = forks.in_child(act)
    if hit.status != 0:
        return Outcome(kind, fault, f"the mirror raised: {hit.said}")
    return Outcome(kind, fault, _wrong(after))


def _wrong(compare: Callable[[], str]) -> str:
    """Return what is wrong with the store; a comparison that dies finds nothing right."""
    end = forks.in_child(compare)
    return end.said or ("" if end.status == 0 else f"the comparison ended with {end.status}")


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
            yield _outcome(kind, "", partial(act, runs), partial(store.level, runs, trials))
    yield from _killed("mirror killed", some(8), 1.2, seed, fresh)
    yield from _killed("killed as it makes a store", some(4), 2.0, seed, bare)
    yield from _server(some(len(store.MANNERS)), fresh)
    if may_mount:
        for i in range(some(3)):
            with store.small_disk(folder / f"store-disk-{i}") as runs:
                shutil.copy(empty, runs / "mlflow.db")
                yield _outcome(
                    "store on a full disk",
                    "",
                    partial(store.full, runs),
                    partial(store.level, runs),
                )


def _killed(
    kind: str, count: int, latest: float, seed: int, fresh: Callable[[str], Path]
) -> Iterator[Outcome]:
    """Kill the process that writes the store, or makes it."""
    rng = random.Random(seed)
    for i in range(count):
        runs, when = fresh(f"{kind}-{i}".replace(" ", "-")), rng.uniform(0.02, latest)
        store.killed(runs, when)
        problem = _wrong(partial(store.level, runs))
        yield Outcome(kind, f"after {when:.2f} s", problem)


def _server(count: int, fresh: Callable[[str], Path]) -> Iterator[Outcome]:
    """Let a server misbehave, a server for each manner."""
    for manner in store.MANNERS[:count]:
        runs = fresh(f"server-{manner}")
        with store.server(runs) as uri:
            os.environ["MLFLOW_TRACKING_URI"] = uri
            try:
                act, after = partial(store.misbehaving, runs, manner), partial(store.level, runs)
                yield _outcome("server in a bad mood", manner, act, after)
            finally:
                del os.environ["MLFLOW_TRACKING_URI"]
