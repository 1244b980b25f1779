"""Attention by blocks: out = softmax(q kᵀ · scale + mask) v, and never all of the scores at once.

Each block of queries meets one block of keys after another: :mod:`mtlib.kernels.attention.blocks`.
Here the queries are cut into blocks and dealt out to the threads.
"""

from __future__ import annotations

import ctypes
from math import prod
from typing import NamedTuple

import numpy as np

from mtlib.kernels.attention.blocks import (
    Q,
    Sizes,
    Space,
    Storages,
    backward_block,
    forward_block,
    space_in,
)
from mtlib.kernels.jit import Kernel, compiled, threads_for
from mtlib.kernels.plans import kept as plans
from mtlib.kernels.plans.products import TALL, wide, workspace
from mtlib.kernels.strided import reduce
from mtlib.layout import Layout, contiguous
from mtlib.runtime.memory import allocate

QUERIES, KEYS = 96, 192  # in a block: multiples of the sides of a tile
LINE = 64  # bytes, the least that one core's cache takes from another's
AT_ONCE = 1 << 5  # multiplications that a core does in the time of one scalar operation
POWER = 2 * AT_ONCE  # and in that of one power, in a loop that uses vectors


class Stack(NamedTuple):
    """Matrices (…, rows, columns) with any strides: a storage and the layout in it."""

    storage: np.ndarray
    layout: Layout


def forward(out, lse, q: Stack, k: Stack, v: Stack, mask: Stack | None, causal, scale) -> None:
    """Fill ``out`` (…, L, Ev) and ``lse`` (…, L), the logarithm of each query's sum of powers.

    ``q`` is (…, L, E), ``k`` (…, S, E), ``v`` (…, S, Ev) and ``mask`` (…, L, S); a mask of bools
    says which scores count, another is added to them.  A query for which none counts gets 0, and
    an infinite ``lse``.
    """
    sizes, threads = _divide(q, v, out.dtype)
    _run(_forward, sizes, threads, (q, k, v, mask), causal, scale, out=out, lse=lse)


def backward(gradients, d: Stack, out, lse, q, k, v, mask, causal, scale) -> None:
    """Add to the ``gradients``, full of zeros, of q, k, v and, if there are four, of the mask.

    ``d`` is the gradient of ``out``; that and ``lse`` are what forward made of the rest.
    """
    sizes, threads = _divide(q, v, out.dtype)
    results = dict(zip(("dq", "dk", "dv", "dmask"), gradients, strict=False))
    of_keys = {"dk": results["dk"], "dv": results["dv"]}
    if sizes.pieces > 1:  # threads that share a batch each add up gradients of keys of their own
        for name, x in of_keys.items():
            shape = sizes.pieces, x.size
            results[name] = allocate(shape, x.dtype, "attention", role="workspace", zero=True)
    _run(_backward, sizes, threads, (q, k, v, mask, d), causal, scale, out=out, lse=lse, **results)
    if sizes.pieces > 1:
        for name, x in of_keys.items():
            reduce.total(x, results[name], contiguous((sizes.pieces, x.size)), (0,))


# --- Dividing the work ----------------------------------------------------------------------------


