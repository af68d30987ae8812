"""What a picture shows, read back from its artists."""

from types import SimpleNamespace

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.base import BaseEstimator

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402

from sklearn_derand.displays import CutDisplay, DescentDisplay, DistortionDisplay, IndexDisplay  # noqa: E402


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


class _Stub(BaseEstimator):
    """What the pictures need of a fitted estimator, without a fit."""

    def fit(self):
        """Nothing."""


def _certificate(holds, bound=-1e-4):
    return SimpleNamespace(tol=1e-3, curvature_tol=1e-2, holds=holds, min_eigenvalue_bound=bound)


def test_descent_lines_hold_the_history_and_shade_only_what_is_certified():
    history = {"value": np.array([3.0, 2.0, 1.5, 1.5]), "gradient_norm": np.array([1.0, 0.1, 1e-4, 1e-5])}
    display = DescentDisplay(history=history, certificate=_certificate(True)).plot()
    assert set(display.lines_) == {"value above its end", "gradient norm"}
    np.testing.assert_array_equal(display.lines_["gradient norm"].get_ydata(), history["gradient_norm"])
    assert np.isnan(display.lines_["value above its end"].get_ydata()[-1])
    assert display.shade_.get_x() == 1.5  # from step 2 on the gradient norm is within tol
    assert DescentDisplay(history=history, certificate=_certificate(False)).plot().shade_ is None


def test_descent_marks_how_negative_the_curvature_may_be():
    history = {"value": np.array([3.0, 2.0, 1.5]), "gradient_norm": np.array([1.0, 0.1, 1e-4])}
    for bound, marks in [(-1e-4, [(2, 1e-4)]), (0.5, []), (-np.inf, [])]:
        display = DescentDisplay(history=history, certificate=_certificate(True, bound)).plot()
        assert [tuple(mark) for mark in display.bound_.get_xydata()] == marks


def test_descent_draws_noise_where_known_and_on_the_axes_given():
    history = {"value": np.ones(3), "gradient_norm": np.ones(3), "noise": np.array([1.0, 0.5, 0.0])}
    _, ax = plt.subplots()
    display = DescentDisplay(history=history, certificate=_certificate(False), estimator_name="Some").plot(ax)
    assert display.ax_ is ax and display.figure_ is ax.figure
    np.testing.assert_array_equal(display.lines_["noise"].get_ydata()[:2], [1.0, 0.5])
    assert ax.get_title().startswith("Some: not certified")


def test_cut_puts_what_is_cut_off_the_diagonal():
    weights = np.zeros((4, 4))
    weights[0, 1] = weights[1, 0] = weights[2, 3] = weights[3, 2] = 1.0
    display = CutDisplay.from_predictions(weights, [0, 1, 0, 1])
    image = np.asarray(display.artist_.get_array())
    assert image[:2, :2].sum() == image[2:, 2:].sum() == 0.0
    assert image[:2, 2:].sum() == display.value == 2.0


def test_cut_draws_sparse_weights_as_markers():
    weights = sp.csr_array(np.ones((5, 5)) - np.eye(5))
    display = CutDisplay.from_predictions(weights, [0, 0, 1, 1, 1])
    assert len(display.artist_.get_xdata()) == weights.nnz


def test_cut_colours_points_by_side():
    estimator = _Stub()
    estimator.metric = "euclidean"
    estimator.labels_, estimator.cut_value_, estimator.upper_bound_ = np.array([0, 1, 1]), 2.0, 3.0
    points = np.arange(9.0).reshape(3, 3)
    display = CutDisplay.from_estimator(estimator, points)
    np.testing.assert_array_equal(display.artist_.get_offsets(), points[:, :2])
    np.testing.assert_array_equal(display.artist_.get_array(), [0, 1, 1])
    assert "3" in display.ax_.get_title()


