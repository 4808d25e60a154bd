"""A search that goes on in a later command picks what it would have picked in one."""

import pytest
from ray.tune.search import Searcher

from sweeps.execution.guided import run_search, tune_parts
from sweeps.execution.guided.run_search import RunSearch
from sweeps.planning import plan
from sweeps.planning.experiment import load
from sweeps.planning.search import continuation
from tests.helpers.experiments import write_experiment

RANDOM = {"algorithm": "random", "metric": "accuracy", "mode": "max"}
SEEDS = list(range(60))


@pytest.fixture(autouse=True)
def few_repeats(monkeypatch):
    """A search ends after ten picks in a row without a new trial."""
    monkeypatch.setattr(run_search, "REPEATS", 10)


def plan_of(folder, runs):
    search = RANDOM | {"runs": runs}
    path = write_experiment(folder / "again.yaml", axes={"seed": SEEDS}, search=search)
    return continuation.continued(plan.make(load(str(path)), folder / "runs"))


def picks(made, searcher=None):
    """Return the seeds that a search picks until it is over, and why it is."""
    search = RunSearch(searcher or tune_parts.searcher(made), made, lambda _: None)
    found = iter(search.pick, None)
    return [trial.settings["seed"] for trial in found], search.why_over


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Picks of a random search in one command, and why it ended."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(run_search, "REPEATS", 10)
        return picks(plan_of(tmp_path_factory.mktemp("whole"), runs=len(SEEDS)))


@pytest.mark.parametrize("share", [0.3, 0.9])
def test_random_search_with_more_runs_picks_as_one_in_one_command(tmp_path, whole, share):
    seeds, why = whole
    count = round(share * len(seeds))
    assert picks(plan_of(tmp_path, runs=count))[0] == seeds[:count]
    assert picks(plan_of(tmp_path, runs=len(SEEDS))) == (seeds[count:], why)


def test_random_search_that_converged_picks_nothing_again(tmp_path, whole):
    picks(plan_of(tmp_path, runs=len(SEEDS)))
    assert picks(plan_of(tmp_path, runs=len(SEEDS) + 5)) == ([], whole[1])


class InOrder(Searcher):
    """Picks the seeds in order, then the last for ever, and cannot learn of earlier results."""

    def __init__(self):
        super().__init__()
        self.left = list(SEEDS)

    def suggest(self, _):
        return {"seed": self.left.pop(0) if len(self.left) > 1 else self.left[0]}

    def on_trial_complete(self, *_, **__):
        pass


def test_searcher_that_cannot_learn_gets_past_what_it_picked_before(tmp_path):
    assert picks(plan_of(tmp_path, runs=15), InOrder()) == (SEEDS[:15], "15 runs were picked")
    seeds, why = picks(plan_of(tmp_path, runs=99), InOrder())
    assert seeds == SEEDS[15:]
    assert why.startswith("of the last 10 picks, 10 were trials that it had picked before")
