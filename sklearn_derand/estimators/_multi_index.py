"""Multi-index regression by a student network taken to a certified second-order stationary point."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from numbers import Integral, Real
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import ClassNamePrefixFeaturesOutMixin, MultiOutputMixin, RegressorMixin, TransformerMixin
from sklearn.callback import with_callbacks
from sklearn.utils._param_validation import Interval, InvalidParameterError, StrOptions
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from sklearn_derand.estimators._base import DerandomizedEstimator, all_or_nothing
from sklearn_derand.estimators._ranks import check_alike, find_ranks
from sklearn_derand.estimators._student_choice import choose, full_decay
from sklearn_derand.estimators._student_data import StudentData, check_network_memory, check_rank, prepare_data
from sklearn_derand.estimators._student_ensemble import as_one, student_ensemble
from sklearn_derand.estimators._student_penalties import settle
from sklearn_derand.estimators._student_readout import (
    ACTIVATIONS,
    fix_gauge,
    hidden_widths,
    layers_of,
    network_output,
    packed,
    user_layers,
)
from sklearn_derand.estimators._student_search import (
    StudentSpec,
    check_loss,
    descend,
    leading_directions,
    orthonormal_indices,
    refinement_start,
    unless_auto,
)
from sklearn_derand.estimators._student_solver import student_solver

if TYPE_CHECKING:
    from torch import Tensor

logger = logging.getLogger(__name__)

LOSSES = {"squared_error", "pseudo_huber", "log_cosh", "poisson"}

DISCOVERY_ACTIVATION = "tanh"
"""Of the full student under ``activation="auto"``: see ``LINEAR_TAILS``."""

DISCOVERY_TOL = 1e-2
DISCOVERY_CURVATURE = 1.0
"""Gradient norm of the full student, and negative curvature allowed it relative to alpha: half of what the lemma can
bear. It only serves to find the directions, which the refined student, taken to ``tol``, finds again; and the
sample's departure from Stein's identity is larger than this by far."""


class MultiIndexStudentRegressor(
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    RegressorMixin,
    MultiOutputMixin,
    DerandomizedEstimator,
):
    r"""Regression on few linear indices of the inputs, ``y = h(U x) + noise``, link and subspace unknown.

    A student network with a penalty on its first layer,

    .. math:: R_n(\theta) = \sum_i w_i \ell(f_\theta(z_i), y_i) + \alpha \|W_1\|_F^2
        + \text{decay} \sum_{l > 1} \|W_l\|_F^2, \qquad z_i = \text{whitened } x_i,

    is taken to a certified second-order stationary point with all weights and biases trained [1]_. The leading
    eigenvectors of its average gradient outer product are the directions; a second student, whose first
    layer has rank ``n_components`` and starts from them, is taken to a stationary point of its own and
    predicts. Columns may be correlated, scaled, constant or repeated: inputs are centred and whitened inside.

    *What is certified:* that the returned point is, in float64, a second-order stationary point of the penalised
    risk *of this sample*; ``certificate_`` for the student that predicts and ``discovery_certificate_`` for
    the full one. Not certified: the risk of the population, that the minimum is global, or that the teacher was
    found. Theorem 4.1 of [1]_ says that for Gaussian inputs and infinitely many rows the first layer has no
    part outside the teacher's subspace; it does not say that it fills that subspace. A student whose link can only
    be the second Hermite polynomial, shown a teacher that is the fourth, has uncorrelated gradients: its first
    layer vanishes, no part of it is outside the subspace, and nothing is learned.

    ``noise_ <= noise_bound_`` is the sample form of the lemma, an exact inequality whose ``stein_gap_`` measures
    how far the sample is from Gaussian and infinite. With the fitted subspace in place of the true one,
    which is not known, it explains a measured ``noise_``; it guarantees nothing about the teacher.

    Parameters
    ----------
    n_components : int or "auto", default="auto"
        Number of indices k. "auto": the smallest k that predicts held-out rows within one standard error of the
        best; all features where that is over half of them, or over a quarter and leave-one-out prefers all: there is
        no low-dimensional structure then, and the mean of four students predicts, each from a start of its own.
    hidden_layer_sizes : int or tuple of int, default=(32,)
        Widths of the hidden layers.
    activation : {"auto", "tanh", "gelu", "softplus", "silu", "smooth_relu"}, default="auto"
        Smooth; "smooth_relu" is ``softplus(10 x) / 10``. "auto": tanh, and for a refined student whose penalties
        leave-one-out chooses (see ``alpha``) silu, a line far out, unless tanh has less than 0.97 of its loss left out.
    loss : {"squared_error", "pseudo_huber", "log_cosh", "poisson"} or callable, default="squared_error"
        The first three see y scaled to unit variance and behave as ``r**2 / 2`` near 0; "poisson" has the
        log link. A callable ``(prediction, target) -> loss of each row`` takes torch tensors of shape
        (n_samples, n_outputs) in the units of y and must be twice differentiable.
    alpha : float or "auto", default="auto"
        First-layer penalty of the full student, the lemma's lambda; the refined student has ``min(1, 20 / n_samples)``
        of it. "auto": both, and the refined student's weight decay; by the loss on held-out rows, for the refined
        student by its approximate leave-one-out loss, given 8 rows for each entry of the indices, 1 for each parameter.
    weight_decay : float or "auto", default="auto"
        Penalty of the other weights; biases are never penalised. "auto": for the full student 1e-4, and up to 1e-2
        below 40 rows a feature (``1e-4 * (40 n_features / n_samples)**2``); for the refined one what
        ``alpha="auto"`` chooses, or ``0.02 / n_samples`` (at most 1e-3) beside a given alpha.
    n_init : int or "auto", default="auto"
        Starts; the lowest risk is kept. "auto": 1, and with fewer than 8 rows for each entry of the indices and
        ``alpha="auto"`` up to 12, from which indices are searched for and kept if a bootstrap tells them from
        noise.
    n_jobs : int or None, default=None
        Processes over which starts are spread. The result does not depend on it.
    warm_start : bool, default=False
        Start from the last fit's networks where shapes agree, instead of at random.
    validation_fraction : float, default=0.2
        Part of the rows set aside for what is "auto"; the final fit sees all.
    batch_size : int or None, default=None
        For many rows: everything "auto" is chosen on this many rows drawn at random, and random starts are descended on
        growing batches. The final descents and their certificates are of all rows.
    train_bias : bool, default=True
        False fixes the first layer's biases at 0, where the lemma fails: the paper's contrast.
    refine : bool, default=True
        False predicts with the full student; ``components_`` are then its leading directions.
    solver : {"lbfgs", "trust_region", "perturbed_gradient", "hessian_descent"}, default="lbfgs"
        What descends.
    max_iter : int, default=2000
        Most accepted steps of each descent.
    tol : float, default=1e-5
        Gradient norm asked of the student that predicts; of the full student ``max(tol, 1e-2)``.
    curvature_tol : float, default=1e-3
        Negative curvature allowed the student that predicts; lowered to alpha where that is smaller, since the
        lemma needs it below twice alpha. The full student is allowed alpha.
    device : {"cpu", "cuda", "auto"}, default="cpu"
        Where the descents run.
    distributed : bool or "auto", default="auto"
        Whether each process of torch.distributed's default group holds rows of its own, of which all make one fit,
        the same on each. "auto": where such a group was initialised; all its processes must then call ``fit``.
    random_state : int, RandomState instance or None, default=None
        Source of all randomness.

    Attributes
    ----------
    components_ : ndarray of shape (n_components, n_features)
        Orthonormal rows spanning the indices in the units of X, ordered by how much of the prediction's
        squared gradient they carry; the largest entry of each is positive.
    mean_ : ndarray of shape (n_features_in,)
        Weighted mean of the training rows.
    n_components_ : int
        Number of indices.
    explained_gradient_ratio_ : ndarray of shape (n_features_in,)
        Spectrum of the full student's average gradient outer product in whitened coordinates, decreasing,
        sum 1: a gap after the k-th entry speaks for k indices.
    coefs_, intercepts_ : list of ndarray
        The student that predicts, in the units of X and y (as ``MLPRegressor``); of four, their units side by side.
    certificate_ : Certificate
        Evidence for the student that predicts; of four, for the sum of their risks, and so for each.
    certified_params_ : ndarray of shape (n_params,)
        The point that it speaks of (whitened coordinates), student after student.
    discovery_coefs_, discovery_intercepts_ : list of ndarray
        The full student, on whitened inputs and scaled targets.
    discovery_certificate_ : Certificate
        Evidence for the full student.
    noise_ : float
        Frobenius norm of the full student's first layer outside the fitted subspace.
    noise_bound_ : float
        ``(||dR_n/dW_perp|| + stein_gap_) / (2 alpha_ + lambda_min(Hess_b R_n))``, inf where the denominator
        is not positive; ``noise_`` never exceeds it.
    stein_gap_ : float
        Norm of the difference between the two sides of Stein's identity on this sample.
    alpha_ : float
        First-layer penalty of the full student.
    activation_ : str
        Of the student that predicts.
    refined_alpha_, weight_decay_ : float
        First-layer penalty and weight decay of the student that predicts and is certified.
    loss_ : float
        Weighted mean loss of the student that predicts, without penalties.
    history_ : dict of str to ndarray
        ``value`` and ``gradient_norm`` of the accepted steps of the student that predicts.
    n_iter_ : int
        Accepted steps of all final descents.
    n_features_in_ : int
        Columns of X.
    feature_names_in_ : ndarray of str
        Their names, where X has names.

    References
    ----------
    .. [1] Tsikouras, Pantis, Mitliagkas, Tzamos. A Derandomization Framework for Structure Discovery:
       Applications in Neural Networks and Beyond. ICLR 2026. arXiv 2510.19382.

    Examples
    --------
    >>> from sklearn_derand import MultiIndexStudentRegressor
    >>> from sklearn_derand.datasets import make_multi_index
    >>> from sklearn_derand.metrics import subspace_distance
    >>> X, y, U = make_multi_index(400, 6, 1, link="square", noise=0.1, coef=True, random_state=0)
    >>> student = MultiIndexStudentRegressor(n_components=1, alpha=0.01, random_state=0).fit(X, y)
    >>> student.certificate_.holds
    True
    >>> subspace_distance(student.components_, U) < 0.05
    True
    >>> student.transform(X).shape
    (400, 1)
    """

    _parameter_constraints: dict = {
        **DerandomizedEstimator._parameter_constraints,
        "n_components": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "activation": [StrOptions({"auto", *ACTIVATIONS})],
        "loss": [StrOptions(LOSSES), callable],
        "alpha": [StrOptions({"auto"}), Interval(Real, 0, None, closed="neither")],
        "weight_decay": [StrOptions({"auto"}), Interval(Real, 0, None, closed="left")],
        "n_init": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "n_jobs": [Integral, None],
        "warm_start": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "batch_size": [Interval(Integral, 8, None, closed="left"), None],
        "train_bias": ["boolean"],
        "refine": ["boolean"],
        "distributed": ["boolean", StrOptions({"auto"})],
    }

    def __init__(
        self,
        n_components: int | str = "auto",
        *,
        hidden_layer_sizes: int | Sequence[int] = (32,),
        activation: str = "auto",
        loss: str | Callable[[Tensor, Tensor], Tensor] = "squared_error",
        alpha: float | str = "auto",
        weight_decay: float | str = "auto",
        n_init: int | str = "auto",
        n_jobs: int | None = None,
        warm_start: bool = False,
        validation_fraction: float = 0.2,
        batch_size: int | None = None,
        train_bias: bool = True,
        refine: bool = True,
        solver: str = "lbfgs",
        max_iter: int = 2000,
        tol: float = 1e-5,
        curvature_tol: float = 1e-3,
        device: str = "cpu",
        distributed: bool | str = "auto",
        random_state: int | np.random.RandomState | None = None,
    ):
        self.n_components = n_components
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.loss = loss
        self.alpha = alpha
        self.weight_decay = weight_decay
        self.n_init = n_init
        self.n_jobs = n_jobs
        self.warm_start = warm_start
        self.validation_fraction = validation_fraction
        self.batch_size = batch_size
        self.train_bias = train_bias
        self.refine = refine
        self.solver = solver
        self.max_iter = max_iter
        self.tol = tol
        self.curvature_tol = curvature_tol
        self.device = device
        self.distributed = distributed
        self.random_state = random_state

    @all_or_nothing
    @with_callbacks
    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Fit the student.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Dense inputs.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.
        sample_weight : array-like of shape (n_samples,) or None, default=None
            Non-negative weights; a row of weight 0 is left out.

        Returns
        -------
        self
            Fitted.
        """
        data, spec = self._pose(X, y, sample_weight)
        with self._task(X, y, sample_weight=sample_weight):
            self._search(data, spec)
        return self

    def _search(self, data, spec) -> None:
        """Choose k and alpha, descend the full student, refine, and publish."""
        n_features = data.inputs.shape[1]
        seeds = self._draw_seeds((unless_auto(self.n_init, int) or 1) + 2, data.ranks)
        sample = data if self.batch_size is None else data.sample(self.batch_size, seeds[-1])
        choice = choose(
            sample,
            spec,
            n_components=unless_auto(self.n_components, int),
            alpha=unless_auto(self.alpha, float),
            weight_decay=unless_auto(self.weight_decay, float),
            refine=self.refine,
            validation_fraction=self.validation_fraction,
            n_init=unless_auto(self.n_init, int),
            n_jobs=self.n_jobs,
            seed=seeds[-1],
            n_samples=data.n_samples(),
        )
        full_risk = spec.risk(data, None, choice.alpha)
        logger.debug("%d indices, alpha %.3g", choice.n_components, choice.alpha)
        full = self._discover(full_risk, spec, seeds[:-2], choice.full_start)
        values, vectors = leading_directions(full_risk, full.params)
        total = values.sum()
        # A student that learned a constant has no gradient: no direction is preferred.
        self.explained_gradient_ratio_ = values / total if total > 0 else np.full(n_features, 1.0 / n_features)
        directions = vectors[: choice.n_components]
        risk, solution = full_risk, full
        if self.refine:
            rank, risk, solution = self._refine(data, sample, spec, choice, full_risk, full, directions, seeds[-2])
            choice, directions = replace(choice, n_components=rank or n_features), vectors
            if rank is not None:
                directions = orthonormal_indices(risk.network, solution.params)
        self._read_off(data, choice, full_risk, full, risk, solution, directions)

    def _pose(self, X, y, sample_weight) -> tuple[StudentData, StudentSpec]:
        """Check everything, before any work, and bring the data into the lemma's coordinates."""
        from sklearn_derand.engine.tensors import resolve_device

        if isinstance(self.activation, str) and self.activation == "relu":
            raise InvalidParameterError(
                "activation='relu' has a kink, so that second-order stationarity means nothing; "
                "use activation='smooth_relu', its smooth version."
            )
        self._validate_params()
        ranks = find_ranks(self.distributed)
        with ranks.together():
            X, y = validate_data(
                self, X, y, dtype=[np.float64, np.float32], order="C", multi_output=True, y_numeric=True,
                ensure_min_samples=2,
            )  # fmt: skip
            weights = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
        check_alike(ranks, self, X)
        hidden, n_samples = hidden_widths(self.hidden_layer_sizes), int(ranks.sum(X.shape[0]))
        if not isinstance(self.n_components, str):
            check_rank(self.n_components, n_samples, X.shape[1])
        self._y_ndim = y.ndim
        check_network_memory(hidden, *X.shape)
        data = prepare_data(X, y.reshape(len(y), -1), weights, self.loss, ranks)
        spec = StudentSpec(
            hidden_layer_sizes=hidden,
            activation=DISCOVERY_ACTIVATION if self.activation == "auto" else self.activation,
            loss=self.loss,
            weight_decay=full_decay(n_samples, X.shape[1]) if self.weight_decay == "auto" else float(self.weight_decay),
            train_bias=self.train_bias,
            device=resolve_device(self.device),
            solver=self.solver,
            max_iter=self.max_iter,
        )
        with ranks.together():
            check_loss(data, spec)
        return data, spec

    def _discover(self, risk, spec, seeds, start):
        """Full student: the start of lowest risk, by (value, index) so that ``n_jobs`` cannot matter."""
        settings = {
            "tol": max(self.tol, DISCOVERY_TOL),
            "curvature_tol": DISCOVERY_CURVATURE * risk.alpha,
            "batch_size": self.batch_size if risk.ranks.size == 1 else None,
        }
        again = self.warm_start and hasattr(self, "discovery_coefs_")
        previous = packed(risk.network, self.discovery_coefs_, self.discovery_intercepts_) if again else None
        starts = [previous.to(spec.device)] if previous is not None else [start] + [None] * (len(seeds) - 1)
        alone = len(starts) == 1 or risk.ranks.size > 1  # ranks keep in step only in one process each
        solutions = Parallel(n_jobs=1 if alone else self.n_jobs)(
            delayed(descend)(risk, spec, start, seed, **settings)
            for start, seed in zip(starts, seeds[: len(starts)], strict=True)
        )
        return min(enumerate(solutions), key=lambda pair: (pair[1].value, pair[0]))[1]

    def _refine(self, data, sample, spec, choice, full_risk, full, directions, seed):
        """Student of rank k from the leading directions, or from where the last fit ended."""
        rank = choice.n_components if choice.n_components < data.inputs.shape[1] else None
        start, penalty, decay = full.params, choice.refined_alpha, choice.refined_decay
        several = isinstance(self.n_components, str) and data.inputs.shape[1] > 1
        if rank is not None:
            start = refinement_start(full_risk.network, start, spec.network(data, rank), directions)
        if penalty is None:
            given, free = unless_auto(self.weight_decay, float), self.activation == "auto"
            rank, found = settle(
                sample, spec, rank, start, full.params, weight_decay=given, free=free, open_rank=several, seed=seed
            )
            penalty, spec, start = found.penalty, found.spec, found.params
        else:
            spec = replace(spec, weight_decay=decay)
        risk = spec.risk(data, rank, penalty)
        if choice.refined_start is not None:
            start = min(start, choice.refined_start, key=lambda params: risk.value(params).item())
        alike = self.warm_start and getattr(self, "activation_", None) == spec.activation
        previous = self.certified_params_ if alike else None
        if several and rank is None:
            risk, start = student_ensemble(sample, spec, risk, start, previous, seed, self.n_jobs)
        if previous is not None and previous.shape == start.shape:
            from sklearn_derand.engine.tensors import as_tensor

            start = as_tensor(previous, spec.device)
        solution = self._minimize(
            risk,
            start,
            seed=seed,
            reconstruct=partial(user_layers, data, risk),
            solver=student_solver(self.solver, risk, whole=True),
            curvature_tol=min(self.curvature_tol, choice.alpha),
        )
        return rank, risk, solution

    def _read_off(self, data, choice, full_risk, full, risk, solution, directions) -> None:
        """Publish the networks in the user's units, the directions with their gauge fixed, and the evidence."""
        from sklearn_derand.engine.tensors import as_tensor
        from sklearn_derand.problems.average_gradient import average_gradient_outer_product
        from sklearn_derand.problems.multi_index import stein_decomposition

        student, params = as_one(risk, solution.params)
        self.mean_, self.alpha_, self.n_components_ = data.mean, choice.alpha, choice.n_components
        self.refined_alpha_, self.weight_decay_ = student.alpha, student.weight_decay
        self.discovery_coefs_, self.discovery_intercepts_ = layers_of(full_risk.network, full.params)
        self.discovery_certificate_ = full.certificate
        stein = stein_decomposition(full_risk, full.params, as_tensor(directions, full.params.device))
        self.noise_, self.noise_bound_, self.stein_gap_ = stein.noise, stein.bound, stein.stein_gap

        self.__dict__.update(user_layers(data, student, params))
        share = student.data_risk(params, student.network.preactivations(params, student.inputs))
        self.loss_ = float(data.ranks.sum(share))
        agop = data.ranks.sum(average_gradient_outer_product(student.network, params, student.inputs, student.weights))
        gradient = data.whitening @ agop.cpu().numpy() @ data.whitening.T
        self.components_ = fix_gauge(directions @ data.whitening.T, gradient)
        self._n_features_out = self.n_components_
        n_iter = solution.n_iter if solution is full else full.n_iter + solution.n_iter
        self._report(solution.certificate, solution.params, solution.history, n_iter, solution.status)

    def predict(self, X: ArrayLike) -> np.ndarray:
        """Predict the mean of y, or what the loss estimates.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Inputs.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_outputs)
            In the type of X; ``exp`` of the network's output for the Poisson loss.
        """
        check_is_fitted(self)
        X = validate_data(self, X, dtype=[np.float64, np.float32], reset=False)
        output = network_output(X, self.coefs_, self.intercepts_, self.activation_)
        if self.loss == "poisson":
            output = np.exp(output)
        output = output.astype(X.dtype, copy=False)
        return output[:, 0] if self._y_ndim == 1 else output

    def transform(self, X: ArrayLike) -> np.ndarray:
        """Project on the indices, ``(X - mean_) @ components_.T``.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Inputs.

        Returns
        -------
        ndarray of shape (n_samples, n_components)
            In the type of X.
        """
        check_is_fitted(self)
        X = validate_data(self, X, dtype=[np.float64, np.float32], reset=False)
        return ((X - self.mean_) @ self.components_.T).astype(X.dtype, copy=False)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
