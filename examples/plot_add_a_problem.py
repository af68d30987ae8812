r"""
Add your own problem: derandomised Fourier features
===================================================

The RBF kernel is an expectation, :math:`k(x, y) = E_\omega \cos(\omega \cdot (x - y))` with
:math:`\omega \sim N(0, 2 \gamma I)`, and :class:`~sklearn.kernel_approximation.RBFSampler` draws the frequencies once
and for all. Let the law of each frequency have a mean and a spread of its own instead,

.. math:: \omega_j = b_j + \sigma_j \sqrt{2\gamma}\, g_j, \qquad g_j \sim N(0, I).

Then :math:`\omega_j \cdot \delta` is Gaussian, and the expected squared error of the approximation

.. math:: E \Bigl(\tfrac1m \sum_j \cos(\omega_j \cdot \delta) - k(\delta)\Bigr)^2

over the pairs of a sample has a closed form. Descend it: the spread goes to zero, and what is left are frequencies that
no longer need luck. All that has to be written is ``value``; derivatives, solver and certificate are the engine's.
"""

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.kernel_approximation import RBFSampler
from sklearn.metrics.pairwise import rbf_kernel

from sklearn_derand.engine import check_gradient, check_hessian, minimize


# %%
# The problem
# -----------
# Thirty lines. ``initial`` is the law to be derandomised: nine tenths of the variance is drawn into the means, because
# a law with all means equal to zero is a saddle by symmetry. ``noise`` is what shall vanish.
class FourierFeatures:
    """Expected squared error of random Fourier features of an RBF kernel, over all pairs of points."""

    def __init__(self, points, gamma, n_frequencies):
        first, second = np.triu_indices(len(points), k=1)
        self.differences = torch.tensor(points[first] - points[second])
        self.kernel = torch.exp(-gamma * self.differences.square().sum(1))
        self.gamma, self.m = gamma, n_frequencies

    def unpack(self, params):
        return params[self.m :].view(-1, self.m), params[: self.m]

    def value(self, params):
        means, spreads = self.unpack(params)
        phases = self.differences @ means
        damping = self.kernel.log()[:, None] * spreads.square()
        mean = torch.cos(phases) * torch.exp(damping)
        second_moment = (1 + torch.cos(2 * phases) * torch.exp(4 * damping)) / 2
        variance = (second_moment - mean.square()).sum(1) / self.m**2
        return ((mean.mean(1) - self.kernel).square() + variance).mean()

    def initial(self, generator):
        draws = torch.randn(self.differences.shape[1], self.m, generator=generator, dtype=torch.float64)
        means = np.sqrt(0.9 * 2 * self.gamma) * draws
        return torch.cat([torch.full((self.m,), np.sqrt(0.1), dtype=torch.float64), means.reshape(-1)])

    def noise(self, params):
        return self.unpack(params)[1]


# %%
# Digits in eight principal components; 120 points are fitted, 400 others judge.
digits = PCA(8, random_state=0).fit_transform(load_digits().data)
digits /= digits.std()
fitted, others = digits[:120], digits[120:520]
gamma, n_frequencies = 0.1, 32
problem = FourierFeatures(fitted, gamma, n_frequencies)

# %%
# A problem of one's own deserves a test of its derivatives:
start = problem.initial(torch.Generator().manual_seed(0))
print(check_gradient(problem, start, random_state=0).passed, check_hessian(problem, start, random_state=0).passed)

# %%
# Descend, from the law to a certified point:
solution = minimize(problem, random_state=0, tol=1e-6, curvature_tol=1e-4)
print(solution.certificate)
print(f"noise {solution.history['noise'][0]:.3f} -> {solution.history['noise'][-1]:.1e}")


# %%
# The same size as ``RBFSampler``: two features, a cosine and a sine, for each frequency.
def features(points):
    phases = points @ problem.unpack(solution.params)[0].numpy()
    return np.hstack([np.cos(phases), np.sin(phases)]) / np.sqrt(n_frequencies)


def error(transform, points):
    """Root mean squared error of the kernel over all pairs."""
    images, pairs = transform(points), np.triu_indices(len(points), k=1)
    return np.sqrt(np.mean((images @ images.T - rbf_kernel(points, gamma=gamma))[pairs] ** 2))


draws = [RBFSampler(gamma=gamma, n_components=2 * n_frequencies, random_state=i).fit(fitted) for i in range(50)]
best = min(draws, key=lambda sampler: error(sampler.transform, fitted))
print(f"{'':28s} fitted  others")
for name, transforms in {
    "RBFSampler, mean of 50": [sampler.transform for sampler in draws],
    "RBFSampler, best of 50": [best.transform],
    "derandomised": [features],
}.items():
    on_fitted, on_others = ([error(transform, points) for transform in transforms] for points in (fitted, others))
    print(f"{name:28s} {np.mean(on_fitted):.4f}  {np.mean(on_others):.4f}")

# %%
# The certificate says that the frequencies are a second-order stationary point of the expected error, and the noise
# says that nothing random is left in them. It does not say that no better frequencies exist.
assert solution.certificate.holds
assert solution.history["noise"][-1] < 1e-3
assert error(features, fitted) < error(best.transform, fitted) / 3
assert error(features, others) < error(best.transform, others) / 2
