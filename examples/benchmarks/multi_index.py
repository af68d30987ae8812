"""Multi-index regression: subspace distance, R2 over the oracle's, indices chosen, CPU seconds.

    python examples/benchmarks/multi_index.py --models PATH [--n 2000 --d 50 --seeds 3] [--only M4 M8]
        [--methods ours "ppr (R)"] [--cells 500,50:M7,M9 2000,100:M5] [--real DIR [--sets concrete]]

``PATH`` is a Python file with ``MODELS`` (name -> number of indices, link on unit-variance indices, law of X, noise
deviation) and ``make(name, n, d, seed)``, whose result has X, y, X_test, y_test, U (columns), k and oracle_r2. ``DIR``
holds ``.npz`` files with X and y: 2000 rows of each (``--rows``), held-out R2 by 5-fold cross-validation. With
``--only`` and no names, only the cells of ``--cells`` and the real data sets are run.

*limit* is least squares over the directions with the true link known, started at the truth: what an estimator that has
to learn the link can hope for. Peers: scikit-learn's MLPRegressor, HistGradientBoosting, KernelRidge and PLSRegression
(two first and PLS give directions); statsmodels' SIR and SAVE, xRFM, R's ``ppr`` and ``MAVE``, each where installed.
"ours, auto k" is not told the number of indices. A distance needs the right number, and is left out where it is wrong.
"""

import argparse
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import time
from importlib import metadata
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from scipy.optimize import minimize
from sklearn.compose import TransformedTargetRegressor
from sklearn.cross_decomposition import PLSRegression
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.kernel_ridge import KernelRidge
from sklearn.model_selection import KFold
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import sklearn_derand
from sklearn_derand import MultiIndexStudentRegressor
from sklearn_derand.metrics import subspace_distance

R_PPR = """
d <- read.csv("train.csv"); t <- read.csv("test.csv"); k <- as.integer(commandArgs(TRUE)[1])
m <- ppr(y ~ ., data = d, nterms = k, max.terms = k + 3)
write.table(t(m$alpha), "directions.csv", sep = ",", row.names = FALSE, col.names = FALSE)
write.table(predict(m, t), "predicted.csv", row.names = FALSE, col.names = FALSE)
"""
R_MAVE = """
library(MAVE); d <- read.csv("train.csv"); k <- as.integer(commandArgs(TRUE)[1]); y <- d$y; d$y <- NULL
m <- mave.compute(as.matrix(d), y, max.dim = k, method = "MEANMAVE")
write.table(t(m$dir[[k]]), "directions.csv", sep = ",", row.names = FALSE, col.names = FALSE)
"""


def known_link(data, models):
    """Directions by least squares with the true link, started at the truth; None for a link without derivative."""
    k, link, law, _ = models.MODELS[data.name]
    if data.name == "M6":
        return None
    d = data.X.shape[1]
    places = np.arange(d)
    covariance = 0.5 ** np.abs(places[:, None] - places) if law == "ar1" else np.eye(d)
    scale = 1.0 / np.sqrt(np.einsum("dk,de,ek->k", data.U, covariance, data.U))
    step = 1e-5 * np.eye(k)

    def value_and_gradient(flat):
        Z = data.X @ flat.reshape(d, k)
        residual = link(Z) - data.y
        slopes = np.stack([(link(Z + h) - link(Z - h)) / 2e-5 for h in step], axis=1)
        return 0.5 * np.mean(residual**2), (data.X.T @ (slopes * residual[:, None]) / len(Z)).ravel()

    end = minimize(value_and_gradient, (data.U * scale).ravel(), jac=True, method="L-BFGS-B", options={"gtol": 1e-8})
    return end.x.reshape(d, k).T


def scaled(model):
    """Standardise inputs and target around a model."""
    return TransformedTargetRegressor(make_pipeline(StandardScaler(), model), transformer=StandardScaler())


def regressors(seed):
    """Return the peers that predict, by name."""
    return {
        "MLPRegressor": scaled(
            MLPRegressor(hidden_layer_sizes=(32,), activation="tanh", max_iter=500, random_state=seed)
        ),
        "HistGradientBoosting": HistGradientBoostingRegressor(random_state=seed),
        "KernelRidge": scaled(KernelRidge(kernel="rbf", alpha=0.1)),
    }


def ours(k, seed, data):
    """Fit the student; k may be "auto"."""
    fitted = MultiIndexStudentRegressor(k, random_state=seed).fit(data.X, data.y)
    return fitted.components_, fitted.predict(data.X_test)


def pls(k, seed, data):
    """Fit partial least squares."""
    fitted = PLSRegression(k).fit(data.X, data.y)
    return fitted.x_rotations_.T, fitted.predict(data.X_test).ravel()


