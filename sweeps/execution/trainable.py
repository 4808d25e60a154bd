"""The worker: a Ray Tune trainable that trains one pack of trials."""

from __future__ import annotations

import os
import platform
import signal
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ray
from ray import tune

from factorlab.errors import UserError, disk_full, user_message
from factorlab.provenance.code_record import other_versions, versions
from factorlab.provenance.sources import Sources, SourcesChangedError, refusal
from factorlab.storage.record import Record
from sweeps.execution.assignments import Pack
from sweeps.execution.outcomes import Ended, Report, RunProgress
from sweeps.execution.spool import Spool

if TYPE_CHECKING:
    from types import FrameType

IDLE_EXIT = 1.0
"""Seconds after SIGTERM until a process ends that trains nothing."""

VISIBLE_WITHIN = 10.0
"""Seconds within which a new file must be visible on all machines. Network disks may take some."""


@dataclass(frozen=True)
class SweepOrders:
    """What all workers of a sweep are told."""

    runs: str
    """Path of the runs folder."""

    witness: str
    """A file of the driver in the runs folder. A worker that does not see it is on a machine that
    does not share the folder."""

    timeout: float
    """Seconds without a heartbeat after which a worker ends itself."""

    report_every: float
    """Seconds between two reports to the driver."""

    at_evaluations: bool
    """Whether to report every evaluation at once, for a search or a scheduler."""

    spool: str | None
    """URI of the records in a bucket, None if all machines share the runs folder."""

    node: str
    """Ray's identifier of the driver's machine."""

    sources: Sources
    """Source files that the driver imported."""

    versions: Mapping[str, str]
    """Versions of the driver's libraries."""


