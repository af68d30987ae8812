"""Improve cuts by the optional ``dwave-samplers``: annealing or tabu search from given labellings.

A cut is ``(sum w - sum_{i<j} w_ij s_i s_j) / 2``, so the largest cut is the ground state of the Ising model with
couplings ``w``. The samplers are in C++ and repeatable for a given seed.
"""

import importlib.util

import numpy as np

from sklearn_derand.problems.weighted_graph import upper_edges

HOT, COLD = 2.0, 8.0
"""First and last inverse temperature of the annealing, in units of one over the typical l2 norm of a row of weights.
The start is warm, not hot: what the descent found is to be kept."""

MAX_TABU_NODES = 5000
"""The tabu search of ``dwave-samplers`` holds a dense matrix: 200 MB at this size."""


def is_available():
    """Tell whether ``dwave-samplers`` is installed, without importing it.

    Returns
    -------
    available : bool
        Whether ``import dwave.samplers`` would find it.
    """
    try:
        return importlib.util.find_spec("dwave.samplers") is not None
    except ModuleNotFoundError:
        return False


def check_polish(polish, n_nodes):
    """Resolve the name of a polish to one that can run.

    Parameters
    ----------
    polish : str or None
        As in DerandMaxCut.
    n_nodes : int
        Size of the graph.

    Returns
    -------
    polish : {"annealing", "tabu", "one_flip"} or None
        ``"auto"`` becomes annealing, or one_flip where ``dwave-samplers`` is missing.

    Raises
    ------
    ImportError
        If annealing or tabu is asked for by name and ``dwave-samplers`` is missing.
    ValueError
        If the graph is too large for the tabu search.
    """
    if polish == "auto":
        return "annealing" if is_available() else "one_flip"
    if polish in ("annealing", "tabu") and not is_available():
        raise ImportError(
            f"polish={polish!r} needs dwave-samplers: pip install 'sklearn_derand[maxcut]'; "
            "polish='one_flip' and polish='auto' run without it."
        )
    if polish == "tabu" and n_nodes > MAX_TABU_NODES:
        raise ValueError(
            f"polish='tabu' holds a dense matrix and is offered up to {MAX_TABU_NODES} nodes, got {n_nodes}; "
            "use polish='annealing'."
        )
    return polish


def anneal(weights, signs, *, n_sweeps, seed, time_left=None):
    """Anneal each labelling from a warm start.

    Parameters
    ----------
    weights : csr_array of shape (n_nodes, n_nodes)
        Symmetric, zero diagonal, at least one edge.
    signs : ndarray of shape (n_nodes, n_reads)
        Of +-1, one start a column.
    n_sweeps : int
        Sweeps over all vertices for each.
    seed : int
        Below 2**31.
    time_left : callable or None, default=None
        Stop between reads when it returns 0 or less.

    Returns
    -------
    signs : ndarray of shape (n_nodes, n_done)
        At least one column; a result may be worse than its start.
    """
    from dwave.samplers import SimulatedAnnealingSampler

    norms = np.sqrt(np.asarray(weights.power(2).sum(axis=1)).ravel())
    typical = float(np.sqrt(np.mean(norms[norms > 0] ** 2)))
    samples = SimulatedAnnealingSampler().sample(
        _ising_model(weights),
        beta_range=(HOT / typical, COLD / typical),
        beta_schedule_type="linear",
        num_reads=signs.shape[1],
        num_sweeps=n_sweeps,
        initial_states=(signs.T.astype(np.int8), np.arange(signs.shape[0])),
        seed=seed,
        interrupt_function=None if time_left is None else lambda: time_left() <= 0,
    )
    return _columns(samples)


def tabu(weights, signs, *, n_moves, seed):
    """Tabu search from each labelling.

    Parameters
    ----------
    weights : csr_array of shape (n_nodes, n_nodes)
        Symmetric, zero diagonal; at most ``MAX_TABU_NODES`` nodes, as the sampler's matrix is dense.
    signs : ndarray of shape (n_nodes, n_reads)
        Of +-1, one start a column.
    n_moves : int
        Moves considered for each.
    seed : int
        Below 2**31.

    Returns
    -------
    signs : ndarray of shape (n_nodes, n_reads)
        The best labelling that each met.
    """
    from dwave.samplers import TabuSampler

    samples = TabuSampler().sample(
        _ising_model(weights),
        num_reads=signs.shape[1],
        initial_states=(signs.T.astype(np.int8), np.arange(signs.shape[0])),
        seed=seed,
        timeout=None,
        num_restarts=0,
        coefficient_z_first=1,
        lower_bound_z=n_moves,
    )
    return _columns(samples)


def _ising_model(weights):
    import dimod

    rows, cols, data = upper_edges(weights)
    linear = np.zeros(weights.shape[0])
    return dimod.BinaryQuadraticModel.from_numpy_vectors(linear, (rows, cols, data), 0.0, dimod.SPIN)


def _columns(samples):
    order = np.argsort(np.asarray(samples.variables, dtype=np.int64))
    return samples.record.sample[:, order].T.astype(np.float64)
