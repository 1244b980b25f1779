"""Matrix multiplication as one loop nest, with no intermediate.

For each place in the output the two operands are walked along the dimension that they share, and
their products are added up where they are made: in a register.
"""

from mtlib.kernels.jit import Kernel


def _matmul(each):
    def loop(out, a, b):
        """out (p, m, n) = a (p, m, k) @ b (p, k, n), each a NumPy array with any strides."""
        _, m, n = out.shape
        for row in each(out.shape[0] * m):  # output: which matrix, which row
            p, i = row // m, row % m
            for j in range(n):  # output: which column
                total = out.dtype.type(0)
                for k in range(a.shape[2]):  # reduced
                    total += a[p, i, k] * b[p, k, j]  # zipped
                out[p, i, j] = total

    return loop


matmul = Kernel(_matmul)
