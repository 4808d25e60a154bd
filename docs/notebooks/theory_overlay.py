# %% [markdown]
# # Theory and measurement in one figure
#
# Percolation theory: bumps that overlap are linked, and above a critical share of the lattice most of
# them form one cluster. Does accuracy rise where the cluster forms? The left panel puts both curves on
# one axis. The right panel compares the number of examples at which each of them crosses 60 %.

# %%
import matplotlib.pyplot as plt
from matplotlib.ticker import LogLocator

import factorlab.api as fl

plt.style.use("tableau-colorblind10")

frame = fl.load("scaling")
bumps = frame[(frame["data.family"] == "bump") & (frame["state"] == "done")]
sizes = sorted(int(size) for size in bumps["data.size"].unique())
sigma, spacing = bumps["data.sigma"].iloc[0], bumps["data.spacing"].iloc[0]

# %% [markdown]
# `threshold` is the overlap from which two bumps count as linked. Theory does not fix it. At 0.5 the
# predicted numbers are closest to those measured for sigma = 1; no single threshold fits all sigma
# (docs/results/percolation.md).

# %%
theory = {
    "curve": fl.percolation(sizes, sigma, spacing=spacing, threshold=0.5, realisations=50),
    "examples": fl.predictions(sizes, sigma, spacing=spacing, threshold=0.5, realisations=50),
}
crossings = fl.crossings(bumps).query("count == 'samples_2d'")
fl.exponents(crossings)[["exponent", "low", "high"]]

# %%
fl.exponents(theory["examples"])[["threshold", "exponent", "low", "high"]]

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(9.4, 4), layout="constrained")
for size, marker in zip(sizes, "os^Dv", strict=False):
    mean = bumps[bumps["data.size"] == size].groupby("data.subsample")["accuracy"].mean()
    curve = theory["curve"].query("size == @size")
    (line,) = left.plot(mean.index, 100 * mean, marker=marker, label=f"accuracy, N = {size}")
    colour = line.get_color()
    left.plot(
        curve["subsample"],
        100 * curve["mass_ratio"],
        ":",
        color=colour,
        label=f"largest cluster, N = {size}",
    )
    left.fill_between(
        curve["subsample"], 100 * curve["low"], 100 * curve["high"], color=colour, alpha=0.2, lw=0
    )
left.axhline(60, color="0.6", lw=0.8)
left.set_xscale("log")
left.xaxis.set_major_formatter("{x:g}")
left.set_xlabel("Share of the lattice kept, λ")
left.set_ylabel("Accuracy, or share of the bumps (%)")
left.legend(frameon=False, fontsize=8)

for rows, marker, name in (
    (crossings.dropna(subset=["value"]), "o", "measured"),
    (theory["examples"].dropna(subset=["value"]), "s", "percolation"),
):
    low, high = (rows[end].fillna(rows["value"]) for end in ("low", "high"))
    spread = [rows["value"] - low, high - rows["value"]]
    right.errorbar(rows["size"], rows["value"], spread, marker=marker, capsize=3, label=name)
right.set_xscale("log")
right.set_yscale("log")
right.set_xticks(sizes, labels=map(str, sizes))
right.minorticks_off()
right.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
right.yaxis.set_major_formatter("{x:g}")
right.set_xlabel("Side of the frame, N (pixels)")
right.set_ylabel("2D examples at 60 %")
right.legend(frameon=False)
figure.savefig("theory_overlay.png", dpi=150)
