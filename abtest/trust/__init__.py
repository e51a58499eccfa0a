"""Proof that every promise was kept, from raw rows alone."""

from abtest.trust.audit import Verified
from abtest.trust.verification import VerificationService

__all__ = [
    "VerificationService",
    "Verified",
]
