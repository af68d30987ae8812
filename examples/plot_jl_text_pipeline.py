"""
Text: thousands of sparse columns, few components
=================================================

Which part of scikit-learn does a paragraph of its documentation belong to? The paragraphs are read from the docstrings
of the installed package, so nothing is downloaded. Their tf-idf vectors have thousands of sparse columns;
:class:`~sklearn_derand.DerandJLEmbedding` takes the place of a random projection in the pipeline, and leaves them
sparse.
"""

# %%
# The corpus: every public class and function of six subpackages, cut at blank lines.
import importlib
import inspect

import matplotlib.pyplot as plt
import numpy as np
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.random_projection import GaussianRandomProjection, SparseRandomProjection

from sklearn_derand import DerandJLEmbedding
from sklearn_derand.metrics import max_distortion

topics = ["cluster", "ensemble", "linear_model", "metrics", "model_selection", "preprocessing"]
paragraphs = {}
for topic in topics:
    module = importlib.import_module(f"sklearn.{topic}")
    for name in module.__all__:
        for paragraph in (inspect.getdoc(vars(module).get(name)) or "").split("\n\n"):
            # Boilerplate that several subpackages share tells nothing; the last one to use it would keep it.
            known = paragraphs.setdefault(paragraph, topic)
            if known != topic:
                paragraphs[paragraph] = None
texts, labels = zip(*((text, y) for text, y in paragraphs.items() if y and len(text.split()) >= 30), strict=True)
train, test, y_train, y_test = train_test_split(texts, labels, train_size=300, test_size=300, random_state=0)

vectorizer = TfidfVectorizer(sublinear_tf=True, stop_words="english", token_pattern=r"[A-Za-z]{3,}")
X_train, X_test = vectorizer.fit_transform(train), vectorizer.transform(test)
print(
    f"{X_train.shape[0]} paragraphs to fit, {X_train.shape[1]} words, {X_train.nnz} entries; {X_test.shape[0]} to test"
)

# %%
# Four projections to 32 dimensions
# ---------------------------------
# Distances first: over all pairs of fitted and of new paragraphs. With fewer paragraphs than words the map that is best
# on the fitted ones promises nothing on new ones; ``validation_fraction`` asks for a map that does.
k = 32
projections = {
    "Gaussian": GaussianRandomProjection(k, random_state=1000),
    "sparse": SparseRandomProjection(k, dense_output=True, random_state=1000),
    "truncated SVD": TruncatedSVD(k, random_state=1000),
    "derandomised": DerandJLEmbedding(k, random_state=1000),
    "derandomised, a fifth set aside": DerandJLEmbedding(k, validation_fraction=0.2, random_state=1000),
}
accuracy = {}
for name, projection in projections.items():
    Z_train, Z_test = projection.fit_transform(X_train), projection.transform(X_test)
    accuracy[name] = [
        last.fit(Z_train, y_train).score(Z_test, y_test)
        for last in (KNeighborsClassifier(5), LogisticRegression(max_iter=2000))
    ]
    print(
        f"{name:>32}: fitted {max_distortion(X_train, Z_train):.2f}, new {max_distortion(X_test, Z_test):.2f}; "
        f"5-NN {accuracy[name][0]:.2f}, logistic regression {accuracy[name][1]:.2f}"
    )

# %%
# A truncated SVD keeps the directions in which topics differ and drops the rest: that is why a classifier likes it, and
# why some distances vanish. Keeping distances is another aim: it serves whatever comes later, labels unknown.
fig, ax = plt.subplots(figsize=(7, 3.2))
places = np.arange(len(accuracy))
for offset, column, name in ((-0.2, 0, "5 nearest neighbours"), (0.2, 1, "logistic regression")):
    ax.barh(places + offset, [row[column] for row in accuracy.values()], height=0.4, label=name)
ax.set(yticks=places, yticklabels=list(accuracy), xlabel="test accuracy")
ax.invert_yaxis()
ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
fig.tight_layout()

# %%
# As a step of a pipeline
# -----------------------
# Text in, topic out. The certificate stays with the fitted step.
model = make_pipeline(
    vectorizer, DerandJLEmbedding(k, validation_fraction=0.2, random_state=1000), LogisticRegression(max_iter=2000)
)
model.fit(train, y_train)
print(model.predict(["Draw k initial centroids far apart, then move each to the mean of its points."]))
print(model[1].certificate_)
plt.show()
