"""Memory that other processes map, without a name that could be left behind."""

import mmap
import os
import weakref
from pathlib import Path

from model.errors import DataError


class SharedPages:
    """A block of zeros that lives as long as a process holds it, even after ``kill -9``.

    Nothing is committed before it is written. What is pickled is where the owner's descriptor
    stands, and whoever unpickles opens that one anew under ``/proc``: so any kind of pickle will
    do, any number of times and in any process of the same user (a spawned one, Ray's), while
    multiprocessing's own handing over needs its own `Process`, or a thread that serves each
    pickle once. The owner must still hold the block; the inode tells whether it is the same.

    Parameters
    ----------
    size : int
        Bytes.
    """

    def __init__(self, size: int) -> None:
        descriptor = os.memfd_create("evolve")
        os.ftruncate(descriptor, size)
        self._place = (os.getpid(), descriptor)
        self._inode = os.fstat(descriptor).st_ino
        self._keep(size, descriptor)

    def _keep(self, size: int, descriptor: int) -> None:
        self.size = size
        self.descriptor = descriptor
        self.close = weakref.finalize(self, os.close, descriptor)

    def map(self, *, writable: bool = False) -> mmap.mmap:
        """The block as memory; it stays mapped while an array of it is held."""
        return mmap.mmap(
            self.descriptor,
            self.size,
            prot=mmap.PROT_READ | (mmap.PROT_WRITE if writable else 0),
        )

    def __getstate__(self) -> tuple[tuple[int, int], int, int]:
        return self._place, self._inode, self.size

    def __setstate__(self, state: tuple[tuple[int, int], int, int]) -> None:
        self._place, self._inode, size = state
        self._keep(size, _open_anew(*self._place, self._inode))


def _open_anew(process: int, descriptor: int, inode: int) -> int:
    path = Path(f"/proc/{process}/fd/{descriptor}")
    mend = "the process that made it must be alive, of the same user, and still hold it"
    try:
        found = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        raise DataError(
            f"shared memory cannot be opened: {error.strerror}", str(path), mend
        ) from None
    if os.fstat(found).st_ino != inode:
        os.close(found)
        raise DataError("shared memory is gone", str(path), mend)
    return found
