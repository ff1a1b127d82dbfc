"""A file system of limited size for PostgreSQL's data, where the machine allows one (Linux, root).

It lies in a mount namespace of this process's own: nobody else sees it, and it is gone with the
last process that does, however that ends.
"""

import ctypes
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

SIZE_MIB = 1_024  # of memory at most, and only as far as it is filled
_CLONE_NEWNS = 0x0002_0000


class DiskRefused(Exception):
    """The machine allows no file system of our own; the message says why."""


@dataclass(frozen=True, slots=True)
class SmallDisk:
    """A file system that can be full."""

    folder: Path

    def fill(self) -> None:
        """Leave no space."""
        self._resize(f"{self.used_bytes() // 1024}k")

    def give_space(self) -> None:
        """Give the space back."""
        self._resize(f"{SIZE_MIB}m")

    def remove(self) -> None:
        """Unmount it; what is in it is gone."""
        subprocess.run(["umount", "--lazy", str(self.folder)], check=False)

    def used_bytes(self) -> int:
        """Return how much is taken."""
        status = os.statvfs(self.folder)
        return (status.f_blocks - status.f_bfree) * status.f_frsize

    def _resize(self, size: str) -> None:
        _mount("-o", f"remount,size={size}", str(self.folder))


def leave_namespace() -> None:
    """Give this process, still of one thread, mounts that nobody else sees.

    Raises:
        DiskRefused: The machine does not allow it.
    """
    if sys.platform != "linux" or os.geteuid() != 0:
        raise DiskRefused("a file system of limited size takes root on Linux")
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNS) != 0:
        raise DiskRefused(f"no mount namespace: {os.strerror(ctypes.get_errno())}")
    _mount("--make-rprivate", "/")


def make_small_disk(folder: Path) -> SmallDisk:
    """Mount a small file system on a folder; `leave_namespace` goes before.

    Raises:
        DiskRefused: The machine does not allow it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _mount("-t", "tmpfs", "-o", f"size={SIZE_MIB}m,mode=755", "ironloop-faults", str(folder))
    return SmallDisk(folder)


def _mount(*arguments: str) -> None:
    try:
        done = subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise DiskRefused("there is no mount command") from error
    if done.returncode != 0:
        raise DiskRefused(done.stderr.strip() or f"mount ended with {done.returncode}")
