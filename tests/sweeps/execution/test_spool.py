"""Records on object storage, with a server that speaks S3."""

import io
import zipfile

import pytest

from factorlab.errors import UserError
from factorlab.storage.record import Record
from sweeps.execution import spool as spool_module
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
    """Return the names of all objects, without the markers of folders."""
    return sorted(entry.key for entry in bucket.objects.all() if not entry.key.endswith("/"))


def at_step(record, step):
    """Give a record a checkpoint, in the place of the ones before."""
    record.checkpoints.mkdir(parents=True, exist_ok=True)
    for path in record.checkpoints.iterdir():
        path.unlink()
    name = f"step-{step:010d}-{32 * 'a'}.pt"
    (record.checkpoints / name).write_bytes(name.encode())


def steps(record):
    return [int(path.name.split("-")[1]) for path in record.checkpoints.glob("*.pt")]


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
    spool.send(record)
    assert objects(bucket) == []  # there is nothing to continue from
    for step in (100, 200):
        at_step(record, step)
        spool.send(record)
    assert objects(bucket) == [f"lab/trials/{record.key}/step-0000000200.zip"]
    other = Record(tmp_path / "b", key_of(1))
    spool.fetch(other, ended=True)
    assert other.state() == "new"  # the driver waits for the end
    spool.fetch(other)
    assert other.state() == "resumable"
    assert steps(other) == [200]
    finish(record)
    spool.send(record)
    assert objects(bucket) == [f"lab/trials/{record.key}/ended.zip"]
    spool.fetch(other)
    assert other.state() == "done"  # a machine that began it sees that another has ended it


def test_exchange_leaves_out_a_record_that_cannot_be_written(spool, bucket, tmp_path, caplog):
    for number in (1, 2):
        spool.send(write_record(tmp_path / "a", number, done=True))
    refused, other = (Record(tmp_path / "b", key_of(number)) for number in (1, 2))
    refused.path.parent.mkdir(parents=True)
    refused.path.touch()
    Spool("s3://records/lab").exchange([refused, other])
    assert other.state() == "done"
    assert f"{refused.path}" in caplog.text
    with pytest.raises(OSError, match=r"File exists|Not a directory") as raised:
        spool.fetch(refused)  # names the file, which tells a worker which trial to skip
    assert refused.key in raised.value.filename


def test_newest_record_wins_on_both_sides(bucket, tmp_path):
    old, new = (write_record(tmp_path / name, 1) for name in "ab")
    at_step(old, 100)
    at_step(new, 200)
    Spool("s3://records/lab").send(new)
    Spool("s3://records/lab").send(old)
    assert objects(bucket) == [f"lab/trials/{new.key}/step-0000000200.zip"]
    Spool("s3://records/lab").fetch(old)
    assert max(steps(old)) == 200
    at_step(new, 300)
    Spool("s3://records/lab").fetch(new)
    assert steps(new) == [300]


def test_second_writer_leaves_a_finished_record_whole(bucket, tmp_path):
    first, second = write_record(tmp_path / "a", 1, done=True), write_record(tmp_path / "b", 1)
    at_step(second, 100)
    Spool("s3://records/lab").send(first)
    Spool("s3://records/lab").send(second)
    second.journal.unlink()
    write_record(tmp_path / "b", 1, range(0, 70, 10), done=True)
    other = Record(tmp_path / "c", key_of(1))
    for spool in (Spool("s3://records/lab"), Spool("s3://records/lab")):
        spool.fetch(other, ended=True)
        assert other.state() == "done"
        spool.send(second)  # another whole record
        other = Record(tmp_path / "d", key_of(1))


def test_download_that_was_cut_off_is_repeated(spool, bucket, tmp_path, monkeypatch):
    record = write_record(tmp_path / "a", 1)
    at_step(record, 100)
    spool.send(record)
    other = Record(tmp_path / "b", key_of(1))
    write, written = spool_module.write_atomically, []

    def cut_off(path, content):
        if len(written) == 2:
            raise OSError("the machine died")
        written.append(path)
        write(path, content)

    monkeypatch.setattr(spool_module, "write_atomically", cut_off)
    with pytest.raises(UserError):
        spool.fetch(other)
    monkeypatch.undo()
    spool.fetch(other)
    assert steps(other) == [100]
    assert other.points() == record.points()


