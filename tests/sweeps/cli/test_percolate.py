"""`factorlab percolate`: its JSON, its tables, its progress bar and its error messages."""

import contextlib
import json
import os
import pty
import re
import signal
import subprocess
import sys
import threading
import time

import networkx as nx
import numpy as np
import psutil
import pytest

from percolation import graph, lattice, radius
from percolation.critical import critical_point
from percolation.union_find import generator_of
from sweeps.cli import main
from tests.helpers.processes import FACTORLAB, PATIENCE, running, wait_for

CURVE = ["--size", "6", "--spacing", "1", "--sigma", "0.5", "--threshold", "0.3"]


def percolate(capsys, monkeypatch, *arguments):
    """Run the command in this process; return status, standard output and standard error."""
    monkeypatch.setattr(sys, "argv", ["factorlab", "percolate", *arguments])
    with pytest.raises(SystemExit) as ended:
        main.main()
    out, err = capsys.readouterr()
    return ended.value.code, out, err


def test_curve_json_agrees_with_networkx(capsys, monkeypatch):
    code, out, err = percolate(
        capsys, monkeypatch, "curve", *CURVE,
        "--lambda", "0.25", "--lambda", "0.5", "--lambda", "1", "--realisations", "3",
        "--seed", "9", "--json",
    )  # fmt: skip
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert found["lambda"] == [0.25, 0.5, 1]
    assert found["radius"] == pytest.approx(radius(0.5, 0.3))
    assert (found["sites"], found["neighbours"], found["realisations"]) == (36, 12, 3)
    reference = graph(lattice(6, 1), sigma=0.5, threshold=0.3)
    ratios = {share: [] for share in found["lambda"]}
    for realisation in range(3):
        generator, order = generator_of(9, realisation), list(range(36))
        for place in range(36):
            other = place + int(generator.random() * (36 - place))
            order[place], order[other] = order[other], order[place]
        for share, values in ratios.items():
            kept = order[: round(36 * share)]
            largest = max(map(len, nx.connected_components(reference.subgraph(kept))))
            values.append(largest / len(kept))
    for index, values in enumerate(ratios.values()):
        mean, error = np.mean(values), np.std(values, ddof=1) / 3**0.5
        assert found["mass_ratio_kept"][index] == pytest.approx(mean)
        assert found["mass_ratio_all"][index] == pytest.approx(mean * found["lambda"][index])
        assert found["stderr"][index] == pytest.approx(error)


@pytest.mark.parametrize(
    "options",
    [
        ["--overlap", "pixel"],
        ["--edges", "periodic"],
        ["--edges", "periodic", "--overlap", "pixel"],
        ["--occupation", "smoothed", "--points", "7"],
        ["--spacing", "2"],
        ["--realisations", "1"],
    ],
)
def test_curve_options(options, capsys, monkeypatch):
    code, out, _ = percolate(
        capsys, monkeypatch, "curve", *CURVE, "--realisations", "5", "--json", *options
    )
    assert code == 0
    found = json.loads(out)
    assert found["lambda"][-1] == 1
    if "2" in options:  # increments of 1 and 2 pixels
        assert found["sites"] == 6 * 3
    if "--points" in options:
        assert len(found["lambda"]) == 7
    if found["realisations"] == 1:
        assert found["stderr"] == [None] * len(found["lambda"])


def test_curve_table(capsys, monkeypatch):
    code, out, _ = percolate(capsys, monkeypatch, "curve", *CURVE, "--points", "4")
    assert code == 0
    header, *rows, last = out.splitlines()
    assert header.split()[:4] == ["lambda", "sites_kept", "mass_ratio_kept", "stderr"]
    assert [float(row.split()[1]) for row in rows] == [2, 5, 14, 36]
    assert last.startswith("link radius 2.195 pixels, 12 neighbours, 36 sites, 100 realis")


def test_critical_json_of_square_lattice(capsys, monkeypatch):
    code, out, _ = percolate(
        capsys, monkeypatch, "critical", "--radius2", "1", "--lattice", "32",
        "--realisations", "1500", "--json",
    )  # fmt: skip
    assert code == 0
    found, expected = json.loads(out), critical_point(1.0, side=32, realisations=1500)
    assert found == {
        "critical": expected.value,
        "stderr": expected.error,
        "neighbours": 4,
        "lattice": 32,
        "realisations": 1500,
        "seed": 0,
    }
    # The error of the wrapping probability, at most 1/2 / sqrt(1500), over its slope, 32^(3/4).
    assert found["stderr"] < 0.5 / 1500**0.5 / 32**0.75
    assert abs(found["critical"] - 0.592746) < 3 * found["stderr"]


