r"""The expected cut of the signs of correlated normals, in closed form.

Vertex ``i`` carries ``X_i = mu_i + v_i . z + eps xi_i`` with independent standard normals ``z`` (shared) and ``xi_i``
(its own), and takes the side ``sign(X_i)``. With ``tau_i^2 = ||v_i||^2 + eps^2``,

.. math:: E\,\mathrm{cut}(\mu, V) = \sum_{i<j} w_{ij} \frac{1 - S(\mu_i/\tau_i,\ \mu_j/\tau_j,\
          v_i \cdot v_j / (\tau_i \tau_j))}{2}

with the mean sign product ``S`` of ``special.sign_product``. ``mu = 0`` with the vectors of the relaxation is
random-hyperplane rounding (Goemans and Williamson 1995); ``V = 0`` is a labelling, softened by ``eps``.
"""

import math

import torch

from sklearn_derand.special import sign_product


class ExpectedCut:
    r"""``f(mu, V) = -E cut(mu, V) + lam ||V||^2``, to be minimised.

    ``V`` is the noise block. In it ``f`` is even, so at ``V = 0`` the ``V``-gradient and the cross block of the
    Hessian vanish; and by Stein's lemma ``d^2 f / dV^2 = I_r (x) (H_mu + 2 lam I)`` there, where ``H_mu`` is the
    Hessian in ``mu``. So the gradient norm and the least eigenvalue at ``(mu, 0)`` are, for every rank and every
    ``lam >= 0``, those of the mean block alone: pose it with ``rank=0`` and certify that.

    Parameters
    ----------
    rows, cols : Tensor of shape (n_edges,), int64
        Ends of the edges, each edge once.
    weights : Tensor of shape (n_edges,), float64
        Their weights, of any sign.
    n_nodes : int
        Number of vertices.
    rank : int, default=0
        Columns of ``V``; 0 poses the mean block.
    smoothing : float, default=0.1
        ``eps > 0``: without it ``f`` is not continuous at ``V = 0, mu_i = 0``.
    penalty : float, default=0.0
        ``lam``.
    vectors : Tensor of shape (n_nodes, rank) or None, default=None
        The law to start from; ``None`` starts from ``mu = 0`` and uniform unit vectors.

    Examples
    --------
    >>> import torch
    >>> from sklearn_derand.problems.max_cut import ExpectedCut
    >>> edge = ExpectedCut(torch.tensor([0]), torch.tensor([1]), torch.ones(1).double(), n_nodes=2)
    >>> round(edge.value(torch.tensor([3.0, -3.0]).double()).item(), 6)  # one edge, cut for sure
    -1.0
    """

    def __init__(self, rows, cols, weights, *, n_nodes, rank=0, smoothing=0.1, penalty=0.0, vectors=None):
        self._rows, self._cols, self._weights = rows, cols, weights
        self.n_nodes, self.rank = n_nodes, rank
        self.smoothing, self.penalty = smoothing, penalty
        self._vectors = vectors

    def value(self, params):
        """Return ``-E cut + lam ||V||^2``.

        Parameters
        ----------
        params : Tensor of shape (n_nodes * (1 + rank),)
            ``mu``, then ``V`` row by row.

        Returns
        -------
        value : Tensor, 0-d
            Twice differentiable in closed form.
        """
        mean, vectors = self._unpack(params)
        if self.rank == 0:
            sides = torch.erf(mean / (self.smoothing * math.sqrt(2)))
            products = sides[self._rows] * sides[self._cols]
            return -0.5 * torch.sum(self._weights * (1 - products))
        spread = torch.sqrt(vectors.square().sum(dim=1) + self.smoothing**2)
        scaled, directions = mean / spread, vectors / spread[:, None]
        correlation = (directions[self._rows] * directions[self._cols]).sum(dim=1)
        products = sign_product(scaled[self._rows], scaled[self._cols], correlation)
        return -0.5 * torch.sum(self._weights * (1 - products)) + self.penalty * vectors.square().sum()

    def initial(self, generator):
        """Return ``mu = 0`` with the vectors given, or with random unit vectors.

        Parameters
        ----------
        generator : torch.Generator
            Source of randomness.

        Returns
        -------
        params : Tensor of shape (n_nodes * (1 + rank),)
            The law of random-hyperplane rounding.
        """
        vectors = self._vectors
        if vectors is None:
            vectors = torch.randn(self.n_nodes, self.rank, generator=generator, dtype=torch.float64)
            vectors = torch.nn.functional.normalize(vectors, dim=1).to(self._weights.device)
        return torch.cat([torch.zeros_like(vectors[:, :0].sum(dim=1)), vectors.reshape(-1)])

    def noise(self, params):
        """Return the block ``V``.

        Parameters
        ----------
        params : Tensor of shape (n_nodes * (1 + rank),)
            A point.

        Returns
        -------
        vectors : Tensor of shape (n_nodes, rank)
            A view of it.
        """
        return self._unpack(params)[1]

    def _unpack(self, params):
        return params[: self.n_nodes], params[self.n_nodes :].reshape(self.n_nodes, self.rank)