class Worker(tune.Trainable):  # type: ignore[misc]  # Ray has no types
    """Trains the pack of one Tune trial after another.

    Trials resume from their records, so Tune gets no checkpoints. If the disk is full, the worker
    reports it and trains nothing further. On SIGTERM, for example from a preempted machine, it
    completes the current step, saves checkpoints and ends; its trials are trained elsewhere.

    Configuration of a Tune trial: `pack`, the trials to train; `begun`, whether any worker of the
    sweep has begun to train.
    """

    def setup(self, config: dict[str, Any], orders: SweepOrders) -> None:
        """Import what trials need.

        A worker that cannot train stays alive and reports why. If it died, another one would be
        started in its place, again and again.
        """
        self._broken = ""
        self._asked_to_end = self._in_step = False
        try:
            from sweeps.execution import pack_training  # noqa: PLC0415 - torch, which the driver avoids

            theirs = pack_training.prepare()
            who = f"a worker on {platform.node()}"
            here = ray.get_runtime_context().get_node_id() == orders.node
            self._broken = (
                refusal(theirs, orders.sources, who, replaces=config["begun"] and here)
                or other_versions(versions(), orders.versions, who)
                or (_not_shared(orders, who) if orders.spool is None else "")
                or ""
            )
            self._runs = Path(orders.runs)
            self._spool = None if orders.spool is None else Spool(orders.spool)
            signal.signal(signal.SIGTERM, self._request)
        except SourcesChangedError:  # the process that replaces this one imports the new files
            raise
        except Exception as error:  # a broken installation may raise anything
            self._broken = f"{type(error).__name__}: {error}"
        if not self._broken:
            self._pause, self._report_every = 0.0, orders.report_every
            self._at_evaluations = orders.at_evaluations
            self._train = partial(pack_training.train, runs=self._runs, timeout=orders.timeout)
            self._begin(config["pack"])

    def _request(self, _number: int, _frame: FrameType | None) -> None:
        self._asked_to_end = True
        if not self._in_step:  # otherwise the step ends the process
            threading.Timer(IDLE_EXIT, self._end_if_idle).start()

    def _end_if_idle(self) -> None:
        if not self._in_step:
            os._exit(128 + signal.SIGTERM)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Train another pack in this process, which saves seconds of imports."""
        if self._asked_to_end:
            os._exit(128 + signal.SIGTERM)  # Tune starts another worker
        self._training.close()
        self._begin(new_config["pack"])
        return True

    def _begin(self, pack: Pack) -> None:
        self._pack = pack  # trials that have not ended
        self._ended: list[Ended] = []  # not yet reported
        if self._spool is not None:
            self._fetch(self._spool, pack)
        self._training = self._train(self._pack)

    def _fetch(self, spool: Spool, pack: Pack) -> None:
        """Download the records of trials; the next step reports those that cannot be."""
        for task in pack:
            try:
                spool.fetch(Record(self._runs, task.key))
            except (OSError, UserError) as error:
                self._skip(error, user_message(error) or str(error))

    def step(self) -> dict[str, Any]:
        """Train until the next report is due.

        The first report of a worker comes after its first training step.

        Returns:
            `report`, and `done`, whether this worker trains the pack no further.
        """
        if self._broken:
            return _result(Report(broken=self._broken))
        deadline, self._pause = time.monotonic() + self._pause, self._report_every
        self._in_step = True
        try:
            return self._train_until(deadline)
        except (OSError, UserError) as error:
            return self._refused(error)
        finally:
            self._in_step = False

    def _train_until(self, deadline: float) -> dict[str, Any]:
        """Train until a deadline or until all trials of the pack have ended."""
        at: dict[str, RunProgress] = {}
        for event in self._training:
            evaluated = False
            if isinstance(event, Ended):
                at.pop(event.key, None)
                if event.outcome != "locked":  # its record belongs to another process
                    self._send(event.key)
                self._end(event)
            else:
                at[event.key] = event
                evaluated = self._at_evaluations and event.metrics is not None
            if self._asked_to_end:
                threading.Timer(IDLE_EXIT, self._end_if_idle).start()
                self._leave()
                break
            if evaluated or time.monotonic() >= deadline:
                for key in at:
                    self._send(key)
                return _result(Report(self._newly_ended(), tuple(at.values())))
        return _result(Report(self._newly_ended()), done=True)

    def _send(self, key: str) -> None:
        """Upload the record of a trial if it has ended or has a new checkpoint."""
        if self._spool is not None:
            self._spool.send(Record(self._runs, key))

    def _leave(self) -> None:
        """Save checkpoints of the trials that have not ended."""
        self._training.close()
        for task in self._pack:
            self._send(task.key)

    def _end(self, trial: Ended) -> None:
        self._ended.append(trial)
        self._pack = tuple(task for task in self._pack if task.key != trial.key)

    def _newly_ended(self) -> tuple[Ended, ...]:
        ended, self._ended = tuple(self._ended), []
        return ended

    def _refused(self, error: OSError | UserError) -> dict[str, Any]:
        """Skip a trial whose record cannot be accessed, or stop if all trials would be affected.

        Raises:
            Exception: `error` itself, if it is a bug and not a user error or system error.
        """
        reason = user_message(error)
        if reason is None:
            raise error
        self._skip(error, reason)
        if self._broken:
            self._training.close()  # frees the leases if the error did not come from it
        else:
            self._training = self._train(self._pack)
        return _result(Report(self._newly_ended(), broken=self._broken))

    def _skip(self, error: OSError | UserError, reason: str) -> None:
        """Skip the trial that an error concerns; if it concerns all, train nothing further."""
        path = str(getattr(error, "filename", None))
        refused = next((task.key for task in self._pack if task.key in path), None)
        if refused is None or disk_full(error):  # the next trial would fail in the same way
            self._broken = reason
        else:
            self._end(Ended(refused, "io_error", reason=reason))

    def get_auto_filled_metrics(self, *arguments: Any, **options: Any) -> dict[str, Any]:  # noqa: ANN401
        """Return Tune's own fields of a result, without the configuration.

        Tune keeps the last result of every trial, with thousands of copies of the settings.
        """
        metrics = super().get_auto_filled_metrics(*arguments, **options)
        metrics.pop("config", None)
        return dict(metrics)

    def cleanup(self) -> None:
        """Save a checkpoint of the current trials that are not done."""
        if not self._broken:
            self._leave()


def _result(report: Report, *, done: bool = False) -> dict[str, Any]:
    return {"report": report, "done": done}


def _not_shared(orders: SweepOrders, who: str) -> str | None:
    """Return why this machine cannot write records, or None if it shares the runs folder."""
    deadline = time.monotonic() + VISIBLE_WITHIN
    while not Path(orders.witness).exists():
        if time.monotonic() > deadline:
            return (
                f"{who} does not see the runs folder {orders.runs} of this command; all machines "
                "of the cluster need the same folder at the same path, such as a network disk"
            )
        time.sleep(0.5)
    return None