def first_layer(k, seed, data):
    """Fit a perceptron; directions are the leading right singular vectors of its first layer."""
    model = regressors(seed)["MLPRegressor"].fit(data.X, data.y)
    weights = model.regressor_[-1].coefs_[0]
    directions = np.linalg.svd(weights / data.X.std(axis=0)[:, None])[0][:, :k].T
    return directions, model.predict(data.X_test)


def sliced(name):
    """Return statsmodels' inverse regression of a name."""

    def fit(k, seed, data):
        from statsmodels.regression import dimred

        model = getattr(dimred, name)(data.y, data.X)
        result = model.fit(slice_n=100) if name == "SlicedInverseReg" else model.fit()
        return np.asarray(result.params)[:, :k].T, None

    return fit


def xrfm(k, seed, data):
    """Fit xRFM; directions are the leading eigenvectors of its feature matrix."""
    import torch
    from xrfm import RFM

    cut = len(data.X) * 4 // 5
    to = [torch.tensor(a, dtype=torch.float32) for a in (data.X, data.y[:, None], data.X_test)]
    model = RFM(kernel="l2", bandwidth=10.0, device="cpu", diag=False)
    model.fit((to[0][:cut], to[1][:cut]), (to[0][cut:], to[1][cut:]), iters=5, reg=1e-3, verbose=False)
    vectors = np.linalg.eigh(model.M.numpy())[1]
    return vectors[:, ::-1][:, :k].T, model.predict(to[2]).numpy().ravel()


def in_r(script):
    """Return a fit that runs a script of R in a directory of its own."""

    def fit(k, seed, data):
        with tempfile.TemporaryDirectory() as place:
            for name, X, y in (("train", data.X, data.y), ("test", data.X_test, data.y_test)):
                header = ",".join([*(f"x{j}" for j in range(X.shape[1])), "y"])
                table = np.column_stack([X, y])
                np.savetxt(f"{place}/{name}.csv", table, delimiter=",", header=header, comments="")
            Path(place, "fit.R").write_text(script)
            subprocess.run(["Rscript", "fit.R", str(k)], cwd=place, check=True, capture_output=True)
            directions = np.atleast_2d(np.loadtxt(f"{place}/directions.csv", delimiter=","))
            predicted = Path(place, "predicted.csv")
            return directions, np.loadtxt(predicted) if predicted.exists() else None

    return fit


def methods():
    """Return the methods that are installed; say which are not."""
    table = {
        "ours": ours,
        "ours, auto k": lambda k, seed, data: ours("auto", seed, data),
        "PLSRegression": pls,
        "MLPRegressor": first_layer,
    }
    for name in ("HistGradientBoosting", "KernelRidge"):
        table[name] = lambda k, seed, data, name=name: (
            None,
            regressors(seed)[name].fit(data.X, data.y).predict(data.X_test),
        )
    missing = []
    for name, module, fit in [
        ("SIR", "statsmodels", sliced("SlicedInverseReg")),
        ("SAVE", "statsmodels", sliced("SlicedAverageVarianceEstimation")),
        ("xRFM", "xrfm", xrfm),
    ]:
        if importlib.util.find_spec(module) is None:
            missing.append(name)
        else:
            table[name] = fit
    if shutil.which("Rscript"):
        table["ppr (R)"] = in_r(R_PPR)
        has_mave = subprocess.run(["Rscript", "-e", "library(MAVE)"], capture_output=True).returncode == 0
        table |= {"MAVE (R)": in_r(R_MAVE)} if has_mave else {}
        missing += [] if has_mave else ["MAVE (R)"]
    else:
        missing += ["ppr (R)", "MAVE (R)"]
    if missing:
        print("not installed, left out:", ", ".join(missing))
    return table