def test_distortion_ratios_are_those_of_the_pairs():
    rng = np.random.RandomState(0)
    X = rng.randn(12, 6)
    display = DistortionDisplay.from_embeddings(X, {"scaled": 2.0 * X, "same": X}, eps=0.3)
    np.testing.assert_allclose(display.ratios["scaled"], 4.0, rtol=1e-12)
    np.testing.assert_allclose(display.ratios["same"], 1.0, rtol=1e-12)
    assert len(display.ratios["same"]) == 66
    assert display.band_.get_x() == 0.7 and display.band_.get_width() == pytest.approx(0.6)


def test_distortion_of_sparse_points_equals_dense_and_equal_points_have_no_ratio():
    X = np.random.RandomState(0).rand(8, 5).round()
    X[1] = X[0]
    Z = X[:, :2]
    dense = DistortionDisplay.from_embeddings(X, {"": Z}).ratios[""]
    sparse = DistortionDisplay.from_embeddings(sp.csr_array(X), {"": Z}).ratios[""]
    np.testing.assert_allclose(sparse, dense)
    assert np.isfinite(dense).all() and len(dense) < 28


def test_distortion_samples_pairs_of_distinct_points():
    X = np.random.RandomState(0).randn(60, 3)
    display = DistortionDisplay.from_embeddings(X, {"": X}, max_pairs=500, random_state=0)
    assert len(display.ratios[""]) == 500


class _Student(_Stub):
    """y = z_0^2 + z_1 in the coordinates of two directions."""

    components_ = np.eye(3)[:2]
    mean_ = np.array([1.0, 2.0, 3.0])

    def transform(self, X):
        return (X - self.mean_) @ self.components_.T

    def predict(self, X):
        indices = self.transform(X)
        return indices[:, 0] ** 2 + indices[:, 1]


def test_index_lines_are_slices_of_the_link_through_the_mean():
    student, X = _Student(), np.random.RandomState(0).randn(30, 3)
    display = IndexDisplay.from_estimator(student, X, student.predict(X))
    assert len(display.axes_) == 2
    for j, link in enumerate((np.square, lambda z: z)):
        z, prediction = display.lines_[j].get_data()
        np.testing.assert_allclose(prediction, link(z), atol=1e-12)
        np.testing.assert_allclose(display.scatters_[j].get_offsets()[:, 0], student.transform(X)[:, j])


def test_index_refuses_the_wrong_number_of_axes():
    student, X = _Student(), np.zeros((4, 3))
    _, ax = plt.subplots()
    with pytest.raises(ValueError, match="one Axes an index, 2; got 1"):
        IndexDisplay.from_estimator(student, X, np.zeros(4), ax=[ax])


HISTORY = {"value": np.array([2.0, 1.0]), "gradient_norm": np.array([1.0, 1e-4])}
DISPLAYS = {
    DescentDisplay: {"history": HISTORY, "certificate": _certificate(True), "estimator_name": "Some"},
    IndexDisplay: dict.fromkeys(("indices", "grid"), np.ones((1, 1))) | {"y": np.ones(1), "link": np.ones((1, 1))},
    DistortionDisplay: {"ratios": {"map": np.array([0.9, 1.1])}, "eps": 0.2},
    CutDisplay: {"labels": np.array([0, 1]), "weights": np.ones((2, 2)), "points": None, "value": 1, "upper_bound": 1},
}


@pytest.mark.parametrize("cls", DISPLAYS, ids=lambda cls: cls.__name__)
def test_displays_keep_the_contract_of_scikit_learn(cls):
    data = DISPLAYS[cls]
    display = cls(**data)
    assert vars(display) == data  # no work and no matplotlib before it is drawn
    for _ in range(2):  # the same data may be drawn again, elsewhere
        _, ax = plt.subplots()
        assert display.plot(ax=ax) is display
        (drawn,) = np.ravel(getattr(display, "axes_", getattr(display, "ax_", None)))
        assert drawn is ax and display.figure_ is ax.figure
    assert display.plot().figure_ is not ax.figure
    assert {name: value for name, value in vars(display).items() if not name.endswith("_")} == data
