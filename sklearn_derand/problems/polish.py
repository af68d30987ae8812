"""Improve cuts by the optional ``dwave-samplers``: annealing or tabu search from given labellings.

A cut is ``(sum w - sum_{i<j} w_ij s_i s_j) / 2``, so the largest cut is the ground state of the Ising model with
couplings ``w``. The samplers are in C++ and repeatable for a given seed.
"""

import importlib.util

import numpy as np

from sklearn_derand.problems.weighted_graph import upper_edges

HOT, COLD = 1.5, 8.0
"""First and last inverse temperature of the annealing, in units of one over the typical l2 norm of a row of weights.
The start is warm, not hot: what the descent found is to be kept."""

FIRST_VISITS, VISITS_PER_SECOND, STRETCHES = 200_000, 4e7, 8
"""With a time limit: vertices visited in the first stretch of the annealing, the speed taken for granted until it is
measured, and stretches that the time left is divided into."""

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
        Sweeps over all vertices for each; with ``time_left`` the most.
    seed : int
        Below 2**31.
    time_left : callable or None, default=None
        Seconds left. The temperature then falls with the clock, all labellings side by side in stretches of sweeps, so
        that the last stretch is cold whatever the speed of the machine.

    Returns
    -------
    signs : ndarray of shape (n_nodes, n_reads)
        A result may be worse than its start.
    """
    from dwave.samplers import SimulatedAnnealingSampler

    norms = np.sqrt(np.asarray(weights.power(2).sum(axis=1)).ravel())
    typical = float(np.sqrt(np.mean(norms[norms > 0] ** 2)))
    model = _ising_model(weights)
    rng = np.random.RandomState(seed)
    for start, stop, count in [(0.0, 1.0, n_sweeps)] if time_left is None else _stretches(n_sweeps, signs, time_left):
        samples = SimulatedAnnealingSampler().sample(
            model,
            beta_range=tuple((HOT + (COLD - HOT) * part) / typical for part in (start, stop)),
            beta_schedule_type="linear",
            num_reads=signs.shape[1],
            num_sweeps=count,
            # A list: an array of labels, or a range, is three times slower in dimod 0.12.
            initial_states=(signs.T.astype(np.int8), list(range(signs.shape[0]))),
            seed=rng.randint(2**31 - 1),
        )
        signs = _columns(samples)
    return signs


def _stretches(n_sweeps, signs, time_left):
    """Yield pieces of the schedule, each as long as the time that is left allows: from where, to where, sweeps."""
    done, count, swept = 0.0, max(2, FIRST_VISITS // signs.size), 0
    each = signs.size / VISITS_PER_SECOND
    while done < 1:
        left = max(time_left(), 0.0)
        share = min(1.0, max(count * each / max(left, 1e-9), count / max(1, n_sweeps - swept)))
        stop = 1.0 if share > 0.7 else done + share * (1 - done)
        if stop == 1.0:
            count = max(1, min(n_sweeps - swept, int(left / each)))
        yield done, stop, count
        each = max(left - time_left(), 1e-6) / count
        done, swept = stop, swept + count
        count = max(1, int(max(time_left(), 0.0) / each / STRETCHES))


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
        initial_states=(signs.T.astype(np.int8), list(range(signs.shape[0]))),
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
