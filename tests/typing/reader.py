"""What somebody writes who uses the suite, for a type checker to read; it is never run."""

from typing import assert_type

import numpy as np
from mt_diagrams import image_matmul_simple, matrix, memory_timeline, traffic_bar
from mt_diagrams.svg.figure import Figure

import mtlib
from mtlib import Tensor

x = mtlib.rand(2, 4, seed=0, requires_grad=True)
w = mtlib.from_numpy(np.ones((4, 3)))
assert_type(x @ w, Tensor)
assert_type((2 * x - x / 3) ** 2 + np.ones(4), Tensor)
assert_type((x < 1) & ~(x == 0), Tensor)
assert_type(mtlib.where(x > 0, x.exp(), mtlib.tanh(x)).sum(0, keepdim=True), Tensor)
assert_type(x.T[0, ::2].reshape(1, -1), Tensor)
assert_type(x.numpy(), np.ndarray)
assert_type(mtlib.maximum(x, 0.5).grad, Tensor | None)
x += 1
x.sum((0, 1)).backward()

assert_type(mtlib.naive.matmul(x, w), Tensor)
assert_type(mtlib.naive.softmax(x, 1), Tensor)
assert_type(mtlib.naive.layer_norm(x, 4), Tensor)
assert_type(mtlib.naive.cross_entropy(x, [0, 1]), Tensor)
assert_type(mtlib.naive.attention(x, x, x, causal=True), Tensor)
assert_type(mtlib.fused.matmul(x, w), Tensor)
assert_type(mtlib.fused.softmax(x, 1), Tensor)
assert_type(mtlib.fused.layer_norm(x, 4), Tensor)
assert_type(mtlib.fused.cross_entropy(x, [0, 1]), Tensor)
assert_type(mtlib.fused.attention(x, x, x, causal=True), Tensor)

with mtlib.no_grad(), mtlib.trace() as t:
    y = mtlib.fuse(lambda x: (x * x).sum())(x)
assert_type(t.peak_bytes, int)
assert_type([event.name for event in t.events], list[str])

assert_type(memory_timeline(t), Figure)
assert_type(traffic_bar(t), Figure)
assert_type(image_matmul_simple(x, w), Figure)
matrix(3, 2)


class Double(mtlib.Function):
    @staticmethod
    def forward(ctx, x):  # type: ignore[no-untyped-def]
        return x * 2


assert_type(mtlib.gradcheck(lambda x: x * 2, [x]), bool)

# What must be noticed
x.expp()  # type: ignore[attr-defined]
x.transpose(0)  # type: ignore[call-arg]
x + "one"  # type: ignore[operator]
mtlib.rand(2, 4, sead=0)  # type: ignore[call-arg]
mtlib.fused.softmax(x, "rows")  # type: ignore[arg-type]
