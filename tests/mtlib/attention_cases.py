"""Operands of attention, and what NumPy says of them in float64."""

import numpy as np
import pytest

from .composites import REFERENCES, attention_weights
from .strategies import fill

reference = REFERENCES["attention"]
causal_or_not = pytest.mark.parametrize("causal", [False, True], ids=["all keys", "causal"])


def draw_arrays(batch, queries, keys, width, depth, dtype="float64"):
    """(q, k, v, d): the operands and a gradient of the result."""
    sizes = (queries, width), (keys, width), (keys, depth), (queries, depth)
    return [fill("any", (*batch, *size), dtype, seed) / 2 for seed, size in enumerate(sizes)]


def gradients(d, q, k, v, mask=None, causal=False):
    """Those of q, k, v and the scores, with the scale 1/√E."""
    p, scale = attention_weights(q, k, mask, causal), q.shape[-1] ** -0.5
    slopes = d @ v.swapaxes(-1, -2)
    slopes = p * (slopes - (p * slopes).sum(-1, keepdims=True))
    return slopes @ k * scale, slopes.swapaxes(-1, -2) @ q * scale, p.swapaxes(-1, -2) @ d, slopes


def assert_close(result, expected, dtype=None) -> None:
    """To the rounding of a few dozen operations on the moderate values that are drawn here."""
    result = np.asarray(result)
    tolerance = 400 * np.finfo(dtype or result.dtype).eps
    assert result.shape == expected.shape
    np.testing.assert_allclose(result, expected, rtol=tolerance, atol=tolerance)
