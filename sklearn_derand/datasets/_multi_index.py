"""Made regression data ``y = h(U x) + noise`` whose subspace is known."""

from collections.abc import Callable
from numbers import Integral, Real

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions, validate_params


def _staircase(Z: np.ndarray) -> np.ndarray:
    return np.cumprod(Z, axis=1).sum(axis=1)


LINKS = {
    "additive": lambda Z: np.tanh(2.0 * Z[:, 0]) + 0.6 * np.square(Z[:, 1:]).sum(axis=1),
    "hermite3": lambda Z: ((Z**3 - 3.0 * Z) / np.sqrt(6.0)).sum(axis=1),
    "product": lambda Z: Z.prod(axis=1),
    "square": lambda Z: np.square(Z).sum(axis=1),
    "staircase": _staircase,
    "tanh": lambda Z: np.tanh(Z).sum(axis=1),
}


@validate_params(
    {
        "n_samples": [Interval(Integral, 1, None, closed="left")],
        "n_features": [Interval(Integral, 1, None, closed="left")],
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "link": [StrOptions(set(LINKS)), callable],
        "noise": [Interval(Real, 0.0, None, closed="left")],
        "coef": ["boolean"],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def make_multi_index(
    n_samples: int = 1000,
    n_features: int = 20,
    n_components: int = 2,
    *,
    link: str | Callable[[np.ndarray], ArrayLike] = "product",
    noise: float = 0.1,
    coef: bool = False,
    random_state: int | np.random.RandomState | None = None,
) -> tuple[np.ndarray, ...]:
    """Draw ``y = h(U x) + noise * e`` with standard normal ``x`` and ``e``, ``U`` uniform with orthonormal rows.

    The indices ``Z = X @ U.T`` are then independent standard normal columns.

    Parameters
    ----------
    n_samples : int, default=1000
        Rows.
    n_features : int, default=20
        Columns of X.
    n_components : int, default=2
        Dimension k of the subspace, at most ``n_features``.
    link : {"additive", "hermite3", "product", "square", "staircase", "tanh"} or callable, default="product"
        ``h``, from the indices Z of shape (n_samples, k) to y of shape (n_samples,). "product" is
        ``z_1 ... z_k``, which linear methods and inverse regression cannot see; "hermite3" the sum of
        ``(z**3 - 3 z) / sqrt(6)``, of information exponent 3; "staircase" ``z_1 + z_1 z_2 + ...``;
        "additive" ``tanh(2 z_1) + 0.6 (z_2**2 + ...)``; "square" and "tanh" sums of these.
    noise : float, default=0.1
        Standard deviation of the noise.
    coef : bool, default=False
        Return U too.
    random_state : int, RandomState instance or None, default=None
        Source of all randomness.

    Returns
    -------
    X : ndarray of shape (n_samples, n_features)
        Inputs.
    y : ndarray of shape (n_samples,)
        Responses.
    U : ndarray of shape (n_components, n_features)
        The subspace, orthonormal rows; only if ``coef=True``.

    Raises
    ------
    ValueError
        If ``n_components`` exceeds ``n_features``, or a callable link returns another shape.

    Examples
    --------
    >>> from sklearn_derand.datasets import make_multi_index
    >>> X, y, U = make_multi_index(100, 5, 1, link="tanh", noise=0.0, coef=True, random_state=0)
    >>> bool(abs(y - np.tanh(X @ U[0])).max() < 1e-12)
    True
    """
    if n_components > n_features:
        raise ValueError(
            f"n_components={n_components} exceeds n_features={n_features}; ask for at most n_features indices."
        )
    rng = check_random_state(random_state)
    Q, R = np.linalg.qr(rng.standard_normal((n_features, n_components)))
    # The signs make the law of U uniform; QR alone prefers positive diagonals.
    U = (Q * np.sign(np.diag(R))).T
    X = rng.standard_normal((n_samples, n_features))
    y = np.asarray((LINKS[link] if isinstance(link, str) else link)(X @ U.T), dtype=np.float64)
    if y.shape != (n_samples,):
        raise ValueError(f"link must return an array of shape ({n_samples},), one value a row; got {y.shape}.")
    y = y + noise * rng.standard_normal(n_samples)
    return (X, y, U) if coef else (X, y)
