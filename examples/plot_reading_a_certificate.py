r"""
Reading a certificate
=====================

An optimiser that stops says that it stopped. A certificate says what is true of the point where it stopped: the
gradient is at most ``tol``, and no direction curves downwards by more than ``curvature_tol``. This page shows one that
holds, and four that do not, with what to do about each.
"""

import matplotlib.pyplot as plt
import numpy as np
import scipy.optimize
import torch

from sklearn_derand.engine import certify, minimize

# %%
# A saddle that others call a minimum
# -----------------------------------
# Factorise a matrix, :math:`f(X, Y) = \|XY^\top - M\|_F^2 / 2`, from :math:`X = Y = 0`. The gradient is zero there.
draws = torch.Generator().manual_seed(0)
target = torch.randn(30, 2, generator=draws).double() @ torch.randn(2, 20, generator=draws).double() / 5


def f(params):
    return 0.5 * (params[:60].view(30, 2) @ params[60:].view(20, 2).T - target).square().sum()


origin = torch.zeros(100, dtype=torch.float64)
peer = scipy.optimize.minimize(lambda x: f(torch.tensor(x)).item(), origin.numpy(), method="L-BFGS-B", jac="3-point")
print(f"scipy: success={peer.success}, f = {peer.fun:.3f}, the minimum is 0")
at_saddle = certify(f, origin, random_state=0)
print(at_saddle)
assert peer.success and peer.fun > 1 and not at_saddle.holds

# %%
# The certificate knows a direction in which the function falls; ``minimize`` follows it.
solution = minimize(f, origin, random_state=0)
print(solution.status.name, f"f = {solution.value:.1e}, {solution.n_escapes} saddle left")
print(solution.certificate)
assert solution.certificate.holds and solution.value < 1e-8

# %%
# What the numbers mean
# ---------------------
# ``min_eigenvalue`` is attained by a direction, so the truth is at most that. ``min_eigenvalue_bound`` is what the
# truth is at least, up to ``failure_probability``; it is this one that is compared with ``-curvature_tol``. The two
# tolerances imply a constant ``lipschitz``, :math:`K = \tau^2/\rho`, beyond which the pair promises more than the
# theory of second-order points asks. It may be compared with an estimate from below at the point:
certificate = certify(f, solution.params, random_state=1, measure_lipschitz=True)
for name in ("min_eigenvalue", "min_eigenvalue_bound", "failure_probability", "lipschitz", "lipschitz_measured"):
    print(f"{name:22s} {getattr(certificate, name):.3g}")
leaf = solution.params.clone()
truth = np.linalg.eigvalsh(torch.autograd.functional.hessian(f, leaf).numpy()).min()
print(f"by eigvalsh            {truth:.3g}")
assert certificate.min_eigenvalue_bound <= truth + 1e-9

# %%
# Four that do not hold
# ---------------------
cases = {
    "not there yet: raise max_iter": certify(f, solution.params + 1e-3, random_state=0),
    "a saddle: use minimize": at_saddle,
    "not smooth: smooth it": certify(lambda p: p.abs().sum(), torch.zeros(2, dtype=torch.float64)),
    "asked too much of float64: raise curvature_tol": certify(
        lambda p: 1e9 * p[0] ** 2 + 0 * p[1] ** 2, torch.zeros(2, dtype=torch.float64), curvature_tol=1e-12
    ),
}
for remedy, refused in cases.items():
    print(f"{remedy}\n    {refused}")
    assert not refused.holds

# %%
# The descent, seen from above: each plateau is a saddle, and each accepted point is lower than the last.
figure, axis = plt.subplots(figsize=(6, 3.5))
axis.semilogy(solution.history["value"], label="value")
axis.semilogy(solution.history["gradient_norm"], label="gradient norm")
axis.axhline(solution.certificate.tol, color="grey", linestyle=":", label="tol")
axis.set_xlabel("accepted point")
axis.legend()
figure.tight_layout()
