"""Measure the speed of training steps on the machines of a cluster that will train."""

from __future__ import annotations

import platform
from collections import defaultdict
from collections.abc import Callable, Sequence

from factorlab.errors import UserError
from sweeps.planning.cost import probe
from sweeps.planning.cost.probe import MachineProfile, Question, Speed
from sweeps.planning.experiment import Resources
from sweeps.ray_runtime import capacity, connection

ANNOUNCE_AFTER = 10.0
"""Seconds without a result after which the user is told what the command waits for."""


def profile(
    questions: Sequence[Question], wanted: Resources, say: Callable[[str], None]
) -> MachineProfile:
    """Probe each shape on a machine of the connected cluster that can train it.

    A probe gets the resources of one run or pack, so it waits while all machines are busy, and an
    autoscaler adds a machine for it. If machines differ, the first that is free answers.

    Args:
        questions: Shapes to probe.
        wanted: Resources that the experiment names.
        say: Prints a line.

    Returns:
        Results in the order of the questions.

    Raises:
        UserError: A requested device is missing there, or the probe or Ray failed.
    """
    import ray  # noqa: PLC0415 - Ray reads its settings at import time
    from ray.exceptions import RayError  # noqa: PLC0415 - as above

    machines = capacity.of_cluster()
    # One probe for all shapes that need the same resources.
    groups: dict[tuple[tuple[str, float], ...], list[int]] = defaultdict(list)
    for index, question in enumerate(questions):
        key = tuple(machines.needs(wanted, question.settings.device).items())
        groups[key].append(index)
    waiting = {}
    for key, indices in groups.items():
        needs = dict(key)
        remote = ray.remote(num_cpus=needs["CPU"], num_gpus=needs.get("GPU", 0))(_answer)
        waiting[remote.remote([questions[i] for i in indices])] = indices
    ready, _ = ray.wait([*waiting], num_returns=len(waiting), timeout=ANNOUNCE_AFTER)
    if len(ready) < len(waiting):
        say("waiting for a machine of the cluster to measure the speed of training on it")
    speeds: dict[int, Speed] = {}
    for answer, indices in waiting.items():
        try:
            found = ray.get(answer)
        except RayError as error:
            raise UserError(
                f"the probe on the cluster failed: {connection.reason(error)}"
            ) from None
        if isinstance(found, str):
            raise UserError(found)
        speeds |= dict(zip(indices, found.speeds, strict=True))
    return MachineProfile([speeds[i] for i in range(len(questions))], found.devices, found.sources)


def _answer(questions: Sequence[Question]) -> MachineProfile | str:
    """Probe the machine of this process; return a message if that is not possible.

    Which sources it has is left to the workers to compare, each for its own machine.
    """
    try:
        with probe.start(questions) as running:
            return running.profile()
    except UserError as error:
        return f"{platform.node()}: {error}"
