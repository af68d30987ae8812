"""Certified second-order stationary points: our solvers beside scipy's, pytorch-minimize's and torch's.

Every method starts at an exact strict saddle and is to reach ``||grad f|| <= 1e-5`` with no curvature below ``-1e-3``,
and to know it. Peers neither leave the saddle nor issue a certificate, so they are lent the loop that ours has: the
certificate says that the start is a saddle, a random kick of length 1e-3 leaves it, the peer descends, the certificate
examines where it ends. ``CPU s`` is that whole task, ``descent`` is what is left of it without the certificates.
What each peer says of the saddle itself, where all of them stop, is in the last column. Whether the end point is what
it should be is checked apart from all of this, untimed, by a Cholesky factorisation of the dense Hessian plus 1e-3 I.

    python examples/benchmarks/sosp.py [--only NAME ...] [--methods NAME ...] [--limit SECONDS] [--repeats N]

One thread, float64. pytorch-minimize is compared where it is installed.
"""

import argparse
import importlib.util
import os
import time
import warnings
from dataclasses import dataclass, field

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import scipy.linalg
import scipy.optimize
import torch

from sklearn_derand.engine import LBFGS, certify, minimize

TOL, CURVATURE_TOL = 1e-5, 1e-3
KICK = 1e-3


# Landscapes: name -> (f, strict saddle).


def _normal(*shape, seed):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def phase_retrieval(n=100, m=600):
    """``mean((a'x)^2 - y)^2 / 4`` from the origin."""
    design, signal = _normal(m, n, seed=0), _normal(n, seed=1)
    target = (design @ (signal / signal.norm())) ** 2
    return lambda p: ((design @ p) ** 2 - target).square().mean() / 4, torch.zeros(n, dtype=torch.float64)


def matrix_factorisation(rows=60, columns=50, rank=5):
    """``||X Y' - M||^2 / 2``, M of rank 5, from the origin."""
    target = _normal(rows, rank, seed=2) @ _normal(rank, columns, seed=3) * 3 / np.sqrt(rows * columns)

    def f(p):
        return (
            0.5 * (p[: rows * rank].view(rows, rank) @ p[rows * rank :].view(columns, rank).T - target).square().sum()
        )

    return f, torch.zeros((rows + columns) * rank, dtype=torch.float64)


def burer_monteiro(n=200, rank=21):
    """The rank-21 relaxation of MAXCUT on G(200, 0.1), from all vectors equal.

    The lengths of the vectors do not matter to it, so that going far out makes every derivative small. A penalty that
    is zero at unit lengths takes that way to a void certificate from everyone; the minimum is the same.
    """
    draws = torch.rand(n, n, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    weights = (draws < 0.1).double().triu(1)
    weights = weights + weights.T

    def f(p):
        vectors = p.view(n, rank)
        lengths = vectors.norm(dim=1, keepdim=True)
        vectors = vectors / lengths
        return (vectors * (weights @ vectors)).sum() / 4 + (lengths.square() - 1).square().sum() / 4

    start = torch.zeros(n, rank, dtype=torch.float64)
    start[:, 0] = 1.0
    return f, start.reshape(-1)


def student(weight_decay=1e-3, n=1000, d=50, hidden=50):
    """A tanh student of width 50 of a centred product of two tanh indices, from all weights 0."""
    inputs, directions = _normal(n, d, seed=5), _normal(d, 2, seed=6) / np.sqrt(d)
    target = torch.tanh(inputs @ directions).prod(1)
    target = target - target.mean()
    cut = d * hidden

    def f(p):
        first, bias, last = p[:cut].view(d, hidden), p[cut : cut + hidden], p[cut + hidden : cut + 2 * hidden]
        residual = torch.tanh(inputs @ first + bias) @ last + p[-1] - target
        return 0.5 * residual.square().mean() + 0.5 * weight_decay * p.square().sum()

    return f, torch.zeros(cut + 2 * hidden + 1, dtype=torch.float64)


LANDSCAPES = {
    "phase": phase_retrieval,
    "factorisation": matrix_factorisation,
    "maxcut": burer_monteiro,
    "student": student,
    "student-1e-4": lambda: student(1e-4),
}


# Methods: name -> function of (oracle, start) that returns (end, what it says of itself).


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
    """Descend by constant steps; the one kick off the saddle is lent to it as to every peer, and no other follows."""

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
    "GD after one kick": [gradient_descent(step) for step in (1.0, 0.3, 0.1, 0.03, 0.01)],
}
OURS = {"lbfgs": "lbfgs", "trust_region": "trust_region", "lbfgs, plain": LBFGS(products=0)}


@dataclass
class Row:
    """One line of a table."""

    method: str
    seconds: float
    descent: float
    counts: str
    value: float = float("nan")
    verified: str = "-"
    at_saddle: str = ""
    end: torch.Tensor = field(default=None, repr=False)


