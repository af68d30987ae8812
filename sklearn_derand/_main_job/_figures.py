"""One picture a task, drawn by the displays from what the fits returned."""

import numpy as np
from sklearn.metrics import PredictionErrorDisplay

from sklearn_derand.displays import CutDisplay, DistortionDisplay, IndexDisplay


def draw(task, folder):
    """Draw the task's picture into the folder as a PNG file and return its path."""
    from matplotlib.figure import Figure

    painters = {"ratios": _draw_embedding, "student": _draw_student, "W": _draw_cut}
    paint = next(painter for key, painter in painters.items() if key in task.arrays)
    figure = Figure(figsize=(11, 4), layout="constrained")
    paint(figure, **task.arrays)
    figure.suptitle(task.title)
    path = folder / f"{task.name}.png"
    figure.savefig(path, dpi=120)
    return path


def _draw_embedding(figure, ratios, eps):
    """Draw histograms of the ratios of squared distances."""
    DistortionDisplay(ratios=ratios, eps=eps).plot(figure.subplots())


def _draw_student(figure, student, X, y):
    """Draw held-out targets against each index and against the prediction."""
    *indices, last = figure.subplots(1, student.n_components_ + 1)
    IndexDisplay.from_estimator(student, X, y, ax=indices)
    PredictionErrorDisplay.from_estimator(
        student, X, y, kind="actual_vs_predicted", subsample=None, ax=last, scatter_kwargs={"s": 6, "alpha": 0.4}
    )


def _draw_cut(figure, W, labels, hyperplane_cuts, cuts, upper_bound):
    """Draw the cuts of random hyperplanes beside ours and the bound, and the weights sorted by side."""
    left, right = figure.subplots(1, 2, width_ratios=(2, 1))
    width = max(1, round(np.ptp(hyperplane_cuts) / 40))
    bins = np.arange(np.floor(hyperplane_cuts.min()), hyperplane_cuts.max() + width + 1, width) - 0.5
    left.hist(hyperplane_cuts, bins, color="0.7", label="random hyperplanes")
    for (method, cut), style in zip(cuts.items(), ("--", "-"), strict=True):
        left.axvline(cut, linestyle=style, label=f"{method}: {cut:.0f}")
    left.axvline(upper_bound, color="k", linestyle=":", label=f"no cut exceeds {upper_bound:.1f}")
    left.set(xlabel="weight of the edges cut", ylabel="roundings")
    left.legend(frameon=False, fontsize="small", loc="upper center", bbox_to_anchor=(0.5, -0.18), ncols=2)
    CutDisplay(labels=labels, weights=W, value=max(cuts.values()), upper_bound=upper_bound).plot(right)
