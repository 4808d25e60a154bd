"""Figures that need no trial: found by name, saved completely, with independent checks."""

import ast
import math
from pathlib import Path

import networkx as nx
import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.figure import Figure

import analysis.figures.static
from analysis.figures.static import available, collapse, critical, load
from analysis.plotting.figure_io import Drawing, save, styled
from factorlab.config import DataSettings, ModelSettings
from factorlab.data.dataset import build
from factorlab.data.rendering import render
from factorlab.model.unet import UNet
from percolation import critical_fraction, graph, lattice, predict_samples, radius
from tests.helpers.rounding import EXACT

# Parameters with which a figure is drawn quickly.
QUICK = {
    "families": {"size": 8},
    "architecture": {"width": 8, "size": 8},
    "schematic": {"sigmas": (0.3, 1.0), "size": 9, "spacing": (1.0, 2.0)},
    "overlap": {"sigmas": (0.25, 1.0), "border_sigmas": (1.0,), "size": 12},
    "mass-ratio": {"sigmas": (0.1, 0.2, 0.5), "thresholds": (0.05, 0.5, 0.9), "size": 8}
    | {"points": 6, "realisations": 5},
    "clusters": {"size": 24, "realisations": 5},
    "collapse": {"sides": (8, 16), "points": 5, "realisations": 5},
    "critical": {"steps": 4, "sizes": (8, 12), "thresholds": (0.05, 0.9), "realisations": 3},
}


def draw(name, **options):
    return load(name).draw(**QUICK[name] | options)


def image(x, y, sigma, size):
    """An inverted bump of the renderer: row y, column x."""
    settings = DataSettings(size=size, sigma=sigma)
    label = torch.tensor([[x, y]], dtype=torch.float64)
    return 1 - render(label, settings)[0, 0].numpy()


def overlap_by_definition(a, b):
    """The overlap of images. Their inversion rounds to 1e-16, hence it has an error of 1e-8."""
    return math.sqrt((a * b).sum() / (np.linalg.norm(a) * np.linalg.norm(b)))


def texts(drawing):
    artists = drawing.figure.findobj(match=lambda artist: hasattr(artist, "get_text"))
    return " ".join(artist.get_text() for artist in artists)


def test_available_lists_modules_of_folder():
    folder = Path(analysis.figures.static.__file__).parent
    modules = {path.stem.replace("_", "-") for path in folder.glob("[!_]*.py")}
    assert available() == sorted(modules) == sorted(QUICK)


@pytest.mark.parametrize("name", sorted(QUICK))
def test_draw_takes_keywords_with_defaults(name):
    path = Path(load(name).__file__)
    tree = ast.parse(path.read_text(encoding="utf-8"))
    (function,) = (node for node in tree.body if getattr(node, "name", "") == "draw")
    assert not function.args.args
    assert None not in function.args.kw_defaults


def test_load_unknown_figure_lists_available():
    with pytest.raises(
        ValueError, match=r"^There is no 'overlpa' among the static figures: .*overlap"
    ):
        load("overlpa")
    with pytest.raises(ValueError, match="figures: architecture, clusters, collapse, critical, "):
        load("-marks")


@pytest.mark.parametrize("name", sorted(QUICK))
def test_draw_is_deterministic_and_panels_are_saved(tmp_path, name):
    drawing, again = draw(name), draw(name)
    assert isinstance(drawing, Drawing)
    with styled():
        drawing.figure.draw_without_rendering()  # raises where layout or fonts warn
    assert again.panels.keys() == drawing.panels.keys()
    save(Drawing(figure=Figure(), panels=drawing.panels), tmp_path, name)
    for panel, table in drawing.panels.items():
        assert len(table)
        pd.testing.assert_frame_equal(again.panels[panel], table, check_exact=True)
        back = pd.read_csv(tmp_path / f"{name}-{panel}.csv")
        pd.testing.assert_frame_equal(back, table, check_dtype=False)


def test_save_writes_same_bytes_twice(tmp_path):
    # The schematic has both lines and images.
    first, second = (
        save(draw("schematic"), tmp_path / folder, "schematic") for folder in ("a", "b")
    )
    assert {path.suffix for path in first} == {".png", ".pdf", ".csv"}
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


def test_schematic_draws_rendered_bumps_and_joined_neighbours():
    panels = draw("schematic", threshold=0.05).panels
    for sigma, reach in ((0.3, radius(0.3, 0.05)), (1.0, radius(1.0, 0.05))):
        shown = panels["images"][panels["images"]["sigma"] == sigma]
        grey = shown.pivot_table(index="y", columns="x", values="value").to_numpy()
        np.testing.assert_allclose(grey, 1 - image(5, 5, sigma, 9), atol=1e-12)
        sites = panels["sites"][panels["sites"]["sigma"] == sigma]
        assert len(sites) == 9 * 5
        distance = np.hypot(sites["x"] - 5, sites["y"] - 5)
        assert sites["joined"].tolist() == ((distance < reach) & (distance > 0)).tolist()
        np.testing.assert_array_equal(sites["overlap"] > 0.05, distance < reach)
    assert panels["radii"]["neighbours"].tolist() == [6, 44]
    assert "44 neighbours" in texts(draw("schematic"))


