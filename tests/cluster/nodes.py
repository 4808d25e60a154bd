"""A Ray cluster of several nodes on this machine, started by `ray start`."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil

PORT = 6379  # Ray's simulated cloud knows no other
ADDRESS = f"127.0.0.1:{PORT}"
CLIENT_ADDRESS = "ray://127.0.0.1:10001"
START_WITHIN = 120


class Cluster:
    """Nodes of a cluster, as processes. All of them end with `stop`.

    Args:
        folder: of Ray's sockets and logs; its path has to be short.
        environment: further environment variables of all nodes and drivers.
    """

    def __init__(self, folder: Path, **environment: str) -> None:
        self.folder = folder
        # A link, since Ray starts no workers if the path of its Python has a space.
        environment_of_python = folder / "venv"
        environment_of_python.symlink_to(sys.prefix)
        self.python = str(environment_of_python / "bin" / "python")
        self.environment = {
            **os.environ,
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": 64 * "5",
            **environment,
        }
        self.nodes: list[subprocess.Popen] = []
        self.at_the_end: list[Callable[[], None]] = []

    def _start(self, *options: str, prefix: tuple[str, ...] = ()) -> subprocess.Popen:
        ray = (self.python, "-m", "ray.scripts.scripts")
        log = self.folder / f"node-{len(self.nodes)}.log"
        with log.open("wb") as output:
            node = subprocess.Popen(
                [*prefix, *ray, "start", *options, "--block", "--disable-usage-stats"],
                env=self.environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.nodes.append(node)
        self._wait_until_alive()
        return node

    def head(
        self, cpus: int = 1, *, prefix: tuple[str, ...] = (), **options: object
    ) -> subprocess.Popen:
        """Start the head node and wait until it is alive."""
        return self._start(
            "--head",
            f"--port={PORT}",
            f"--num-cpus={cpus}",
            "--include-dashboard=false",
            "--object-store-memory=100000000",
            f"--temp-dir={self.folder / 'ray'}",
            *(f"--{name.replace('_', '-')}={value}" for name, value in options.items()),
            prefix=prefix,
        )

    def node(
        self, cpus: int = 1, *, gpus: int = 0, prefix: tuple[str, ...] = ()
    ) -> subprocess.Popen:
        """Start a further node and wait until it is alive."""
        return self._start(
            f"--address={ADDRESS}",
            f"--num-cpus={cpus}",
            f"--num-gpus={gpus}",
            "--object-store-memory=100000000",
            prefix=prefix,
        )

    def _ask(self, expression: str) -> str:
        """Return the value of an expression in a process that is connected to the cluster.

        It comes back in a file: Ray prints messages of its own, such as that a node died.
        """
        answer = self.folder / "answer"
        answer.write_text("")
        code = (
            "import sys; from pathlib import Path; import ray; "
            f"ray.init(address='{ADDRESS}', log_to_driver=False, logging_level=40); "
            f"Path(sys.argv[1]).write_text(str({expression}))"
        )
        subprocess.run(
            [sys.executable, "-c", code, str(answer)],
            env=self.environment,
            capture_output=True,
            check=False,
        )
        return answer.read_text()

    def alive(self) -> int:
        """Return the number of nodes that are alive; 0 if none answers yet."""
        return int(self._ask("sum(node['Alive'] for node in ray.nodes())") or 0)

    def _wait_until_alive(self) -> None:
        """Wait until all nodes are. Those that start at the same time may choose the same ports."""
        deadline = time.monotonic() + START_WITHIN
        while (found := self.alive()) != len(self.nodes):
            assert time.monotonic() < deadline, f"{found} nodes are alive, not {len(self.nodes)}"

    def preempt(self, node: subprocess.Popen, seconds: int = 3) -> None:
        """Announce the end of a node, as a cloud does for a spot machine, and kill it then."""
        raylet = next(
            process
            for process in psutil.Process(node.pid).children(recursive=True)
            if process.name() == "raylet"
        )
        (own,) = [word for word in raylet.cmdline() if word.startswith("--node_id=")]
        subprocess.run(
            [
                *(self.python, "-m", "ray.scripts.scripts", "drain-node"),
                f"--address={ADDRESS}",
                f"--node-id={own.partition('=')[2]}",
                "--reason=DRAIN_NODE_REASON_PREEMPTION",
                "--reason-message=the spot machine is taken away",
                f"--deadline-remaining-seconds={seconds}",
            ],
            env=self.environment,
            check=True,
            capture_output=True,
        )
        time.sleep(seconds)
        self.kill(node)

    def kill(self, node: subprocess.Popen) -> None:
        """Kill a node with its workers at once, as if its machine lost power."""
        processes = psutil.Process(node.pid).children(recursive=True)
        node.kill()
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        node.wait()
        self.nodes.remove(node)

    def stop(self) -> None:
        """Kill all nodes, the head last, after the processes that use them."""
        for end in self.at_the_end:
            end()
        for node in reversed(self.nodes[:]):
            self.kill(node)
