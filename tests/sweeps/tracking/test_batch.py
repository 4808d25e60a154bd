"""What is sent to one MLflow run keeps to MLflow's limits and arrives once."""

from hypothesis import given
from hypothesis import strategies as st
from mlflow.entities import Metric

from sweeps.tracking.batch import ENTRIES_AT_ONCE, PARAMETERS_AT_ONCE, TAGS_AT_ONCE, Batch


class Client:
    """Keeps what it is sent."""

    def __init__(self):
        self.requests = []

    def log_batch(self, run, metrics, params, tags):
        assert run == "r"
        self.requests.append((list(metrics), list(params), list(tags)))


def named(count):
    return {f"n{i}": f"v{i}" for i in range(count)}


@given(st.integers(0, 2500), st.integers(0, 250), st.integers(0, 250), st.integers(0, 250))
def test_batch_sends_all_once_within_limits(metrics, parameters, tags, there):
    client = Client()
    points = [Metric("loss", float(i), i, i) for i in range(metrics)]
    Batch(points, named(parameters), named(tags), named(there)).send(client, "r")
    for request in client.requests:
        assert 0 < sum(map(len, request)) <= ENTRIES_AT_ONCE
        assert len(request[1]) <= PARAMETERS_AT_ONCE
        assert len(request[2]) <= TAGS_AT_ONCE
    sent = [[one for request in client.requests for one in request[i]] for i in range(3)]
    assert sent[0] == points
    assert {one.key: one.value for one in sent[1]} == named(parameters)
    missing = dict(list(named(tags).items())[min(there, tags) :])
    assert {one.key: one.value for one in sent[2]} == missing


def test_batch_sends_changed_tag():
    client = Client()
    Batch(tags={"state": "done", "key": "1"}, there={"state": "running", "key": "1"}).send(
        client, "r"
    )
    ((_, _, tags),) = client.requests
    assert [(tag.key, tag.value) for tag in tags] == [("state", "done")]
