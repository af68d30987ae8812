"""Descents of one fit of the student: starts, directions, refinement, and the choice of k and alpha.

Everything here works on `StudentData` and is a plain function of its arguments, seeds included, so that starts
may run in other processes and come back the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from sklearn_derand.estimators._student_data import StudentData
from sklearn_derand.estimators._student_solver import student_solver


@dataclass(frozen=True)
class StudentSpec:
    """What stays the same over all descents of one fit."""

    hidden_layer_sizes: tuple[int, ...]
    activation: str
    loss: str | Callable
    weight_decay: float
    train_bias: bool
    device: str
    solver: str
    max_iter: int

    def network(self, data: StudentData, rank: int | None):
        """Return the network for these data, with ``rank`` indices or free."""
        from sklearn_derand.problems.student_network import StudentNetwork

        return StudentNetwork(
            n_inputs=data.inputs.shape[1],
            n_outputs=data.targets.shape[1],
            hidden_layer_sizes=self.hidden_layer_sizes,
            activation=self.activation,
            rank=rank,
            train_bias=self.train_bias,
        )

    def risk(self, data: StudentData, rank: int | None, penalty: float):
        """Return the objective on these rows."""
        from sklearn_derand.engine.tensors import as_tensor
        from sklearn_derand.problems.losses import LOSSES
        from sklearn_derand.problems.multi_index import StudentRisk

        standardised = isinstance(self.loss, str) and self.loss != "poisson"
        return StudentRisk(
            network=self.network(data, rank),
            inputs=as_tensor(data.inputs, self.device),
            targets=as_tensor(data.targets, self.device),
            weights=as_tensor(data.weights, self.device),
            loss=LOSSES[self.loss] if isinstance(self.loss, str) else self.loss,
            alpha=penalty,
            weight_decay=self.weight_decay,
            shift=None if standardised else as_tensor(data.shift, self.device),
            scale=None if standardised else as_tensor(data.scale, self.device),
            ranks=data.ranks,
        )


def descend(risk, spec: StudentSpec, start, seed: int, *, tol: float, curvature_tol: float, batch_size=None):
    """Run the engine on one thread from ``start``, or from the random law of ``seed``.

    Parameters
    ----------
    risk : StudentRisk
        The objective.
    spec : StudentSpec
        Solver and budget.
    start : Tensor or None
        Where to begin.
    seed : int
        Seed of the start and of the certificate.
    tol, curvature_tol : float
        What is asked.
    batch_size : int or None
        Rows of the first of the growing batches on which a random start is descended.

    Returns
    -------
    Solution
        With its certificate.
    """
    from sklearn_derand.engine import minimize
    from sklearn_derand.engine.threads import limit_threads

    # The random law is drawn on the CPU so that every device starts from the same point.
    with limit_threads(1):
        batch_size = batch_size if start is None and batch_size is not None and batch_size < risk.n_terms else None
        if start is None:
            import torch

            start = risk.initial(torch.Generator().manual_seed(seed))
        return minimize(
            risk,
            start,
            solver=student_solver(spec.solver, risk),
            tol=tol,
            curvature_tol=curvature_tol,
            max_iter=spec.max_iter,
            random_state=seed,
            batch_size=batch_size,
        )


def descend_briefly(data: StudentData, spec: StudentSpec, rank, penalties, start, seed: int, *, tol, steps):
    """Descend a candidate: a few steps, whatever the curvature where they end.

    Parameters
    ----------
    data : StudentData
        Its rows.
    spec : StudentSpec
        The student; its weight decay is not used.
    rank : int or None
        Number of indices.
    penalties : tuple of float
        First-layer penalty and weight decay.
    start : Tensor or None
        Where to begin.
    seed : int
        Seed of a random start.
    tol : float
        Gradient norm at which to stop.
    steps : int
        Most steps.

    Returns
    -------
    risk : StudentRisk
        What was descended.
    solution : Solution
        The candidate.
    """
    penalty, decay = penalties
    short = replace(spec, weight_decay=decay, max_iter=min(spec.max_iter, steps))
    risk = short.risk(data, rank, penalty)
    return risk, descend(risk, short, start, seed, tol=tol, curvature_tol=1e6)


def leading_directions(risk, params) -> tuple[np.ndarray, np.ndarray]:
    """Spectrum of the average gradient outer product of a student.

    Parameters
    ----------
    risk : StudentRisk
        Its rows are averaged over.
    params : Tensor
        The student.

    Returns
    -------
    values : ndarray of shape (n_features,)
        Decreasing, non-negative.
    vectors : ndarray of shape (n_features, n_features)
        Orthonormal rows, in whitened coordinates.
    """
    from sklearn_derand.problems.average_gradient import average_gradient_outer_product
    from sklearn_derand.problems.ranks import total

    agop = average_gradient_outer_product(risk.network, params, risk.inputs, risk.weights)
    agop = total(agop, risk.ranks).cpu().numpy()
    values, vectors = np.linalg.eigh(agop)
    # torch refuses negative strides
    return np.maximum(values[::-1], 0.0), vectors[:, ::-1].T.copy()


def refinement_start(full, params, refined, directions: np.ndarray):
    """Restrict a student to the span of some directions: ``W_1 B' B`` in place of ``W_1``.

    Parameters
    ----------
    full, refined : StudentNetwork
        The student's, with or without a rank of its own, and one with a rank.
    params : Tensor
        Of the student.
    directions : ndarray of shape (rank, n_features)
        Orthonormal rows ``B``.

    Returns
    -------
    Tensor
        Parameters of the refined student.
    """
    from sklearn_derand.engine.tensors import as_tensor

    _, weights, biases = full.unpack(params)
    indices = as_tensor(directions, params.device)
    return refined.pack(indices, [full.first_layer(params) @ indices.T, *weights[1:]], biases)


def restrict(risk, params, refined):
    """Restrict a student to its leading directions, as many as the refined network has indices.

    Parameters
    ----------
    risk : StudentRisk
        Of the student.
    params : Tensor
        The student.
    refined : StudentNetwork
        With a rank.

    Returns
    -------
    Tensor
        Parameters of the refined student.
    """
    _, vectors = leading_directions(risk, params)
    return refinement_start(risk.network, params, refined, vectors[: refined.rank])


def fresh_student(network, params, seed: int):
    """Draw a student anew, but for the span of its indices.

    Parameters
    ----------
    network : StudentNetwork
        With a rank.
    params : Tensor
        Holds the indices.
    seed : int
        Of the layers after them.

    Returns
    -------
    Tensor
        Parameters, the indices orthonormal.
    """
    import torch

    from sklearn_derand.engine.tensors import as_tensor

    indices = orthonormal_indices(network, params)
    _, weights, biases = network.unpack(network.initial(torch.Generator().manual_seed(seed)).to(params.device))
    return network.pack(as_tensor(indices, params.device), weights, biases)


def held_out_losses(risk, params) -> np.ndarray:
    """Loss of each row of the risk's data, without penalties.

    Parameters
    ----------
    risk : StudentRisk
        Posed on rows that were set aside.
    params : Tensor
        The student.

    Returns
    -------
    ndarray of shape (n_samples,)
        Losses.
    """
    import torch

    with torch.no_grad():
        return risk.losses(risk.network.forward(params, risk.inputs)).cpu().numpy()


def orthonormal_rows(span: np.ndarray) -> np.ndarray:
    """Orthonormal rows with the span of the given ones, completed where these are dependent.

    Parameters
    ----------
    span : ndarray of shape (k, n_features)
        Rows, of any lengths; k at most n_features.

    Returns
    -------
    ndarray of shape (k, n_features)
        Orthonormal rows.
    """
    lengths = np.linalg.norm(span, axis=1, keepdims=True)
    units = span / np.where(lengths > 0, lengths, 1.0)
    return np.linalg.svd(units, full_matrices=False)[2]


def orthonormal_indices(network, params) -> np.ndarray:
    """Read the indices off a student with a rank.

    Parameters
    ----------
    network : StudentNetwork
        With a rank.
    params : Tensor
        The student.

    Returns
    -------
    ndarray of shape (rank, n_features)
        Orthonormal rows with the span of the indices, in whitened coordinates.
    """
    return orthonormal_rows(network.unpack(params)[0].cpu().numpy())


def unless_auto(value, kind: type):
    """Return a parameter's value as an int or a float, or None where it is "auto"."""
    return None if isinstance(value, str) else kind(value)


