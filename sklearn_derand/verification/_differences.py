"""Gradients and Hessians by finite differences of values alone: slow, and without a derivative to get wrong."""

import numpy as np

from sklearn_derand.verification._claims import Claim, at_least, at_most, skipped

GRADIENT_LIMIT = 2000
"""Most parameters for a gradient: twenty values each."""

STEPS = (1e-3, 1e-4, 1e-5, 1e-6, 1e-7)
"""Steps tried for a slope: steep objectives need the short ones, rounding the long ones."""

HESSIAN_LIMIT = 500
"""Most parameters for a Hessian: eight gradients each, more where the objective is steep."""

HESSIAN_STEPS = (1e-3, 3e-4, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9)
"""Tried in turn until two agree: an exponent of 1e8 wants the last."""


def gradient(value, params: np.ndarray) -> np.ndarray:
    """Differentiate by central differences of fourth order, at the steps where successive ones agree best."""
    out = np.empty_like(params)
    for i in range(params.size):
        unit = max(1.0, abs(params[i]))
        slopes = np.array([_slope(value, params, i, unit * step) for step in STEPS])
        changes = np.abs(np.diff(slopes))
        out[i] = slopes[1 + int(np.argmin(changes))]
    return out


def _slope(value, params, i, step):
    near, far = (value(_moved(params, i, length)) - value(_moved(params, i, -length)) for length in (step, 2 * step))
    return (8 * near - far) / (12 * step)


def hessian(slopes, params: np.ndarray) -> np.ndarray:
    """Differentiate a gradient by central differences of fourth order, at the steps where successive ones agree."""
    best, least, previous = None, np.inf, None
    for step in HESSIAN_STEPS:
        matrix = np.array([_slope(slopes, params, i, step * max(1.0, abs(params[i]))) for i in range(params.size)])
        if previous is not None:
            change = np.abs(matrix - previous).max()
            if change < least:
                best, least = (matrix + matrix.T) / 2, change
            if change <= 1e-7 * np.abs(matrix).max():
                break
        previous = matrix
    return best


def _moved(params, i, length):
    moved = params.copy()
    moved[i] += length
    return moved


def certificate_claims(
    certificate, value, slopes, params: np.ndarray, *, terms: float = 1.0, whole: bool = True
) -> list[Claim]:
    """Check a certificate: gradient by differences of ``value``, Hessian by those of ``slopes``; they must agree."""
    # ``terms`` is the magnitude of what the value sums, hence of its rounding. Where ``value`` leaves out some of the
    # certified parameters (``whole`` is false), its least curvature lies above theirs.
    here = value(params)
    scale = max(1.0, abs(here), terms)
    same = bool(abs(here - certificate.value) <= 1e-8 * scale)
    claims = [Claim("certificate_.value", certificate.value, here, same)]
    claims += [_gradient_claim(certificate, value, slopes, params, scale)]
    claims += _curvature_claims(certificate, slopes, params, scale)[: 2 if whole else 1]
    if np.isfinite(certificate.initial_value):
        # Both values were rounded alike there; what this one differs by was judged above.
        slack = 1e-12 * scale + abs(here - certificate.value) * same
        claims.append(at_most("value <= initial value", here, certificate.initial_value, slack=slack))
    return claims


def _gradient_claim(certificate, value, slopes, params, scale) -> Claim:
    name = "gradient norm <= tol"
    if params.size > GRADIENT_LIMIT:
        return skipped(name, certificate.gradient_norm, f"{params.size} parameters, limit {GRADIENT_LIMIT}")
    differences = gradient(value, params)
    norm = float(np.linalg.norm(differences))
    # What rounding leaves of differences at steps of 1e-4.
    slack = 1e-2 * certificate.tol + 1e-11 * scale * np.sqrt(params.size)
    agree = np.linalg.norm(differences - slopes(params)) <= slack
    within = norm <= certificate.tol + slack or not certificate.holds
    return Claim(name, certificate.gradient_norm, norm, bool(agree and within))


def _curvature_claims(certificate, slopes, params, scale) -> list[Claim]:
    name = "least curvature >= bound"
    if params.size > HESSIAN_LIMIT:
        return [skipped(name, certificate.min_eigenvalue_bound, f"{params.size} parameters, limit {HESSIAN_LIMIT}")]
    eigenvalues = np.linalg.eigvalsh(hessian(slopes, params))
    least, slack = eigenvalues[0], 1e-5 * max(scale, np.abs(eigenvalues).max())
    return [
        at_most(name, certificate.min_eigenvalue_bound, least, slack=slack),
        at_least("least curvature <= estimate", certificate.min_eigenvalue, least, slack=slack),
    ]
