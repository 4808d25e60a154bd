# %% [markdown]
# # A metric of one's own
#
# The label reader resolves half a pixel, and accuracy allows a whole one. Here we measure finer: the
# distance between the label and the centre of mass of what was drawn, inside the held-out hole and around
# it, from images that the final weights generate. Run the sweep first: `factorlab sweep holes`.

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import factorlab.api as fl

plt.style.use("tableau-colorblind10")

frame = fl.load("holes")
done = frame[frame["state"] == "done"]
if "training.steps" in done:  # the longest training alone
    done = done[done["training.steps"] == done["training.steps"].max()]


# %% [markdown]
# Labels may lie anywhere in the frame, also between those of the training lattice.


# %%
def errors(run: fl.Run, side: int = 12) -> dict[str, float]:
    """Return the median error in pixels of shapes in the hole and around it."""
    size, hole = run.settings.data.size, run.settings.data.held_out
    rim = min(3, size / 6)  # nearer to the rim, bumps are cut off
    axis = np.linspace(1 + rim, size - rim, side)
    labels = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    images = fl.samples(run, labels, seed=0)
    dark = np.clip(0.8 - images, 0, None)  # without the noise of the background
    pixels, total = np.arange(1, size + 1), dark.sum(axis=(1, 2))
    centres = np.stack([dark.sum(axis=1) @ pixels, dark.sum(axis=2) @ pixels], axis=1)
    distance = np.hypot(*(centres / total[:, None] - labels).T)
    inside = np.all(np.abs(labels - (1 + size) / 2) <= hole.width / 2, axis=1)
    medians = {"hole": np.nanmedian(distance[inside]), "around": np.nanmedian(distance[~inside])}
    return {name: float(value) for name, value in medians.items()}


# %% [markdown]
# One row per run, beside its settings; seeds are repetitions.

# %%
measured = pd.DataFrame([errors(fl.open_run(row)) for _, row in done.iterrows()], index=done.index)
table = done[["data.held_out.width", "seed", "accuracy"]].join(measured)
table

# %%
figure, axes = plt.subplots(figsize=(5.2, 3.8), layout="constrained")
for name, marker in (("hole", "o"), ("around", "s")):
    groups = table.groupby("data.held_out.width")[name]
    mean = groups.mean()
    (line,) = axes.plot(mean.index, mean, marker=marker, label=name)
    axes.plot(table["data.held_out.width"], table[name], ".", color=line.get_color(), alpha=0.4)
axes.set_xlabel("Side of the hole (pixels)")
axes.set_ylabel("Median distance from the label (pixels)")
axes.set_ylim(bottom=0)
axes.legend(title="Labels", frameon=False)
figure.savefig("own_metric.png", dpi=150)

# %% [markdown]
# Look at what the model draws in the middle of the hole:

# %%
best = fl.open_run(done.sort_values("accuracy").iloc[-1])
middle = (1 + best.settings.data.size) / 2
labels = [(middle + shift, middle) for shift in (-1, -0.5, 0, 0.5, 1)]
figure, places = plt.subplots(1, len(labels), figsize=(8, 1.9), layout="constrained")
for axes, (x, y), picture in zip(places, labels, fl.samples(best, labels), strict=True):
    axes.imshow(picture, cmap="gray", vmin=0, vmax=1)
    axes.set_title(f"asked for ({x:g}, {y:g})", fontsize=9)
    axes.set_axis_off()
figure.savefig("own_metric_images.png", dpi=150)
