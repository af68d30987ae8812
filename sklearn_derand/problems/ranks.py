"""Rows spread over processes: the few collectives of ``torch.distributed`` that a fit on them needs.

Each process, a *rank*, holds rows of its own, and all run the same descent on the same parameters. What a rank computes
from its rows is a share of a sum; `total` makes shares the whole, and `replicated` marks where parameters that all
ranks hold alike enter the computation of a share, so that automatic differentiation adds up the shares of a gradient
or of a Hessian-vector product as well. Value, gradient and products, and with them the certificate, are thus those of
all rows, in float64, bit by bit the same on every rank.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import torch
from torch import Tensor
from torch import distributed as dist

ROLL_CALL = 10.0
"""Seconds in which the ranks that are left answer after a collective has failed."""


@dataclass(frozen=True)
class Ranks:
    """The processes that share the rows, seen from one of them; by default that one is alone.

    Attributes
    ----------
    rank : int
        Which one this is.
    size : int
        How many there are.
    device : str
        Where tensors must lie to be exchanged: "cuda" for NCCL, else "cpu".
    """

    rank: int = 0
    size: int = 1
    device: str = "cpu"

    @classmethod
    def present(cls) -> Ranks:
        """Return the ranks of the default process group; alone where none was initialised."""
        if not cls.initialised():
            return cls()
        device = "cuda" if dist.get_backend() == dist.Backend.NCCL else "cpu"
        return cls(dist.get_rank(), dist.get_world_size(), device)

    @staticmethod
    def initialised() -> bool:
        """Tell whether there is a process group."""
        return dist.is_available() and dist.is_initialized()

    def sum(self, shares):
        """Return the sum over ranks of a tensor, an array or a number, as what it came."""
        return self._reduced(shares, dist.ReduceOp.SUM)

    def max(self, shares):
        """Return the largest over ranks, entry by entry."""
        return self._reduced(shares, dist.ReduceOp.MAX)

    def any(self, flag) -> bool:
        """Tell whether a flag is set on some rank."""
        return bool(self.max(float(bool(flag))))

    def table(self, *numbers: float) -> np.ndarray:
        """Return a few numbers of every rank, one row a rank."""
        own = torch.tensor([numbers], dtype=torch.float64, device=self.device)
        rows = [own] if self.size == 1 else [torch.empty_like(own) for _ in range(self.size)]
        if self.size > 1:
            with self._collective("comparing numbers"):
                dist.all_gather(rows, own)
        return torch.cat(rows).cpu().numpy()

    def own(self, rows: np.ndarray, n_rows: int) -> np.ndarray:
        """Return which of some rows, numbered through all ranks, are among the ``n_rows`` here, and numbered so."""
        if self.size == 1:
            return rows
        first = int(self.table(n_rows)[: self.rank, 0].sum())
        return rows[(rows >= first) & (rows < first + n_rows)] - first

    def gather(self, rows: Tensor) -> Tensor:
        """Return the rows of all ranks, in the order of the ranks; their numbers may differ."""
        if self.size == 1:
            return rows
        counts = self.table(len(rows))[:, 0].astype(int)
        padded = rows.new_zeros((counts.max(), *rows.shape[1:]))
        padded[: len(rows)] = rows
        parts = [torch.empty_like(padded, device=self.device) for _ in counts]
        with self._collective("gathering rows"):
            dist.all_gather(parts, padded.to(self.device))
        return torch.cat([part[:count] for part, count in zip(parts, counts, strict=True)]).to(rows.device)

    def broadcast(self, array: np.ndarray | None, source: int) -> np.ndarray:
        """Return an array that one rank holds, on all of them."""
        if self.size == 1 and array is not None:
            return array
        shape, dtype = self.objects(None if array is None else (array.shape, array.dtype.str))[source]
        own = torch.empty(shape, dtype=getattr(torch, np.dtype(dtype).name), device=self.device)
        if self.rank == source:
            own.copy_(torch.as_tensor(np.require(array, requirements=["C", "W"])))
        if own.numel():
            with self._collective("sending rows"):
                dist.broadcast(own, source)
        return own.cpu().numpy()

    def objects(self, own) -> list:
        """Return one small object of every rank."""
        if self.size == 1:
            return [own]
        found = [None] * self.size
        with self._collective("comparing notes"):
            dist.all_gather_object(found, own)
        return found

    @contextmanager
    def together(self) -> Iterator[None]:
        """Raise on all ranks where the block raises on one, so that none waits for another in vain.

        Yields
        ------
        None

        Raises
        ------
        RuntimeError
            On the ranks on which the block itself did not raise.
        """
        own = None
        try:
            yield
        except Exception as error:
            own = error
        failures = self.objects(None if own is None else f"{type(own).__name__}: {own}")
        if own is not None:
            raise own
        for rank, message in enumerate(failures):
            if message is not None:
                raise RuntimeError(f"Rank {rank} of {self.size} stopped the fit on all ranks. {message}")

    def _reduced(self, shares, operation):
        if self.size == 1:
            return shares
        if not isinstance(shares, Tensor):
            whole = self._reduced(torch.tensor(np.asarray(shares, dtype=np.float64)), operation).cpu().numpy()
            return whole if isinstance(shares, np.ndarray) else whole.item()
        whole = shares.detach().to(self.device, copy=True).contiguous()
        with self._collective("adding up"):
            dist.all_reduce(whole, operation)
        return whole.to(shares.device)

    @contextmanager
    def _collective(self, doing: str) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:
            silent = self._silent()
            if silent:
                lost = f"rank {', '.join(map(str, silent))} of {self.size} no longer answers"
                remedy = "Look at its own output for the reason, then start all ranks again"
            else:
                lost = f"a rank of {self.size} failed, was too late or out of step; which one could not be found out"
                remedy = "Check that all ranks call fit alike, or give init_process_group a longer timeout"
            raise RuntimeError(
                f"Rank {self.rank} stops: {lost} (while {doing} over ranks: {str(error).splitlines()[0]}). The fit "
                f"needs the rows of all ranks, so nothing was fitted. {remedy}; torchrun --max-restarts does so itself."
            ) from error

    def _silent(self) -> list[int]:
        """Call the roll through the store that the ranks met at; empty where all answer, or the store is lost."""
        deadline = time.monotonic() + ROLL_CALL
        group = dist.group.WORLD
        if group is None:
            return []
        try:
            store = group.get_group_store()
            store.set(f"sklearn_derand/present/{self.rank}", "yes")
        except (RuntimeError, AttributeError):  # older versions of torch keep the store to themselves
            return []
        silent = []
        for rank in range(self.size):
            left = max(0.1, deadline - time.monotonic())
            try:
                store.wait([f"sklearn_derand/present/{rank}"], timedelta(seconds=left))
            except RuntimeError:
                silent.append(rank)
        return silent if self.rank not in silent else []


def total(share: Tensor, ranks: Ranks | None) -> Tensor:
    """Return the sum of a differentiable share over ranks.

    Parameters
    ----------
    share : Tensor
        What this rank contributes.
    ranks : Ranks or None
        None for a process alone.

    Returns
    -------
    Tensor
        For computations that all ranks do alike; `replicated` must come between it and another share.
    """
    return share if ranks is None or ranks.size == 1 else _Total.apply(share, ranks)


def replicated(tensor: Tensor, ranks: Ranks | None) -> Tensor:
    """Return a tensor that is alike on all ranks, for use in a share: its gradient is added up over ranks.

    Parameters
    ----------
    tensor : Tensor
        Parameters, or what was computed from them alike.
    ranks : Ranks or None
        None for a process alone.

    Returns
    -------
    Tensor
        The same values.
    """
    return tensor if ranks is None or ranks.size == 1 else _Replicated.apply(tensor, ranks)


class _Total(torch.autograd.Function):
    """Adds up forward; backward the gradient, alike on all ranks, goes to each share as it is."""

    @staticmethod
    def forward(ctx, share, ranks):
        return ranks.sum(share)

    @staticmethod
    def backward(ctx, grad):
        return grad, None


class _Replicated(torch.autograd.Function):
    """Its transpose: the identity forward, a sum backward."""

    @staticmethod
    def forward(ctx, tensor, ranks):
        ctx.ranks = ranks
        return tensor.view_as(tensor)

    @staticmethod
    def backward(ctx, grad):
        return _Total.apply(grad, ctx.ranks), None