def check_loss(data: StudentData, spec: StudentSpec) -> None:
    """Refuse a callable loss that is not one finite, smooth number a row.

    A kink is looked for where losses have them, at ``prediction = target``: the second difference over a step h
    falls as h there and as ``h**2`` for a smooth loss. Kinks elsewhere are left to the certificate.

    Parameters
    ----------
    data : StudentData
        Targets in the user's units.
    spec : StudentSpec
        Holds the loss.

    Raises
    ------
    ValueError
        Naming what is wrong with the loss.
    """
    loss = spec.loss
    if isinstance(loss, str):  # ours
        return
    import torch

    from sklearn_derand.engine.tensors import as_tensor

    targets = as_tensor(data.targets, spec.device)
    scale = as_tensor(data.scale, spec.device)

    def at(step: float):
        losses = loss(targets + step * scale, targets)
        if not isinstance(losses, torch.Tensor) or losses.shape != (len(targets),):
            got = tuple(losses.shape) if isinstance(losses, torch.Tensor) else type(losses).__name__
            raise ValueError(
                f"loss must return a torch tensor of shape ({len(targets)},), one number a row; got {got}. "
                "Sum over outputs with .sum(dim=1)."
            )
        if not torch.isfinite(losses).all():
            raise ValueError(
                f"loss returns NaN or inf for predictions {step:+.2g} standard deviations from the target; "
                "write it so that it is finite for every prediction."
            )
        return losses.detach().sum().item()

    for step in (-1.0, 1.0):
        at(step)
    centre = at(0.0)
    wide, narrow = (abs(at(h) + at(-h) - 2.0 * centre) / h for h in (1e-2, 1e-3))
    # Per unit of step: equal for a kink, ten times smaller for a smooth loss; rounding is far below either.
    if narrow > 0.5 * wide and narrow > 1e-6 * abs(at(1.0) - centre):
        raise ValueError(
            "loss has a kink at prediction = target, so that second-order stationarity means nothing; "
            "use a smooth one, for example 'pseudo_huber' in place of the absolute error."
        )