def run_ours(f, start, solver, repeats):
    seconds, apart = [], []
    for _ in range(repeats):
        began = time.process_time()
        solution = minimize(f, start, solver=OURS[solver], tol=TOL, curvature_tol=CURVATURE_TOL, random_state=0)
        seconds.append(time.process_time() - began)
        first, last = examined(f, start), examined(f, solution.params)
        apart.append(first[1] + last[1])
    said = "certified" if first[0].holds else f"saddle: {first[0].min_eigenvalue:.2g}"
    verified = verify(f, solution.params) if solution.certificate.holds else "not certified"
    counts = f"{solution.n_fev}/{solution.n_hvp}"
    total = min(seconds)
    return Row("ours, " + solver, total, total - min(apart), counts, solution.value, verified, said)


def examined(f, params):
    """Return the certificate of a point and the CPU seconds it took."""
    began = time.process_time()
    certificate = certify(f, params, tol=TOL, curvature_tol=CURVATURE_TOL, random_state=0)
    return certificate, time.process_time() - began


def run_peer(f, start, name, variants, limit, repeats):
    said = at_the_saddle(f, start, variants[0])
    kicked = start + KICK * torch.nn.functional.normalize(_normal(start.numel(), seed=7), dim=0)
    best = None
    for variant in variants:
        for _ in range(repeats):
            oracle = Oracle(f, min(limit, best.descent) if best else limit)
            began = time.process_time()
            try:
                end, _ = variant(oracle, kicked)
            except Enough:
                end = oracle.best
            except OutOfTime:
                break
            descent = time.process_time() - began - oracle.aside
            (first, before), (last, after) = examined(f, start), examined(f, end)
            if best is None or (last.holds, -descent) > (best.verified == "", -best.descent):
                counts = f"{oracle.n_fev}/{oracle.n_hvp + first.n_hvp + last.n_hvp}"
                verdict = "" if last.holds else "not certified"
                best = Row(name, descent + before + after, descent, counts, last.value, verdict, said)
                best.end = end
    if best is None:
        return Row(name, float("inf"), float("inf"), f"> {limit:.0f} s", at_saddle=said)
    best.verified = best.verified or verify(f, best.end)
    return best


def at_the_saddle(f, start, variant):
    """What a peer says when it is started at the saddle itself and left to its own tests."""
    try:
        end, said = variant(Oracle(f, 3.0, watching=False), start)
    except OutOfTime:
        return "runs on"
    except Exception as error:  # a crash at a saddle is an answer too
        return f"{type(error).__name__}: {error}"[:40]
    moved = f(end).item() < f(start).item() - 1e-9
    return said + (", and left it" if moved else ", at the saddle")


def verify(f, params):
    """Say whether the end point is what it should be: gradient, and Cholesky of the dense Hessian plus tau I."""
    if params is None:
        return "-"
    leaf = params.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(f(leaf), leaf, create_graph=True)
    rows = [torch.autograd.grad(gradient, leaf, row, retain_graph=True)[0] for row in torch.eye(len(leaf)).double()]
    hessian = torch.stack(rows).numpy()
    hessian = 0.5 * (hessian + hessian.T) + CURVATURE_TOL * np.eye(len(leaf))
    try:
        scipy.linalg.cholesky(hessian, overwrite_a=True, check_finite=False)
    except scipy.linalg.LinAlgError:
        return "saddle"
    return "yes" if gradient.norm() <= TOL else f"gradient {gradient.norm():.1g}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=LANDSCAPES, default=list(LANDSCAPES))
    parser.add_argument("--methods", nargs="+", help="only methods whose name contains one of these")
    parser.add_argument("--limit", type=float, default=40.0, help="CPU seconds allowed to one method (default 40)")
    parser.add_argument("--repeats", type=int, default=3, help="best of this many where one takes under 2 s")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    if importlib.util.find_spec("torchmin") is None:
        print("pytorch-minimize is not installed and is left out.")
    chosen = [*("ours, " + solver for solver in OURS), *PEERS]
    if arguments.methods:
        chosen = [name for name in chosen if any(part in name for part in arguments.methods)]
    minimize(lambda p: p.square().sum(), torch.ones(100, dtype=torch.float64))  # loads what torch loads late
    for landscape in arguments.only:
        f, start = LANDSCAPES[landscape]()
        print(f"\n{landscape}: n = {start.numel()}, f at the saddle {f(start).item():.6g}", flush=True)
        heads = f"{'CPU s':>8s} {'descent':>8s} {'f, g / Hv':>12s} {'f':>14s} {'verified':>14s}"
        print(f"{'method':22s} {heads}  at the saddle")
        repeats = 1 if landscape.startswith("student") else arguments.repeats
        for name in chosen:
            if name in PEERS:
                row = run_peer(f, start, name, PEERS[name], arguments.limit, repeats)
            else:
                row = run_ours(f, start, name.removeprefix("ours, "), repeats)
            print(
                f"{row.method:22s} {row.seconds:8.3f} {row.descent:8.3f} {row.counts:>12s} {row.value:14.8g} "
                f"{row.verified:>14s}  {row.at_saddle}", flush=True,
            )  # fmt: skip


if __name__ == "__main__":
    main()
