"""How many packs fit on machines."""

import pytest

from factorlab.errors import UserError
from sweeps.planning.experiment import Resources
from sweeps.ray_runtime.capacity import Capacity, Machines

SERVER = Machines({"CPU": 16, "GPU": 8, "memory": 1e9})
HEAD = Machines({"CPU": 4})


@pytest.mark.parametrize(
    ("present", "later", "device", "expected"),
    [
        ([HEAD], [], "auto", {"CPU": 2}),
        ([HEAD], [], "cpu", {"CPU": 2}),
        ([HEAD], [], "cuda", {"CPU": 2, "GPU": 0.25}),
        ([HEAD, SERVER], [], "auto", {"CPU": 2, "GPU": 0.25}),
        ([HEAD, SERVER], [], "cpu", {"CPU": 2}),
        ([HEAD], [SERVER], "auto", {"CPU": 2, "GPU": 0.25}),
    ],
)
def test_needs_by_device(present, later, device, expected):
    room = Capacity(tuple(present), tuple(later))
    assert room.needs(Resources(cpu=2, gpu=0.25), device) == expected


def test_slots_are_whole_packs_on_each_machine():
    room = Capacity((HEAD, HEAD, SERVER))
    assert room.slots({"CPU": 3}) == 1 + 1 + 5
    assert room.slots({"CPU": 1, "GPU": 0.5}) == 16
    assert room.slots({"CPU": 0.1, "GPU": 0.3}) == 8 * 3  # a tenth of each GPU stays free
    assert room.slots({"CPU": 32}) == 0


def test_check_counts_machines_that_can_be_added():
    growing = Capacity((HEAD,), (Machines(SERVER.resources, 8),))
    assert growing.check(Resources(gpu=1), {"auto"}) == 64
    assert growing.check(Resources(gpu=1), {"cpu"}) == 4
    assert growing.check(Resources(gpu=1), {"auto", "cpu"}) == 4


def test_check_trusts_an_autoscaler_that_tells_no_machines():
    assert Capacity((HEAD,), grows=True).check(Resources(cpu=32), {"auto"}) == 1
    assert Capacity((HEAD,), grows=True).check(Resources(cpu=2), {"auto"}) == 2


def test_check_refuses_what_fits_nowhere():
    with pytest.raises(UserError) as refused:
        Capacity((HEAD, SERVER)).check(Resources(cpu=32), {"auto"})
    assert str(refused.value) == (
        "resources.cpu = 32, resources.gpu = 1: no machine of the cluster has that much; "
        "available: 4 CPU and 0 GPU; 16 CPU and 8 GPU"
    )
    with pytest.raises(UserError, match=r"resources\.gpu = 1"):
        Capacity((HEAD,)).check(Resources(), {"cpu", "cuda"})
