"""
Two indices of tabular data
===========================

Disease progression of 442 patients from ten measurements. Two linear combinations of them, found together with a
smooth link, predict as well as all ten in a ridge regression, and can be looked at.
"""

# %%
# Five-fold cross-validation with the number of indices fixed at two; the penalties are chosen inside each fit.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import KFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_derand import MultiIndexStudentRegressor
from sklearn_derand.displays import IndexDisplay

X, y = load_diabetes(return_X_y=True, as_frame=True, scaled=False)
folds = KFold(5, shuffle=True, random_state=0)
student = MultiIndexStudentRegressor(n_components=2, random_state=0)
ridge = make_pipeline(StandardScaler(), RidgeCV(np.logspace(-2, 4, 13)))
scores = {
    name: cross_val_score(model, X, y, cv=folds).mean() for name, model in [("two indices", student), ("ridge", ridge)]
}
print(", ".join(f"{name}: R2 {score:.3f}" for name, score in scores.items()))
assert scores["two indices"] > scores["ridge"] - 0.02

# %%
# The target against each index, with the learned link along it. The first carries most of the prediction's gradient;
# the measurements with the largest shares in each, in units of their standard deviations, are named.

student.fit(X, y)
shares = student.components_ * X.std().to_numpy()
shares /= np.linalg.norm(shares, axis=1, keepdims=True)
for j, row in enumerate(shares):
    largest = np.argsort(-np.abs(row))[:3]
    print(f"index {j}:", ", ".join(f"{row[i]:+.2f} {X.columns[i]}" for i in largest))
assert student.certificate_.holds

display = IndexDisplay.from_estimator(student, X, y)
display.figure_.suptitle("Disease progression against the two indices")
plt.show()
