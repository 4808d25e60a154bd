"""The command that repeats a sweep, and what the sweep is for."""

from __future__ import annotations

import json
import shlex

from factorlab.errors import UserError
from sweeps.planning import experiment
from sweeps.planning.plan import Plan

NO_PROFILE = "default"
"""Profile of an experiment file without profiles."""


def command_of(plan: Plan) -> str:
    """Return the command that plans the same sweep in any working folder, for a POSIX shell.

    A sweep of an experiment that was given as a dictionary has no command; its call is named.
    """
    if plan.source == experiment.DICTIONARY:
        return f"factorlab.api.sweep(...)  # the experiment '{plan.experiment}', a dictionary"
    words = ["factorlab", "sweep", _given(plan) or plan.experiment]
    if _has_profile(plan):
        words += ["--profile", plan.profile]
    for key, value in plan.overrides.items():
        # JSON is YAML as overrides are read, and its quotes keep spaces in one pair.
        words += ["--set", f"{key}={json.dumps(value, separators=(', ', ': '))}"]
    return " ".join(shlex.quote(word) for word in words)


def _given(plan: Plan) -> str:
    """Return the name or the file of the experiment, for any working folder if that is known."""
    return plan.file or plan.source


def _has_profile(plan: Plan) -> bool:
    """Return whether the profile is one of the file, and not the name that stands for none."""
    if plan.profile != NO_PROFILE:
        return True
    try:
        return experiment.load(_given(plan), NO_PROFILE).profile == NO_PROFILE
    except UserError:  # the file has no profiles, or is gone
        return False


def descriptions(plan: Plan) -> list[str]:
    """Return what the experiment and its profile are for.

    Plans of earlier versions do not say so; their experiment file does, if it is still there.
    """
    if plan.descriptions:
        return plan.descriptions
    try:
        profile = plan.profile if _has_profile(plan) else None
        return list(experiment.load(_given(plan), profile).descriptions)
    except UserError:
        return []
