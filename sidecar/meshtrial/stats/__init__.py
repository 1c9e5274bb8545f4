"""Sufficient statistics -> inference: pure, on numpy and scipy alone."""
