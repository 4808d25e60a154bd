"""How many runs or packs fit on the connected cluster, now and once it has grown."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from factorlab.errors import UserError
from sweeps.planning.experiment import Resources

Needs = Mapping[str, float]
"""Resources of one run or pack, by Ray's names: `CPU` and, on a GPU, `GPU`."""


@dataclass(frozen=True)
class Machines:
    """Machines of one kind."""

    resources: Mapping[str, float]
    """Resources of each, by Ray's names."""

    count: int = 1

    def room(self, needs: Needs) -> int:
        """Return how many runs or packs fit on these machines at the same time."""
        return self.count * min(self._room(name, amount) for name, amount in needs.items())

    def _room(self, name: str, amount: float) -> int:
        has = self.resources.get(name, 0)
        if name == "GPU":  # a pack fits on one GPU, which has a share left over
            return int(has) * int(1 / amount)
        return int(has / amount)


@dataclass(frozen=True)
class Capacity:
    """Machines of a cluster."""

    present: tuple[Machines, ...]
    later: tuple[Machines, ...] = ()
    """Machines that an autoscaler can have in all, by kind, as far as it tells them."""

    grows: bool = False
    """Whether there is an autoscaler, which may have machines of kinds that are not in `later`."""

    def needs(self, wanted: Resources, device: str) -> Needs:
        """Return the resources of one run or pack.

        Args:
            wanted: Resources that the experiment names.
            device: The run's setting: `auto` takes a GPU if the cluster has or can have any.
        """
        gpus = any(kind.resources.get("GPU", 0) > 0 for kind in (*self.present, *self.later))
        if device == "cuda" or (device == "auto" and gpus):
            return {"CPU": wanted.cpu, "GPU": wanted.gpu}
        return {"CPU": wanted.cpu}

    def slots(self, needs: Needs) -> int:
        """Return how many runs or packs fit at the same time now."""
        return sum(kind.room(needs) for kind in self.present)

    def check(self, wanted: Resources, devices: Iterable[str]) -> int:
        """Return how many runs or packs fit at the same time.

        Where not one fits now but machines can be added, all of these are counted, and one if the
        autoscaler does not tell which it has.

        Args:
            wanted: Resources that the experiment names.
            devices: Devices of the runs. The fewest slots of any of them are returned.

        Raises:
            UserError: The runs of a device fit on no machine.
        """
        return min(self._check(self.needs(wanted, device)) for device in sorted(set(devices)))

    def _check(self, needs: Needs) -> int:
        slots = self.slots(needs) or sum(kind.room(needs) for kind in self.later)
        if slots == 0 and self.grows and not self.later:
            return 1
        if slots == 0:
            asked = ", ".join(f"resources.{k.lower()} = {v:g}" for k, v in needs.items())
            has = "; ".join(
                " and ".join(f"{kind.resources.get(k, 0):g} {k}" for k in needs)
                for kind in self.later or self.present
            )
            raise UserError(f"{asked}: no machine of the cluster has that much; available: {has}")
        return slots


def of_cluster() -> Capacity:
    """Return the machines of the connected cluster."""
    import ray  # noqa: PLC0415 - Ray reads its settings at import time
    from ray._private.state import state  # noqa: PLC0415 - no public API has node types

    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    config = state.get_cluster_config()
    kinds = config.node_group_configs if config is not None else ()
    return Capacity(
        tuple(Machines(resources) for resources in nodes),
        # -1 is an unlimited number; a thousand machines are more than any sweep fills.
        tuple(
            Machines(dict(kind.resources), kind.max_count if kind.max_count >= 0 else 1000)
            for kind in kinds
        ),
        grows=bool(kinds) or _has_autoscaler(),
    )


def _has_autoscaler() -> bool:
    """Return whether an autoscaler runs. Neither of its versions has to tell its machines."""
    from ray.autoscaler.v2.utils import is_autoscaler_v2  # noqa: PLC0415 - as above
    from ray.experimental.internal_kv import _internal_kv_get  # noqa: PLC0415 - as above

    if is_autoscaler_v2(fetch_from_server=True):
        return True
    status = json.loads(_internal_kv_get(b"__autoscaling_status") or "{}")
    names = (status.get("autoscaler_report") or {}).get("active_nodes") or {}
    # Without an autoscaler, the same process reports the nodes by their ids.
    return any(not name.startswith("node_") for name in names)
