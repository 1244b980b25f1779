"""The same again, fused by a machine: a function of tensors is taken apart and put together.

A program goes through the files of this folder in one direction.  Take the softmax of ``x * 2``.

>>> import mtlib
>>> from mtlib.fusion.codegen import write
>>> from mtlib.fusion.loops import loop_nests
>>> @mtlib.fuse
... def softmax(x):
...     e = (x * 2 - (x * 2).max(1, keepdim=True)).exp()
...     return e / e.sum(1, keepdim=True)
>>> _ = softmax(mtlib.zeros(2, 4))

``frontend`` is what is called.  It tells tensors from the other ``arguments``, and looks with
``guards`` at what else the function sees, to know whether it has a program for them already.

**Capture.**  If not, ``capture`` runs the function on symbols, which write down what is done to
them; what is fused by hand says in ``decompose`` how to take it apart, and ``simplify`` makes each
operation once: ``x * 2`` is.

**Graph.**  The result is a ``graph`` of operations, in an order that later stages keep to.

>>> print(softmax.graph)
x          (2, 4)  input
constant2  (2, 4)  constant 2.0
mul3       (2, 4)  zip x, constant2
max4       (2, 1)  reduce mul3, over dim 1
expand5    (2, 4)  view max4
sub6       (2, 4)  zip mul3, expand5
exp7       (2, 4)  map sub6
sum8       (2, 1)  reduce exp7, over dim 1
expand9    (2, 4)  view sum8
div10      (2, 4)  zip exp7, expand9
return div10

**Schedule.**  ``statements`` are what is left when elementwise operations are computed where they
are used and views have become strides: here ``max4``, ``sum8`` and ``div10``.  ``grouping`` finds
that one can use the totals of another row by row, and ``schedule`` says what is stored.

>>> print(softmax.schedule)
1. kernel: x -> div10, with mul3, max4, sub6, exp7, sum8 fused in

**Loops.**  ``loops`` decides which there are, which is innermost, and which threads share.

>>> nests = loop_nests(softmax.schedule.steps[0])
>>> print(nests)
for i in 2, by threads:
    for j in 4:
        max4[i] = max of x[4i + j] by mul3
    for j in 4:
        sum8[i] = sum of x[4i + j], max4[i] by mul3, sub6, exp7
    for j in 4:
        div10[4i + j] = x[4i + j], max4[i], sum8[i] by mul3, sub6, exp7, div10

**Source.**  ``codegen`` writes them down; how an operation is written is in ``primitives``.

>>> print(write(nests, "softmax").text)
def softmax(x, div10, ni, nj):
    for i in each(ni):
        max4 = -inf
        for j in range(nj):
            max4 = fold_maximum(max4, x[i, j] * 2.0)
        sum8 = 0.0
        for j in range(nj):
            sum8 = fold_add(sum8, exp(x[i, j] * 2.0 - max4))
        for j in range(nj):
            div10[i, j] = exp(x[i, j] * 2.0 - max4) / sum8

**Compile, run.**  ``compile`` takes a program through all of this, once for its results and once
for the gradient of each.  ``execute`` runs it, and joins the results to autograd's graph.
"""

from mtlib.fusion.frontend import fuse

__all__ = ["fuse"]
