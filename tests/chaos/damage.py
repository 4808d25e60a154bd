"""Files of a record that are torn, flipped, emptied or of another version.

A trial is killed half-way, its files are damaged, and it is resumed; or the result of a finished
trial is damaged.
"""

import hashlib
import io
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

from factorlab.storage import checkpoint
from factorlab.storage.record import Record
from factorlab.trial import Trial
from tests.chaos import forks

MIDDLE = 13
"""Step after which the trial is stopped, between two checkpoints."""


def _record(runs: Path) -> Record:
    return Trial(forks.settings(), runs).record


def stop_in_the_middle(runs: Path) -> int:
    """Train half-way and exit; to be called in a child."""
    for progress in Trial(forks.settings(), runs).run():
        if progress.step == MIDDLE:
            os._exit(0)
    raise AssertionError


def _targets(runs: Path) -> dict[str, Path]:
    """Return the files that a resumed trial reads."""
    record = _record(runs)
    newest = max(record.checkpoints.glob("*.pt"))
    return {
        "checkpoint": newest,
        "journal": record.journal,
        "config": record.path / "config.json",
    }


def torn(path: Path, rng: random.Random) -> None:
    """Truncate a file at a random byte."""
    os.truncate(path, rng.randrange(path.stat().st_size))


def flipped(path: Path, rng: random.Random) -> None:
    """Flip a random bit."""
    content = bytearray(path.read_bytes())
    content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    path.write_bytes(content)


def empty(path: Path, _rng: random.Random) -> None:
    """Truncate it to nothing."""
    os.truncate(path, 0)


def gone(path: Path, _rng: random.Random) -> None:
    """Delete it."""
    path.unlink()


def longer(path: Path, rng: random.Random) -> None:
    """Append zeros, as a file system that extends a file before it writes."""
    with path.open("ab") as file:
        file.write(bytes(rng.randrange(1, 200)))


def of_another_version(path: Path, _rng: random.Random) -> None:
    """Replace a checkpoint by a valid one of another format version."""
    state = torch.load(path, weights_only=True)
    content = io.BytesIO()
    torch.save({**state, "format": checkpoint.FORMAT + 1}, content)
    path.unlink()
    name = f"{path.stem.rpartition('-')[0]}-{hashlib.sha256(content.getvalue()).hexdigest()[:32]}"
    path.with_name(f"{name}.pt").write_bytes(content.getvalue())


def of_another_value(path: Path, rng: random.Random) -> None:
    """Change a digit of a number, which leaves a readable line."""
    content = bytearray(path.read_bytes())
    places = [i for i, byte in enumerate(content) if chr(byte).isdigit() and content[i - 1] == 46]
    place = rng.choice(places)  # the first digit after a point
    content[place] = ord(rng.choice([d for d in "123456789" if d != chr(content[place])]))
    path.write_bytes(content)


DAMAGES = (torn, flipped, empty, gone, longer)
EVERY = forks.SETTINGS["training"]["checkpoint_every"]
MIDWAY = {
    "checkpoint": MIDDLE // EVERY * EVERY - EVERY,
    "journal": 0,
    "config": MIDDLE // EVERY * EVERY,
}
"""Files that a stopped trial is resumed from, and the step it is resumed at without them."""

Damage = tuple[str, Callable[[Path], None], int]
"""Name, the function that does it, and the step at which the trial has to be resumed."""


def of_a_stopped_trial(times: int, seed: int) -> Iterator[Damage]:
    """Yield damages of the files that a stopped trial is resumed from."""
    special = {"checkpoint": [of_another_version], "journal": [of_another_value]}
    for which, step in MIDWAY.items():
        for damage in (*DAMAGES, *special.get(which, [])):
            for k in range(times):
                name = f"{which} {damage.__name__}"

                def do(runs: Path, which: str = which, damage=damage, k: int = k) -> None:
                    damage(_targets(runs)[which], random.Random(f"{seed} {which} {k}"))

                yield name, do, step


def of_a_finished_trial(times: int, seed: int) -> Iterator[Damage]:
    """Yield damages of the result and of its journal."""
    for which in ("result.json", "metrics.jsonl"):
        for damage in DAMAGES:
            for k in range(times):

                def do(runs: Path, which: str = which, damage=damage, k: int = k) -> None:
                    damage(_record(runs).path / which, random.Random(f"{seed} {which} {k}"))

                yield f"of a finished trial, {which} {damage.__name__}", do, 0
