"""A plain file: each message is appended as one line of JSON and is on the disk when `send` returns.

For installations without any other channel, for demonstrations, and as a paper trail beside the others.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import Field

from alerts.channels.base import ChannelOptions, Message, SendError, Sent

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class FileOptions(ChannelOptions):
    """path  the file, relative to the configuration's folder; it and its folder are created"""

    kind: Literal["file"]
    path: str = Field(min_length=1)


class File:
    """Whole lines only: what could not be written in full is taken back, and a fragment that a crash left behind is
    closed with a line break before the next line. Every error is temporary: a full disk gets room again."""

    def __init__(self, options: FileOptions, base: Path) -> None:
        self.name = options.name
        self.path = base / options.path

    def send(self, message: Message, now: datetime) -> Sent:
        line = line_of(message, now)
        try:
            handle = self.open()
        except OSError as error:
            raise SendError("io", f"the file of channel {self.name} cannot be opened ({error.strerror})") from error
        size = 0
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)  # several threads, or a second program, may append
            size = os.lseek(handle, 0, os.SEEK_END)
            append(handle, line, size)
        except OSError as error:
            why = "the disk is full" if error.errno in FULL else error.strerror
            said = f"the file of channel {self.name} cannot be written ({why})"
            raise SendError("io", said, uncertain=not taken_back(handle, size)) from error
        finally:
            os.close(handle)
        return Sent()

    def open(self) -> int:
        flags = os.O_RDWR | os.O_APPEND | os.O_CLOEXEC
        try:
            return os.open(self.path, flags)
        except FileNotFoundError:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(self.path, flags | os.O_CREAT, 0o640)
            folder = os.open(self.path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)  # the name must be as durable as the lines
            finally:
                os.close(folder)
            return handle


def append(handle: int, line: bytes, size: int) -> None:
    """Write one whole line behind the `size` bytes that are there, and wait until it is on the disk."""
    if size and os.pread(handle, 1, size - 1) != b"\n":
        line = b"\n" + line
    written = 0
    while written < len(line):
        written += os.write(handle, line[written:])
    os.fsync(handle)


def taken_back(handle: int, size: int) -> bool:
    """Cut off what was written of a line. False when that does not work: the line, or a part of it, may be there."""
    try:
        if os.fstat(handle).st_size > size:
            os.ftruncate(handle, size)
            os.fsync(handle)
    except OSError:
        return False
    return True


def line_of(message: Message, now: datetime) -> bytes:
    value = {
        "at": now.astimezone(UTC).isoformat(),
        "key": message.key,
        "to": message.address,
        "subject": message.subject,
        "text": message.body,
        "link": message.link,
        "created_at": message.created_at.astimezone(UTC).isoformat(),
        "attempt": message.attempt,
        "repeat": message.repeat,
        "data": dict(message.payload),
    }
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace") + b"\n"
