"""Pose, descend, certify, report: what the three estimators share."""

import logging
import warnings
from collections.abc import Callable
from contextlib import contextmanager
from functools import partial, wraps
from numbers import Integral, Real
from typing import Any, TypeVar, cast

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.callback import CallbackSupportMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions

logger = logging.getLogger(__name__)

Fit = TypeVar("Fit", bound=Callable[..., Any])


def all_or_nothing(fit: Fit) -> Fit:
    """Wrap ``fit`` so that one that raises, or is interrupted, leaves the estimator as it was.

    torch gets one thread: the work is many small steps, which a second thread slows down. More cores are for ``n_jobs``
    and for searches.

    Parameters
    ----------
    fit : callable
        A method that only sets attributes, and changes none in place.

    Returns
    -------
    callable
        With the same signature.
    """

    @wraps(fit)
    def restoring(self: Any, *args: Any, **kwargs: Any) -> Any:
        from sklearn_derand.engine.threads import limit_threads

        before = dict(vars(self))
        try:
            with limit_threads(1):
                return fit(self, *args, **kwargs)
        except BaseException:
            vars(self).clear()
            vars(self).update(before)
            raise

    return cast(Fit, restoring)


class DerandomizedEstimator(CallbackSupportMixin, BaseEstimator):
    """An estimator whose fit descends an objective to a certified second-order stationary point.

    Attributes
    ----------
    certificate_ : Certificate
        Frozen dataclass of numbers and strings; ``certificate_.holds`` and ``str(certificate_)`` say the rest.
    certified_params_ : ndarray of shape (n_params,)
        The point that the certificate speaks of.
    history_ : dict of str to ndarray
        ``value``, ``gradient_norm`` and, where it is known, ``noise``: one entry an accepted point.
    n_iter_ : int
        Accepted steps.
    """

    _parameter_constraints: dict = {
        "solver": [StrOptions({"lbfgs", "trust_region", "perturbed_gradient", "hessian_descent"})],
        "max_iter": [Interval(Integral, 0, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="neither")],
        "curvature_tol": [Interval(Real, 0, None, closed="neither")],
        "device": [StrOptions({"cpu", "cuda", "auto"})],
        "random_state": ["random_state"],
    }

    def _draw_seeds(self, n: int, ranks=None) -> list[int]:
        """Draw all seeds of a fit at once, so that the order of the work cannot matter; rank 0 draws for all."""
        seeds = check_random_state(self.random_state).randint(np.iinfo(np.int32).max, size=n).tolist()
        return seeds if ranks is None else ranks.objects(seeds)[0]

    @contextmanager
    def _task(self, X, y=None, **metadata):
        """Tell the callbacks that a fit begins and, unless it raises, that it has ended.

        The method around it must be decorated with ``sklearn.callback.with_callbacks``.
        """
        given = {name: value for name, value in metadata.items() if value is not None}  # scorers may know no weights
        told = {"estimator": self, "X": X, "y": y, "metadata": given}
        context = self._init_callback_context(max_subtasks=None)
        context.call_on_fit_task_begin(**told)
        self._told = told
        try:
            yield
        finally:
            del self._told
        context.call_on_fit_task_end(**told, reconstruction_attributes={})

    def _minimize(self, objective, params=None, *, seed: int, reconstruct=None, **overrides):
        """Run the engine with these tolerances; ``reconstruct(params)`` gives callbacks the fitted attributes."""
        from sklearn_derand.engine import minimize

        settings = {
            "solver": self.solver,
            "tol": self.tol,
            "curvature_tol": self.curvature_tol,
            "max_iter": self.max_iter,
        } | overrides
        with self._descent_task(settings["max_iter"], reconstruct) as callback:
            ranks = getattr(objective, "ranks", None)
            if ranks is not None and ranks.size > 1:
                callback = partial(_stop_all, ranks, callback)
            return minimize(objective, params, random_state=seed, callback=callback, **settings)

    @contextmanager
    def _descent_task(self, max_iter: int, reconstruct):
        """Yield the engine's callback: one task of the scikit-learn callbacks for each accepted step."""
        if not (hasattr(self, "_skl_callbacks") and hasattr(self, "_told")):
            yield None
            return
        descent = self._callback_fit_ctx.subcontext(task_name="descent", max_subtasks=max_iter + 1)
        descent.call_on_fit_task_begin(**self._told)

        def step(solution) -> bool:
            task = descent.subcontext(task_name="step")
            task.call_on_fit_task_begin(**self._told)
            attributes = None if reconstruct is None else lambda: reconstruct(solution.params)
            return task.call_on_fit_task_end(**self._told, reconstruction_attributes=attributes)

        yield step
        descent.call_on_fit_task_end(**self._told)

    def _report(self, certificate, params, history: dict, n_iter: int, status=None) -> None:
        """Publish what the descent came to, in numpy; warn in the certificate's words where it does not hold."""
        self.certificate_ = certificate
        self.certified_params_ = params.detach().cpu().numpy().astype(np.float64).ravel()
        self.history_ = {name: np.asarray(values, dtype=np.float64) for name, values in history.items()}
        self.n_iter_ = int(n_iter)
        logger.debug("%s: %d steps. %s", type(self).__name__, self.n_iter_, certificate)
        if not certificate.holds:
            advice = "" if status is None else f" {status.message}"
            warnings.warn(f"{type(self).__name__}: {certificate}{advice}", ConvergenceWarning, stacklevel=3)


def _stop_all(ranks, callback, solution) -> bool:
    """Ask the callbacks of all ranks, since none may stop alone."""
    return ranks.any(callback is not None and callback(solution))
