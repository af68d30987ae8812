"""
Indices as features: the student inside pipelines
=================================================

Thirty correlated inputs on different scales, of which two linear combinations matter through their product. The student
predicts, and it also reduces: any regressor may be fitted on its indices.
"""

# %%
# Neither linear regression nor principal components can see a product of two centred indices.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, WhiteKernel
from sklearn.inspection import PartialDependenceDisplay
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_derand import MultiIndexStudentRegressor
from sklearn_derand.datasets import make_multi_index

Z, y = make_multi_index(1200, 30, 2, link="product", noise=0.2, random_state=0)
rng = np.random.default_rng(0)
X = Z @ (np.eye(30) + 0.2 * rng.standard_normal((30, 30))) * 10.0 ** rng.uniform(-2, 2, 30)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)

student = MultiIndexStudentRegressor(random_state=0).fit(X_train, y_train)
linear = make_pipeline(StandardScaler(), RidgeCV()).fit(X_train, y_train)
print(f"ridge {linear.score(X_test, y_test):.3f}, student {student.score(X_test, y_test):.3f}")
print(f"indices found: {student.n_components_}; {student.certificate_}")
assert student.n_components_ == 2
assert student.score(X_test, y_test) > 0.85 > 0.1 > linear.score(X_test, y_test)

# %%
# In the middle of a pipeline it hands on the indices: here to a Gaussian process, which could not use thirty inputs.

process = GaussianProcessRegressor(RBF() + WhiteKernel(0.1), normalize_y=True)
reduce = MultiIndexStudentRegressor(n_components=2, random_state=0)
pipe = make_pipeline(StandardScaler(), reduce, StandardScaler(), process).fit(X_train, y_train)
print(
    f"Gaussian process on the two indices {pipe.score(X_test, y_test):.3f}; features {pipe[:2].get_feature_names_out()}"
)
assert pipe.score(X_test, y_test) > 0.85

# %%
# The learned link, as partial dependence on the two indices.

indices = pipe[:2].transform(X_test)
display = PartialDependenceDisplay.from_estimator(
    pipe[2:], indices, [(0, 1)], feature_names=["index 0", "index 1"], grid_resolution=30
)
display.figure_.suptitle("The link on the two indices: a saddle")
plt.show()
