"""Linear maps to few dimensions that keep every pairwise distance, without luck."""

import warnings
from functools import partial
from numbers import Integral, Real
from typing import Self

import numpy as np
from numpy.typing import ArrayLike
from scipy import linalg, sparse
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.callback import with_callbacks
from sklearn.exceptions import ConvergenceWarning, DataDimensionalityWarning
from sklearn.utils import check_array
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.extmath import safe_sparse_dot
from sklearn.utils.validation import check_is_fitted, validate_data

from sklearn_derand.estimators._base import DerandomizedEstimator, all_or_nothing
from sklearn_derand.estimators._jl_bound import lower_bound
from sklearn_derand.estimators._jl_dimension import choose_dimension, descend_at
from sklearn_derand.estimators._jl_failures import check_possible, descend_failures
from sklearn_derand.estimators._jl_path import SLACK
from sklearn_derand.estimators._jl_points import SpanCoordinates, rows_within_reach
from sklearn_derand.estimators._jl_ranks import max_distortion_over_ranks, span_over_ranks
from sklearn_derand.estimators._jl_scale import DENSE_POINTS, ROUGH, SAMPLE_STEPS, refine, sample_rows
from sklearn_derand.estimators._jl_validation import map_for_new_points, splits
from sklearn_derand.estimators._magnitude import check_magnitude
from sklearn_derand.estimators._memory import check_memory
from sklearn_derand.estimators._ranks import check_alike, find_ranks
from sklearn_derand.metrics._distortion import max_distortion_of_map


