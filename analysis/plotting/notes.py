"""Small print under figures."""

import textwrap
from collections.abc import Sequence

import pandas as pd
from matplotlib.figure import Figure


def note(figure: Figure, sentences: Sequence[str]) -> None:
    """Write sentences under a figure, wrapped to the width of the figure."""
    wide = int(18 * figure.get_figwidth())
    text = "\n".join(textwrap.fill(sentence, wide) for sentence in sentences)
    figure.supxlabel(text, x=0.012, ha="left", multialignment="left", fontsize=7, color="0.25")


def unfinished(table: pd.DataFrame) -> list[str]:
    """Return a sentence on the number of unfinished trials, or an empty list if there are none."""
    trials = table["key"].nunique()
    done = table.loc[table["last"].astype(bool), "key"].nunique()
    if done == trials:
        return []
    states = table.drop_duplicates("key")["state"].value_counts().drop("done", errors="ignore")
    text = ", ".join(f"{count} {state}" for state, count in states.items())
    return [f"{trials - done} of {trials} trials are unfinished and not shown ({text})."]