def test_schematic_lone_bump_has_no_neighbours():
    drawing = draw("schematic", sigmas=(0.05,))
    assert "no neighbours" in texts(drawing)
    assert not drawing.panels["sites"]["joined"].any()


def test_overlap_pixel_panel_matches_rendered_images():
    panels = draw("overlap").panels
    table = panels["pixel"]
    assert set(table["first_x"]) == {5.5, 6.0}
    for row in table.iloc[::97].itertuples():
        a = image(row.first_x, row.first_y, row.sigma, 12)
        b = image(row.first_x + row.distance, row.first_y, row.sigma, 12)
        assert row.overlap == pytest.approx(overlap_by_definition(a, b), rel=EXACT, abs=1e-7)


def test_overlap_border_panel_matches_rendered_images():
    table = draw("overlap", apart=1.5).panels["border"]
    for row in table.iloc[::23].itertuples():
        x = 1 + row.inwards
        step = 1.5 * row.sigma
        a = (x, 6) if row.place == "border" else (x, x)
        b = (x + step, 6) if row.place == "border" else (x + step / 2**0.5, x + step / 2**0.5)
        value = overlap_by_definition(image(*a, row.sigma, 12), image(*b, row.sigma, 12))
        assert row.overlap == pytest.approx(value, rel=EXACT)
        assert row.ratio == pytest.approx(value / math.exp(-(1.5**2) / 16), rel=EXACT)


def test_overlap_continuum_panel_is_gaussian():
    table = draw("overlap").panels["continuum"]
    expected = np.exp(-(table["distance"] ** 2) / (16 * table["sigma"] ** 2))
    np.testing.assert_allclose(table["overlap"], expected, rtol=1e-12)


def simulated_ratios(sigma, threshold, kept, realisations=200):
    """Mass ratio of a random subset of the 8 x 8 lattice by networkx: mean and standard error."""
    whole = graph(lattice(8, 1.0), sigma=sigma, threshold=threshold)
    generator = np.random.default_rng(1)
    values = []
    for _ in range(realisations):
        part = whole.subgraph(generator.choice(64, kept, replace=False).tolist())
        values.append(max(map(len, nx.connected_components(part))) / kept)
    return np.mean(values), np.std(values, ddof=1) / realisations**0.5


def test_mass_ratio_curves_match_networkx():
    curves = draw("mass-ratio", realisations=400).panels["curves"]
    assert curves["sites_kept"].min() == 2
    np.testing.assert_allclose(curves["sites_kept"], 64 * curves["fraction"])
    np.testing.assert_allclose(
        curves["mass_ratio_all"], curves["mass_ratio_kept"] * curves["fraction"]
    )
    some = curves[(curves["threshold"] == 0.05) & (curves["sigma"] == 0.2)]
    for row in some.iloc[1:-1:2].itertuples():
        mean, error = simulated_ratios(0.2, 0.05, row.sites_kept)
        assert abs(row.mass_ratio_kept - mean) < 4 * math.hypot(error, row.kept_error) + 1e-12
    whole = some.iloc[-1]
    assert (whole["mass_ratio_kept"], whole["kept_error"]) == (1, 0)
    alone = curves[curves["sigma"] == 0.1]
    np.testing.assert_allclose(alone["mass_ratio_kept"], 1 / alone["sites_kept"])


def test_mass_ratio_marks_critical_shares():
    drawing = draw("mass-ratio")
    marks = drawing.panels["critical"]
    assert len(marks) == 9
    for row in marks.itertuples():
        point = critical_fraction(row.sigma, row.threshold, 1.0, realisations=5, seed=0)
        if point is None:
            assert (row.neighbours, math.isnan(row.critical)) == (0, True)
        else:
            found = (row.neighbours, row.critical, row.error)
            assert found == (point.neighbours, point.value, point.error)
    drawn = [
        line.get_xdata()[0]
        for axes in drawing.figure.axes
        for line in axes.get_lines()
        if line.get_marker() == "^"
    ]
    np.testing.assert_array_equal(drawn, 100 * marks["critical"])
    assert "0.1 px: none" in texts(drawing)


def test_clusters_are_components_of_nested_orders():
    panels = draw("clusters", sigma=0.5, threshold=0.5).panels
    sites, summary = panels["sites"], panels["summary"]
    kept = []
    for row in summary.itertuples():
        part = sites[sites["relative"] == row.relative]
        assert len(part) == row.sites_kept == round(row.fraction * 24**2)
        assert row.fraction == pytest.approx(row.relative * row.critical)
        joined = graph(part[["x", "y"]].to_numpy(), sigma=0.5, threshold=0.5)
        components = sorted(map(len, nx.connected_components(joined)), reverse=True)
        assert part["cluster"].value_counts().sort_index().tolist() == components
        for component in nx.connected_components(joined):
            assert part["cluster"].iloc[list(component)].nunique() == 1
        assert row.mass_ratio == components[0] / len(part)
        kept.append(set(zip(part["x"], part["y"], strict=True)))
    assert kept[0] < kept[1] < kept[2]


