"""Every published number of a fit, recomputed in plain numpy and scipy; nothing here knows the engine."""

from sklearn_derand.verification._claims import Claim, Verification
from sklearn_derand.verification._verify import verify

__all__ = ["Claim", "Verification", "verify"]
