"""Certified second-order stationary points: our solvers beside scipy's, pytorch-minimize's and torch's.

Every method starts at an exact strict saddle and is to reach ``||grad f|| <= 1e-5`` with no curvature below ``-1e-3``,
and to know it. Peers neither leave the saddle nor issue a certificate, so they are lent the loop that ours has: the
certificate says that the start is a saddle, a random kick of length 1e-3 leaves it, the peer descends, the certificate
examines where it ends, and where that is a saddle again all is repeated. Plain gradient descent in this loop is
perturbed gradient descent (Jin et al. 2017) with the certificate in place of its own, dearer test of a failed episode.
Where shrinking a point that lies beyond three times the norm of the start does not raise ``f``, the descent goes on
from there: far out on a scale-invariant objective every derivative is small, and a certificate void.

``CPU s`` is the whole task, ``descent`` is what is left of it without the certificates. Each line is the median run of
``--kicks`` different kicks (for ours: random states). What each peer says of the saddle itself, where all of them stop,
is in the last column. Whether the end point is what it should be is checked apart from all of this, untimed, by a
Cholesky factorisation of the dense Hessian plus 1e-3 I.

    python examples/benchmarks/sosp.py [--only NAME ...] [--methods NAME ...] [--limit SECONDS] [--kicks N]

One thread, float64. pytorch-minimize is compared where it is installed.
"""

import argparse
import importlib.util
import os
import platform
import sys
import time
import warnings
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import scipy.linalg
import torch
from sosp_landscapes import LANDSCAPES, normal
from sosp_peers import PEERS, TOL, Enough, Oracle, OutOfTime

from sklearn_derand.engine import LBFGS, certify, minimize

CURVATURE_TOL = 1e-3
KICK = 1e-3

OURS = {"lbfgs": "lbfgs", "trust_region": "trust_region", "lbfgs, plain": LBFGS(products=0)}


@dataclass
class Run:
    """One run of a method."""

    seconds: float
    descent: float
    counts: str
    value: float = float("nan")
    verified: str = "-"
    end: torch.Tensor = field(default=None, repr=False)


def median(f, runs):
    """Return the median run, its end verified; those beside it are taken at their certificates' word."""
    run = sorted(runs, key=lambda run: run.seconds)[len(runs) // 2]
    run.verified = run.verified if run.end is None else verify(f, run.end)
    return run


def examined(f, params):
    """Return the certificate of a point and the CPU seconds it took."""
    began = time.process_time()
    certificate = certify(f, params, tol=TOL, curvature_tol=CURVATURE_TOL, random_state=0)
    return certificate, time.process_time() - began


def run_ours(f, start, solver, seed):
    began = time.process_time()
    solution = minimize(f, start, solver=solver, tol=TOL, curvature_tol=CURVATURE_TOL, random_state=seed)
    seconds = time.process_time() - began
    apart = examined(f, start)[1] + examined(f, solution.params)[1]
    counts = f"{solution.n_fev}/{solution.n_hvp}"
    if not solution.certificate.holds:
        return Run(float("inf"), seconds - apart, counts, solution.value, "not certified")
    return Run(seconds, seconds - apart, counts, solution.value, end=solution.params)


def run_peer(f, start, variant, seed, limit):
    """Kick, descend, examine, until the certificate holds."""
    oracle, point, descent, certificates, products = Oracle(f, limit), start, 0.0, 0.0, 0
    for kick in range(20):
        certificate, seconds = examined(f, point)
        certificates, products = certificates + seconds, products + certificate.n_hvp
        if certificate.holds:
            counts = f"{oracle.n_fev}/{oracle.n_hvp + products}"
            return Run(descent + certificates, descent, counts, certificate.value, end=point)
        if certificate.min_eigenvalue > -CURVATURE_TOL:
            break  # short of the gradient norm, and no saddle: the peer gave up
        direction = torch.nn.functional.normalize(normal(start.numel(), seed=7 + 100 * seed + kick), dim=0)
        began, aside = time.process_time(), oracle.aside
        try:
            point = descend(oracle, variant, point + KICK * direction, 3 * max(1.0, start.norm().item()))
        except OutOfTime:
            return Run(float("inf"), float("inf"), f"> {limit:.0f} s")
        descent += time.process_time() - began - (oracle.aside - aside)
    return Run(float("inf"), descent, f"{oracle.n_fev}/{oracle.n_hvp + products}", certificate.value, "not certified")


def descend(oracle, variant, point, reach):
    """Let a peer descend, and again from nearer where it went far out for nothing."""
    while True:
        try:
            point, _ = variant(oracle, point)
        except Enough:
            point = oracle.best
        nearer = point * (reach / 3 / max(reach / 3, point.norm().item()))
        if point.norm().item() <= reach or oracle.f(nearer).item() > oracle.f(point).item() + 1e-12:
            return point
        point = nearer


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
    parser.add_argument("--kicks", type=int, default=3, help="runs of which the median is shown (default 3)")
    parser.add_argument("--first-kick", type=int, default=0, help="number of the first kick or random state")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    print("python examples/benchmarks/sosp.py", *sys.argv[1:])
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("torch", "numpy", "scipy"))
    print(f"{datetime.now(UTC):%Y-%m-%d}; Python {platform.python_version()}, {versions}; one thread")
    if importlib.util.find_spec("torchmin") is None:
        print("pytorch-minimize is not installed and is left out.")
    minimize(lambda p: p.square().sum(), torch.ones(100, dtype=torch.float64))  # loads what torch loads late
    for landscape in arguments.only:
        f, start, *metric = LANDSCAPES[landscape]()
        methods = {"ours, " + name: solver for name, solver in OURS.items()}
        methods |= dict(zip(["ours, Gauss-Newton"], metric, strict=False)) | PEERS
        print(f"\n{landscape}: n = {start.numel()}, f at the saddle {f(start).item():.6g}", flush=True)
        heads = f"{'CPU s':>8s} {'descent':>8s} {'f, g / Hv':>12s} {'f':>14s} {'verified':>14s}"
        print(f"{'method':22s} {heads}  at the saddle")
        for name, method in methods.items():
            if arguments.methods and not any(part in name for part in arguments.methods):
                continue
            run, said = compare(f, start, method, arguments)
            print(
                f"{name:22s} {run.seconds:8.3f} {run.descent:8.3f} {run.counts:>12s} {run.value:14.8g} "
                f"{run.verified:>14s}  {said}", flush=True,
            )  # fmt: skip


def compare(f, start, method, arguments):
    """Return the median run of a method, and what it says of the saddle."""
    seeds = range(arguments.first_kick, arguments.first_kick + arguments.kicks)
    if not isinstance(method, list):
        certificate, _ = examined(f, start)
        said = "certified" if certificate.holds else f"saddle: {certificate.min_eigenvalue:.2g}"
        return median(f, [run_ours(f, start, method, seed) for seed in seeds]), said
    said = at_the_saddle(f, start, method[0])
    runs, limit = {}, arguments.limit
    for variant in method:  # of several step sizes the best one in hindsight
        runs[variant] = run_peer(f, start, variant, seeds[0], limit)
        limit = min(limit, 1.0 + runs[variant].seconds)
    best = min(method, key=lambda variant: runs[variant].seconds)
    if runs[best].seconds == float("inf"):
        return runs[best], said
    return median(f, [runs[best], *(run_peer(f, start, best, seed, arguments.limit) for seed in seeds[1:])]), said


if __name__ == "__main__":
    main()
