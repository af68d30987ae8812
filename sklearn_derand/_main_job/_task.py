"""What one task of the main job yields: rows to print, numbers to keep, what to draw."""

import dataclasses
import math
import time
import warnings
from contextlib import contextmanager

import numpy as np
from sklearn.exceptions import ConvergenceWarning


@dataclasses.dataclass(frozen=True)
class Row:
    """One method's line: its quality figures by column name, and what it can prove."""

    method: str
    quality: dict
    cpu_seconds: float
    bound: str = "-"
    certificate: str = "-"


@dataclasses.dataclass(frozen=True)
class Task:
    """One table, with the certificates behind it and what its picture is drawn from."""

    name: str
    title: str
    note: str
    rows: list
    certificates: dict = dataclasses.field(default_factory=dict)
    arrays: dict = dataclasses.field(default_factory=dict)

    def to_text(self):
        """Return the table in plain text: one line a method, then each certificate in its own words."""
        quality = list(self.rows[0].quality)
        lines = [("method", *quality, "CPU s", "bound", "certificate")]
        for row in self.rows:
            figures = (_figure(row.quality[column]) for column in quality)
            lines.append((row.method, *figures, f"{row.cpu_seconds:.2f}", row.bound, row.certificate))
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        left = {0, len(widths) - 2, len(widths) - 1}
        text = [
            "  ".join(
                c.ljust(w) if i in left else c.rjust(w) for i, (c, w) in enumerate(zip(line, widths, strict=True))
            )
            for line in lines
        ]
        text.insert(1, "-" * max(map(len, text)))
        words = [f"{method}: {certificate}" for method, certificate in self.certificates.items()]
        return "\n".join([self.title, self.note, "", *(line.rstrip() for line in text), "", *words])

    def to_json(self):
        """Return the task without what is drawn, as types that JSON knows (NaN and infinities as null)."""
        certificates = {method: dataclasses.asdict(c) for method, c in self.certificates.items()}
        rows = [dataclasses.asdict(row) for row in self.rows]
        task = {"name": self.name, "title": self.title, "note": self.note, "rows": rows, "certificates": certificates}
        return _plain(task)


def _figure(value):
    if math.isnan(value):
        return "-"
    if float(value).is_integer():
        return f"{value:.0f}"
    return f"{value:.1f}" if abs(value) >= 100 else f"{value:.3f}"


def _plain(value):
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


class CpuClock:
    """CPU seconds of this process inside the `timed` blocks, summed."""

    def __init__(self):
        self.seconds = 0.0

    @contextmanager
    def timed(self):
        """Add the CPU seconds of the block; its non-convergence is told by the certificate column instead."""
        start = time.process_time()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            yield
        self.seconds += time.process_time() - start


def holds(*certificates):
    """Say in a word or two whether the certificates hold."""
    good = sum(certificate.holds for certificate in certificates)
    if len(certificates) == 1:
        return "holds" if good else "does not hold"
    return f"{good} of {len(certificates)} hold"