def cpu_seconds():
    """CPU seconds of this process and of those it waited for."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def header():
    """Print the command and the versions that the tables below come from."""
    print("python examples/benchmarks/multi_index.py", *(Path(word).name for word in sys.argv[1:]))
    packages = ("torch", "scikit-learn", "numpy", "scipy", "statsmodels", "xrfm")
    found = [f"sklearn_derand {sklearn_derand.__version__}"]
    for package in packages:
        try:
            found.append(f"{package} {metadata.version(package)}")
        except metadata.PackageNotFoundError:
            found.append(f"{package} absent")
    print(
        f"{time.strftime('%Y-%m-%d', time.gmtime())}; python {sys.version.split()[0]}, {', '.join(found)}; one thread"
    )


def compare(models, names, n, d, seeds, table):
    """Print one table a model: mean over seeds."""
    for name in names:
        k, limits, rows = models.MODELS[name][0], [], {method: [] for method in table}
        for seed in range(seeds):
            data = models.make(name, n, d, seed=seed)
            known = known_link(data, models)
            limits.append(np.nan if known is None else subspace_distance(known, data.U.T))
            for method, fit in table.items():
                begin = cpu_seconds()
                directions, predicted = fit(k, seed, data)
                seconds = cpu_seconds() - begin
                right = directions is not None and len(directions) == k
                distance = subspace_distance(directions, data.U.T) if right else np.nan
                ratio = np.nan if predicted is None else models.r2_score(data.y_test, predicted) / data.oracle_r2
                rows[method].append((distance, ratio, np.nan if directions is None else len(directions), seconds))
        print(f"\n{name}: n={n} d={d} k={k}, {seeds} seeds; known link {np.mean(limits):.4f}")
        print(f"{'':22s} distance  / limit  R2 ratio  k chosen       CPU s")
        for method, values in rows.items():
            distance, ratio, _, seconds = np.mean(values, axis=0)
            chosen = " ".join("-" if np.isnan(v[2]) else f"{v[2]:.0f}" for v in values)
            relative = distance / np.mean(limits)
            print(f"{method:22s} {distance:8.4f} {relative:8.3f} {ratio:9.4f}  {chosen:12s} {seconds:7.2f}", flush=True)


def read_cell(text):
    """Read ``n,d:name,name`` as (n, d, names)."""
    size, names = text.split(":")
    n, d = map(int, size.split(","))
    return n, d, names.split(",")


def compare_real(directory, n_rows, sets):
    """Print held-out R2 by 5-fold cross-validation for the ``.npz`` files of a directory."""
    for path in sorted(Path(directory).glob("*.npz")):
        if sets is not None and path.stem not in sets:
            continue
        stored = np.load(path, allow_pickle=True)
        X, y = stored["X"].astype(float), stored["y"].astype(float)
        chosen = np.random.default_rng(0).permutation(len(X))[:n_rows]
        X, y = X[chosen], y[chosen]
        print(f"\n{path.stem}: {X.shape[0]} rows, {X.shape[1]} inputs, 5-fold R2")
        for method, model in ({"ours": MultiIndexStudentRegressor(random_state=0)} | regressors(0)).items():
            begin, predicted, ranks = cpu_seconds(), np.empty_like(y), []
            for train, test in KFold(5, shuffle=True, random_state=0).split(X):
                fitted = model.fit(X[train], y[train])
                predicted[test] = fitted.predict(X[test])
                ranks.append(str(getattr(fitted, "n_components_", "")))
            r2 = 1.0 - np.mean((y - predicted) ** 2) / np.var(y)
            print(
                f"{method:22s} {r2:8.4f}  {' '.join(ranks):12s} {(cpu_seconds() - begin) / 5:7.2f} CPU s a fit",
                flush=True,
            )


def main():
    """Read the arguments and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", required=True, help="Python file with MODELS and make")
    parser.add_argument("--n", type=int, default=2000)
    parser.add_argument("--d", type=int, default=50)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", nargs="*", help="names of models; all by default")
    parser.add_argument("--methods", nargs="*", help="names of methods, as the tables print them; all by default")
    parser.add_argument("--cells", nargs="*", type=read_cell, default=[], help="more sizes and models, n,d:name,name")
    parser.add_argument("--real", help="directory of .npz files with X and y")
    parser.add_argument("--sets", nargs="*", help="names of real sets; all by default")
    parser.add_argument("--rows", type=int, default=2000, help="rows of each real set")
    arguments = parser.parse_args()
    begin = time.perf_counter()
    module = importlib.util.spec_from_file_location("multi_index_models", arguments.models)
    models = importlib.util.module_from_spec(module)
    sys.modules[module.name] = models  # dataclasses look their module up while it is executed
    module.loader.exec_module(models)
    names = list(models.MODELS) if arguments.only is None else arguments.only
    header()
    table = methods()
    if arguments.methods is not None:
        if unknown := set(arguments.methods).difference(table):
            parser.error(f"--methods {sorted(unknown)}: choose from {list(table)}")
        table = {name: fit for name, fit in table.items() if name in arguments.methods}
    ours(1, 0, models.make(next(iter(models.MODELS)), 200, 5, seed=0))  # imports are nobody's CPU seconds
    for n, d, cell in [(arguments.n, arguments.d, names), *arguments.cells]:
        compare(models, cell, n, d, arguments.seeds, table)
    if arguments.real:
        compare_real(arguments.real, arguments.rows, arguments.sets)
    print(f"\n{time.perf_counter() - begin:.0f} s in all")


if __name__ == "__main__":
    main()
