"""Training of trials from configuration to record, alone or together, resumable at every step."""

from __future__ import annotations

import gc
import logging
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass

import torch

from factorlab.device import resolve_device
from factorlab.errors import TrialFailed
from factorlab.prepared_trial import PreparedTrial
from factorlab.storage import checkpoint
from factorlab.storage.files import DamagedFile
from factorlab.storage.record import Busy
from factorlab.training.packed import PackedTraining
from factorlab.trial_runner import ProgressEvent, TrialRunner

log = logging.getLogger(__name__)


class Trial(PreparedTrial):
    """A trial that can be trained alone."""

    def run(self) -> Generator[ProgressEvent, None, None]:
        """Train from the current state of the record to the result; yield after every step.

        Closing the generator between steps saves a checkpoint first. On a CPU, an interrupted trial
        produces results bit-identical to an uninterrupted one on the same machine with the same
        number of threads.

        Raises:
            Busy: Another process trains this trial.
            TrialFailed: The loss is not finite, now or in an earlier attempt. The record names the
                step; `Record.clear_failure` allows another attempt.
            OSError: The record cannot be written.
            UserError: The device is not available.
        """
        with closing(run_together([self])) as events:
            for event in events:
                if isinstance(event, ProgressEvent):
                    yield event
                elif event.error is not None:
                    raise event.error


@dataclass(frozen=True)
class Ended:
    """The end of a trial in this process: complete, failed, or locked by another process."""

    trial: PreparedTrial
    error: TrialFailed | Busy | None = None
    """Why there is no result: the trial failed, or another process is training it."""


def run_together(trials: Sequence[PreparedTrial]) -> Generator[ProgressEvent | Ended, None, None]:
    """Train trials of one shape together, each into its own record.

    Each trial has its own seeds, data, journal, checkpoints and result. The numbers are those of
    training alone, up to rounding; a single trial takes ordinary training steps. If a trial ends,
    fails, or is held by another process, the others continue.

    Yields:
        The progress of each trial after every step, and the end of each trial.

    Raises:
        ValueError: The trials differ in shape (`RunSettings.shape`).
        Exception: The error that stopped one of them, such as a full disk; the others are saved
            first.
        UserError: The device is not available.
    """
    if len({trial.settings.shape for trial in trials}) > 1:
        raise ValueError("packed trials must share size, model, batch size, precision and device")
    device = resolve_device(trials[0].settings.device)
    sessions: list[TrialRunner] = []
    leases: dict[PreparedTrial, ExitStack] = {}
    try:
        with ExitStack() as all_leases:
            for trial in trials:
                lease = leases[trial] = all_leases.enter_context(ExitStack())
                try:
                    lease.enter_context(trial.record.lease())
                except Busy as busy:
                    yield Ended(trial, busy)
                    continue
                ended = _over(trial)
                if ended is None:
                    trial.record.remove_temporary_files()
                    trial.record.create(trial.identity, trial.dataset)
                    sessions.append(TrialRunner(trial, device))
                else:
                    lease.close()
                    yield ended
            with closing(_advance(sessions)) as events:
                for event in events:
                    if isinstance(event, Ended):
                        leases[event.trial].close()
                    yield event
    finally:
        sessions.clear()
        gc.collect()  # free the memory of these trials in a worker that is reused
        if device.type == "cuda":
            torch.cuda.empty_cache()


def _over(trial: PreparedTrial) -> Ended | None:
    """Return the end of a trial that has a result or a failure already, else None.

    Another process may have trained it since it was planned. A damaged result is deleted.
    """
    try:
        done = trial.record.result() is not None
    except DamagedFile as error:
        log.warning("%s; training the trial again", error)
        trial.record.clear_result()
        done = False
    if done:
        checkpoint.clear(trial.record.checkpoints)
        return Ended(trial)
    failure = trial.record.failure()
    return Ended(trial, TrialFailed(failure)) if failure is not None else None


def _advance(sessions: list[TrialRunner]) -> Generator[ProgressEvent | Ended, None, None]:
    """Train until every trial has ended; closing the generator saves a checkpoint of the others."""
    try:
        yield from _each(sessions, TrialRunner.begin)
        while sessions:
            ensemble, count = PackedTraining([s.learner for s in sessions]), len(sessions)
            for session in sessions:
                session.together = max(session.together, count)
                session.went_back = False
            while len(sessions) == count and not any(s.went_back for s in sessions):
                start = time.perf_counter()
                losses = ensemble.step()
                if losses.is_cuda and any(session.line_due for session in sessions):
                    torch.cuda.synchronize()  # count the wait for the device as training time
                seconds = (time.perf_counter() - start) / count
                for session, loss in zip(sessions, losses, strict=True):
                    session.learned(loss, seconds)
                yield from _each(sessions, TrialRunner.report)
    except GeneratorExit:
        _save(sessions)
        raise


def _save(sessions: Sequence[TrialRunner]) -> None:
    """Write a checkpoint of each trial, even if that of another cannot be written."""
    with ExitStack() as saves:
        for session in sessions:
            saves.callback(session.save)


def _each(
    sessions: list[TrialRunner], act: Callable[[TrialRunner], ProgressEvent | None]
) -> Iterator[ProgressEvent | Ended]:
    """Apply a function to each runner, drop those that have ended, and yield the events.

    Raises:
        Exception: The error that stopped one, such as a full disk; the others have acted and been
            saved.
    """
    events: list[ProgressEvent | Ended] = []
    problem: Exception | None = None
    for session in sessions:
        try:
            events += _act(session, act)
        except Exception as error:
            session.over, problem = True, problem or error
    sessions[:] = [session for session in sessions if not session.over]
    # Yield only after all have acted: the caller may stop here, and checkpoints lie between steps.
    yield from events
    if problem is not None:
        _save(sessions)
        raise problem


def _act(
    session: TrialRunner, act: Callable[[TrialRunner], ProgressEvent | None]
) -> Iterator[ProgressEvent | Ended]:
    """Apply a function to a runner and yield the events.

    After a first failure the trial goes back to its last checkpoint. The same bits fail again
    unless the hardware was at fault. A second failure is written to the record.
    """
    try:
        progress = act(session)
    except TrialFailed as failure:
        if session.repeat():
            log.warning("%s; going back to step %d", failure, session.state.step)
            return
        session.record.write_failure(str(failure), session.state.step)
        session.over = True
        yield Ended(session.trial, failure)
        return
    if progress is not None:
        yield progress
    if session.over:
        yield Ended(session.trial)
