"""Label lattices, held-out regions and subsamples against counts and definitions."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from factorlab.config import DataSettings, HeldOut
from factorlab.data import lattice
from tests.helpers.rounding import EXACT

# --- lattices ---------------------------------------------------------------------------------


@given(st.integers(6, 64), st.integers(1, 400))
def test_axis_ends_exactly_on_frame(size, steps):
    axis = lattice.axis(1, size, (size - 1) / steps)
    assert len(axis) == steps + 1
    assert axis[0] == 1
    # Exactly: a label beyond N by a rounding error would count as outside of the frame.
    assert axis[-1] == size
    np.testing.assert_allclose(np.diff(axis), (size - 1) / steps, rtol=EXACT)


@pytest.mark.parametrize(("size", "spacing"), [(15, 0.07), (22, 0.14), (29, 0.56), (52, 0.17)])
def test_frame_labels_stay_in_frame_despite_rounding(size, spacing):
    labels = lattice.frame_labels(DataSettings(size=size, spacing=spacing))
    assert ((labels >= 1) & (labels <= size)).all()


@given(st.integers(6, 40), st.integers(1, 300))
def test_axis_length_is_floor_of_extent_over_spacing(size, hundredths):
    count = int((size - 1) // Fraction(hundredths, 100)) + 1
    assume(count <= 400)
    assert len(lattice.axis(1, size, hundredths / 100)) == count


@pytest.mark.parametrize(
    ("size", "spacing", "count"),
    [(32, 1.0, 32**2), (32, 0.1, 311**2), (8, 0.5, 15**2), (32, (0.1, 1.0), 311 * 32),
     (6, (5, 2), 2 * 3)],
)  # fmt: skip
def test_frame_labels_are_pairs_of_coordinates(size, spacing, count):
    labels = lattice.frame_labels(DataSettings(size=size, spacing=spacing))
    assert labels.shape == (count, 2)
    assert len(np.unique(labels, axis=0)) == count
    assert labels.min() == 1
    assert labels.max() <= size


def test_frame_labels_first_spacing_along_x():
    labels = lattice.frame_labels(DataSettings(size=6, spacing=(1.0, 2.5)))
    assert sorted(set(labels[:, 0])) == [1, 2, 3, 4, 5, 6]
    assert sorted(set(labels[:, 1])) == [1, 3.5, 6]


@given(st.integers(6, 24), st.sampled_from([1, 2, 4, 5, 10]))
def test_frame_labels_periodic_cover_torus_once(size, per_pixel):
    data = DataSettings(size=size, spacing=1 / per_pixel, periodic=True)
    labels = lattice.frame_labels(data)
    assert len(labels) == (size * per_pixel) ** 2
    sites = np.round((labels - 1) * per_pixel).astype(int) % (size * per_pixel)
    assert len(np.unique(sites, axis=0)) == len(labels)


@given(st.integers(6, 20), st.integers(4, 9))
def test_stripe_labels_count(size, margin):
    data = DataSettings(family="stripes", size=size, margin=float(margin))
    assert len(lattice.stripe_labels(data)) == 4 * margin * size


def test_stripe_labels_default_canvas_is_published_one():
    data = DataSettings(family="stripes", size=32, sigma=1.0)
    stripes = lattice.stripe_labels(data)
    assert len(np.unique(stripes[:, 0])) == 44
    assert (stripes.min(), stripes.max()) == (1 - 6, 32 + 6)
    assert DataSettings(sigma=0.2).canvas_margin == 4
    assert DataSettings(sigma=(0.5, 1.4)).canvas_margin == 9


@given(
    st.integers(6, 12),
    st.sampled_from([0.25, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0]),
    st.floats(2, 7),
)
def test_stripe_labels_one_coordinate_inside_frame(size, d, margin):
    data = DataSettings(family="stripes", size=size, stripe_spacing=d, margin=margin)
    stripes = lattice.stripe_labels(data)
    assert (((stripes >= 1) & (stripes <= size)).sum(axis=1) == 1).all()
    beyond = 1e-9 * d + EXACT  # `lattice.axis` allows for rounding by 1e-9 of an increment
    assert stripes.min() >= 1 - margin - beyond
    assert stripes.max() <= size + margin + beyond
    assert len(np.unique(stripes, axis=0)) == len(stripes)
    # Both directions have the same coordinates.
    swapped = np.unique(stripes[:, ::-1], axis=0)
    np.testing.assert_array_equal(np.unique(stripes, axis=0), swapped)


# --- subsampling ------------------------------------------------------------------------------

shares = st.floats(0.001, 1)


@given(st.integers(1, 500), shares, shares, st.integers(0, 2**63 - 1))
def test_subsample_smaller_share_is_nested_in_larger(count, one, other, seed):
    smaller, larger = sorted([one, other])
    assert set(lattice.subsample(count, smaller, seed)) <= set(
        lattice.subsample(count, larger, seed)
    )


@given(st.integers(1, 500), shares, st.integers(0, 2**63 - 1))
def test_subsample_distinct_sorted_indices(count, share, seed):
    kept = lattice.subsample(count, share, seed)
    assert abs(len(kept) - share * count) <= 0.5 + EXACT
    assert (np.diff(kept) > 0).all()
    assert ((kept >= 0) & (kept < count)).all()
    np.testing.assert_array_equal(kept, lattice.subsample(count, share, seed))


@given(st.integers(1, 300), st.integers(0, 100))
def test_subsample_whole_share_is_everything(count, seed):
    np.testing.assert_array_equal(lattice.subsample(count, 1.0, seed), np.arange(count))


def test_subsample_keeps_indices_equally_often():
    draws, count, share = 2000, 20, 0.3
    kept = np.zeros(count)
    for seed in range(draws):
        kept[lattice.subsample(count, share, seed)] += 1
    bound = 4.5 * np.sqrt(share * (1 - share) / draws)  # 4.5 standard errors
    np.testing.assert_allclose(kept / draws, share, atol=bound)


# --- held-out regions -------------------------------------------------------------------------


def in_band(value, centre, width):
    return centre - width / 2 - 1e-9 <= value <= centre + width / 2 + 1e-9


def definition(x, y, region, size):
    """Return whether a label is held out, as in the captions of [F] Figs. 4, 10, 11, 12."""
    centre_x, centre_y = region.centre or ((1 + size) / 2, (1 + size) / 2)
    in_x, in_y = in_band(x, centre_x, region.width), in_band(y, centre_y, region.width)
    if region.kind == "box" and region.place == "exterior":
        return x >= size - region.width and y >= size - region.width
    if region.kind == "box":
        return in_x and in_y
    if region.kind == "cross":
        return in_x or in_y
    if region.kind == "lesion":
        return in_x
    return not (
        x - 1 <= region.width
        or y - 1 <= region.width
        or size - x <= region.width
        or size - y <= region.width
    )


@st.composite
def held_out(draw):
    kind = draw(st.sampled_from(["box", "cross", "lesion", "rim"]))
    width = draw(st.floats(0.3, 8))
    if kind == "rim":
        return HeldOut(kind=kind, width=width)
    if kind == "box" and draw(st.booleans()):
        return HeldOut(kind=kind, width=width, place="exterior")
    centre = draw(st.none() | st.tuples(st.floats(1, 10), st.floats(1, 10)))
    return HeldOut(kind=kind, width=width, centre=centre)


@given(held_out(), st.integers(6, 10), st.sampled_from([0.5, 0.7, 1.0]))
def test_held_out_mask_matches_definition(region, size, spacing):
    data = DataSettings(size=size, spacing=spacing, held_out=region)
    labels = lattice.frame_labels(data)
    expected = [definition(x, y, region, size) for x, y in labels]
    assert lattice.held_out_mask(labels, data).tolist() == expected


@given(held_out(), st.integers(6, 10))
def test_regions_partition_the_plane(region, size):
    data = DataSettings(size=size, held_out=region)
    labels = lattice.frame_labels(data)
    parts = lattice.regions(labels, data)
    ood = parts["out_of_distribution"]
    np.testing.assert_array_equal(ood, lattice.held_out_mask(labels, data))
    np.testing.assert_array_equal(parts["in_distribution"], ~ood)
    pieces = {k: v for k, v in parts.items() if not k.endswith("_distribution")}
    if region.kind == "cross":
        assert set(pieces) == {"arm_vertical", "arm_horizontal", "intersection"}
        np.testing.assert_array_equal(sum(p.astype(int) for p in pieces.values()), ood)
    else:
        assert pieces == {}


def test_regions_vertical_arm_is_band_in_x():
    data = DataSettings(size=8, held_out=HeldOut(kind="cross", width=2))
    labels = np.array([[4.5, 1.0], [1.0, 4.5], [4.5, 4.5], [1.0, 1.0]])
    parts = lattice.regions(labels, data)
    assert parts["arm_vertical"].tolist() == [True, False, False, False]
    assert parts["arm_horizontal"].tolist() == [False, True, False, False]
    assert parts["intersection"].tolist() == [False, False, True, False]


def test_held_out_mask_empty_without_region():
    data = DataSettings(size=8)
    labels = lattice.frame_labels(data)
    assert not lattice.held_out_mask(labels, data).any()
    assert lattice.regions(labels, data) == {}


@pytest.mark.parametrize(
    ("width", "per_side", "paper"), [(6.0, 61, 0.035), (10.0, 101, 0.10)]
)  # fmt: skip
def test_held_out_mask_box_has_published_share(width, per_side, paper):
    """[W] Fig. 9: [13, 19]^2 is 3.5 % and [11, 21]^2 is 10 % at N = 32."""
    region = HeldOut(kind="box", width=width, centre=(16.0, 16.0))
    data = DataSettings(size=32, spacing=0.1, held_out=region)
    mask = lattice.held_out_mask(lattice.frame_labels(data), data)
    assert mask.sum() == per_side**2
    # The papers divide areas by 32^2. The lattice has one site more along each side of the hole and
    # a frame of 31 pixels; the published share has one decimal of a per cent.
    bound = paper * (2 / per_side + 2 / 32) + 0.0005
    assert mask.mean() == pytest.approx(paper, abs=bound)


def test_regions_cross_has_published_count():
    region = HeldOut(kind="cross", width=6.0, centre=(16.0, 16.0))
    data = DataSettings(size=32, spacing=1.0, held_out=region)
    parts = lattice.regions(lattice.frame_labels(data), data)
    assert parts["out_of_distribution"].sum() == 2 * 7 * 32 - 7**2
    assert parts["intersection"].sum() == 7**2
    assert parts["arm_vertical"].sum() == parts["arm_horizontal"].sum() == 7 * 25


@given(st.integers(0, 7), st.integers(0, 7), st.sampled_from(["box", "cross", "lesion"]))
def test_held_out_mask_periodic_moves_with_centre(by_x, by_y, kind):
    def mask(centre):
        region = HeldOut(kind=kind, width=3.0, centre=centre)
        data = DataSettings(size=8, spacing=1.0, periodic=True, held_out=region)
        return lattice.held_out_mask(lattice.frame_labels(data), data).reshape(8, 8)

    expected = np.roll(mask((4.0, 4.0)), (by_x, by_y), axis=(0, 1))
    moved = mask(((4.0 + by_x - 1) % 8 + 1, (4.0 + by_y - 1) % 8 + 1))
    np.testing.assert_array_equal(moved, expected)


def test_held_out_mask_periodic_after_whole_turn():
    def mask(centre):
        region = HeldOut(kind="box", width=3.0, centre=centre)
        data = DataSettings(size=8, spacing=1.0, periodic=True, held_out=region)
        return lattice.held_out_mask(lattice.frame_labels(data), data)

    np.testing.assert_array_equal(mask((12.0, -3.0)), mask((4.0, 5.0)))
