"""Disks that can fail: one of a few megabytes, and one whose power can be cut. Both need root, as a CI machine has it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

EXT4_IOC_SHUTDOWN = 0x8004587D
WITHOUT_LOG = 2
"""The journal isn't written out first: the nearest to a plug that is pulled."""


def _mount(*arguments: str | Path) -> None:
    done = subprocess.run(["mount", *map(str, arguments)], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"nothing can be mounted here ({done.stderr.strip()[:120]}): run it as root, outside a container")


@contextlib.contextmanager
def small_disk(place: Path, size: int) -> Iterator[Path]:
    """A tmpfs of `size` bytes."""
    place.mkdir()
    _mount("-t", "tmpfs", "-o", f"size={size}", "none", place)
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", place], check=True)


class PowerDisk:
    """An ext4 in a file, mounted; `cut` is the power cut, `mount` the next morning."""

    def __init__(self, place: Path) -> None:
        place.mkdir()
        self._image, self.path = place / "disk.img", place / "disk"
        self.path.mkdir()
        with self._image.open("wb") as file:
            file.truncate(96 << 20)
        if shutil.which("mkfs.ext4") is None:
            pytest.skip("no mkfs.ext4: apt install e2fsprogs")
        subprocess.run(["mkfs.ext4", "-q", self._image], check=True)
        self.mount()

    def mount(self) -> None:
        _mount("-o", "loop", self._image, self.path)

    def cut(self) -> None:
        descriptor = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.ioctl(descriptor, EXT4_IOC_SHUTDOWN, struct.pack("I", WITHOUT_LOG))
        finally:
            os.close(descriptor)

    def unmount(self) -> None:
        subprocess.run(["umount", self.path], check=True)


@contextlib.contextmanager
def power_disk(place: Path) -> Iterator[PowerDisk]:
    """Whatever happens, nothing stays mounted."""
    disk = PowerDisk(place)
    try:
        yield disk
    finally:
        subprocess.run(["umount", "-l", disk.path], check=True)
