"""What Ray Tune calls on the driver: a searcher, which hands out packs, and a scheduler.

The scheduler forwards the workers' reports to the listener and handles their deaths. It is not a
callback: with any callback, Tune imports MLflow and other packages for its usage statistics, which
takes seconds.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from ray.tune.experiment import Trial
from ray.tune.schedulers import TrialScheduler
from ray.tune.search import Searcher
from ray.tune.stopper import Stopper

from sweeps.execution.assignments import Assignments, Pack
from sweeps.execution.listener import SweepListener
from sweeps.execution.outcomes import Ended, Outcomes, Report
from sweeps.ray_runtime import connection

RESTARTS = 3
"""Maximum number of restarts of a trial whose worker died, and of consecutive failed starts of a
worker."""


PATIENCE = 180.0
"""Seconds without any worker after which the sweep says so. New machines of a cluster take some."""

_NEVER_RAN = ("The actor never ran", "an error raised in its creation task")
"""How Ray's errors say that a worker died while it started, before it could train anything."""


class _Stateless:
    """Has no state to pickle. Tune would restore from it; our sweeps resume from the records."""

    def __getstate__(self) -> dict[str, Any]:
        return {}


class Room(Protocol):
    """What the scheduler asks about the cluster."""

    def needs(self, device: str) -> dict[str, float]:
        """Return the resources of one pack by Tune's names, such as `cpu`."""
        ...

    def slots(self) -> int:
        """Return how many packs fit on the cluster now."""
        ...


class PackSearcher(_Stateless, Searcher):  # type: ignore[misc]  # Ray has no types
    """Suggests packs: the configuration of a Tune trial is the pack that it trains.

    Args:
        assignments: Packs of the sweep.
        outcomes: Tells which workers are broken. They keep their slots.
        limit: Returns the maximum number of Tune trials at the same time, None if machines may
            join. On a fixed number of slots, a Tune trial that waits would only cost a request for
            resources.
    """

    def __init__(
        self,
        assignments: Assignments,
        outcomes: Outcomes,
        limit: Callable[[], int] | None,
    ) -> None:
        super().__init__()
        self._assignments, self._outcomes, self._limit = assignments, outcomes, limit

    def suggest(self, trial_id: str) -> Any:  # noqa: ANN401 - Tune's
        """Return the configuration of the next Tune trial, None if there is none for now."""
        if self._assignments.over:
            return self.FINISHED
        active = self._assignments.active + len(self._outcomes.broken)
        if self._limit is not None and active >= self._limit():
            return None
        pack = self._next(trial_id)
        if pack:
            return {"pack": pack, "begun": False}
        return self.FINISHED if self._assignments.over else None

    def _next(self, tune_trial: str) -> Pack:
        return self._assignments.assign(tune_trial)

    def on_trial_complete(self, trial_id: str, **_: Any) -> None:  # noqa: ANN401
        """Do nothing; the scheduler hears of it first."""

    def save_to_dir(self, *_: Any) -> None:  # noqa: ANN401
        """Do nothing; there is no state."""


