"""A sweep on machines that share no disk: their records go through object storage."""

import time

import pytest

from tests.cluster.sweeps import Sweep, check, write
from tests.helpers.mlflow_stores import bucket_of


@pytest.fixture
def bucket(nodes):
    with bucket_of("records", nodes.environment.__setitem__) as made:
        yield made


@pytest.mark.slow
def test_machine_that_dies_loses_what_it_had_not_uploaded(nodes, bucket, tmp_path):
    records = write(tmp_path, seeds=3, steps=1000)
    (tmp_path / "runs").mkdir()
    own = f'mount -t tmpfs none {tmp_path / "runs"} && exec "$@"'
    alone = ("unshare", "--mount", "sh", "-c", own, "sh")
    nodes.head(cpus=0)
    nodes.node(cpus=1, prefix=alone)
    second = nodes.node(cpus=1, prefix=alone)
    sweep = Sweep(nodes, tmp_path, "--spool", "s3://records/lab")

    def uploaded(name):
        return {o.key.split("/")[2] for o in bucket.objects.all() if name in o.key}

    sweep.wait_for(lambda: len(uploaded("step-")) >= 2)
    begun, killed = uploaded("step-"), time.time()
    nodes.kill(second)
    check(sweep, records)
    assert uploaded("ended.zip") == {record.key for record in records}
    assert uploaded("step-") == set()
    for record in records:  # those that had begun were continued, not begun again
        assert (record.points()[0][0].time < killed) == (record.key in begun)
