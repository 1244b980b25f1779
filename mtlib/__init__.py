"""A small tensor library with real Numba kernels, made to be read.

``README.md`` beside this file says what to read, and in which order: a spine of some 1,500 lines
that explains everything, and the wings that make it fast.
"""

# Modules first: some functions carry the name of their module, and the function is what is public.
from mtlib import fused, methods, naive
from mtlib.autograd import Function
from mtlib.fused import matmul
from mtlib.fusion import fuse
from mtlib.gradcheck import gradcheck
from mtlib.make import arange, from_numpy, full, ones, rand, randn, tensor, zeros
from mtlib.ops.maps import exp, gelu, log, relu, sigmoid, sqrt, tanh
from mtlib.ops.reductions import reduce
from mtlib.ops.zips import maximum, minimum, where
from mtlib.runtime.ledger import trace
from mtlib.runtime.mode import no_grad
from mtlib.tensor import Tensor

__all__ = [
    "Function",
    "Tensor",
    "arange",
    "exp",
    "from_numpy",
    "full",
    "fuse",
    "fused",
    "gelu",
    "gradcheck",
    "log",
    "matmul",
    "maximum",
    "methods",
    "minimum",
    "naive",
    "no_grad",
    "ones",
    "rand",
    "randn",
    "reduce",
    "relu",
    "sigmoid",
    "sqrt",
    "tanh",
    "tensor",
    "trace",
    "where",
    "zeros",
]
