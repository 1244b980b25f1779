"""The plans that are kept: all caches of the kernels, in one place.

Before a kernel runs, Python works out from shapes and strides how it is to go through its operands.
That takes longer than a small kernel does, and a program asks for the same few over and over.  The
functions that work it out stand beside this file and know nothing of it; callers that may be asked
twice go through here.  What is kept is shared: nobody may write to it.

>>> iteration.cache_info().maxsize
1024
"""

from functools import lru_cache

from mtlib.kernels.plans import products, strided
from mtlib.kernels.plans import rows as by_rows

MOST = 1024  # of each kind, those asked for last; a table takes some 200 bytes

iteration = lru_cache(MOST)(strided.iteration)
elementwise = lru_cache(MOST)(strided.elementwise)
split = lru_cache(MOST)(strided.split)
reduction = lru_cache(MOST)(strided.reduction)
rows = lru_cache(MOST)(by_rows.arrange)
product = lru_cache(MOST)(products.product)
