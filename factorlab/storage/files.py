"""Atomic writing of files, and JSON documents with a checksum."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from factorlab.errors import UserError, concerns_one_file, user_message


class DamagedFile(RuntimeError):  # noqa: N818 - the name says what was found
    """A file is not what was written: its checksum or its format is wrong."""


def reason_of(error: DamagedFile | OSError) -> str:
    """Return in one line why a file cannot be used.

    Raises:
        OSError: The error itself, if it does not concern this file alone, such as too many open
            files.
    """
    if isinstance(error, OSError) and not concerns_one_file(error):
        raise error
    return str(error) if isinstance(error, DamagedFile) else user_message(error) or str(error)


def canonical(value: object) -> bytes:
    """Return the canonical JSON of a value: sorted keys, no spaces, ASCII, no NaN."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return text.encode("ascii")


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that a crash at any moment leaves either the old or the new content.

    The content is synced to disk before the file is renamed, and the new name is synced before this
    function returns.
    """
    temporary = temporary_name(path)
    try:
        with naming(path, temporary):
            with temporary.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    sync(path.parent)


def temporary_name(path: Path) -> Path:
    """Return a new name beside a file, for its content while it is written.

    No other thread, process or machine gets the same one; machines that share a folder may have
    processes of the same number. `Record.remove_temporary_files` finds it by its dot and `.tmp`.
    """
    return path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")


@contextmanager
def naming(path: Path, temporary: Path | None = None) -> Iterator[None]:
    """Add a file name to operating-system errors raised inside; reads and writes omit it.

    Args:
        path: The file.
        temporary: Its temporary name, which errors do not show.
    """
    try:
        yield
    except OSError as error:
        if error.errno is not None and error.filename in (None, "", str(temporary), temporary):
            error.filename = str(path)
        raise


def sync(path: Path) -> None:
    """Sync the content of a file, or the names in a folder, to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        with naming(path):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def check_writable(folder: Path) -> None:
    """Create a folder and check that it is writable.

    Raises:
        UserError: It cannot be created or is not writable.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = temporary_name(folder / "writable")
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UserError(f"{folder}: cannot be written: {error.strerror}") from None


def digest(path: Path) -> str:
    """Return the sha256 of the content of a file, as 64 hexadecimal digits."""
    with path.open("rb") as file, naming(path):
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_arrays(path: Path) -> dict[str, Any] | None:
    """Return the arrays of a compressed file by name, None if the file does not exist.

    Raises:
        DamagedFile: The file is damaged or cannot be read.
    """
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            return dict(file)
    except FileNotFoundError:
        return None
    except (ValueError, OSError, EOFError, BadZipFile, zlib.error) as error:
        raise DamagedFile(f"{path}: {error}") from None


def write_json(path: Path, document: dict[str, Any]) -> None:
    """Write a document as readable JSON with its checksum under `sha256`, atomically."""
    checked = {**document, "sha256": hashlib.sha256(canonical(document)).hexdigest()}
    write_atomically(path, (json.dumps(checked, indent=2, allow_nan=False) + "\n").encode())


def read_json(path: Path) -> dict[str, Any] | None:
    """Return a document written by `write_json`, without its checksum; None if there is no file.

    Raises:
        DamagedFile: The content is incomplete or its checksum does not match.
    """
    try:
        with naming(path):
            content = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        document = json.loads(content)
        checksum = document.pop("sha256")
        found = hashlib.sha256(canonical(document)).hexdigest()  # of neither NaN nor infinity
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError):
        raise DamagedFile(f"{path}: incomplete, or not a JSON document with a checksum") from None
    if checksum != found:
        raise DamagedFile(f"{path}: its checksum does not match its content")
    return dict(document)
