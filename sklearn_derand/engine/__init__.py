"""One engine: descend any smooth ``f: R^n -> R`` to a certified second-order stationary point."""

from sklearn_derand.engine.certificate import Certificate, certify
from sklearn_derand.engine.checks import TaylorTest, check_gradient, check_hessian
from sklearn_derand.engine.escape_loop import SOLVERS, minimize
from sklearn_derand.engine.gradient_descent import GradientDescent
from sklearn_derand.engine.hessian_descent import HessianDescent
from sklearn_derand.engine.lbfgs import LBFGS
from sklearn_derand.engine.lemma import NoiseBlocks
from sklearn_derand.engine.many_starts import Descents, descend_many
from sklearn_derand.engine.metric import Metric
from sklearn_derand.engine.metric_lbfgs import MetricLBFGS
from sklearn_derand.engine.objective import Objective
from sklearn_derand.engine.perturbed_gradient import PerturbedGradient
from sklearn_derand.engine.solution import Solution, Status
from sklearn_derand.engine.solver import Solver
from sklearn_derand.engine.trust_region import TrustRegion
from sklearn_derand.engine.variable_projection import Reduction, VariableProjection

__all__ = [
    "LBFGS",
    "SOLVERS",
    "Certificate",
    "Descents",
    "GradientDescent",
    "HessianDescent",
    "NoiseBlocks",
    "Metric",
    "MetricLBFGS",
    "Objective",
    "PerturbedGradient",
    "Reduction",
    "Solution",
    "Solver",
    "Status",
    "TaylorTest",
    "TrustRegion",
    "VariableProjection",
    "certify",
    "check_gradient",
    "check_hessian",
    "descend_many",
    "minimize",
]
