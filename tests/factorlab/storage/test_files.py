"""Journals and JSON files of a record, which detect damage."""

import errno
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factorlab.errors import UserError, user_message
from factorlab.storage import journal
from factorlab.storage.files import (
    DamagedFile,
    check_writable,
    naming,
    read_json,
    write_atomically,
    write_json,
)
from factorlab.storage.journal import Journal

# Journal

metrics = st.dictionaries(
    st.text(min_size=1, max_size=8), st.floats(allow_nan=False, allow_infinity=False), max_size=4
)


# The length of a line depends on the clock, so a place is drawn as a share of the journal.
place = st.floats(0, 1, exclude_max=True)


@given(lines=st.lists(metrics, max_size=6), place=place)
def test_journal_read_cut_file_gives_complete_lines(tmp_path_factory, lines, place):
    path = tmp_path_factory.mktemp("journal") / "metrics.jsonl"
    book = Journal(path)
    ends = [0]
    for step, values in enumerate(lines):
        book.append(step, values)
        ends.append(book.length)
    content = path.read_bytes() if lines else b""
    cut = round(place * len(content))
    path.write_bytes(content[:cut])
    points, offset = journal.read(path)
    complete = sum(end <= cut for end in ends[1:])
    assert [point.metrics for point in points] == lines[:complete]
    assert offset == ends[complete]


@given(lines=st.lists(metrics, min_size=1, max_size=4), place=place, bit=st.integers(0, 7))
def test_journal_read_flipped_bit_changes_no_number(tmp_path_factory, lines, place, bit):
    path = tmp_path_factory.mktemp("journal") / "metrics.jsonl"
    book = Journal(path)
    for step, values in enumerate(lines):
        book.append(step, values)
    content = bytearray(path.read_bytes())
    content[int(place * len(content))] ^= 1 << bit
    path.write_bytes(content)
    read = [point.metrics for point in journal.read(path)[0]]
    assert read == lines[: len(read)]


def test_journal_append_ignores_written_step(tmp_path):
    book = Journal(tmp_path / "metrics.jsonl")
    book.append(1, {"loss": 1.0})
    book.append(1, {"loss": 2.0})
    with book.path.open("ab") as file:
        file.write(b"{")
    again = Journal(book.path)
    again.append(2, {"loss": 3.0})
    assert [(p.step, p.metrics) for p in journal.read(book.path)[0]] == [
        (1, {"loss": 1.0}),
        (2, {"loss": 3.0}),
    ]


# Files


@given(st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5), max_size=5))
def test_write_json_read_json_round_trip(tmp_path_factory, document):
    path = tmp_path_factory.mktemp("json") / "a.json"
    document.pop("sha256", None)
    write_json(path, document)
    assert read_json(path) == document


def test_read_json_refuses_damaged_file(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, {"value": 1})
    for content in (b"", b"[]", b"{}", path.read_bytes().replace(b"1", b"2", 1)):
        path.write_bytes(content)
        with pytest.raises(DamagedFile):
            read_json(path)
    assert read_json(tmp_path / "none.json") is None


def test_write_atomically_two_writers_of_one_path(tmp_path, monkeypatch):
    # Threads stand for two machines whose processes have the same number.
    path, replace, both = tmp_path / "code.zip", Path.replace, threading.Barrier(2, timeout=30)

    def when_both_are_written(source, target):
        both.wait()
        return replace(source, target)

    monkeypatch.setattr(Path, "replace", when_both_are_written)
    contents = [b"a" * 100, b"b" * 70]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda content: write_atomically(path, content), contents))
    assert path.read_bytes() in contents
    assert list(tmp_path.iterdir()) == [path]


def test_check_writable_two_processes_at_once(tmp_path, monkeypatch):
    unlink, both = Path.unlink, threading.Barrier(2, timeout=30)

    def when_both_are_made(path):
        both.wait()
        unlink(path)

    monkeypatch.setattr(Path, "unlink", when_both_are_made)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(check_writable, [tmp_path, tmp_path]))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "value", ["NaN", "-Infinity", "1e400", "[" * 10**5 + "]" * 10**5, "1" * 5000]
)
def test_read_json_refuses_values_that_write_json_cannot_write(tmp_path, value):
    path = tmp_path / "a.json"
    path.write_text(f'{{"value": {value}, "sha256": "0"}}')
    with pytest.raises(DamagedFile, match="not a JSON document with a checksum"):
        read_json(path)


@pytest.mark.parametrize("value", ["NaN", "1e400", "[" * 10**5 + "]" * 10**5])
def test_journal_read_ends_before_a_line_that_it_cannot_have_written(tmp_path, value):
    path = tmp_path / "metrics.jsonl"
    Journal(path).append(1, {"loss": 1.0})
    with path.open("a") as file:
        file.write(f'{{"step": 2, "time": 0, "metrics": {{"loss": {value}}}, "crc32": 0}}\n')
    assert [point.step for point in journal.read(path)[0]] == [1]


# Errors


def test_naming_adds_file_to_os_error():
    full = Path("/dev/full")  # refuses to be written, as a full disk does
    with pytest.raises(OSError) as caught, full.open("wb", buffering=0) as file, naming(full):
        file.write(b"x")
    assert user_message(caught.value) == "/dev/full: No space left on device"


def test_write_atomically_error_names_the_file(tmp_path):
    folder = tmp_path / "table.csv"
    folder.mkdir()
    for path in (folder, tmp_path / "no" / "a.csv"):
        with pytest.raises(OSError) as caught:
            write_atomically(path, b"x")
        assert caught.value.filename == str(path)
    assert list(tmp_path.iterdir()) == [folder]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (UserError("a: b"), "a: b"),
        (OSError(errno.EROFS, "whatever"), "Read-only file system"),
        (FileNotFoundError(errno.ENOENT, "whatever", "a"), None),  # our own mistake
        (ValueError("a"), None),
    ],
)
def test_user_message_none_for_our_own_mistakes(error, said):
    assert user_message(error) == said
