"""Claims of the papers, compared with measurements: one module per experiment, of the same name.

To judge another experiment, add a module here with `CLAIMS`. Each claim evaluates a table with one
row per trial and step (`analysis.tables.loading.steps_table`) and decides by a stated rule whether
the finding is shown. A rule puts bounds on estimates with 95 % intervals (`_rules.conditions`), and
compares with a null model, so that it can come out both ways. The rules are ours; the papers judge
by eye.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import pandas as pd

from analysis import plugins
from analysis.tables.selection import final

Verdict = Literal["shown", "not shown", "not resolvable", "not measured", "not judged"]


class NotMeasuredError(ValueError):
    """The table lacks data for a claim; the message says which."""


@dataclass(frozen=True)
class Outcome:
    """Result of judging a claim."""

    verdict: Verdict
    """`not resolvable` if these runs cannot tell, because there are too few or because the models
    are too small, `not measured` if trials are missing, `not judged` if the rule raised an
    unexpected exception."""

    numbers: str
    """The measured values as a sentence, or why there are none. If the verdict is `not resolvable`,
    also what it would take."""

    error: Exception | None = None
    """The unexpected exception, which is a bug in the rule."""


@dataclass(frozen=True)
class Claim:
    """A finding of a paper, and the rule that judges it."""

    text: str
    """The finding, in our words."""

    source: str
    """Paper and figure or section."""

    rule: str
    """Condition under which the finding counts as shown."""

    null: str
    """The null model that the rule holds the finding against: what would be measured if the models
    had learned nothing of it."""

    measure: Callable[[pd.DataFrame], Outcome]
    """Judges the claim on a table with one row per trial and step.

    Raises:
        NotMeasuredError: Required trials are missing.
    """

    ours: bool = False
    """Whether it is our own reading or question, which the papers do not state."""


class FindingsModule(Protocol):
    """Interface of the modules in this folder."""

    CLAIMS: Sequence[Claim]
    """The claims of the experiment."""


_FOLDER = plugins.Folder[FindingsModule](__name__, __path__, "findings")
available = _FOLDER.available
load = _FOLDER.load


def judge(experiment: str, table: pd.DataFrame) -> list[tuple[Claim, Outcome]]:
    """Judge each claim of an experiment on the trials of a sweep.

    A claim whose rule fails does not affect the other claims.

    Args:
        experiment: Name of a module of this folder.
        table: One row per trial and step, of finished and unfinished trials.

    Raises:
        ValueError: There is no such module, or a column that every table has is missing.
    """
    claims, finished = load(experiment).CLAIMS, not final(table).empty
    nothing = Outcome("not measured", "No trial has finished.")
    return [(claim, _outcome(claim, table) if finished else nothing) for claim in claims]


def _outcome(claim: Claim, table: pd.DataFrame) -> Outcome:
    try:
        return claim.measure(table)
    except NotMeasuredError as error:
        return Outcome("not measured", str(error))
    except Exception as error:
        return Outcome("not judged", f"The rule failed: {type(error).__name__}.", error)
