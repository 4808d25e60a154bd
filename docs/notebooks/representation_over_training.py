# %% [markdown]
# # A representation over training
#
# `torus` keeps the activations of layer 4 at several steps, and measures them. With ``steps=True`` a
# frame has one row for each evaluation; measures stand in columns such as `layer4/dimension`.
# Run the sweep first: `factorlab sweep torus`.

# %%
import matplotlib.pyplot as plt

import factorlab.api as fl

plt.style.use("tableau-colorblind10")

LAYER = "layer4"
frame = fl.load("torus", steps=True)
frame = frame[frame["step"].notna()]
frame.pivot_table(index="step", columns=f"{LAYER}/phase", values="key", aggfunc="count")

# %% [markdown]
# Which measures are there? A name with `null_` is that of a null model on the same labels.

# %%
[column for column in frame if column.startswith(f"{LAYER}/") and "null_" not in column]

# %%
PANELS = {
    "accuracy": "Accuracy (share of samples)",
    f"{LAYER}/dimension": "Effective dimension",
    f"{LAYER}/factorization": "Factorization score",
}
figure, places = plt.subplots(1, 3, figsize=(10.5, 3.4), layout="constrained", sharex=True)
for axes, (column, label) in zip(places, PANELS.items(), strict=True):
    for seed, rows in frame.groupby("seed"):
        axes.plot(rows["step"], rows[column], ".-", lw=0.7, alpha=0.5, label=f"seed {seed}")
    mean = frame.groupby("step")[column].mean()
    axes.plot(mean.index, mean, "k-", lw=2, label="mean")
    axes.set_xlabel("Optimizer step")
    axes.set_ylabel(label)
    axes.set_ylim(bottom=0)
places[0].legend(frameon=False, fontsize=8)
figure.savefig("representation_over_training.png", dpi=150)

# %% [markdown]
# The project's own figure of the phases of manifold formation, from the same frame:

# %%
fl.plot.phases(frame, layer=LAYER).savefig("phases.png", dpi=150)
