"""A Ray cluster of several nodes on this machine, started by `ray start`."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

RAY = str(Path(sys.executable).parent / "ray")
PORT = 6399
ADDRESS = f"127.0.0.1:{PORT}"
START_WITHIN = 120


class Cluster:
    """Nodes of a cluster, as processes. All of them end with `stop`.

    Args:
        folder: of Ray's sockets and logs; its path has to be short.
        environment: further environment variables of all nodes and drivers.
    """

    def __init__(self, folder: Path, **environment: str) -> None:
        self.folder = folder
        self.environment = {
            **os.environ,
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": 64 * "5",
            **environment,
        }
        self.nodes: list[subprocess.Popen] = []

    def _start(self, *options: str, prefix: tuple[str, ...] = ()) -> subprocess.Popen:
        log = self.folder / f"node-{len(self.nodes)}.log"
        with log.open("wb") as output:
            node = subprocess.Popen(
                [*prefix, RAY, "start", *options, "--block", "--disable-usage-stats"],
                env=self.environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.nodes.append(node)
        return node

    def head(self, cpus: int = 1, **options: object) -> subprocess.Popen:
        """Start the head node."""
        return self._start(
            "--head",
            f"--port={PORT}",
            f"--num-cpus={cpus}",
            "--include-dashboard=false",
            "--object-store-memory=100000000",
            f"--temp-dir={self.folder / 'ray'}",
            *(f"--{name.replace('_', '-')}={value}" for name, value in options.items()),
        )

    def node(self, cpus: int = 1, *, prefix: tuple[str, ...] = ()) -> subprocess.Popen:
        """Start a further node."""
        return self._start(
            f"--address={ADDRESS}",
            f"--num-cpus={cpus}",
            "--object-store-memory=100000000",
            prefix=prefix,
        )

    def wait_for_nodes(self, count: int) -> None:
        """Wait until a number of nodes is alive."""
        code = (
            f"import ray; ray.init(address='{ADDRESS}', log_to_driver=False, logging_level=40); "
            "print(sum(node['Alive'] for node in ray.nodes()))"
        )
        deadline = time.monotonic() + START_WITHIN
        found = ""
        while found != str(count):
            assert time.monotonic() < deadline, f"{found or 'no'} nodes are alive, not {count}"
            command = [sys.executable, "-c", code]
            ended = subprocess.run(
                command, env=self.environment, capture_output=True, text=True, check=False
            )
            found = ended.stdout.strip()

    def kill(self, node: subprocess.Popen) -> None:
        """Kill a node with its workers at once, as if its machine lost power."""
        os.killpg(node.pid, signal.SIGKILL)
        node.wait()
        self.nodes.remove(node)

    def stop(self) -> None:
        """Kill all nodes, the head last."""
        for node in reversed(self.nodes[:]):
            self.kill(node)
