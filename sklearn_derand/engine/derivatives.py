"""Value, gradient, Hessian-vector product and dense Hessian of an objective, each counted."""

from collections.abc import Callable

import torch
from torch import Tensor

from sklearn_derand.engine.objective import Objective, as_objective


class Derivatives:
    """An objective seen through its derivatives.

    Hessian-vector products go through one gradient kept with its graph for each point (double backward), which
    costs 1 to 1.3 gradients a product.

    Parameters
    ----------
    objective : Objective or callable
        ``f``.

    Attributes
    ----------
    n_fev : int
        Values computed, with or without a gradient.
    n_hvp : int
        Hessian-vector products computed.
    """

    def __init__(self, objective: Objective):
        self.objective = as_objective(objective)
        self.n_fev = 0
        self.n_hvp = 0

    def _evaluate(self, params: Tensor) -> Tensor:
        self.n_fev += 1
        value = self.objective.value(params)
        if not isinstance(value, Tensor) or value.dim() != 0 or not value.is_floating_point():
            raise TypeError(
                "objective.value(params) must return a 0-d real tensor; got "
                + (f"shape {tuple(value.shape)}, {value.dtype}." if isinstance(value, Tensor) else f"{value!r}.")
            )
        return value

    def value(self, params: Tensor) -> float:
        """Return ``f(params)``."""
        with torch.no_grad():
            return self._evaluate(params).item()

    def value_and_gradient(self, params: Tensor) -> tuple[float, Tensor]:
        """Return ``f(params)`` and its gradient."""
        value, gradient = self._differentiate(params.detach().requires_grad_(True), keep_graph=False)
        return value.item(), gradient

    def _differentiate(self, leaf: Tensor, *, keep_graph: bool) -> tuple[Tensor, Tensor]:
        with torch.enable_grad():
            value = self._evaluate(leaf)
            if not value.requires_grad:
                raise TypeError(
                    "objective.value(params) does not depend on params through torch operations, so it has no "
                    "gradient; compute it from params without .item(), .numpy() or .detach()."
                )
            (gradient,) = torch.autograd.grad(value, leaf, create_graph=keep_graph)
        return value.detach(), gradient

    def hessian_product(self, params: Tensor) -> Callable[[Tensor], Tensor]:
        """Return ``v -> Hess f(params) v``."""
        return self.all_orders(params)[2]

    def all_orders(self, params: Tensor) -> tuple[float, Tensor, Callable[[Tensor], Tensor]]:
        """Return value, gradient and ``v -> Hess f(params) v`` from one evaluation."""
        leaf = params.detach().requires_grad_(True)
        value, gradient = self._differentiate(leaf, keep_graph=True)

        def product(vector: Tensor) -> Tensor:
            self.n_hvp += 1
            if not gradient.requires_grad:  # f is linear
                return torch.zeros_like(leaf)
            (out,) = torch.autograd.grad(gradient, leaf, vector, retain_graph=True, materialize_grads=True)
            return out

        return value.item(), gradient.detach(), product

    def dense_hessian(self, params: Tensor) -> Tensor:
        """Return ``Hess f(params)``, shape (n, n), as computed: symmetric only up to rounding."""
        product = self.hessian_product(params)
        identity = torch.eye(params.numel(), dtype=params.dtype, device=params.device)
        return torch.stack([product(row) for row in identity])