class SweepScheduler(_Stateless, TrialScheduler):  # type: ignore[misc]  # as above
    """Starts Tune trials in order, forwards reports, and decides what happens after a death.

    A run that trains alone is retried by Tune (`FailureConfig`). A pack is not: its runs are
    assigned again one by one.

    Args:
        assignments: Packs of the sweep.
        listener: Receives progress.
        names: Readable name of each trial, by key.
        outcomes: Filled with the outcome of each trial.
        room: Tells what a pack needs and how many workers fit on the cluster now.
    """

    def __init__(
        self,
        assignments: Assignments,
        listener: SweepListener,
        names: dict[str, str],
        outcomes: Outcomes,
        room: Room,
    ) -> None:
        super().__init__()
        self._assignments, self._listener = assignments, listener
        self._names, self._outcomes, self._room = names, outcomes, room
        self._pending: deque[Trial] = deque()
        self._known: set[str] = set()
        self._training: dict[str, list[str]] = {}
        """Keys of the trials that each Tune trial trains, if its worker has reported."""

        self._has_begun = False  # any worker
        self._failed_starts = 0  # consecutive
        self._waits_since: float | None = time.monotonic()  # None once it was told

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:  # noqa: ANN401 - Tune's
        """Queue a new Tune trial, or one whose worker died, which comes before all others."""
        if trial.trial_id in self._known:
            # Its trials may all have ended, if the worker died right after; the next one says so.
            trial.config["pack"] = self._assignments.left(trial.trial_id) or trial.config["pack"]
            self._pending.appendleft(trial)
        else:
            self._known.add(trial.trial_id)
            self._pending.append(trial)
        if len(trial.config["pack"]) > 1:
            trial.max_failures = 0
        trial.config["begun"] = self._has_begun
        trial.update_resources(self._room.needs(trial.config["pack"][0].device))

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:  # noqa: ANN401
        """Return the first pending Tune trial without a worker, those whose worker starts last.

        If Tune gives a trial an idle worker, it stops the one that starts for it. Where runs are
        short, a worker that starts slowly would never train.
        """
        self._pending = deque(t for t in self._pending if t.status == Trial.PENDING)
        waiting = (t for t in self._pending if t.temporary_state.ray_actor is None)
        actors = tune_controller._trial_to_actor
        live = set(tune_controller._actor_manager.live_actors)
        return min(waiting, key=lambda trial: actors.get(trial) in live, default=None)

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:  # noqa: ANN401
        """Forward a worker's report. A broken worker keeps its slot, so that it gets no more."""
        self._hear(trial, result["report"])
        if not result["report"].broken:
            return str(self.CONTINUE)
        self._refuse_worker(trial.trial_id, result["report"].broken)
        self._release(trial)
        trial.max_failures = 0  # its pack is no longer its own
        return str(self.NOOP)

    def on_trial_complete(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> None:  # noqa: ANN401
        """Forward a worker's last report, which is not passed to `on_trial_result`."""
        if "report" in result:  # it is missing if the worker was stopped before its first report
            self._hear(trial, result["report"])
        self._release(trial)

    def on_trial_error(self, tune_controller: Any, trial: Trial) -> None:  # noqa: ANN401
        """Handle the death of a worker."""
        error = _last_error(trial)
        # Tune resets an idle worker for the next trial; if it is dead, the trial never began.
        reset = trial.status == Trial.PENDING or trial in tune_controller._resetting_trials
        never_ran = reset or any(sign in error for sign in _NEVER_RAN)
        self._failed_starts = self._failed_starts + 1 if never_ran else 0
        reason = connection.reason(error)
        self._listener.worker_died(reason)
        self._outcomes.broken.pop(trial.trial_id, None)  # its slot is free, or gone
        again = trial.status == Trial.ERROR  # Tune tries it again
        if again and never_ran:
            failures = trial.run_metadata.num_failures  # Tune counted none if it was preempted
            trial.run_metadata.num_failures = max(0, failures - 1)  # it is not the trial's fault
        if not (again or never_ran) and len(trial.config["pack"]) == 1:
            self._give_up(trial, reason)
        self._stop(trial)
        if not again:
            self._assignments.give_back(trial.trial_id, together=never_ran)

    def _give_up(self, trial: Trial, reason: str) -> None:
        for task in self._assignments.left(trial.trial_id):
            self._outcomes.errors[task.key] = reason
            self._settle(trial, Ended(task.key, "given_up"))

    def on_trial_remove(self, tune_controller: Any, trial: Trial) -> None:  # noqa: ANN401
        """Do nothing; pending Tune trials are removed only when the sweep ends."""

    def debug_string(self) -> str:
        """Return the name of the class."""
        return type(self).__name__

    def can_go_on(self) -> bool:
        """Return whether a trial is left and any worker can train it."""
        if self._assignments.over or self._outcomes.refused:
            return False
        if self._training:
            return True
        self._tell_if_none_starts()
        if self._failed_starts > RESTARTS:
            self._refuse_worker("start", "its process died at every start")
            return False
        broken = len(self._outcomes.broken)
        return broken == 0 or broken < self._room.slots()

    def _tell_if_none_starts(self) -> None:
        if self._has_begun or self._waits_since is None:
            return
        waited = time.monotonic() - self._waits_since
        if waited > PATIENCE:
            self._waits_since = None
            self._listener.no_worker_yet(waited)

    def _refuse_worker(self, worker: str, reason: str) -> None:
        """Record that a worker cannot train, once."""
        if worker not in self._outcomes.broken:
            self._outcomes.broken[worker] = reason
            self._listener.worker_refused(reason)

    def _hear(self, trial: Trial, report: Report) -> None:
        self._failed_starts = 0
        if trial.trial_id not in self._training and not report.broken:
            self._has_begun = True
            keys = [task.key for task in self._assignments.left(trial.trial_id)]
            self._training[trial.trial_id] = keys
            for key in keys:
                self._listener.started(key, self._names[key])
        for ended in report.ended:
            self._settle(trial, ended)
        for at in report.at:
            self._listener.progressed(at.key, at.step, at.steps, at.accuracy, at.loss)

    def _settle(self, trial: Trial, ended: Ended) -> None:
        """Record how a trial ended, once."""
        if not self._assignments.end(ended.key):
            return
        training = self._training.get(trial.trial_id, [])
        if ended.key in training:
            training.remove(ended.key)
        if ended.key not in self._outcomes.errors:
            self._outcomes.ended[ended.key] = ended.outcome
        if ended.reason is not None:
            self._outcomes.io_errors[ended.key] = ended.reason
        self._listener.ended(ended.key, ended.outcome, ended.accuracy)

    def _release(self, trial: Trial) -> None:
        self._stop(trial)
        self._assignments.give_back(trial.trial_id)

    def _stop(self, trial: Trial) -> None:
        for key in self._training.pop(trial.trial_id, ()):
            self._listener.stopped(key)


class UntilStuck(_Stateless, Stopper):  # type: ignore[misc]  # as above
    """Ends the sweep once all trials have ended, or if every worker is broken."""

    def __init__(self, scheduler: SweepScheduler) -> None:
        self._scheduler = scheduler

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Never stop a single trial."""
        return False

    def stop_all(self) -> bool:
        """Return whether no trial can be trained any more."""
        return not self._scheduler.can_go_on()


def _last_error(trial: Trial) -> str:
    """Return the text of the latest failure of a Tune trial."""
    path = trial.error_file
    if path is None:
        return "unknown"
    last = Path(path).read_text(encoding="utf-8").strip().rpartition("\nFailure # ")[2]
    return last.partition("\n")[2]
