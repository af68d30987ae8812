"""Arguments that the engine refuses, and where its randomness comes from."""

import numpy as np
import torch
from torch import Generator, Tensor


def check_tolerances(tol: float, curvature_tol: float, failure_probability: float) -> None:
    """Refuse tolerances that mean nothing."""
    for name, number in (("tol", tol), ("curvature_tol", curvature_tol)):
        if not (np.isfinite(number) and number > 0):
            raise ValueError(f"{name} must be positive and finite; got {number!r}.")
    if not 0 < failure_probability < 1:
        raise ValueError(f"failure_probability must lie strictly between 0 and 1; got {failure_probability!r}.")


def check_params(params: Tensor) -> None:
    """Refuse a start that is not one flat float64 vector."""
    if not isinstance(params, Tensor) or params.dim() != 1 or params.numel() == 0:
        raise ValueError("params must be a non-empty 1-d torch tensor; flatten and concatenate the blocks.")
    if params.dtype != torch.float64:
        raise ValueError(
            f"params must be float64, got {params.dtype}: the rounding of a smaller type is above what a "
            "certificate needs; use params.double()."
        )


def as_generator(random_state: int | Generator | None) -> Generator:
    """Return a CPU generator: the one given, one seeded by an integer, or one seeded by the system."""
    if isinstance(random_state, Generator):
        return random_state
    generator = Generator()
    if random_state is None:
        generator.seed()
    else:
        generator.manual_seed(int(random_state))
    return generator
