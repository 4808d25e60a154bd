"""Trials from their configurations to their records, alone or together, resumable at every step."""

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
        """Train from wherever the record stands to the result, yielding after every step.

        Closing the iterator between steps saves a checkpoint first. Whatever the interruptions,
        on a CPU the record ends with the same bits on the same machine and number of threads.

        Raises:
            Busy: another process trains this trial.
            TrialFailed: the loss is not finite, now or when it was last trained; the record says
                at which step (`Record.clear_failure` lets it try again).
            OSError: the record cannot be written.
            UserError: the device is not there.
        """
        with closing(run_together([self])) as events:
            for event in events:
                if isinstance(event, ProgressEvent):
                    yield event
                elif event.error is not None:
                    raise event.error


@dataclass(frozen=True)
class Ended:
    """A trial needs no more training, or cannot have it here."""

    trial: PreparedTrial
    error: TrialFailed | Busy | None = None
    """Why it has no result: it failed, or another process trains it."""


def run_together(trials: Sequence[PreparedTrial]) -> Generator[ProgressEvent | Ended, None, None]:
    """Train trials of one shape as one batched program, each into its own record.

    Each has its own seeds, data, journal, checkpoints and result; the numbers are those of
    training alone but for rounding (one trial alone is trained as it always is). One that ends,
    fails, or is held by another process leaves the others to go on.

    Yields:
        In turn: how far each trial is after every step, and each one's end.

    Raises:
        ValueError: the trials differ in shape (`RunSettings.shape`).
        Exception: what stopped one of them, such as a full disk; the others are saved first.
        UserError: the device is not there.
    """
    if len({trial.settings.shape for trial in trials}) > 1:
        raise ValueError("trials that train together have one size, model and batch size")
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
        gc.collect()  # a reused worker hands the memory of these trials back
        if device.type == "cuda":
            torch.cuda.empty_cache()


def _over(trial: PreparedTrial) -> Ended | None:
    """Return how a trial ended that another process trained since it was planned."""
    try:
        done = trial.record.result() is not None
    except DamagedFile as error:
        log.warning("%s; the trial is trained again", error)
        trial.record.clear_result()
        done = False
    if done:
        checkpoint.clear(trial.record.checkpoints)
        return Ended(trial)
    failure = trial.record.failure()
    return Ended(trial, TrialFailed(failure)) if failure is not None else None


def _advance(sessions: list[TrialRunner]) -> Generator[ProgressEvent | Ended, None, None]:
    """Train sessions to their ends; a break saves a checkpoint of each that has not ended."""
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
                    torch.cuda.synchronize()  # what a line waits for is time of its steps
                seconds = (time.perf_counter() - start) / count
                for session, loss in zip(sessions, losses, strict=True):
                    session.learned(loss, seconds)
                yield from _each(sessions, TrialRunner.report)
    except GeneratorExit:
        _save(sessions)
        raise


def _save(sessions: Sequence[TrialRunner]) -> None:
    """Write a checkpoint of each, also when another's cannot be written."""
    with ExitStack() as saves:
        for session in sessions:
            saves.callback(session.save)


def _each(
    sessions: list[TrialRunner], act: Callable[[TrialRunner], ProgressEvent | None]
) -> Iterator[ProgressEvent | Ended]:
    """Let each session act, drop those that are over, and yield what came of it.

    Raises:
        Exception: what stopped one, such as a full disk; the others acted and were saved.
    """
    events: list[ProgressEvent | Ended] = []
    problem: Exception | None = None
    for session in sessions:
        try:
            events += _act(session, act)
        except Exception as error:
            session.over, problem = True, problem or error
    sessions[:] = [session for session in sessions if not session.over]
    # Only when all have acted may the caller break off: a checkpoint is of the time between steps.
    yield from events
    if problem is not None:
        _save(sessions)
        raise problem


def _act(
    session: TrialRunner, act: Callable[[TrialRunner], ProgressEvent | None]
) -> Iterator[ProgressEvent | Ended]:
    """Let a session act and yield what came of it.

    A first failure is looked at again from the last checkpoint: the same bits fail again, unless
    the hardware erred. A second one goes into the record.
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
