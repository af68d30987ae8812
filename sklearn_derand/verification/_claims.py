"""Claims, and what became of them."""

from dataclasses import dataclass
from typing import SupportsFloat


@dataclass(frozen=True)
class Claim:
    """One published number and its independent twin.

    Attributes
    ----------
    name : str
        What is claimed, as the user sees it.
    claimed : float
        The published number.
    recomputed : float
        The same from the arrays and the data; ``nan`` where it was not attempted.
    holds : bool or None
        The verdict; ``None`` where it was not attempted.
    note : str, default=""
        Why not, or how.
    """

    name: str
    claimed: float
    recomputed: float
    holds: bool | None
    note: str = ""


@dataclass(frozen=True)
class Verification:
    """All claims of one fit.

    Attributes
    ----------
    estimator : str
        Its class.
    claims : tuple of Claim
        In the order of checking.
    """

    estimator: str
    claims: tuple[Claim, ...]

    @property
    def holds(self) -> bool:
        """Whether no claim was refuted; those not attempted do not count."""
        return all(claim.holds is not False for claim in self.claims)

    def __str__(self) -> str:
        width = max(len(claim.name) for claim in self.claims)
        words = {True: "yes", False: "NO", None: "not checked"}
        lines = [f"{self.estimator}", f"{'claim':<{width}}  {'claimed':>14}  {'recomputed':>14}  holds"]
        for claim in self.claims:
            verdict = words[claim.holds] + (f" ({claim.note})" if claim.note else "")
            lines.append(f"{claim.name:<{width}}  {claim.claimed:>14.8g}  {claim.recomputed:>14.8g}  {verdict}")
        return "\n".join(lines)


def equal(
    name: str,
    claimed: SupportsFloat,
    recomputed: SupportsFloat,
    *,
    rtol: float = 1e-9,
    atol: float = 1e-12,
    note: str = "",
) -> Claim:
    """Claim that two numbers agree but for rounding."""
    claimed, recomputed = float(claimed), float(recomputed)
    same = claimed == recomputed or abs(claimed - recomputed) <= atol + rtol * abs(recomputed)
    return Claim(name, claimed, recomputed, bool(same), note)


def at_least(name: str, larger: SupportsFloat, smaller: SupportsFloat, *, slack: float = 0.0, note: str = "") -> Claim:
    """Claim that the first number is not below the second."""
    larger, smaller = float(larger), float(smaller)
    return Claim(name, larger, smaller, bool(larger >= smaller - slack), note)


def at_most(name: str, smaller: SupportsFloat, larger: SupportsFloat, *, slack: float = 0.0, note: str = "") -> Claim:
    """Claim that the first number is not above the second."""
    smaller, larger = float(smaller), float(larger)
    return Claim(name, smaller, larger, bool(smaller <= larger + slack), note)


def skipped(name: str, claimed: SupportsFloat, note: str) -> Claim:
    """Record a claim that was not attempted, and why."""
    return Claim(name, float(claimed), float("nan"), None, note)
