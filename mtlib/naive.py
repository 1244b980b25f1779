"""Composite operations written from map, zip and reduce.

Correct, easy to derive, and each step leaves an intermediate behind.  :mod:`mtlib.fused` has the
same operations, under the same names and signatures, as one kernel each.
"""

from __future__ import annotations

from mtlib.memory import check_fits
from mtlib.operands import matmul_operands
from mtlib.ops.reductions import reduce
from mtlib.tensor import Tensor


def matmul(a: Tensor, b: Tensor) -> Tensor:
    """a (…, m, k) @ b (…, k, n) = (…, m, n), as a broadcast zip followed by a reduce.

    The zip makes every product, m·k·n of them, before the reduce adds up the first two.  NumPy's
    rules for 1-D, batched and broadcast operands; raises ``ValueError`` where they do not fit and
    ``MemoryError`` where the products would not.

    >>> import mtlib
    >>> with mtlib.trace() as t:
    ...     c = mtlib.naive.matmul(mtlib.ones(2, 4), mtlib.ones(4, 3))
    >>> [(e.name, e.output_shapes[0]) for e in t.events if e.kind in ("zip", "reduce")]
    [('mul', (2, 4, 3)), ('reduce', (2, 1, 3))]
    """
    a, b, batch, shape = matmul_operands(a, b)
    (m, k), n = a.shape[-2:], b.shape[-1]
    check_fits((*batch, m, k, n), a.dtype, "matmul", "the zipped intermediate")

    rows = a.view(*a.shape, 1)  #                             (…, m, k, 1)  a view
    columns = b.view(*b.shape[:-2], 1, k, n)  #               (…, 1, k, n)  a view
    products = rows * columns  #                              (…, m, k, n)  reads 2mkn, writes mkn
    totals = reduce(products, "add", dim=-2, keepdim=True)  # (…, m, 1, n)  reads mkn, writes mn
    return totals.view(shape)  #                              (…, m, n)     a view
