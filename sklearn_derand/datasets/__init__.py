"""Data with known answers, and readers of public graph formats."""

from sklearn_derand.datasets._graph_readers import read_graph
from sklearn_derand.datasets._graphs import make_graph
from sklearn_derand.datasets._ising import ising_to_graph, qubo_to_graph
from sklearn_derand.datasets._multi_index import make_multi_index

__all__ = ["ising_to_graph", "make_graph", "make_multi_index", "qubo_to_graph", "read_graph"]
