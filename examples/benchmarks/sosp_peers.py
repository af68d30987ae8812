"""The peers of ``sosp.py``, with derivatives that are counted and stop them where ours stops."""

import importlib.util
import time
from dataclasses import dataclass, field

import numpy as np
import scipy.optimize
import torch

TOL = 1e-5
"""Gradient norm to reach, for all methods."""


class Enough(Exception):
    """The gradient is small enough."""


class OutOfTime(Exception):
    """The limit of CPU seconds is spent."""


@dataclass
class Oracle:
    """Derivatives by torch for everyone else: counted, timed, stopped at the same gradient norm as ours."""

    f: object
    limit: float
    n_fev: int = 0
    n_hvp: int = 0
    watching: bool = True
    best: torch.Tensor = None
    aside: float = 0.0
    _key: bytes = b""
    _graph: tuple = field(default=None, repr=False)
    _began: float = field(default_factory=time.process_time)

    def tensor(self, x):
        return torch.as_tensor(np.array(x, dtype=float))

    def watch(self, x, gradient):
        if time.process_time() - self._began > self.limit:
            raise OutOfTime
        if self.watching and gradient.norm() <= TOL:
            self.best = x.detach().clone()
            raise Enough

    def value_and_gradient(self, x):
        leaf = self.tensor(x).requires_grad_()
        value = self.f(leaf)
        (gradient,) = torch.autograd.grad(value, leaf)
        self.n_fev += 1
        self.watch(leaf, gradient)
        return value.item(), gradient.numpy()

    def product(self, x, v):
        key = np.asarray(x).tobytes()
        if key != self._key:
            leaf = self.tensor(x).requires_grad_()
            (gradient,) = torch.autograd.grad(self.f(leaf), leaf, create_graph=True)
            self._key, self._graph = key, (leaf, gradient)
        leaf, gradient = self._graph
        self.n_hvp += 1
        return torch.autograd.grad(gradient, leaf, self.tensor(v), retain_graph=True)[0].numpy()

    def look(self, x):
        """Watch a method that hands out points but no gradients, at no cost to it."""
        began = time.process_time()
        with torch.enable_grad():
            leaf = x.detach().requires_grad_()
            (gradient,) = torch.autograd.grad(self.f(leaf), leaf)
        self.aside += time.process_time() - began
        self.watch(leaf, gradient)

    def counted(self, x):
        """A plain callable for those who differentiate on their own; counts values."""
        self.n_fev += 1
        if time.process_time() - self._began > self.limit:
            raise OutOfTime
        return self.f(x)


def scipy_method(name):
    def run(oracle, start):
        options = {"gtol": 1e-12} if name == "L-BFGS-B" else {"gtol": 0.9 * TOL}
        options |= {"maxiter": 100_000} | ({"maxfun": 100_000, "ftol": 0.0, "maxcor": 20} if name == "L-BFGS-B" else {})
        hessian = {} if name == "L-BFGS-B" else {"hessp": oracle.product}
        result = scipy.optimize.minimize(
            oracle.value_and_gradient, start.numpy(), jac=True, method=name, options=options, **hessian
        )
        return torch.as_tensor(result.x), f"success={result.success}"

    return run


def torchmin_method(name):
    def run(oracle, start):
        import torchmin

        result = torchmin.minimize(oracle.counted, start, method=name, tol=1e-9, max_iter=20_000, callback=oracle.look)
        return result.x.detach(), f"success={bool(result.success)}"

    return run


def torch_lbfgs(oracle, start):
    p = start.clone().requires_grad_()
    optimizer = torch.optim.LBFGS(
        [p], history_size=20, max_iter=100_000, max_eval=200_000, tolerance_grad=1e-12, tolerance_change=1e-16,
        line_search_fn="strong_wolfe",
    )  # fmt: skip

    def closure():
        optimizer.zero_grad()
        value = oracle.counted(p)
        value.backward()
        oracle.watch(p, p.grad)
        return value

    optimizer.step(closure)
    return p.detach(), "returns without a word"


def adam_with_noise(rate):
    def run(oracle, start):
        p, generator = start.clone().requires_grad_(), torch.Generator().manual_seed(0)
        optimizer = torch.optim.Adam([p], lr=rate)
        for step in range(10**9):
            optimizer.param_groups[0]["lr"] = rate * min(1.0, 300 / (step + 1))
            optimizer.zero_grad()
            oracle.counted(p).backward()
            oracle.watch(p, p.grad)
            p.grad += 1e-6 * torch.randn(p.shape, generator=generator, dtype=p.dtype)
            optimizer.step()

    return run


def gradient_descent(step):
    """Descend by constant steps."""

    def run(oracle, start):
        p = start.clone()
        while True:
            value, gradient = oracle.value_and_gradient(p)
            if not np.isfinite(value) or abs(value) > 1e12:
                raise OutOfTime
            p -= step * torch.as_tensor(gradient)

    return run


PEERS = {f"scipy {name}": [scipy_method(name)] for name in ("L-BFGS-B", "trust-krylov", "trust-ncg")}
if importlib.util.find_spec("torchmin") is not None:
    PEERS |= {f"torchmin {name}": [torchmin_method(name)] for name in ("newton-cg", "trust-ncg")}
PEERS |= {
    "torch LBFGS": [torch_lbfgs],
    "Adam with noise": [adam_with_noise(rate) for rate in (1e-1, 1e-2, 1e-3)],
    "perturbed GD": [gradient_descent(step) for step in (1.0, 0.3, 0.1, 0.03, 0.01)],
}
"""Name -> variants, functions of (oracle, start) that return (end, what they say of themselves)."""
