"""The worker side: a Ray Tune trainable that trains one pack of trials after another."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import ray
from ray import tune

from sweeps.work import At, Ended, Pack

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

REPORT_EVERY = 2.0
"""Seconds of training between two reports to the driver."""


class Worker(tune.Trainable):  # type: ignore[misc]  # Ray has no types
    """Trains packs of trials until none waits: to Tune, a sweep is as many trials as workers.

    Tune's own cost of a trial, and that of its growing list of trials, are paid once a worker.
    The records are what a trial resumes from, so Tune is given no checkpoints.

    Configuration: `work`, the name of the actor that hands out packs.
    """

    def setup(self, config: dict[str, Any]) -> None:
        """Import what trials need.

        Tune replaces a worker that dies for ever; one that cannot start lives, and reports it.
        """
        self._broken, work = "", ray.get_actor(config["work"])
        if not ray.get(work.start.remote(self.trial_id)):
            self._broken = "its process died each time"
            return
        try:
            from sweeps import packs  # noqa: PLC0415 - torch, which the driver does without

            packs.prepare()
        except Exception as error:  # whatever a broken installation raises
            self._broken = f"{type(error).__name__}: {error}"
            return
        self._train = packs.train
        self._begin(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take a waiting worker's place in the same process, which saves seconds of imports."""
        if not self._broken:
            self._begin(new_config)
        return True

    def _begin(self, config: dict[str, Any]) -> None:
        self._work = ray.get_actor(config["work"])
        self._training: Generator[At | Ended, None, None] = self._train(())
        self._settled: list[Ended] = []  # of the pack in hand
        self._pause = 0.0  # the first report, after one step, shows that it trains

    def _take(self) -> Pack:
        pack: Pack = ray.get(self._work.take.remote(self.trial_id, self._settled))
        self._settled, self._training = [], self._train(pack)
        return pack

    def step(self) -> dict[str, Any]:
        """Train for a while and report.

        Returns:
            `ended`, trials that ended since the last report, and `at`, how far others are;
            `broken`, why the worker could not start, if it could not.
        """
        if self._broken:
            return _report(broken=self._broken, done=True)
        deadline, self._pause = time.monotonic() + self._pause, REPORT_EVERY
        ended: list[Ended] = []
        while True:
            at: dict[str, At] = {}
            for event in self._training:
                if isinstance(event, Ended):
                    at.pop(event.key, None)
                    ended.append(event)
                    self._settled.append(event)
                else:
                    at[event.key] = event
                if time.monotonic() >= deadline:
                    return _report(ended, at.values())
            if not self._take():
                return _report(ended, done=True)

    def cleanup(self) -> None:
        """Save a checkpoint of the trials in hand that are not done."""
        if not self._broken:
            self._training.close()


def _report(
    ended: Iterable[Ended] = (),
    at: Iterable[At] = (),
    *,
    broken: str = "",
    done: bool = False,
) -> dict[str, Any]:
    return {"ended": list(ended), "at": list(at), "broken": broken, "done": done}
