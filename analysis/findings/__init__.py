"""What the papers found, set beside what was measured: one module each, named by its experiment.

To judge another experiment, add a module here with `CLAIMS`. Each claim measures a table of one
row for each trial and step (`analysis.tables.loading.steps_table`) and says by a rule, stated
beside it, whether the finding shows. The rules are ours: the papers tell by eye.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import pandas as pd

from analysis import plugins
from analysis.tables.selection import final

Verdict = Literal["shown", "not shown", "not reachable", "not measured", "not judged"]


class NotMeasuredError(ValueError):
    """The table has no numbers for a claim; the message says which are missing."""


@dataclass(frozen=True)
class Outcome:
    """What the numbers say of a claim."""

    verdict: Verdict
    """`not reachable` where models of this size do not get to where the claim could be tested,
    `not measured` where trials are missing, `not judged` where the rule failed."""

    numbers: str
    """What was measured, in words and figures."""

    error: Exception | None = None
    """What the rule raised, where it is our own mistake."""


@dataclass(frozen=True)
class Claim:
    """A finding of a paper, and how it is looked for."""

    text: str
    """The finding, in our words."""

    source: str
    """Paper and figure or section."""

    rule: str
    """When it counts as shown."""

    measure: Callable[[pd.DataFrame], Outcome]
    """Looks for it.

    Raises:
        NotMeasuredError: Trials that it needs are missing.
    """


class FindingsModule(Protocol):
    """What a module of this folder provides."""

    CLAIMS: Sequence[Claim]


_FOLDER = plugins.Folder[FindingsModule](__name__, __path__, "findings")
available = _FOLDER.available
load = _FOLDER.load


def judge(experiment: str, table: pd.DataFrame) -> list[tuple[Claim, Outcome]]:
    """What a sweep says of each finding of its experiment; one that fails leaves the others.

    Args:
        experiment: Name of a module of this folder.
        table: One row for each trial and step, half-finished or not.

    Raises:
        ValueError: There is no such module, or a column is missing that every table has.
    """
    claims, finished = load(experiment).CLAIMS, not final(table).empty
    nothing = Outcome("not measured", "No trial is finished.")
    return [(claim, _outcome(claim, table) if finished else nothing) for claim in claims]


def _outcome(claim: Claim, table: pd.DataFrame) -> Outcome:
    try:
        return claim.measure(table)
    except NotMeasuredError as error:
        return Outcome("not measured", str(error))
    except Exception as error:
        return Outcome("not judged", f"The rule failed: {type(error).__name__}.", error)
