"""Records on object storage, with a server that speaks S3."""

import pytest

from factorlab.errors import UserError
from factorlab.storage.record import Record
from sweeps.execution.spool import FetchingListener, Spool
from tests.helpers.experiments import records_of, write_experiment
from tests.helpers.mlflow_runs import finish, key_of, write_record
from tests.helpers.mlflow_stores import bucket_of
from tests.helpers.processes import factorlab


@pytest.fixture
def bucket(monkeypatch):
    with bucket_of("records", monkeypatch.setenv) as made:
        yield made


@pytest.fixture
def spool(bucket):
    return Spool("s3://records/lab")


def objects(bucket):
    return sorted(entry.key for entry in bucket.objects.all())


def with_checkpoint(record, name):
    record.checkpoints.mkdir(exist_ok=True)
    (record.checkpoints / name).write_bytes(name.encode())


def test_finished_record_arrives_whole(spool, bucket, tmp_path):
    record = write_record(tmp_path / "a", 1, done=True)
    (record.path / "lease").touch()
    (record.path / "mlflow").mkdir()
    (record.path / "mlflow" / "x.json").touch()
    spool.send(record)
    other = Record(tmp_path / "b", key_of(1))
    Spool("s3://records/lab").fetch(other, ended=True)
    assert other.state() == "done"
    assert other.points() == record.points()
    names = {path.name for path in other.path.rglob("*") if path.is_file()}
    assert names == {"config.json", "metrics.jsonl", "result.json"}


def test_unfinished_record_continues_on_another_machine(spool, bucket, tmp_path):
    record = write_record(tmp_path / "a", 1)
    with_checkpoint(record, "step-1.pt")
    assert spool.has_news(record)
    spool.send(record)
    assert not spool.has_news(record)
    with_checkpoint(record, "step-2.pt")
    (record.checkpoints / "step-1.pt").unlink()
    spool.send(record)
    other = Record(tmp_path / "b", key_of(1))
    spool.fetch(other, ended=True)
    assert other.state() == "new"  # the driver waits for the end
    spool.fetch(other)
    assert other.state() == "resumable"
    assert [path.name for path in other.checkpoints.iterdir()] == ["step-2.pt"]
    finish(record)
    spool.send(record)
    spool.fetch(other)
    assert other.state() == "done"  # a machine that began it sees that another has ended it


def test_result_is_uploaded_last(spool, bucket, tmp_path, monkeypatch):
    record = write_record(tmp_path / "a", 1, done=True)
    sent = []
    upload = spool._upload

    def recorded(record, paths):
        paths = list(paths)
        sent.extend(path.name for path in paths)
        upload(record, paths)

    monkeypatch.setattr(spool, "_upload", recorded)
    spool.send(record)
    assert sent[-1] == "result.json"
    assert len(sent) == 3


def test_torn_upload_is_not_an_ending(spool, bucket, tmp_path):
    record = write_record(tmp_path / "a", 1, done=True)
    spool.send(record)
    bucket.Object(f"lab/trials/{record.key}/result.json").delete()  # as if it had died before
    other = Record(tmp_path / "b", key_of(1))
    spool.fetch(other, ended=True)
    assert other.state() == "new"


def test_forgotten_failure_is_gone(spool, bucket, tmp_path):
    record = write_record(tmp_path / "a", 1)
    record.write_failure("loss is not finite", 3)
    spool.send(record)
    spool.forget(record)
    assert f"lab/trials/{record.key}/failure.json" not in objects(bucket)
    spool.forget(record)


def test_fetch_all_takes_what_has_ended(spool, bucket, tmp_path):
    for number in range(4):
        spool.send(write_record(tmp_path / "a", number, done=number < 3))
    records = [Record(tmp_path / "b", key_of(number)) for number in range(6)]
    spool.fetch_all(records)
    assert [record.state() for record in records] == 3 * ["done"] + 3 * ["new"]


def test_storage_that_refuses_is_named(spool, tmp_path, monkeypatch):
    with pytest.raises(UserError, match="--spool s3://nobody/lab: bucket nobody does not exist"):
        Spool("s3://nobody/lab")
    monkeypatch.setattr(spool, "_list", refuse)
    with pytest.raises(UserError, match="--spool s3://records/lab: the storage does not answer"):
        spool.send(write_record(tmp_path / "a", 1))
    with pytest.raises(UserError, match="--spool nonsense://x: "):
        Spool("nonsense://x")


def refuse(*_arguments, **_options):
    raise OSError("the storage does not answer")


def test_listener_reports_a_download_that_failed(spool, bucket, tmp_path, monkeypatch):
    heard = []

    class Other:
        def ended(self, key, outcome, accuracy):
            heard.append((key, outcome, accuracy))

    listener = FetchingListener(Other(), spool, tmp_path / "b")
    record = write_record(tmp_path / "a", 1, done=True)
    spool.send(record)
    listener.ended(record.key, "done", 0.5)
    listener.finish()
    assert heard == [(record.key, "done", 0.5)]
    assert Record(tmp_path / "b", record.key).state() == "done"
    monkeypatch.setattr(spool, "_list", refuse)
    listener.ended(key_of(2), "done")
    with pytest.raises(UserError):
        listener.finish()


def test_sweep_finds_in_the_bucket_what_another_machine_trained(bucket, tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        path = write_experiment(
            tmp_path / name / "small.yaml", axes={"seed": [0, 1]}, resources={"pack": 1}, figures=[]
        )
    options = ("sweep", "small.yaml", "--spool", "s3://records/lab")
    first = factorlab(*options, cwd=tmp_path / "one")
    assert first.returncode == 0, first.stderr
    second = factorlab(*options, cwd=tmp_path / "two")
    assert second.returncode == 0, second.stderr
    assert "nothing left to train" in second.stderr
    ours, theirs = (records_of(path, tmp_path / name / "runs") for name in ("one", "two"))
    for mine, other in zip(ours, theirs, strict=True):
        assert mine.result() == other.result()
        assert mine.points() == other.points()


ASHA = {"algorithm": "ray.tune.schedulers.ASHAScheduler", "metric": "accuracy", "mode": "max"}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"representations": {"layers": ["layer4"]}}, "representations.layers: representations"),
        ({"scheduler": ASHA}, "scheduler: early stopping"),
    ],
)
def test_sweep_that_needs_a_shared_folder_is_refused(bucket, tmp_path, changes, said):
    write_experiment(tmp_path / "small.yaml", axes={"seed": [0]}, figures=[], **changes)
    ended = factorlab("sweep", "small.yaml", "--spool", "s3://records/lab", cwd=tmp_path)
    assert ended.returncode == 2
    message = f"factorlab: small.yaml: {said} needs a runs folder that all machines share"
    assert ended.stderr.splitlines()[-1].replace(" need ", " needs ").startswith(message)
