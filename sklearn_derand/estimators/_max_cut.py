"""Maximum cut: a labelling, a proof of how good it is, and a certificate of the descent."""

import logging
from numbers import Integral, Real
from typing import Self

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse
from sklearn.base import ClusterMixin
from sklearn.callback import with_callbacks
from sklearn.metrics import pairwise_distances
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_array, column_or_1d, validate_data

from sklearn_derand.estimators._base import DerandomizedEstimator, all_or_nothing
from sklearn_derand.estimators._cut_deadline import Deadline
from sklearn_derand.estimators._magnitude import check_magnitude
from sklearn_derand.estimators._memory import check_memory
from sklearn_derand.metrics import cut_value
from sklearn_derand.metrics._distortion import squared_distances

EDGE_LIST = "Make an edge list a matrix by scipy.sparse.coo_array((w, (i, j)), shape=(n, n)) plus its transpose"
COSINE_ROUNDING = 1e-15
"""A distance of cosine at most this far from 0 is one of 0: one minus a cosine is known to the rounding of 1."""

logger = logging.getLogger(__name__)


class DerandMaxCut(ClusterMixin, DerandomizedEstimator):
    r"""Split the vertices of a weighted graph in two so that the weight between the sides is large.

    Random-hyperplane rounding (Goemans and Williamson 1995) gives vertex ``i`` the sign of ``v_i . z``, ``z`` normal.
    Here the law is derandomised: means ``mu_i`` are added and

    .. math:: E\,\mathrm{cut}(\mu, V) = \sum_{i<j} w_{ij} P(\mathrm{sign}(\mu_i + v_i \cdot z) \ne
              \mathrm{sign}(\mu_j + v_j \cdot z))

    is raised while the noise ``V`` goes to 0, where the labels are the signs of ``mu``. The relaxation behind ``V``
    also gives an upper bound on *every* cut.

    Parameters
    ----------
    metric : str, default="euclidean"
        ``"precomputed"``: ``X`` is the symmetric matrix of weights, dense or sparse, of any sign; its diagonal is
        ignored. Otherwise weights are the pairwise distances of the rows of ``X``: *far* points are put on different
        sides, so a similarity (an RBF kernel, say) is the wrong thing to pass as ``"precomputed"``.
    rank : int or "auto", default="auto"
        Columns of ``V``. ``"auto"``: ``ceil(sqrt(2 n))``, at most 24.
    n_init : int or "auto", default="auto"
        Descents, each from its own hyperplane. ``"auto"``: 16, fewer on large dense graphs; with ``max_time``, rounds
        of 16 until the time is used.
    init : array-like of shape (n_nodes,) or None, default=None
        A labelling to start from as well; the result is at least as good.
    polish : {"auto", "annealing", "tabu", "one_flip"} or None, default="auto"
        What is done to the labellings of the descents. ``None``: nothing. ``"one_flip"``: local search, after which
        no single vertex can gain by changing sides, then combinations of several labellings: what all agree on is tied
        together, and the rest reduced and searched again. ``"annealing"`` and ``"tabu"`` put the sampler of
        ``dwave-samplers`` in the place of the search and need ``pip install 'sklearn_derand[maxcut]'``. ``"auto"`` is
        annealing where that is installed, else ``"one_flip"``.
    max_time : float or None, default=None
        Wall-clock seconds to use, unless ``n_init`` is reached before; the best cut so far is returned with a valid
        bound. Results then depend on the machine's speed. What the first fit of a process imports does not count.
        Validation, the exact reduction, a factorisation for the bound and the certificate are not interrupted: on large
        graphs they set the least time of a fit.
    n_jobs : int or None, default=None
        Processes (joblib) for the annealing or tabu search and the combinations; ``None`` is 1 outside a
        ``joblib.parallel_config``. The result is the same for any number, unless ``max_time`` is given: more is then
        done in the time. Descents run as one batch in the calling process.
    solver : {"lbfgs", "trust_region", "perturbed_gradient", "hessian_descent"}, default="lbfgs"
        Solver of the last stretch of the descent, at ``V = 0``.
    max_iter : int, default=1000
        Most steps of it.
    tol, curvature_tol : float, default=1e-5, 1e-3
        What the certificate asks, in units of ``weight_unit_``.
    device : {"cpu", "cuda", "auto"}, default="cpu"
        Where the descents run.
    random_state : int, RandomState instance or None, default=None
        Source of all randomness.

    Attributes
    ----------
    labels_ : ndarray of shape (n_nodes,), int64
        0 or 1; ``labels_[0] == 0``. All 0 where no cut beats the empty one.
    cut_value_ : float
        Recomputed from ``labels_``.
    expected_cut_ : float
        Mean cut of a random hyperplane through ``embedding_``, in closed form. ``cut_value_ >= expected_cut_`` always.
    upper_bound_ : float
        No cut is larger. Where all weights are multiples of a number (integers, say), rounded down to a multiple. It
        can be below the value of the semidefinite relaxation, since vertices with at most three neighbours, or with
        one dominant edge, are removed exactly beforehand.
    gap_ : float
        ``(upper_bound_ - cut_value_) / |upper_bound_|``, 0 when both are 0.
    bound_method_ : {"dense", "sparse", "lanczos"}
        How the eigenvalue behind ``upper_bound_`` was bounded.
    bound_failure_probability_ : float
        0.0 for a factorisation; for Lanczos, the chance over its random start that the bound is false.
    weight_unit_ : float
        All steps work on weights divided by it, so that ``c * W`` gives the labels of ``W`` for any ``c > 0``. The
        largest common divisor of the weights, else the largest absolute weight; 1.0 without edges.
    embedding_ : ndarray of shape (n_nodes, rank)
        Unit vectors of the relaxation.
    noise_ : float
        Largest row norm of ``V`` at the end of the descent: 0.0.
    polish_ : str or None
        The polish used.
    certificate_ : Certificate
        Of ``f(mu, V) = -E cut`` with smoothing 0.1, at ``V = 0`` and the ``mu`` where the descent ended. The mean
        block is certified; it speaks for all of ``(mu, V)``, of any rank, since ``f`` is even in ``V`` (gradient and
        cross block vanish) and by Stein's lemma its Hessian in ``V`` is that in ``mu``, once for each column.
        Its tolerances are ``tol`` and ``curvature_tol`` times ``weight_unit_``.
        ``initial_value`` is ``-expected_cut_``, and ``value`` is never above it.
    certified_params_ : ndarray of shape (n_nodes,)
        That ``mu``.
    history_ : dict of ndarray
        ``value``, ``gradient_norm``, ``noise`` of the best descent, at points along the way.
    n_iter_ : int
        Steps of the descent.
    n_features_in_ : int
        Columns of ``X``.
    feature_names_in_ : ndarray of str
        Where ``X`` has them.

    Notes
    -----
    *What is not certified.* Second-order stationarity says nothing of the quality of a cut: where all ``|mu_i|`` are
    large, ``f`` is flat, and every labelling is such a point. What protects the user is the descent from the
    hyperplane law (``cut_value_ >= expected_cut_``), one-flip optimality where ``polish`` is not ``None``, and
    ``upper_bound_``.

    References
    ----------
    M. X. Goemans, D. P. Williamson, "Improved approximation algorithms for maximum cut and satisfiability problems
    using semidefinite programming", J. ACM 42 (1995) 1115-1145.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_derand import DerandMaxCut
    >>> pentagon = np.roll(np.eye(5), 1, axis=1) + np.roll(np.eye(5), -1, axis=1)
    >>> cut = DerandMaxCut(metric="precomputed", random_state=0).fit(pentagon)
    >>> cut.cut_value_, cut.upper_bound_
    (4.0, 4.0)
    >>> cut.certificate_.holds
    True
    """

    _parameter_constraints: dict = {
        **DerandomizedEstimator._parameter_constraints,
        "metric": [StrOptions({"cityblock", "cosine", "euclidean", "l1", "l2", "manhattan", "precomputed"})],
        "rank": [Interval(Integral, 2, None, closed="left"), StrOptions({"auto"})],
        "n_init": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "init": ["array-like", None],
        "polish": [StrOptions({"auto", "annealing", "tabu", "one_flip"}), None],
        "max_time": [Interval(Real, 0, None, closed="neither"), None],
        "n_jobs": [Integral, None],
    }

    def __init__(
        self,
        metric: str = "euclidean",
        *,
        rank: int | str = "auto",
        n_init: int | str = "auto",
        init: ArrayLike | None = None,
        polish: str | None = "auto",
        max_time: float | None = None,
        n_jobs: int | None = None,
        solver: str = "lbfgs",
        max_iter: int = 1000,
        tol: float = 1e-5,
        curvature_tol: float = 1e-3,
        device: str = "cpu",
        random_state: int | np.random.RandomState | None = None,
    ):
        self.metric = metric
        self.rank = rank
        self.n_init = n_init
        self.init = init
        self.polish = polish
        self.max_time = max_time
        self.n_jobs = n_jobs
        self.solver = solver
        self.max_iter = max_iter
        self.tol = tol
        self.curvature_tol = curvature_tol
        self.device = device
        self.random_state = random_state

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.pairwise = self.metric == "precomputed"
        return tags

    @all_or_nothing
    @with_callbacks
    def fit(self, X: ArrayLike | sparse.sparray, y: object = None) -> Self:
        """Cut the graph.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_nodes, n_nodes) or (n_samples, n_features)
            Weights if ``metric="precomputed"``, else points.
        y : None
            Ignored.

        Returns
        -------
        self : DerandMaxCut
            Fitted.
        """
        from sklearn_derand.estimators._cut_search import CutSearch, load_libraries

        self._validate_params()
        load_libraries(self.polish)
        deadline = None if self.max_time is None else Deadline(self.max_time)
        weights = self._validate_weights(X)
        init = self._validate_init(weights.shape[0])
        if self.rank != "auto":
            n_bytes = 16 * self.rank * weights.shape[0]
            check_memory(n_bytes, f"rank={self.rank}: the vectors of the relaxation", "Use rank='auto'.")
        search = CutSearch(
            weights,
            rank=self.rank,
            n_init=self.n_init,
            init=init,
            polish=self.polish,
            n_jobs=self.n_jobs,
            device=self.device,
            seeds=self._draw_seeds(4),
            deadline=deadline,
        )
        with self._task(X, y):
            search.relax()
            search.bound()
            search.descend()
            self._certify(search)
            self._read_off(search, weights)
        return self

    def _certify(self, search):
        """Finish the best descent at ``V = 0`` with the engine, never above the value of the hyperplane law."""
        for start in search.mean_starts():
            solution = self._minimize(
                search.mean_block(),
                start,
                seed=search.seeds[3],
                reconstruct=lambda means: {"labels_": _labels(means.cpu().numpy())},
            )
            if solution.value <= -search.expected_cut:
                break
        history = search.history()
        for name in ("value", "gradient_norm"):
            history[name] = search.units.unit * np.concatenate([history[name], solution.history[name]])
        history["noise"] = np.concatenate([history["noise"], np.zeros(solution.history["value"].size)])
        certificate = search.units.certificate(solution.certificate, -search.units.at_least(search.expected_cut))
        self._report(certificate, solution.params, history, search.n_steps + solution.n_iter, solution.status)

    def _read_off(self, search, weights):
        """Publish the labels and recompute their value from them."""
        self.labels_ = _labels(search.signs)
        self.cut_value_ = cut_value(weights, self.labels_)
        self.expected_cut_ = search.units.at_least(search.expected_cut)
        if self.cut_value_ < self.expected_cut_:
            raise RuntimeError(
                f"The cut {self.cut_value_!r} is below the expectation {self.expected_cut_!r} that it was derandomised "
                "from; this should be impossible, please report it with the weights."
            )
        self.upper_bound_ = max(search.dual.value, self.cut_value_ if search.dual.failure_probability else -np.inf)
        self.bound_method_ = search.dual.method
        self.bound_failure_probability_ = search.dual.failure_probability
        difference = self.upper_bound_ - self.cut_value_
        self.gap_ = 0.0 if difference == 0 else float(difference / max(abs(self.upper_bound_), np.finfo(float).tiny))
        self.weight_unit_ = search.units.unit
        logger.debug("cut %.10g of at most %.10g, %s", self.cut_value_, self.upper_bound_, self.bound_method_)
        self.embedding_ = search.vectors
        self.noise_ = 0.0
        self.polish_ = search.polish

    def _validate_weights(self, X):
        if hasattr(X, "adj") and hasattr(X, "nodes"):
            raise TypeError(
                f"X is a {type(X).__name__}; with metric='precomputed' pass networkx.to_scipy_sparse_array(graph), "
                "whose rows are in the order of graph.nodes."
            )
        X = validate_data(
            self, X, accept_sparse=["csr", "csc", "coo"], dtype=np.float64, order="C", ensure_min_samples=2
        )
        check_magnitude(X, "X")
        if self.metric != "precomputed":
            X = self._distances(X)
        if X.shape[0] != X.shape[1]:
            raise ValueError(
                f"metric='precomputed' needs a square matrix of weights, got shape {X.shape}. {EDGE_LIST}; points go "
                "with metric='euclidean'."
            )
        weights = sparse.csr_array(X, copy=True)
        weights.sum_duplicates()
        if weights.diagonal().any():
            weights.setdiag(0.0)
        weights.eliminate_zeros()
        asymmetry = abs(weights - weights.T).max()
        if asymmetry > 1e-8 * abs(weights).max():
            raise ValueError(
                f"metric='precomputed' needs symmetric weights; W and its transpose differ by {asymmetry:.3g}. Pass "
                f"W + W.T if each edge is stored once, or 0.5 * (W + W.T) to average both directions. {EDGE_LIST}."
            )
        return weights if asymmetry == 0 else sparse.csr_array(0.5 * (weights + weights.T))

    def _distances(self, X):
        n = X.shape[0]
        # The distances, their mean with the transpose, and the matrix in compressed rows.
        check_memory(
            28 * n * n,
            f"X has {n} rows: the distances of all pairs and their sparse copy",
            "Pass fewer rows, or a sparse graph with metric='precomputed'.",
        )
        if self.metric in {"euclidean", "l2"}:
            # scikit-learn's expansion of the square loses all digits of distances far below the norms.
            X = sparse.csr_array(X) if sparse.issparse(X) else X - X.mean(axis=0)
            distances = np.sqrt(squared_distances(X))
        elif self.metric == "cosine":
            distances = pairwise_distances(_tamed(X), metric="cosine")
            distances[distances <= COSINE_ROUNDING] = 0.0
        else:
            distances = pairwise_distances(X, metric=self.metric)
        return 0.5 * (distances + distances.T)

    def _validate_init(self, n_nodes):
        if self.init is None:
            return None
        init = column_or_1d(check_array(self.init, ensure_2d=False, dtype=None))
        values, side = np.unique(init, return_inverse=True)
        if init.shape[0] != n_nodes or values.size > 2:
            raise ValueError(
                f"init must be a labelling of the {n_nodes} nodes with at most two values; "
                f"got {init.shape[0]} entries with {values.size} values."
            )
        return 2.0 * side - 1.0


def _labels(sides: np.ndarray) -> np.ndarray:
    """Labels 0, 1 of numbers on two sides of 0; that of the first is 0."""
    return ((sides < 0) != (sides[0] < 0)).astype(np.int64)


def _tamed(X):
    """Divide each row by its largest entry: scikit-learn takes dense rows shorter than 1e-15 for rows of zeros."""
    largest = abs(X).max(axis=1)
    largest = largest.toarray().ravel() if sparse.issparse(largest) else largest
    largest = np.where(largest > 0, largest, 1.0)
    return sparse.csr_array(sparse.diags_array(1 / largest) @ X) if sparse.issparse(X) else X / largest[:, None]
