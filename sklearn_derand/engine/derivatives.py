"""Value, gradient, Hessian-vector product and dense Hessian of an objective, each counted."""

from collections.abc import Callable

import torch
from torch import Tensor

from sklearn_derand.engine.objective import Objective, as_objective, parts_of


class Derivatives:
    """An objective seen through its derivatives.

    Hessian-vector products go through one gradient kept with its graph for each point (double backward), which
    costs 1 to 1.3 gradients a product. An objective in ``parts()`` is taken part by part and no graph is kept: a
    product then costs two gradients more, and the memory is that of the largest part.

    Parameters
    ----------
    objective : Objective or callable
        ``f``.

    Attributes
    ----------
    n_fev : int
        Values computed, with or without a gradient; of the whole objective, however many parts it has.
    n_hvp : int
        Hessian-vector products computed.
    n_batch_fev : int
        Values of batches computed, as told by those who compute them.
    """

    def __init__(self, objective: Objective | Callable[[Tensor], Tensor]):
        self.objective = as_objective(objective)
        self._parts = parts_of(self.objective)
        self.n_fev = 0
        self.n_hvp = 0
        self.n_batch_fev = 0

    @property
    def in_parts(self) -> bool:
        """Whether the objective is a sum that is accumulated part by part."""
        return len(self._parts) > 1

    def value(self, params: Tensor) -> float:
        """Return ``f(params)``."""
        self.n_fev += 1
        with torch.no_grad():
            return sum(_evaluate(part, params).item() for part in self._parts)

    def value_and_gradient(self, params: Tensor) -> tuple[float, Tensor]:
        """Return ``f(params)`` and its gradient."""
        self.n_fev += 1
        leaf = params.detach().requires_grad_(True)
        value, gradient = _differentiate(self._parts[0], leaf)
        total = value.item()
        for part in self._parts[1:]:
            value, more = _differentiate(part, leaf)
            total, gradient = total + value.item(), gradient + more
        return total, gradient

    def hessian_product(self, params: Tensor) -> Callable[[Tensor], Tensor]:
        """Return ``v -> Hess f(params) v``."""
        return self.all_orders(params)[2]

    def all_orders(self, params: Tensor) -> tuple[float, Tensor, Callable[[Tensor], Tensor]]:
        """Return value, gradient and ``v -> Hess f(params) v``, from one evaluation where there is but one part."""
        leaf = params.detach().requires_grad_(True)
        if self.in_parts:
            value, gradient = self.value_and_gradient(params)
        else:
            self.n_fev += 1
            tensor, kept = _differentiate(self._parts[0], leaf, keep_graph=True)
            value, gradient = tensor.item(), kept.detach()

        def product(vector: Tensor) -> Tensor:
            self.n_hvp += 1
            if not self.in_parts:
                return _product(kept, leaf, vector)
            total = torch.zeros_like(leaf)
            for part in self._parts:
                total += _product(_differentiate(part, leaf, keep_graph=True)[1], leaf, vector)
            return total

        return value, gradient, product

    def second_slope(self, params: Tensor) -> Callable[[Tensor], Tensor]:
        """Return ``v -> D^3 f(params)[v, v, .]``, the gradient of ``v'Hv`` in the point."""
        leaf = params.detach().requires_grad_(True)
        self.n_fev += 1
        kept = None if self.in_parts else _differentiate(self._parts[0], leaf, keep_graph=True)[1]

        def slope(vector: Tensor) -> Tensor:
            self.n_hvp += 1
            total = torch.zeros_like(leaf)
            for part in self._parts:
                gradient = kept if kept is not None else _differentiate(part, leaf, keep_graph=True)[1]
                image = _product(gradient, leaf, vector, keep_graph=True)
                total += _product(image, leaf, vector).detach()
            return total

        return slope

    def dense_hessian(self, params: Tensor) -> Tensor:
        """Return ``Hess f(params)``, shape (n, n), as computed: symmetric only up to rounding."""
        product = self.hessian_product(params)
        identity = torch.eye(params.numel(), dtype=params.dtype, device=params.device)
        return torch.stack([product(row) for row in identity])


def _evaluate(part: Objective, params: Tensor) -> Tensor:
    value = part.value(params)
    if not isinstance(value, Tensor) or value.dim() != 0 or not value.is_floating_point():
        raise TypeError(
            "objective.value(params) must return a 0-d real tensor; got "
            + (f"shape {tuple(value.shape)}, {value.dtype}." if isinstance(value, Tensor) else f"{value!r}.")
        )
    return value


def _differentiate(part: Objective, leaf: Tensor, *, keep_graph: bool = False) -> tuple[Tensor, Tensor]:
    with torch.enable_grad():
        value = _evaluate(part, leaf)
        if not value.requires_grad:
            raise TypeError(
                "objective.value(params) does not depend on params through torch operations, so it has no "
                "gradient; compute it from params without .item(), .numpy() or .detach()."
            )
        (gradient,) = torch.autograd.grad(value, leaf, create_graph=keep_graph)
    return value.detach(), gradient


def _product(gradient: Tensor, leaf: Tensor, vector: Tensor, *, keep_graph: bool = False) -> Tensor:
    """Differentiate ``gradient . vector`` once more; zero where the gradient is constant."""
    if not gradient.requires_grad:
        return torch.zeros_like(leaf)
    (out,) = torch.autograd.grad(
        gradient, leaf, vector, retain_graph=True, create_graph=keep_graph, materialize_grads=True
    )
    return out
