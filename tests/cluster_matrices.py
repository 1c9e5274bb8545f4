"""CR2 and its degrees of freedom by their definitions, with matrices over units."""

import numpy as np


def cr2(y: np.ndarray, x: np.ndarray, cluster: np.ndarray, c: np.ndarray) -> tuple[float, float]:
    """Variance and degrees of freedom of a combination `c` of coefficients of y on x."""
    bread = np.linalg.inv(x.T @ x)
    residual_maker = np.eye(len(y)) - x @ bread @ x.T
    rows = []
    for g in np.unique(cluster):
        own = cluster == g
        values, vectors = np.linalg.eigh(residual_maker[np.ix_(own, own)])
        root = vectors @ np.diag(values**-0.5) @ vectors.T
        rows.append(c @ bread @ x[own].T @ root @ residual_maker[own])
    p = np.array(rows)
    return float(np.sum((p @ y) ** 2)), float(np.trace(p @ p.T) ** 2 / np.sum((p @ p.T) ** 2))
