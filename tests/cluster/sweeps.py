"""Sweeps of small runs on a cluster."""

import subprocess

from tests.cluster.nodes import ADDRESS
from tests.helpers.experiments import records_of, write_experiment
from tests.helpers.processes import FACTORLAB, PATIENCE, wait_for

NOISE = ("Traceback", "raylet", "StatusCode", "heartbeat", "W 1", "E 1")


class Sweep:
    """A sweep on the cluster, as a process of its own."""

    def __init__(self, nodes, folder, *options, address=ADDRESS):
        self.messages_at = folder / "messages.txt"
        nodes.at_the_end.append(self.kill)
        with self.messages_at.open("wb") as messages:
            self.process = subprocess.Popen(
                [FACTORLAB, "sweep", "small.yaml", "--address", address, *options],
                cwd=folder,
                env=nodes.environment,
                stdout=subprocess.PIPE,
                stderr=messages,
                text=True,
            )

    @property
    def messages(self):
        """What the sweep has printed to the screen."""
        return self.messages_at.read_text()

    def kill(self):
        """Kill the process, if it still runs, and close its output."""
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def wait_for(self, condition):
        """Wait until a condition holds, while the sweep goes on."""

        def holds():
            assert self.process.poll() is None, self.messages
            return condition()

        wait_for(holds)

    def finish(self):
        """Wait for the end and return the exit status."""
        out, _ = self.process.communicate(timeout=PATIENCE)
        assert out == ""
        return self.process.returncode


def write(folder, seeds=5, steps=400):
    path = write_experiment(
        folder / "small.yaml",
        axes={"seed": list(range(seeds))},
        resources={"pack": 1},
        figures=[],
        training={"steps": steps, "checkpoint_every": 40},
    )
    return records_of(path, folder / "runs")


def check(sweep, records):
    """Check that a sweep trains everything, with nothing of Ray's on the screen."""
    assert sweep.finish() == 0, sweep.messages
    assert all(record.state() == "done" for record in records)
    assert not [word for word in NOISE if word in sweep.messages], sweep.messages
