"""A sweep on machines that share no disk: their records go through object storage."""

import pytest

from tests.cluster.sweeps import Sweep, check, write
from tests.helpers.mlflow_stores import bucket_of


@pytest.fixture
def bucket(nodes):
    with bucket_of("records", nodes.environment.__setitem__) as made:
        yield made


@pytest.mark.slow
def test_machine_that_dies_loses_what_it_had_not_uploaded(nodes, bucket, tmp_path):
    records = write(tmp_path, seeds=3, steps=3000)
    (tmp_path / "runs").mkdir()
    own = f'mount -t tmpfs none {tmp_path / "runs"} && exec "$@"'
    alone = ("unshare", "--mount", "sh", "-c", own, "sh")
    nodes.head(cpus=0)
    nodes.wait_for_nodes(1)
    nodes.node(cpus=1, prefix=alone)
    nodes.wait_for_nodes(2)
    second = nodes.node(cpus=1, prefix=alone)
    nodes.wait_for_nodes(3)
    sweep = Sweep(nodes, tmp_path, "--spool", "s3://records/lab")

    def uploaded(ending):
        return {o.key.split("/")[2] for o in bucket.objects.all() if o.key.endswith(ending)}

    sweep.wait_for(lambda: len(uploaded(".pt")) >= 2)
    nodes.kill(second)
    check(sweep, records)
    keys = {record.key for record in records}
    assert uploaded("result.json") == keys
    assert uploaded(".pt") == set()  # as in a runs folder, checkpoints go at the end