def test_clusters_refuses_what_cannot_be_drawn():
    with pytest.raises(ValueError, match=r"^sigma = 0\.1 and threshold = 0\.5 link no two bumps"):
        draw("clusters", sigma=0.1)
    with pytest.raises(ValueError, match=r"^relative is 9"):
        draw("clusters", relative=(1.0, 9))


def test_collapse_scaled_curves_agree_at_critical_share():
    table = draw("collapse", sides=(32, 64), points=3, realisations=300).panels["scaled"]
    small, large = (
        table[(table["side"] == side) & (table["scaled_distance"].abs() < 1e-9)].iloc[0]
        for side in (32, 64)
    )
    for row in (small, large):
        assert row["fraction"] == collapse.CRITICAL
        assert row["scaled_mass_ratio"] == pytest.approx(
            row["mass_ratio"] * row["side"] ** (5 / 48)
        )
        assert row["scaled_mean_size"] == pytest.approx(
            row["mean_size"] * row["side"] ** (-43 / 24)
        )

    def apart(name):
        """Difference in standard errors."""
        error = math.hypot(small[f"{name}_error"], large[f"{name}_error"])
        return abs(small[name] - large[name]) / error

    assert apart("scaled_mass_ratio") < 3
    assert apart("scaled_mean_size") < 3
    # The plain ones differ by 2^(5 / 48) = 1.07 and 2^(43 / 24) = 3.5: 6 and 9 standard errors.
    assert apart("mass_ratio") > 3
    assert apart("mean_size") > 6


def test_collapse_plain_curves_cover_same_shares():
    plain = draw("collapse").panels["plain"]
    for _, curve in plain.groupby("side"):
        np.testing.assert_allclose(curve["fraction"], [0.5, 0.55, 0.6, 0.65, 0.7])
        assert (curve["mass_ratio"] <= curve["fraction"] + 1e-12).all()


def test_critical_shares_match_lattice_and_dense_law():
    shares = draw("critical", pairs=((0.5, 0.5), (1.0, 0.05)), realisations=100).panels["shares"]
    assert len(shares) == 8
    for row in shares.itertuples():
        reach = radius(row.sigma, row.threshold)
        assert row.dense == pytest.approx(
            critical.CONTINUUM / (math.pi * reach**2) * row.spacing**2
        )
        if row.neighbours < 40:
            point = critical_fraction(
                row.sigma, row.threshold, row.spacing, realisations=100, seed=0
            )
            assert (row.neighbours, row.critical) == (point.neighbours, point.value)
    sparse = shares[shares["neighbours"] == 4]
    assert (abs(sparse["critical"] - collapse.CRITICAL) < 4 * sparse["error"]).all()
    dense = shares[shares["neighbours"] > 400]
    assert len(dense) == 2
    assert (abs(dense["critical"] - dense["dense"]) < 4 * dense["error"]).all()


def test_critical_samples_match_predict_samples():
    samples = draw("critical").panels["samples"]
    for row in samples.itertuples():
        found = predict_samples(
            row.size, 0.5, sigma=1.0, threshold=row.threshold, realisations=3, seed=0
        )
        assert (row.value, row.sites) == (found.value, found.sites)


def test_critical_samples_open_where_never_connected():
    samples = draw("critical", sigma=0.05).panels["samples"]
    assert samples["value"].isna().all()


def test_mass_ratio_changes_with_seed():
    first, second = (draw("mass-ratio", seed=seed).panels["curves"] for seed in (0, 1))
    assert not first.equals(second)
    pd.testing.assert_series_equal(first["fraction"], second["fraction"])


def test_architecture_layers_have_published_channels_and_sides():
    """[W] Fig. 6 and [F] Fig. 7 give the channels; the sides halve and double."""
    layers = load("architecture").draw(width=64, size=32).panels["layers"].set_index("name")
    channels = layers[["channels_in", "channels_out", "side_out"]].apply(tuple, axis=1)
    assert channels.to_dict() == {
        "stem": (1, 64, 32),
        "layer0": (64, 128, 16),
        "layer1": (128, 256, 8),
        "layer2": (256, 256, 4),
        "bottleneck": (256, 256, 4),
        "layer3": (512, 128, 8),
        "layer4": (256, 64, 16),
        "layer5": (128, 64, 32),
        "head": (64, 1, 32),
    }


def test_architecture_counts_all_parameters():
    panels = draw("architecture").panels
    model = UNet(ModelSettings(width=8))
    assert panels["layers"]["parameters"].sum() == model.parameter_count
    own = sum(p.numel() for p in model.layer0.parameters())
    assert panels["block"]["parameters"].sum() == own


def test_families_show_data_set_and_examples():
    panels = draw("families").panels
    for family, labels in panels["labels"].groupby("family"):
        dataset = build(DataSettings(family=family, size=8, spacing=1.0), 0)
        assert (labels["kind"] == "2D").sum() == dataset.samples_2d
        assert len(labels) == dataset.samples_total
        shown = panels["images"][panels["images"]["family"] == family]
        assert len(shown) == 9
        assert set(shown["kind"]) == set(labels["kind"])