def _divide(q: Stack, v: Stack, dtype) -> tuple[Sizes, int]:
    """The sizes of operands and blocks, and for how many threads."""
    *batch, queries, width = q.layout.shape
    *_, keys, depth = v.layout.shape
    batches = prod(batch)
    threads = threads_for(batches * queries * keys * (width + depth + POWER) // AT_ONCE)
    vector = wide(np.dtype(dtype).itemsize) // 2
    pieces = 1  # the fewest that keep threads busy for four fifths of the time
    while queries > pieces * vector and _rounds(batches * pieces, threads) > 1.25:
        pieces += 1
    even = -(-queries // (pieces * vector)) * vector
    block, most = max(1, min(QUERIES, even)), max(1, min(KEYS, keys))
    return Sizes(batches, queries, keys, width, depth, pieces, block, most), threads


def _rounds(tasks: int, threads: int) -> float:
    """How long it takes threads to do the tasks, over how long if these could be divided."""
    return -(-tasks // threads) * threads / max(1, tasks)


def _run(kernel: Kernel, sizes: Sizes, threads: int, operands, causal, scale, **results) -> None:
    q, k, v, mask, *d = operands
    dtype = results["out"].dtype
    storages = {name: np.empty(0, dtype) for name in Storages._fields} | results
    storages |= {"q": q.storage, "k": k.storage, "v": v.storage, "allowed": np.empty(0, np.bool_)}
    if d:
        storages["d"] = d[0].storage
    if mask is not None:
        storages["allowed" if mask.storage.dtype == np.bool_ else "added"] = mask.storage
    storages = Storages(*(_unprotected(storages[name]) for name in Storages._fields))
    places, room = _places(sizes, dtype, with_gradients=kernel is _backward)
    # With some to spare: were elements of two threads in one line of the cache, each store to it
    # would take it away from the other.
    room += LINE // dtype.itemsize
    memory = allocate((threads, room), dtype, "attention", role="workspace").reshape(threads, room)
    scale, causal = dtype.type(scale), bool(causal)
    kernel.run(threads, storages, _tables(operands), sizes, causal, scale, memory, places)


def _unprotected(storage: np.ndarray) -> np.ndarray:
    """The same memory, free to be written to, if only by name: the kernels store to no operand.

    To Numba an array that is not is of another type, and it would compile everything once more.
    """
    if storage.flags.writeable:
        return storage
    memory = (ctypes.c_char * storage.nbytes).from_address(storage.ctypes.data)
    return np.frombuffer(memory, storage.dtype)


def _places(sizes: Sizes, dtype, with_gradients: bool) -> tuple[np.ndarray, int]:
    """(where, rows, columns) of each array of a thread's workspace, and their size together."""
    width, depth, block, most = sizes.width, sizes.depth, sizes.block, sizes.most
    shapes = {
        "q_rows": (block, width),
        "q_columns": (width, block),
        "k_rows": (most, width),
        "v_rows": (most, depth),
        "scores": (most, block),
        "products": (block, depth),
        "sums": (block, depth),
        "of_queries": (3, block),
    }
    if with_gradients:
        shapes |= {
            "d_rows": (block, depth),
            "d_columns": (depth, block),
            "slopes": (most, block),
            "products": (max(most, block), max(width, depth)),
            "sums": (block, width),
        }
    longest = max(width, depth, most, block)
    itemsize = np.dtype(dtype).itemsize
    broad = wide(itemsize)
    rows = workspace(1, longest, 1, itemsize, False, False)  # 1, as if every side had an edge
    names, columns = ("a_strip", "b_strip", "edge"), (TALL, broad, broad)
    shapes |= zip(names, zip(rows, columns, strict=True), strict=True)
    places, room = [], 0
    for name in Space._fields:
        rows, columns = shapes.get(name, (0, 0))
        places.append((room, rows, columns))
        room += rows * columns
    return np.array(places, dtype=np.int64), room


def _tables(operands) -> tuple[np.ndarray, np.ndarray]:
    """The plan for the batches, and below each other the strides of one matrix of each operand."""
    batch = operands[0].layout.shape[:-2]
    nowhere = Layout((*batch, 0, 0), (0,) * (len(batch) + 2), 0)
    layouts = [nowhere if x is None else x.layout for x in operands]
    of_batches = [Layout(batch, x.strides[:-2], x.offset) for x in layouts]
    table = plans.iteration(contiguous(batch), *of_batches)
    return table, np.array([(0, 0)] * Q + [x.strides[-2:] for x in layouts], dtype=np.int64)


@compiled
def _turns(sizes, count):
    """How many blocks each of ``count`` threads is asked to do: see :func:`_block_of`."""
    blocks = (sizes.queries + sizes.block - 1) // sizes.block
    tasks = (sizes.batches * sizes.pieces + count - 1) // count
    return tasks * ((blocks + sizes.pieces - 1) // sizes.pieces)


@compiled
def _block_of(sizes, count, part, turn):
    """(batch, piece, first query) of the block that a thread does next; none is left if too far."""
    blocks = (sizes.queries + sizes.block - 1) // sizes.block
    turns = (blocks + sizes.pieces - 1) // sizes.pieces
    tasks, part = sizes.batches * sizes.pieces, np.int64(part)
    task, turn = tasks * part // count + turn // turns, turn % turns
    batch, piece = task // sizes.pieces, task % sizes.pieces
    # In the order 0 1 1 0 0 1 …, since with causal the later blocks see more keys.
    place = piece if turn % 2 == 0 else sizes.pieces - 1 - piece
    first = (turn * sizes.pieces + place) * sizes.block
    return batch, piece, first if task < tasks * (part + 1) // count else sizes.queries


# Two functions and not one that makes both: a kernel made of a compiled function that was passed to
# it is not found again in Numba's cache.


def _make_forward(each):
    def parts(x, tables, sizes, causal, scale, memory, places):
        for part in each(len(memory)):
            space = space_in(memory[part], places)
            for turn in range(_turns(sizes, len(memory))):
                which = _block_of(sizes, len(memory), part, turn)
                if which[2] < sizes.queries:
                    forward_block(x, tables, sizes, causal, scale, space, which)

    return parts


def _make_backward(each):
    def parts(x, tables, sizes, causal, scale, memory, places):
        for part in each(len(memory)):
            space = space_in(memory[part], places)
            for turn in range(_turns(sizes, len(memory))):
                which = _block_of(sizes, len(memory), part, turn)
                if which[2] < sizes.queries:
                    backward_block(x, tables, sizes, causal, scale, space, which)

    return parts


_forward, _backward = Kernel(_make_forward), Kernel(_make_backward)