@pytest.mark.parametrize("content", [b"", b"PK nonsense"])
def test_damaged_object_is_named(spool, bucket, tmp_path, content):
    bucket.Object(f"lab/trials/{key_of(1)}/ended.zip").put(Body=content)
    with pytest.raises(UserError, match=r"ended\.zip: File is not a zip file"):
        spool.fetch(Record(tmp_path, key_of(1)))


def test_object_writes_nothing_outside_of_the_record(spool, bucket, tmp_path):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("../../../outside", "x")
    bucket.Object(f"lab/trials/{key_of(1)}/ended.zip").put(Body=content.getvalue())
    with pytest.raises(UserError, match="leaves the record"):
        spool.fetch(Record(tmp_path / "runs", key_of(1)))
    assert not (tmp_path / "outside").exists()


def test_forgotten_failure_is_gone_on_every_machine(spool, bucket, tmp_path):
    record = write_record(tmp_path / "a", 1)
    record.write_failure("loss is not finite", 3)
    spool.send(record)
    spool.forget(record)
    assert objects(bucket) == []
    spool.forget(record)
    Spool("s3://records/lab").fetch(record)  # by a worker, before it trains the trial again
    assert record.state() == "resumable"


def test_exchange_moves_what_has_ended_to_both_sides(spool, bucket, tmp_path):
    for number in range(4):
        at_step(write_record(tmp_path / "a", number, done=number < 3), 100)
        spool.send(Record(tmp_path / "a", key_of(number)))
    write_record(tmp_path / "b", 4, done=True)  # its upload was refused
    records = [Record(tmp_path / "b", key_of(number)) for number in range(6)]
    Spool("s3://records/lab").exchange(records)
    states = [record.state() for record in records]
    assert states == ["done", "done", "done", "new", "done", "new"]
    assert f"lab/trials/{key_of(4)}/ended.zip" in objects(bucket)


def test_storage_that_refuses_is_named(spool, tmp_path, monkeypatch):
    with pytest.raises(UserError, match="--spool s3://nobody/lab: bucket nobody does not exist"):
        Spool("s3://nobody/lab")
    monkeypatch.setattr(spool, "_names", refuse)
    with pytest.raises(UserError, match="--spool s3://records/lab: the storage does not answer"):
        spool.send(write_record(tmp_path / "a", 1, done=True))


@pytest.mark.parametrize("uri", ["nonsense://x", "s3://", "/tmp/folder", "file:///tmp/folder", ""])
def test_what_is_no_bucket_is_refused(uri):
    with pytest.raises(UserError, match=f"--spool {uri}: "):
        Spool(uri)


def refuse(*_arguments, **_options):
    raise OSError("the storage does not answer")


class Heard:
    """A listener that keeps the state of each record when it hears that the trial ended."""

    def __init__(self, runs):
        self.runs, self.states = runs, {}

    def ended(self, key, _outcome, _accuracy):
        self.states[key] = Record(self.runs, key).state()


def test_search_hears_of_the_end_once_the_record_is_there(spool, bucket, tmp_path):
    heard = Heard(tmp_path / "b")
    listener = FetchingListener(heard, spool, tmp_path / "b", wait=True)
    record = write_record(tmp_path / "a", 1, done=True)
    spool.send(record)
    listener.ended(record.key, "done", 0.5)
    assert heard.states == {record.key: "done"}


def test_download_that_failed_is_repeated_at_the_end(spool, bucket, tmp_path, monkeypatch):
    record = write_record(tmp_path / "a", 1, done=True)
    spool.send(record)
    driver = Spool("s3://records/lab")
    listener = FetchingListener(Heard(tmp_path / "b"), driver, tmp_path / "b", wait=False)
    other = Record(tmp_path / "b", record.key)
    with monkeypatch.context() as patched:
        patched.setattr(driver, "_names", refuse)
        listener.ended(record.key, "done")
        listener.finish()
    assert other.state() == "new"
    driver.exchange([other])
    assert other.state() == "done"


@pytest.mark.slow
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
