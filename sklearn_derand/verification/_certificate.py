"""What a certificate claims of a point, checked against the objective and its gradient in numpy."""

import numpy as np

from sklearn_derand.verification._claims import Claim, at_least, at_most, equal, skipped
from sklearn_derand.verification._differences import gradient, hessian

GRADIENT_LIMIT = 2000
"""Most parameters for a gradient by differences: twenty values each."""

HESSIAN_LIMIT = 500
"""Most parameters for a Hessian: eight gradients each, more where the objective is steep."""

WORK_LIMIT = 3e10
"""Most numbers touched for either, a minute or two."""

ALLOWED_FAILURE = 2e-6
"""Of a Lanczos bound, those on the way included."""


def certificate_claims(
    certificate, value, slopes, params, published, *, terms=1.0, cost=1, hessian_of=None, noise=0.0, accuracy=0.0,
    n_members=1,
):  # fmt: skip
    """Check a certificate: gradient by differences of ``value``, Hessian by those of ``slopes``; they must agree.

    Parameters
    ----------
    certificate : Certificate
        What is claimed.
    value, slopes : callable
        The objective and its gradient, as functions of ``params``.
    params : ndarray of shape (n,)
        The point, as ``value`` takes it.
    published : ndarray
        The point, as the estimator holds it.
    terms : float, default=1.0
        Magnitude of what the value sums, hence of its rounding.
    cost : int, default=1
        Numbers touched by one value, of all members.
    hessian_of : callable or None, default=None
        ``Hessian in params -> Hessian in all certified parameters``, where ``value`` leaves out some.
    noise : float, default=0.0
        Norm of the noise, where the objective names it.
    accuracy : float, default=0.0
        Relative accuracy of what the objective is made of.
    n_members : int, default=1
        The certified function is the sum of ``value`` over so many equal parts of ``params``.

    Returns
    -------
    list of Claim
    """
    members, slopes_of_one = np.split(params, n_members), slopes
    if n_members > 1:
        value, slopes = _sum_of(value, n_members), _stack_of(slopes, n_members)
    here = value(params)
    scale = max(1.0, abs(here), terms)
    accuracy = accuracy * scale
    same = bool(abs(here - certificate.value) <= 1e-8 * scale + accuracy)
    claims = [
        Claim("certificate_.value", certificate.value, here, same),
        equal("certificate_.n_params", certificate.n_params, published.size),
        equal("certificate_.params_norm", certificate.params_norm, np.linalg.norm(published)),
        _probability_claim(certificate),
        *_gradient_claims(certificate, value, slopes, params, scale, cost, accuracy),
        *_curvature_claims(certificate, slopes_of_one, members, scale + 1e6 * accuracy, cost, hessian_of),
    ]
    if np.isfinite(certificate.noise_norm):
        claims.append(equal("certificate_.noise_norm", certificate.noise_norm, noise))
    if np.isfinite(certificate.initial_value):
        # Both values were rounded alike there; what this one differs by was judged above.
        slack = 1e-12 * scale + abs(here - certificate.value) * same
        claims.append(at_most("value <= initial value", here, certificate.initial_value, slack=slack))
    return claims


def _sum_of(value, n_members):
    return lambda params: sum(value(member) for member in np.split(params, n_members))


def _stack_of(slopes, n_members):
    return lambda params: np.concatenate([slopes(member) for member in np.split(params, n_members)])


def asked_claims(certificate, tol, curvature_tol) -> list[Claim]:
    """Check that the certificate is of the tolerances that were asked."""
    return [
        equal("certificate_.tol", certificate.tol, tol),
        equal("certificate_.curvature_tol", certificate.curvature_tol, curvature_tol),
    ]


def history_claim(history, **ends) -> Claim:
    """Check that the history leads to what is published: the last entry of each column."""
    lengths = {column.size for column in history.values()}
    misses = [abs(history[name][-1] - end) / max(1.0, abs(end)) for name, end in ends.items()]
    worst = max(misses)
    return Claim("history_ ends where the fit did", 0.0, worst, bool(len(lengths) == 1 and worst <= 1e-8))


def _probability_claim(certificate) -> Claim:
    claimed = certificate.failure_probability
    dense = certificate.method == "dense"
    right = claimed == 0 if dense else certificate.method == "lanczos" and 0 < claimed <= ALLOWED_FAILURE
    return Claim("certificate_.failure_probability", claimed, 0.0 if dense else ALLOWED_FAILURE, bool(right))


def _gradient_claims(certificate, value, slopes, params, scale, cost, accuracy) -> list[Claim]:
    name = "gradient norm <= tol"
    formula = slopes(params)
    if params.size > GRADIENT_LIMIT or 20 * params.size * cost > WORK_LIMIT:
        differences, slack, note = formula, 1e-8 * scale, "by its formula, not by differences"
    else:
        # What rounding leaves of differences at steps of 1e-4.
        slack, note = 1e-2 * certificate.tol + 1e-11 * scale * np.sqrt(params.size), ""
        differences = gradient(value, params)
    norm = float(np.linalg.norm(differences))
    agree = np.linalg.norm(differences - formula) <= slack
    within = norm <= certificate.tol + slack + 10 * accuracy or not certificate.holds
    reproduced = abs(norm - certificate.gradient_norm) <= slack + 1e-6 * norm + 10 * accuracy
    return [
        Claim(name, certificate.gradient_norm, norm, bool(agree and within), note),
        Claim("certificate_.gradient_norm", certificate.gradient_norm, norm, bool(reproduced), note),
    ]


def _curvature_claims(certificate, slopes, members, scale, cost, hessian_of) -> list[Claim]:
    name, size = "least curvature >= bound", members[0].size
    if size > HESSIAN_LIMIT or 24 * size * cost > WORK_LIMIT:
        return [skipped(name, certificate.min_eigenvalue_bound, f"{size} parameters, limit {HESSIAN_LIMIT}")]
    matrices = [hessian(slopes, member) for member in members]
    eigenvalues = np.linalg.eigvalsh(matrices if hessian_of is None else [hessian_of(matrix) for matrix in matrices])
    least, slack = eigenvalues.min(), 1e-5 * max(scale, np.abs(eigenvalues).max())
    claims = [
        at_most(name, certificate.min_eigenvalue_bound, least, slack=slack),
        at_least("least curvature <= estimate", certificate.min_eigenvalue, least, slack=slack),
    ]
    if certificate.method == "dense":
        claims.append(equal("certificate_.min_eigenvalue", certificate.min_eigenvalue, least, atol=slack))
        claims.append(equal("certificate_.min_eigenvalue_bound", certificate.min_eigenvalue_bound, least, atol=slack))
    return claims
