"""A thread limit that ends with its block, also when the block raises."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def limit_threads(n_threads: int | None) -> Iterator[None]:
    """Let torch use ``n_threads`` threads inside the block; ``None`` changes nothing.

    Two threads are slower than one on small problems: they wait for each other longer than they work.

    Parameters
    ----------
    n_threads : int or None
        Threads of torch's operations within this block.

    Yields
    ------
    None
    """
    before = torch.get_num_threads()
    if n_threads is None or n_threads == before:
        yield
        return
    torch.set_num_threads(n_threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
