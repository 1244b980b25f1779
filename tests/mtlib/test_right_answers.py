"""Answers that are right, in one style or another: none is refused."""

import math

import numba
import numpy as np
import pytest

from mtlib.exercises import check


def by_generator(a, b):
    rows = zip(a, b, strict=True)
    return np.array([sum((x * y for x, y in zip(r, s, strict=True)), 0.0) for r, s in rows])


def by_rows(a, b):
    out = np.zeros(len(a), dtype=a.dtype)
    for i, (ra, rb) in enumerate(zip(a, b, strict=True)):
        total = np.float64(0)
        for x, y in zip(ra, rb, strict=True):
            total = total + x * y
        out[i] = total
    return out


def by_a_function_inside(a, b):
    def dot(i):
        total = 0
        for k in range(a.shape[1]):
            total += a[i][k] * b[i][k]
        return total

    return np.fromiter((dot(i) for i in range(len(a))), float, len(a))


def by_fsum(a, b):
    out = np.zeros_like(a, shape=len(a))
    for i in range(len(a)):
        out[i] = math.fsum(a[i, k] * b[i, k] for k in range(a.shape[1]))
    return out


def through_transposes(a, b):
    out, k = np.ndarray(a.shape[0]), a.shape[1]
    for i in range(a.shape[0]):
        out[i] = sum((float(a.T[p, i]) * float(b.T[p, i]) for p in range(k)), 0.0)
    return out


def while_loops(a, b):
    out, i = np.full(len(a), -1.0), 0
    while i < len(a):
        total, k = 0.0, a.shape[1] - 1
        while k >= 0:
            total, k = total + a[i, k] * b[i, k], k - 1
        out[i], i = total, i + 1
    return out


@numba.njit(parallel=True)
def in_parallel(a, b):
    out = np.empty(a.shape[0])
    for i in numba.prange(a.shape[0]):
        total = 0.0
        for k in range(a.shape[1]):
            total += a[i, k] * b[i, k]
        out[i] = total
    return out


@numba.njit
def dot(r, s):
    total = 0.0
    for k in range(len(r)):
        total += r[k] * s[k]
    return total


@numba.njit
def by_two_kernels(a, b):
    out = np.empty(a.shape[0])
    for i in range(a.shape[0]):
        out[i] = dot(a[i], b[i])
    return out


IN_PYTHON = [by_generator, by_rows, by_a_function_inside, by_fsum, through_transposes, while_loops]


@pytest.mark.parametrize(
    "answer", [*IN_PYTHON, in_parallel, by_two_kernels], ids=lambda f: f.__name__
)
def test_a_right_answer_passes(answer):
    assert check("row_dots", answer).message.startswith("correct; 30 loads")
