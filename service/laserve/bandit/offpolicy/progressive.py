"""Reward predictions for each arm, at every row from the earlier rows alone."""

import numpy as np
import numpy.typing as npt

from laserve.types import Vector

Matrix = npt.NDArray[np.float64]

#: Prior mean reward of every arm.
_PRIOR = 0.5
#: Rows of an arm in one block; it affects speed alone.
_BLOCK = 64


def predictions(x: Matrix, reward: Vector, shares: Matrix, *, ridge: float | Vector = 1.0) -> Matrix:
    """Expected reward of every arm in every row, by ridge regression on the earlier rows alone.

    theta_k = A_k^-1 b_k with A_k = ridge + sum s x x' and b_k = sum s (r - 1/2) x over the earlier rows, s
    being the row's share for arm k; the prediction is 1/2 + x . theta_k, cut to [0, 1]. A row costs O(d^2)
    for every arm with a share.

    Args:
        x: contexts in log order, shape (N, d).
        reward: shape (N,), in [0, 1].
        shares: weight of each row for each arm, shape (N, K), at least 0.
        ridge: above 0, a number for all features or shape (d,).

    Returns:
        Shape (N, K), in [0, 1].
    """
    prior = np.diag(1.0 / np.broadcast_to(ridge, x.shape[1]))
    columns = []
    for share in shares.T:
        own = np.flatnonzero(share)
        thetas = _learn(x[own], reward[own] - _PRIOR, share[own], prior)
        before = np.searchsorted(own, np.arange(len(x)))
        columns.append(_PRIOR + np.einsum("nd,nd->n", x, thetas[before]))
    return np.clip(np.column_stack(columns), 0.0, 1.0)


def _learn(x: Matrix, reward: Vector, share: Vector, inverse: Matrix) -> Matrix:
    """Theta before each of an arm's n rows and after the last, shape (n + 1, d); `inverse` is the first A^-1.

    Sherman-Morrison steps, a block at a time. With V = X A^-1 X' + diag(1 / s) = L L' over the block,
    u = L^-1 (r - X theta) and Z = L^-1 X A^-1, step i adds u_i Z_i to theta and takes Z_i Z_i' from A^-1. Row
    i of a Cholesky factor depends on the rows up to i, so that no step depends on a later row.
    """
    thetas = np.zeros((len(x) + 1, x.shape[1]))
    for start in range(0, len(x), _BLOCK):
        block = slice(start, start + _BLOCK)
        rows, theta = x[block], thetas[start]
        spread = rows @ inverse
        factor = np.linalg.cholesky(spread @ rows.T + np.diag(1.0 / share[block]))
        solved = np.linalg.solve(factor, np.column_stack([reward[block] - rows @ theta, spread]))
        u, z = solved[:, :1], solved[:, 1:]
        thetas[start + 1 : start + 1 + len(rows)] = theta + (u * z).cumsum(axis=0)
        inverse = inverse - z.T @ z
    return thetas
