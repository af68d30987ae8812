"""The one way from numpy to torch and from a device's name to the device, and the length of a vector."""

import math

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor


def as_tensor(array: ArrayLike, device: str | torch.device = "cpu", dtype: torch.dtype = torch.float64) -> Tensor:
    """Copy an array into a tensor of ``dtype`` on ``device``.

    ``torch.from_numpy`` on a read-only array (pandas, joblib's memory maps) hands out a writable view
    of memory that must not be written: a later in-place operation kills the process. Such arrays, and
    those that are not C-contiguous, are copied first.

    Parameters
    ----------
    array : array-like
        Dense and real.
    device : str or torch.device, default="cpu"
        Where the tensor lives.
    dtype : torch.dtype, default=torch.float64
        Its type.

    Returns
    -------
    Tensor
        It may share memory with ``array`` where that is writable, contiguous and of the right type.
    """
    writable = np.require(array, requirements=["C", "W"])
    return torch.from_numpy(writable).to(device=device, dtype=dtype)


def norm(vector: Tensor) -> float:
    """Return the Euclidean length of a vector, at a third of what ``Tensor.norm`` costs a short one.

    Parameters
    ----------
    vector : Tensor of shape (n,)
        Lengths beyond 1e154 come back as ``inf``.

    Returns
    -------
    float
    """
    return math.sqrt(torch.dot(vector, vector).item())


def resolve_device(device: str) -> str:
    """Return ``"cpu"`` or ``"cuda"`` for ``"cpu"``, ``"cuda"`` or ``"auto"``.

    Parameters
    ----------
    device : {"cpu", "cuda", "auto"}
        ``"auto"`` is ``"cuda"`` where torch sees a GPU.

    Returns
    -------
    str
        A device that exists.

    Raises
    ------
    ValueError
        If a GPU is asked for and torch sees none.
    """
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda" and not torch.cuda.is_available():
        raise ValueError("device='cuda' was asked for, but torch sees no GPU here; use device='cpu' or device='auto'.")
    return device
