import numpy as np
import pytest
from sklearn.utils._param_validation import InvalidParameterError

from sklearn_derand.datasets import make_multi_index
from sklearn_derand.datasets._multi_index import LINKS


@pytest.mark.parametrize("link", sorted(LINKS))
def test_response_is_the_link_of_the_indices(link):
    X, y, U = make_multi_index(50, 6, 2, link=link, noise=0.0, coef=True, random_state=0)
    np.testing.assert_allclose(U @ U.T, np.eye(2), atol=1e-12)
    np.testing.assert_allclose(y, LINKS[link](X @ U.T), rtol=1e-12)


def test_noise_has_the_deviation_asked_for_and_leaves_the_rest_alone():
    X, y = make_multi_index(20_000, 3, 1, noise=0.0, random_state=3)
    same, noisy = make_multi_index(20_000, 3, 1, noise=0.5, random_state=3)
    np.testing.assert_array_equal(X, same)
    # Standard error of a standard deviation: sigma / sqrt(2 n).
    assert abs(np.std(noisy - y) - 0.5) < 4 * 0.5 / np.sqrt(40_000)


def test_links_have_the_information_exponents_they_are_named_for():
    z = np.random.default_rng(0).standard_normal((400_000, 1))
    he3 = LINKS["hermite3"](z)
    for moment in (he3 * z[:, 0], he3 * (z[:, 0] ** 2 - 1)):
        assert abs(moment.mean()) < 4 * moment.std() / np.sqrt(len(z))
    assert (he3 * (z[:, 0] ** 3)).mean() > 1.0


def test_callable_link_and_bad_input():
    _, y = make_multi_index(5, 3, 2, link=lambda Z: Z[:, 0], noise=0.0, random_state=0)
    assert y.shape == (5,)
    with pytest.raises(ValueError, match="one value a row"):
        make_multi_index(5, 3, 2, link=lambda Z: Z)
    with pytest.raises(ValueError, match="exceeds n_features=3"):
        make_multi_index(5, 3, 4)
    with pytest.raises(InvalidParameterError, match="link"):
        make_multi_index(5, 3, 2, link="cubic")
    with pytest.raises(InvalidParameterError, match="noise"):
        make_multi_index(5, 3, 2, noise=-1.0)
