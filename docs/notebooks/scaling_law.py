# %% [markdown]
# # A scaling law, with its uncertainty
#
# How many 2D examples does a model need, and how does that number grow with the side N of the image?
# This notebook loads the runs of `scaling`, estimates where each curve of accuracy crosses 60 %, and fits
# a power law to the crossings. Run the sweep first: `factorlab sweep scaling`.

# %%
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import LogLocator

import factorlab.api as fl

plt.style.use("tableau-colorblind10")

frame = fl.load("scaling")
frame.groupby(["data.family", "data.size"])["accuracy"].agg(["count", "mean", "max"])

# %% [markdown]
# One row per family, N and way of counting. `low` and `high` are the ends of a 95 % interval.

# %%
crossings = fl.crossings(frame, level=0.6)
in_2d = crossings[crossings["count"] == "samples_2d"]
in_2d[["family", "size", "value", "low", "high", "reason"]]

# %%
laws = fl.exponents(in_2d)
laws[["family", "sizes", "exponent", "low", "high", "odds", "reason"]]

# %% [markdown]
# A crossing without an interval is drawn as a point; one outside of the measured range is left out.

# %%
figure, axes = plt.subplots(figsize=(5.4, 4), layout="constrained")
for (family, rows), marker in zip(in_2d.groupby("family"), "os^Dv", strict=False):
    rows = rows.dropna(subset=["value"])
    low, high = (rows[end].fillna(rows["value"]) for end in ("low", "high"))
    law = laws.set_index("family").loc[family]
    text = f"{family}: N^{law['exponent']:.2f} [{law['low']:.2f}, {law['high']:.2f}]"
    (points, *_) = axes.errorbar(
        rows["size"],
        rows["value"],
        yerr=[rows["value"] - low, high - rows["value"]],
        fmt=marker,
        capsize=3,
        label=text if np.isfinite(law["exponent"]) else family,
    )
    sides = np.geomspace(in_2d["size"].min(), in_2d["size"].max(), 50)
    axes.plot(sides, law["prefactor"] * sides ** law["exponent"], "--", color=points.get_color())
axes.set_xscale("log")
axes.set_yscale("log")
ticks = sorted(in_2d["size"].unique())
axes.set_xticks(ticks, labels=map(str, ticks), minor=False)
axes.minorticks_off()
axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
axes.yaxis.set_major_formatter("{x:g}")
axes.set_xlabel("Side of the frame, N (pixels)")
axes.set_ylabel("2D examples for 60 % accuracy")
axes.legend(frameon=False)
figure.savefig("scaling_law.png", dpi=150)
