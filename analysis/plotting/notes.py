"""Small print under figures."""

import textwrap
from collections.abc import Sequence

import pandas as pd
from matplotlib.figure import Figure


def note(figure: Figure, sentences: Sequence[str]) -> None:
    """Write sentences under a figure, wrapped to its width."""
    wide = int(18 * figure.get_figwidth())
    text = "\n".join(textwrap.fill(sentence, wide) for sentence in sentences)
    figure.supxlabel(text, x=0.012, ha="left", multialignment="left", fontsize=7, color="0.25")


def unfinished(table: pd.DataFrame) -> list[str]:
    """Name how many trials are missing; nothing where all are finished."""
    trials = table["key"].nunique()
    done = table.loc[table["last"].astype(bool), "key"].nunique()
    if done == trials:
        return []
    states = table.drop_duplicates("key")["state"].value_counts().drop("done", errors="ignore")
    text = ", ".join(f"{count} {state}" for state, count in states.items())
    return [f"{trials - done} of {trials} trials are not finished and left out ({text})."]
