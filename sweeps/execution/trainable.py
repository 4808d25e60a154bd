"""The worker: a Ray Tune trainable that trains one pack of trials after another."""

from __future__ import annotations

import os
import platform
import signal
import time
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

import ray
from ray import tune

from factorlab.errors import UserError, disk_full, user_message
from factorlab.provenance.sources import SourcesChangedError
from sweeps.execution.work_queue import Ended, Pack, RunProgress

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import FrameType

REPORT_EVERY = 2.0
"""Seconds between two reports to the driver."""


class Worker(tune.Trainable):  # type: ignore[misc]  # Ray has no types
    """Trains packs of trials until none is waiting.

    To Tune, each worker is one trial, which may train many trials of the sweep. Tune's overhead per
    trial is therefore paid once per worker. Trials resume from their records, so Tune gets no
    checkpoints.

    If the disk is full, the worker ends and returns its trials to the queue. On SIGTERM, for
    example from a preempted machine, it completes the current step, saves checkpoints, returns its
    trials and ends.

    Configuration: `work`, the name of the actor that hands out packs; `timeout`, the seconds
    without a heartbeat after which the process ends.
    """

    def setup(self, config: dict[str, Any]) -> None:
        """Import what trials need.

        A worker that cannot start stays alive and reports why. If it died, Tune would replace it
        forever.
        """
        self._broken, work = "", ray.get_actor(config["work"])
        self._asked_to_end = self._in_step = False
        if not ray.get(work.start.remote(self.trial_id)):
            self._broken = "its process died at every start"
            return
        try:
            from sweeps.execution import pack_training  # noqa: PLC0415 - torch, which the driver avoids

            admitted = work.admit.remote(pack_training.prepare(), f"a worker on {platform.node()}")
            self._broken = ray.get(admitted) or ""
            if self._broken:
                return
            self._before = signal.signal(signal.SIGTERM, self._request)
        except SourcesChangedError:  # the process that replaces this one imports the new files
            raise
        except Exception as error:  # a broken installation may raise anything
            self._broken = f"{type(error).__name__}: {error}"
            return
        self._train = partial(pack_training.train, timeout=config["timeout"])
        self._begin(config)

    def _request(self, number: int, frame: FrameType | None) -> None:
        self._asked_to_end = True
        if not self._in_step and callable(self._before):
            self._before(number, frame)

    def _leave(self) -> NoReturn:
        """Save the current trials, return them to the queue and end this process."""
        self._training.close()
        ray.get(self._work.leave.remote(self.trial_id, self._settled))
        os._exit(128 + signal.SIGTERM)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Reuse this process for a waiting worker, which saves seconds of imports."""
        if not self._broken:
            self._begin(new_config)
        return True

    def _begin(self, config: dict[str, Any]) -> None:
        self._work = ray.get_actor(config["work"])
        self._training = self._train(())
        self._pack: Pack = ()
        self._settled: list[Ended] = []  # trials of the current pack that ended
        self._pause = 0.0  # report after the first step, to show that training has started

    def _take(self) -> Pack:
        pack: Pack = ray.get(self._work.take.remote(self.trial_id, self._settled))
        self._pack, self._settled, self._training = pack, [], self._train(pack)
        return pack

    def step(self) -> dict[str, Any]:
        """Train until the next report is due.

        Returns:
            The report: `ended`, the trials that ended since the last report; `at`, the progress of
            other trials; `broken`, why the worker cannot train, or an empty string; `done`, whether
            the worker is finished.
        """
        if self._broken:
            return _report(broken=self._broken, done=True)
        deadline, self._pause = time.monotonic() + self._pause, REPORT_EVERY
        self._in_step = True
        try:
            return self._train_until(deadline)
        except (OSError, UserError) as error:
            return self._refused(error)
        finally:
            self._in_step = False

    def _refused(self, error: OSError | UserError) -> dict[str, Any]:
        """Skip a trial whose record cannot be accessed, or end if all trials would be affected.

        Returns:
            The report.

        Raises:
            Exception: `error` itself, if it is a bug and not a user error or system error.
        """
        reason = user_message(error)
        if reason is None:
            raise error
        path = str(getattr(error, "filename", None))
        trial = next((task.key for task in self._pack if task.key in path), None)
        ended = []
        if trial is None or disk_full(error):  # the next trial would fail in the same way
            self._broken = reason
        else:
            ended = [Ended(trial, "io_error", reason=reason)]
        ray.get(self._work.leave.remote(self.trial_id, [*self._settled, *ended]))
        self._settled, self._pack, self._training = [], (), self._train(())
        return _report(ended, broken=self._broken, done=bool(self._broken))

    def _train_until(self, deadline: float) -> dict[str, Any]:
        """Train until a deadline or until no pack is waiting, and return the report."""
        ended: list[Ended] = []
        while True:
            at: dict[str, RunProgress] = {}
            for event in self._training:
                if isinstance(event, Ended):
                    at.pop(event.key, None)
                    ended.append(event)
                    self._settled.append(event)
                else:
                    at[event.key] = event
                if self._asked_to_end:
                    self._leave()
                if time.monotonic() >= deadline:
                    return _report(ended, at.values())
            if not self._take():
                return _report(ended, done=True)

    def cleanup(self) -> None:
        """Save a checkpoint of the current trials that are not done."""
        if not self._broken:
            self._training.close()


def _report(
    ended: Iterable[Ended] = (),
    at: Iterable[RunProgress] = (),
    *,
    broken: str = "",
    done: bool = False,
) -> dict[str, Any]:
    return {"ended": list(ended), "at": list(at), "broken": broken, "done": done}