class DerandJLEmbedding(ClassNamePrefixFeaturesOutMixin, TransformerMixin, DerandomizedEstimator):
    r"""Johnson-Lindenstrauss embedding: the randomness of a random projection, descended away.

    A Gaussian random projection keeps all squared distances up to a factor ``1 +- eps`` if its size is large enough
    and luck is not bad. Here the law ``A = M + sigma G`` of the random map is itself descended, from
    ``(M, sigma^2) = (0, 1/k)`` to a single map ``M`` with ``sigma = 0``, on the closed form

    .. math:: F_t(M, \sigma) = \sum_{\text{pairs } u} E\, e^{t (|A u|^2 - 1)} + E\, e^{-t (|A u|^2 - 1)}

    over unit differences ``u`` of the fitted points; then ``t`` is raised until ``(1/t) log F_t`` is the largest
    distortion of any pair, but for 1 %. The map fits these points: the fewer components, the more it gains on a
    random one. Drop-in for :class:`~sklearn.random_projection.GaussianRandomProjection`: no centring, sparse input
    stays sparse.

    Parameters
    ----------
    n_components : int or "auto", default="auto"
        Dimension of the images. "auto": the smallest found whose distortion, verified on all fitted pairs, is at
        most ``eps``; never more than the features. It depends on the data:
        :func:`~sklearn.random_projection.johnson_lindenstrauss_min_dim`, which knows only their number, asks for ten
        to a hundred times as many. Only the first dimension tried is descended to from the law; the others start from
        the map of the nearest one tried.
    eps : float, default=0.1
        Largest relative change of a squared distance with ``n_components="auto"``. With
        ``objective="failure_probability"``: the descent ends where no pair is changed by more.
    compute_inverse_components : bool, default=False
        Keep the pseudo-inverse of the components for ``inverse_transform``.
    random_state : int, RandomState instance or None, default=None
        Of the Gaussian law's draw, the part of the map that the fitted points do not see, and the certificate.
    init : {"pca+gaussian", "gaussian"}, default="pca+gaussian"
        What half of the law's variance is drawn into at the start: principal axes, one for each component, with a
        Gaussian image of all other directions added; or a Gaussian map. Both keep the bound of the Gaussian law. The
        former ends at a little less distortion of the fitted points, and as a rule of new ones.
    validation_fraction : float or None, default=None
        None: the map is the best on all points given. A share in (0, 1): so many points are set aside in turn, a map is
        descended on the others, and the place to stop, the scale, and how far singular values are drawn together, that
        promise least distortion of new pairs, judged by those within the points set aside, are used with all points;
        outside their span the map is random, in the directions of the images that have least energy. The map distorts
        the fitted points more and new ones, as a rule, less. Above 3,000 points 800 of them decide, and determine the
        map; with so many the default serves new points as well.
    max_pairs : int or None, default=None
        None: all pairs, of which there may be 2e8 (20,000 points). Otherwise, where there are more, only the pairs
        of a random subset of points are looked at, as many as fit; ``n_pairs_`` says how many, and ``distortion_`` is
        then of these alone.
    solver : {"lbfgs", "trust_region", "perturbed_gradient", "hessian_descent"}, default="lbfgs"
        What descends.
    max_iter : int, default=1000
        Most steps of a descent, over all exponents.
    tol : float, default=1e-5
        Bound on the gradient norm that the certificate asks for.
    curvature_tol : float, default=1e-3
        Bound on the negative curvature that the certificate asks for.
    device : {"cpu", "cuda", "auto"}, default="cpu"
        Where the descent runs.
    distributed : bool or "auto", default="auto"
        Whether each process of torch.distributed's default group holds points of its own, of all of which the map is
        made, the same on each. "auto": where such a group was initialised; all its processes must then call ``fit``.
        Without ``validation_fraction``.
    objective : {"chernoff", "failure_probability"}, default="chernoff"
        What is descended. "chernoff": ``F_t`` above. "failure_probability": the objective of Tsikouras, Caramanis and
        Tzamos (2024), in closed form as well,

        .. math:: P_\epsilon(M, \sigma) = \sum_{\text{pairs } u} P(||A u|^2 - 1| > \epsilon),

        the expected number of pairs changed by more than ``epsilon``, first at 0.8 at most, then below the largest
        distortion reached, until that is at most ``eps`` or falls no further. It says in the user's words what a map is
        to do, and stops there; it is slow (a hundred times a step), ended at 11 and 17 % more distortion where ``eps``
        was out of reach (30 digits, 60 unit vectors), and is for comparison with that paper. Up to 200 points, with
        ``n_components`` given, without ``validation_fraction`` and on one process.

    Attributes
    ----------
    components_ : ndarray of shape (n_components, n_features)
        The map: ``transform(X) = X @ components_.T``.
    n_components_ : int
        Dimension of the images.
    inverse_components_ : ndarray of shape (n_features, n_components)
        Pseudo-inverse, with ``compute_inverse_components=True``.
    distortion_ : float
        Largest relative change of a squared distance over *all* pairs of fitted points (or ``n_pairs_`` of them),
        recomputed in numpy from what ``transform`` returns.
    n_pairs_ : int
        Pairs that ``distortion_`` covers: all, unless ``max_pairs`` is exceeded.
    distortion_bound_ : float
        What the Gaussian law guarantees beforehand for the best of its draws (``min_t (1/t) log F_t(0, 1/k)``);
        a ConvergenceWarning tells if ``distortion_`` exceeds it. At 1 or above it is no guarantee at all.
    distortion_lower_bound_ : float
        No map of these points to as many dimensions, linear or not, has a smaller distortion. Of 30 to 174 points
        it is sharpened by weights of pairs.
    validation_distortion_ : float
        With ``validation_fraction``: largest relative change over the pairs with a point set aside, averaged over the
        splits. These pairs chose where to stop, so it is a little optimistic; of more new points the extremes lie
        further out.
    noise_ : float
        sigma at the end.
    certificate_ : Certificate
        Of the objective ``t^-2 log F_t`` at the last ``t``, with sigma a variable, at ``certified_params_``; or of
        ``P_eps`` at an ``eps`` that no pair fails, just above ``distortion_``, where it is least: 0. With
        ``validation_fraction`` that is the optimum on the fitted points, not the map returned, which is usually
        stopped earlier.
    certified_params_ : ndarray of shape (n_components * rank + 1,)
        The map on scaled coordinates of the points' span, and the noise in its natural unit.
    history_ : dict of str to ndarray
        ``value`` (``(1/t) log F_t``), ``gradient_norm`` (in its units), ``noise`` and ``t`` for each accepted point. Of
        ``objective="failure_probability"`` the value is ``P_eps``, and ``eps`` takes the place of ``t``.
    n_iter_ : int
        Steps, over all exponents.
    n_features_in_ : int
        Features seen in ``fit``.
    feature_names_in_ : ndarray of shape (n_features_in,)
        Their names, where all are strings.

    See Also
    --------
    sklearn.random_projection.GaussianRandomProjection : One draw of the law.

    Notes
    -----
    *What is certified*: in float64, of these pairs, that the map and ``sigma = 0`` are a second-order stationary
    point of ``t^-2 log F_t`` to the tolerances. In units of the distortion both tolerances count ``t`` times, so at
    the final exponent (in the hundreds or thousands) the gradient test is sharp and the curvature test is mild: it is
    the monotone descent from the Gaussian law, and ``distortion_`` itself, that protect you. We do not verify that
    the map is a global minimum, nor anything about points that were not fitted; compare ``distortion_`` with
    ``distortion_lower_bound_``, and measure new points with :func:`sklearn_derand.metrics.max_distortion`.

    References
    ----------
    Tsikouras, Caramanis, Tzamos, "Optimization Can Learn Johnson Lindenstrauss Embeddings", NeurIPS 2024.
    Tsikouras, Pantis, Mitliagkas, Tzamos, "A Derandomization Framework for Structure Discovery", ICLR 2026.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.random_projection import GaussianRandomProjection
    >>> from sklearn_derand import DerandJLEmbedding
    >>> from sklearn_derand.metrics import max_distortion
    >>> X = load_digits().data[:100]
    >>> embedding = DerandJLEmbedding(n_components=16, random_state=0).fit(X)
    >>> embedding.transform(X).shape
    (100, 16)
    >>> bool(embedding.distortion_ < 0.15)
    True
    >>> draw = GaussianRandomProjection(n_components=16, random_state=0)
    >>> max_distortion(X, draw.fit_transform(X)) > 0.7
    True
    """

    _parameter_constraints: dict = {
        **DerandomizedEstimator._parameter_constraints,
        "n_components": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "eps": [Interval(Real, 0, None, closed="neither")],
        "compute_inverse_components": ["boolean"],
        "init": [StrOptions({"pca+gaussian", "gaussian"})],
        "max_pairs": [Interval(Integral, 1, None, closed="left"), None],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither"), None],
        "distributed": ["boolean", StrOptions({"auto"})],
        "objective": [StrOptions({"chernoff", "failure_probability"})],
    }

    def __init__(
        self,
        n_components: int | str = "auto",
        *,
        eps: float = 0.1,
        compute_inverse_components: bool = False,
        random_state: int | np.random.RandomState | None = None,
        init: str = "pca+gaussian",
        max_pairs: int | None = None,
        validation_fraction: float | None = None,
        solver: str = "lbfgs",
        max_iter: int = 1000,
        tol: float = 1e-5,
        curvature_tol: float = 1e-3,
        device: str = "cpu",
        distributed: bool | str = "auto",
        objective: str = "chernoff",
    ):
        self.n_components = n_components
        self.eps = eps
        self.compute_inverse_components = compute_inverse_components
        self.random_state = random_state
        self.init = init
        self.max_pairs = max_pairs
        self.validation_fraction = validation_fraction
        self.solver = solver
        self.max_iter = max_iter
        self.tol = tol
        self.curvature_tol = curvature_tol
        self.device = device
        self.distributed = distributed
        self.objective = objective

    @all_or_nothing
    @with_callbacks
    def fit(self, X: ArrayLike | sparse.sparray, y: object = None) -> Self:
        """Find the map for the rows of ``X``.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The points. Sparse input is not densified where it has more columns than rows. Up to 3,000 rows the
            n_samples x n_samples matrix of distances is kept; above, the worst pairs are listed, and all are scanned by
            blocks.
        y : Ignored
            For scikit-learn's conventions.

        Returns
        -------
        self : DerandJLEmbedding
        """
        X, ranks = self._pose(X)
        start, engine, outside, aside, sample = self._draw_seeds(5, ranks)
        looked_at, self.n_pairs_ = rows_within_reach(int(ranks.sum(X.shape[0])), self.max_pairs, sample)
        looked_at = looked_at if isinstance(looked_at, slice) else ranks.own(looked_at, X.shape[0])
        fitted = _as_float64(X)[looked_at]
        if self.objective == "failure_probability":
            check_possible(self, fitted.shape[0], ranks.size)
        large = ranks.size == 1 and fitted.shape[0] > DENSE_POINTS
        if ranks.size > 1:
            coordinates = span_over_ranks(fitted, ranks)
        elif large:
            coordinates = SpanCoordinates.of(fitted[sample_rows(fitted, sample)], among=fitted)
        else:
            coordinates = SpanCoordinates.of(fitted)
        self._warn_if_larger(coordinates)
        with self._task(X, y):
            run = partial(self._minimize, seed=engine)
            slack, steps = (ROUGH, min(SAMPLE_STEPS, self.max_iter)) if large else (SLACK, self.max_iter)
            descend = partial(descend_at, run, self._tensors, coordinates, self.init, start, steps, slack)
            if self.objective == "failure_probability":
                descend = partial(descend_failures, run, self._tensors, coordinates, self.init, start, steps, self.eps)
            k, descent = choose_dimension(descend, self._tensors, coordinates, self.n_components, self.eps)
            self.n_components_ = self._n_features_out = k
            rest = np.random.RandomState(outside).standard_normal((k, X.shape[1])) / np.sqrt(k)
            components = coordinates.outside(rest)
            if large and descent is not None:
                components = refine(run, fitted, coordinates, descent, components, self._tensors, self.max_iter, sample)
            elif descent is not None:
                components = components + coordinates.to_features(descent.maps())
            parts = splits(coordinates.inverse_distances, self.validation_fraction or 0.0, aside)
            if descent is not None and parts:
                chosen = map_for_new_points(self._tensors, coordinates, parts, k, outside)
                components, self.validation_distortion_ = chosen
            self.components_ = components.astype(X.dtype, copy=False)
            if self.compute_inverse_components:
                self.inverse_components_ = linalg.pinv(self.components_, check_finite=False)
            self._read_off(X[looked_at], coordinates, descent)
        return self

    def _pose(self, X):
        """Check everything before any work, on all ranks."""
        self._validate_params()
        ranks = find_ranks(self.distributed)
        with ranks.together():
            X = validate_data(self, X, accept_sparse=["csr", "csc"], dtype=[np.float64, np.float32], order="C")
            check_magnitude(X, "X")
            if self.n_components != "auto":
                n_bytes = 8 * self.n_components * (X.shape[0] + 2 * X.shape[1])
                check_memory(n_bytes, f"n_components={self.n_components}: the map and the images of X", "Lower it.")
        check_alike(ranks, self, X)
        if ranks.size > 1 and self.validation_fraction is not None:
            raise ValueError(
                f"validation_fraction={self.validation_fraction} cannot be had where points are spread over ranks; set "
                "validation_fraction=None, or distributed=False to fit the points of this process alone."
            )
        return X, ranks

    def _warn_if_larger(self, coordinates):
        n_features = coordinates.X.shape[1]
        if self.n_components != "auto" and self.n_components > n_features:
            warnings.warn(
                f"n_components={self.n_components} is higher than the number of features ({n_features}); "
                "the dimensionality will not be reduced. Lower n_components, or use 'auto'.",
                DataDimensionalityWarning,
                stacklevel=4,
            )

    def _tensors(self, *arrays):
        from sklearn_derand.engine.tensors import as_tensor, resolve_device

        return [as_tensor(array, device=resolve_device(self.device)) for array in arrays]

    def _read_off(self, X, coordinates, descent):
        """Recompute the distortion from what the user holds, and publish the bounds and the certificate."""
        from sklearn_derand.engine import certify
        from sklearn_derand.problems.distortion_bounds import gaussian_bound

        images, ranks = safe_sparse_dot(X, self.components_.T, dense_output=True), coordinates.ranks
        measure = max_distortion_of_map if ranks is None else partial(max_distortion_over_ranks, ranks=ranks)
        self.distortion_ = measure(X, images, self.components_)
        if descent is None:
            import torch

            self.distortion_bound_ = self.distortion_lower_bound_ = self.noise_ = 0.0
            nothing = torch.zeros(1, dtype=torch.float64)
            certificate = certify(
                lambda params: 0.0 * params.sum(),
                nothing,
                tol=self.tol,
                curvature_tol=self.curvature_tol,
                random_state=0,
                initial_value=0.0,
            )
            self._report(certificate, nothing, dict.fromkeys(("value", "gradient_norm", "noise", "t"), np.zeros(1)), 0)
            return
        self.distortion_bound_ = gaussian_bound(max(self.n_pairs_, 1), self.n_components_)[0]
        self.distortion_lower_bound_ = lower_bound(self._tensors, coordinates, self.n_components_)
        self.noise_ = descent.objective.noise(descent.params).item()
        solution = descent.solution
        self._report(solution.certificate, solution.params, descent.history(), descent.n_iter, solution.status)
        if self.distortion_ > self.distortion_bound_:
            warnings.warn(
                f"DerandJLEmbedding: distortion_={self.distortion_:.3g} exceeds distortion_bound_="
                f"{self.distortion_bound_:.3g}, which the Gaussian law guarantees; raise max_iter="
                f"{self.max_iter}, or remove points that differ by rounding only.",
                ConvergenceWarning,
                stacklevel=4,
            )

    def transform(self, X: ArrayLike | sparse.sparray) -> np.ndarray:
        """Map points: ``X @ components_.T``.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Points, fitted or new.

        Returns
        -------
        X_new : ndarray of shape (n_samples, n_components)
            Always dense, in the dtype of ``X``.
        """
        check_is_fitted(self)
        X = validate_data(self, X, accept_sparse=["csr", "csc"], dtype=[np.float64, np.float32], reset=False)
        return safe_sparse_dot(X, self.components_.astype(X.dtype, copy=False).T, dense_output=True)

    def inverse_transform(self, X: ArrayLike | sparse.sparray) -> np.ndarray:
        """Return the smallest points whose images are ``X``.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_components)
            Images.

        Returns
        -------
        X_original : ndarray of shape (n_samples, n_features)
            Dense.
        """
        check_is_fitted(self)
        X = check_array(X, dtype=[np.float64, np.float32], accept_sparse=("csr", "csc"))
        inverse = (
            self.inverse_components_
            if self.compute_inverse_components
            else linalg.pinv(self.components_, check_finite=False)
        )
        return safe_sparse_dot(X, inverse.T, dense_output=True)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        tags.input_tags.sparse = True
        return tags


def _as_float64(X):
    return sparse.csr_array(X, dtype=np.float64) if sparse.issparse(X) else X.astype(np.float64, copy=False)
