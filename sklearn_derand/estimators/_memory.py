"""Arrays that cannot fit are refused before they are asked for."""

import os
from pathlib import Path

CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")


def check_memory(n_bytes: int, arrays: str, remedy: str) -> None:
    """Refuse arrays that are larger than the memory of this machine.

    Parameters
    ----------
    n_bytes : int
        What they take.
    arrays : str
        What they are.
    remedy : str
        What to do instead.

    Raises
    ------
    ValueError
        Naming the number of bytes.
    """
    limit = memory_limit()
    if limit is not None and n_bytes > limit:
        raise ValueError(f"{arrays} take {n_bytes:,} bytes, and this machine has {limit:,}. {remedy}")


def memory_limit() -> int | None:
    """Return the bytes of this machine or of its container; None where the system does not tell."""
    try:
        limit = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None
    try:
        return min(limit, int(CGROUP_LIMIT.read_text()))
    except (OSError, ValueError):  # no such limit, or "max"
        return limit
