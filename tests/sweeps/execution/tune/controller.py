"""Ray Tune as the scheduler and the searcher of a sweep see it: a controller that calls them."""

from pathlib import Path

from ray.exceptions import RayActorError
from ray.train._internal.storage import StorageContext
from ray.tune.experiment import Trial

from sweeps.execution.assignments import Assignments, Task
from sweeps.execution.outcomes import Outcomes, Report
from sweeps.execution.tune_scheduler import (
    RESTARTS,
    PackSearcher,
    SweepScheduler,
    UntilStuck,
)


class Heard:
    """A listener that keeps what it hears."""

    def __init__(self):
        self.calls = []

    def started(self, key, _name):
        self.calls.append(("started", key))

    def progressed(self, key, step, _steps, _accuracy, _loss):
        self.calls.append(("progressed", key, step))

    def stopped(self, key):
        self.calls.append(("stopped", key))

    def worker_died(self, reason):
        self.calls.append(("died", reason))

    def worker_refused(self, reason):
        self.calls.append(("refused", reason))

    def no_worker_yet(self, _seconds):
        self.calls.append(("no worker",))

    def stopping(self):
        self.calls.append(("stopping",))

    def narrowed(self, findings):
        self.calls.append(("narrowed", *findings))

    def ended(self, key, outcome, _accuracy=None):
        self.calls.append(("ended", key, outcome))


class Folder(StorageContext):
    """Folder of a Tune trial that needs no running Ray."""

    @property
    def trial_driver_staging_path(self):
        """Return the path of the folder."""
        return str(Path(self.storage_fs_path) / self.trial_dir_name)


class Room:
    """A cluster with a GPU."""

    def __init__(self, slots):
        self.count = slots

    def needs(self, device):
        return {"cpu": 1, "gpu": 0 if device == "cpu" else 0.5}

    def slots(self):
        return self.count


class Actors:
    """Workers that Tune has started or is starting."""

    def __init__(self):
        self.live_actors = []


class Controller:
    """The part of Tune's controller that calls the scheduler."""

    def __init__(self, folder, *packs, slots=2, device="auto", most=None):
        self.folder = folder
        tasks = [tuple(Task(key, "{}", device) for key in pack) for pack in packs]
        self.assignments = Assignments(tasks)
        self.heard, self.outcomes = Heard(), Outcomes()
        names = {key: f"trial {key}" for pack in packs for key in pack}
        self.room = Room(slots)
        self.scheduler = SweepScheduler(
            self.assignments, self.heard, names, self.outcomes, self.room
        )
        limit = None if most is None else lambda: most
        self.searcher = PackSearcher(self.assignments, self.outcomes, limit)
        self.stopper = UntilStuck(self.scheduler)
        self.count = 0
        self._resetting_trials = set()
        self._trial_to_actor = {}
        self._actor_manager = Actors()

    def add(self):
        """Add a Tune trial; return None if the searcher has no configuration."""
        self.count += 1
        config = self.searcher.suggest(f"t{self.count}")
        if config in (None, PackSearcher.FINISHED):
            return None
        trial = Trial(
            "Worker",
            stub=True,
            trial_id=f"t{self.count}",
            config=config,
            max_failures=RESTARTS,
            storage=Folder(str(self.folder), "sweep", trial_dir_name=f"t{self.count}"),
        )
        Path(trial.local_path).mkdir()
        self.scheduler.on_trial_add(self, trial)
        return trial

    def start(self):
        """Add a Tune trial whose worker takes its pack."""
        trial = self.add()
        trial.set_status(Trial.RUNNING)
        self.report(trial)
        return trial

    def report(self, trial, **what):
        return self.scheduler.on_trial_result(self, trial, {"report": Report(**what)})

    def complete(self, trial, **what):
        self.scheduler.on_trial_complete(self, trial, {"report": Report(**what), "done": True})
        self.searcher.on_trial_complete(trial_id=trial.trial_id, result={})
        trial.set_status(Trial.TERMINATED)

    def die(self, trial, text="The worker died.", *, preempted=False):
        """Let a worker die, as in `TuneController._process_trial_failure`."""
        trial.handle_error(RayActorError(error_msg=text, preempted=preempted))
        if trial.status == Trial.RUNNING and trial.should_recover():
            trial.set_status(Trial.ERROR)
            self.scheduler.on_trial_error(self, trial)
            trial.set_status(Trial.PENDING)
            self.scheduler.on_trial_add(self, trial)
        else:
            self.scheduler.on_trial_error(self, trial)
            self.searcher.on_trial_complete(trial_id=trial.trial_id, error=True)
            trial.set_status(Trial.ERROR)
