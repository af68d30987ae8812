"""One picture a task, drawn from the arrays that the fits returned."""

import numpy as np

OURS = "#c44e52"
PEERS = ("#4c72b0", "#8c8c8c", "#55a868", "#8172b3")


def draw(task, folder):
    """Draw the task's picture into the folder as a PNG file and return its path."""
    from matplotlib.figure import Figure

    painters = {"changes": _draw_embedding, "index": _draw_student, "W": _draw_cut}
    paint = next(painter for key, painter in painters.items() if key in task.arrays)
    figure = Figure(figsize=(10, 4), layout="constrained")
    paint(figure, task)
    figure.suptitle(task.title)
    path = folder / f"{task.name}.png"
    figure.savefig(path, dpi=120)
    return path


def _draw_embedding(figure, task):
    """Draw histograms of the relative changes of squared distances."""
    ax = figure.subplots()
    changes = task.arrays["changes"]
    bins = np.linspace(-1, max(np.quantile(c, 0.999) for c in changes.values()), 160)
    for (method, change), color in zip(changes.items(), (OURS, *PEERS), strict=False):
        ours = color == OURS
        ax.hist(
            change,
            bins,
            density=True,
            histtype="stepfilled" if ours else "step",
            alpha=0.6 if ours else 1,
            color=color,
            label=f"{method}: at most {np.abs(change).max():.2f}",
        )
    ax.set(xlabel="relative change of a squared distance (fitted pairs)", ylabel="density", xlim=(bins[0], bins[-1]))
    ax.legend(frameon=False)


def _draw_student(figure, task):
    """Draw target and prediction against the first index, against each other, and the gradient spectrum."""
    left, middle, right = figure.subplots(1, 3)
    arrays = task.arrays
    target, predicted = arrays["target"], arrays["predicted"]
    dots = {"marker": ".", "linestyle": "", "markersize": 6 if target.size < 500 else 2}
    left.plot(arrays["index"], target, color=PEERS[0], label="held-out rows", **dots)
    left.plot(arrays["index"], predicted, color=OURS, label="predicted", **dots)
    left.set(xlabel="first index of the student", ylabel="target")
    left.legend(frameon=False, markerscale=2)
    middle.axline((target.mean(), target.mean()), slope=1, color="black", linestyle=":")
    middle.plot(predicted, target, color=PEERS[0], **dots)
    middle.set(xlabel="predicted", ylabel="target (held-out rows)")
    ratio = arrays["explained_gradient_ratio"]
    right.bar(np.arange(1, ratio.size + 1), ratio, color=OURS)
    right.set(xlabel="direction", ylabel="share of the squared gradient")


def _draw_cut(figure, task):
    """Draw the cuts of random hyperplanes, ours and the bound, and the weights sorted by side."""
    left, right = figure.subplots(1, 2, width_ratios=(2, 1))
    arrays = task.arrays
    roundings = arrays["hyperplane_cuts"]
    width = max(1, round(np.ptp(roundings) / 40))
    bins = np.arange(np.floor(roundings.min()), roundings.max() + width + 1, width) - 0.5
    left.hist(roundings, bins, color=PEERS[1], alpha=0.7, label="random hyperplanes")
    for (method, cut), style in zip(arrays["cuts"].items(), ("--", "-"), strict=True):
        left.axvline(cut, color=OURS, linestyle=style, label=f"{method}: {cut:.0f}")
    bound = arrays["upper_bound"]
    left.axvline(bound, color="black", linestyle=":", label=f"no cut exceeds {bound:.1f}")
    left.set(xlabel="weight of the edges cut", ylabel="roundings")
    left.legend(frameon=False, fontsize="small", loc="upper center", bbox_to_anchor=(0.5, -0.18), ncols=2)
    order = np.argsort(arrays["labels"], kind="stable")
    sorted_weights = arrays["W"].tocsr()[order][:, order].tocoo()
    size = 4 if order.size < 200 else 0.05
    right.plot(sorted_weights.col, sorted_weights.row, "s", color=PEERS[0], markersize=size)
    boundary = np.count_nonzero(arrays["labels"] == 0) - 0.5
    right.axhline(boundary, color=OURS)
    right.axvline(boundary, color=OURS)
    right.set(title="edges, nodes sorted by side", xlim=(0, order.size), ylim=(order.size, 0), aspect="equal")