def test_critical_with_time_limit(capsys, monkeypatch):
    code, out, _ = percolate(
        capsys, monkeypatch, "critical", "--radius2", "2", "--lattice", "8", "--seconds", "0.01"
    )
    assert code == 0
    assert re.fullmatch(
        r"0\.\d{6} \+- 0\.\d{6} \(8 neighbours, torus of 8 x 8 sites, \d+ realisations, "
        r"seed 0\)\n",
        out,
    )


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["curve", *CURVE, "--sigma", "0"], "sigma is 0.0, but it must be a positive number"),
        (["curve", *CURVE, "--size", "0"], "size is 0, but"),
        (["curve", *CURVE[:2], *CURVE[4:], "--spacing", "-1"], "spacing is -1.0, but"),
        (["curve", *CURVE, "--threshold", "1"], "threshold is 1.0, but it must lie"),
        (["curve", *CURVE, "--lambda", "1.5"], "lambda is 1.5, but it must lie in [0, 1]"),
        (["curve", *CURVE, "--size", "4000000"], "GB of memory"),
        (
            ["curve", *CURVE[:2], *CURVE[4:], "--spacing", "4", "--edges", "periodic"],
            "divide size = 6",
        ),
        (["curve", *CURVE, "--overlap", "soft"], "'--overlap'"),
        (["curve", "--size", "4"], "Missing option"),
        (["curve", *CURVE, "--threshold", "0.9999999999"], "threshold is 0.9999999999, but"),
        (["curve", *CURVE[:2], *CURVE[4:], "--spacing", "1e-155"], "too small to count"),
        (["curve", *CURVE[2:], "--size", "1" + 400 * "0"], "size is a number of 401 digits, but"),
        (["curve", *CURVE, "--sigma", "1e200", "--overlap", "pixel"], "sigma is 1e+200, but"),
        (["curve", *CURVE, "--realisations", "1000000000000"], "realisations of"),
        (["critical", "--radius2", "1e308"], "radius2 = 1e+308: links reach 1e+154 sites"),
        (
            ["critical", "--radius2", "1", "--lattice", "1" + 200 * "0"],
            "side is a number of 201 digits, but",
        ),
        (["critical", "--radius2", "1", "--seconds", "inf"], "seconds is inf, but"),
        (["critical", "--radius2", "0.9"], "radius2 is 0.9, but it must be at least 1"),
        (["critical", "--radius2", "1", "--lattice", "2"], "side is 2, but"),
        (["critical", "--radius2", "1", "--seconds", "-1"], "seconds is -1.0, but"),
        ([], "Missing command"),
    ],
)
def test_percolate_reports_mistake_in_one_sentence(arguments, sentence, capsys, monkeypatch):
    code, out, err = percolate(capsys, monkeypatch, *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("factorlab: ")
    assert err.count("\n") == 1
    assert sentence in err


def test_critical_shows_progress_on_terminal_only():
    """Standard error is a terminal, standard output a pipe."""
    ours, theirs = pty.openpty()
    arguments = ["percolate", "critical", "--radius2", "1", "--lattice", "16", "--json"]
    shown, begin, first = bytearray(), time.monotonic(), []

    def drain():  # a full terminal would stop the command
        with contextlib.suppress(OSError):  # the terminal is closed
            while chunk := os.read(ours, 65536):
                first.append(time.monotonic() - begin)
                shown.extend(chunk)

    reader = threading.Thread(target=drain)
    with subprocess.Popen(
        [FACTORLAB, *arguments, "--seconds", "3"],
        stdout=subprocess.PIPE,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "100"},
    ) as process:
        os.close(theirs)
        reader.start()
        out = process.communicate(timeout=PATIENCE)[0]
    reader.join()
    os.close(ours)
    assert process.returncode == 0
    assert json.loads(out)["neighbours"] == 4
    assert b"seconds" in shown
    assert first[0] > 2  # the command, which began later, shows nothing for two seconds


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
def test_critical_interrupted_stops_threads(kind):
    arguments = ["percolate", "critical", "--radius2", "1", "--seconds", "1e6", "--workers", "8"]
    single = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}  # then only the workers are threads
    with running(*arguments, env=single) as process:
        wait_for(lambda: psutil.Process(process.pid).num_threads() > 8)
        process.send_signal(kind)
        err = process.communicate(timeout=PATIENCE)[1]
    assert process.returncode == 130
    assert err == "factorlab: interrupted\n"
