"""The same trials by other ways to run a grid, each as its documentation recommends.

    python scheduling_peers.py PEER SETTINGS.json RUNS TRIALS

Trials differ in their seed and train on one thread, two at a time (the plain loop: one).
"""

# Each peer imports what it needs alone: its start is part of what is measured.
# ruff: noqa: PLC0415

import json
import os
import shlex
import subprocess
import sys
from functools import partial
from pathlib import Path

CORES = len(os.sched_getaffinity(0))
FACTORLAB = str(Path(sys.executable).parent / "factorlab")
HYDRA = {  # how a user of Hydra with its joblib launcher would write it
    "defaults": [{"override hydra/launcher": "joblib"}, "_self_"],
    "seed": 0,
    "hydra": {
        "launcher": {"n_jobs": CORES},
        "sweep": {"dir": "hydra"},
        "output_subdir": None,
        "job_logging": {"root": {"level": "WARNING"}},
    },
}


def train(settings, runs, seed):
    """Train one trial in this process; returns its accuracy."""
    import torch

    from factorlab.parsing import parse
    from factorlab.trial import Trial

    torch.set_num_threads(1)
    trial = Trial(parse({**settings, "seed": int(seed)}), Path(runs))
    for _ in trial.run():
        pass
    return trial.record.result()["metrics"]["accuracy"]


def alone(settings, runs, trials):
    """Print the seconds of each trial, one after another; the first warms up and is left out.

    As in a worker of a sweep, what the first imported is spared the collections after it.
    """
    import gc
    import time

    seconds = []
    for seed in range(trials + 1):
        start = time.perf_counter()
        train(settings, runs, seed)
        seconds.append(time.perf_counter() - start)
        if seed == 0:
            gc.freeze()
    print(json.dumps(seconds[1:]))


def tune_functions(settings, runs, trials):
    """Ray Tune's function trainables, each in an actor of its own."""
    import ray
    from ray import tune

    ray.init(num_cpus=CORES, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    tuner = tune.Tuner(
        lambda config: {"accuracy": train(settings, runs, config["seed"])},
        param_space={"seed": tune.grid_search(list(range(trials)))},
        run_config=tune.RunConfig(storage_path=f"{runs}/tune", verbose=0),
    )
    tuner.fit()


def optuna_joblib(settings, runs, trials):
    """One Optuna study in a journal, processes of joblib that take its queued trials."""
    import joblib
    import optuna

    study = optuna.create_study(study_name="grid", storage=_journal(runs))
    for seed in range(trials):
        study.enqueue_trial({"seed": seed})
    share = -(-trials // CORES)
    work = joblib.delayed(_optimize)
    joblib.Parallel(n_jobs=CORES)(work(settings, runs, trials, share) for _ in range(CORES))


def _journal(runs):
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    Path(runs).mkdir(parents=True, exist_ok=True)
    return JournalStorage(JournalFileBackend(f"{runs}/optuna.log"))


def _optimize(settings, runs, trials, share):
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.load_study(study_name="grid", storage=_journal(runs))
    study.optimize(
        lambda trial: train(settings, runs, trial.suggest_int("seed", 0, trials - 1)),
        n_trials=share,
    )


def hydra_joblib(settings, runs, trials):
    """A Hydra multirun over the seed with its joblib launcher."""
    import hydra
    import yaml

    folder = Path(runs)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(HYDRA), encoding="utf-8")
    seeds = ",".join(map(str, range(trials)))
    sys.argv = ["peer", "--multirun", f"seed={seeds}", f"hydra.sweep.dir={folder}/hydra"]
    application = partial(_application, settings, str(folder))
    hydra.main(version_base="1.3", config_path=str(folder), config_name="config")(application)()


def _application(settings, runs, config):
    return train(settings, runs, config.seed)


def shell_loop(settings, runs, trials):
    """A shell loop over `factorlab train`, one trial at a time."""
    _shell(f"for seed in $(seq 0 {trials - 1}); do {_command(settings, runs)}=$seed; done")


def shell_xargs(settings, runs, trials):
    """`factorlab train` by xargs, as many at a time as cores."""
    command = _command(settings, runs)
    _shell(f"seq 0 {trials - 1} | xargs -P {CORES} -I SEED {command}=SEED")


def _command(settings, runs):
    pairs = [f"{group}={json.dumps(value)}" for group, value in settings.items()]
    options = [part for pair in pairs for part in ("--set", pair)]
    return shlex.join([FACTORLAB, "train", "--runs", str(runs), *options, "--set", "seed"])


def _shell(script):
    subprocess.run(["bash", "-c", script], check=True, stdout=subprocess.DEVNULL)


PEERS = {
    "plain Tune functions": tune_functions,
    "Optuna, joblib processes": optuna_joblib,
    "Hydra multirun, joblib": hydra_joblib,
    "shell: xargs -P": shell_xargs,
    "shell: for": shell_loop,
}


if __name__ == "__main__":
    name, file, runs, trials = sys.argv[1:]
    chosen = {**PEERS, "alone": alone}[name]
    folder = str(Path(runs).resolve())  # Tune's functions and Hydra's jobs work elsewhere
    chosen(json.loads(Path(file).read_text(encoding="utf-8")), folder, int(trials))
