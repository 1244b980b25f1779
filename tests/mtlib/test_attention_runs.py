"""Attention, fused: on how many threads it runs, and what memory it takes."""

import numpy as np
import pytest

import mtlib
from mtlib.kernels.attention import attention as kernels

from .attention_cases import assert_close, causal_or_not, draw_arrays, reference


class TestThreads:
    @causal_or_not
    @pytest.mark.parametrize("batches", [1, 2, 3, 5])
    def test_every_number_of_threads_gives_the_same(self, batches, causal, monkeypatch):
        arrays = draw_arrays((batches,), 203, 50, 8, 8)
        found = []
        for threads in (1, 2, 3, 4):
            monkeypatch.setattr(kernels, "threads_for", lambda work, n=threads: n)
            leaves = [mtlib.tensor(x, requires_grad=True) for x in arrays[:3]]
            out = mtlib.fused.attention(*leaves, causal=causal)
            out.backward(mtlib.tensor(arrays[3]))
            found.append((out, *(x.grad for x in leaves)))
        for results in found[1:]:
            for one, other in zip(found[0], results, strict=True):
                assert_close(one, other.numpy())

    @pytest.mark.usefixtures("eager_threads")
    def test_twice_the_same_is_the_same_to_the_bit(self):
        arrays = draw_arrays((1,), 300, 250, 16, 16, "float32")
        found = []
        for _ in range(3):
            leaves = [mtlib.tensor(x, requires_grad=True) for x in arrays[:3]]
            out = mtlib.fused.attention(*leaves)
            out.backward(mtlib.tensor(arrays[3]))
            found.append([out.numpy(), *(x.grad.numpy() for x in leaves)])
        for results in found[1:]:
            for one, other in zip(found[0], results, strict=True):
                np.testing.assert_array_equal(one, other)

    @pytest.mark.parametrize("threads", [1, 2, 3, 8, 16])
    @pytest.mark.parametrize("batches", [1, 2, 3, 7, 12, 17, 40])
    def test_threads_are_busy_most_of_the_time(self, threads, batches, monkeypatch):
        monkeypatch.setattr(kernels, "threads_for", lambda work: threads)
        x = kernels.Stack(np.empty(0), mtlib.layout.contiguous((batches, 512, 64)))
        sizes, _ = kernels._divide(x, x, np.dtype("float32"))
        tasks = batches * sizes.pieces
        assert tasks / (-(-tasks // threads) * threads) >= 0.8
        assert sizes.pieces == 1 or batches < 4 * threads


class TestWhatRuns:
    @causal_or_not
    def test_one_kernel_in_each_direction(self, causal):
        leaves = [mtlib.tensor(x, requires_grad=True) for x in draw_arrays((2,), 5, 4, 3, 2)[:3]]
        d = mtlib.ones(2, 5, 2)
        with mtlib.trace() as t:
            mtlib.fused.attention(*leaves, causal=causal).backward(d)
        forward, backward = t.events
        assert (forward.name, forward.kind, forward.phase) == ("attention", "fused", "forward")
        assert (backward.name, backward.kind, backward.phase) == (
            "attention_backward",
            "fused",
            "backward",
        )
        assert backward.output_shapes == ((2, 5, 3), (2, 4, 3), (2, 4, 2))

    @pytest.mark.parametrize("mask", [None, "bools", "numbers"])
    def test_what_is_saved(self, mask):
        """q, k, v, the output, one number for each query, and the mask if there is one."""
        batch, queries, keys, width, depth = 2, 5, 4, 3, 2
        leaves = [mtlib.rand(batch, queries, width, requires_grad=True)]
        leaves += [mtlib.rand(batch, keys, n, requires_grad=True) for n in (width, depth)]
        given_mask = {
            None: None,
            "bools": np.ones((queries, keys), bool),
            "numbers": mtlib.zeros(queries, keys),
        }[mask]
        with mtlib.trace() as t:
            out = mtlib.fused.attention(*leaves, given_mask)
        saved = sum(x.size for x in leaves) + out.size + batch * queries
        of_mask = {None: 0, "bools": queries * keys, "numbers": 8 * queries * keys}[mask]
        assert t.saved_bytes == 8 * saved + of_mask
        with mtlib.trace() as t, mtlib.no_grad():
            mtlib.fused.attention(*leaves, given_mask)
        assert t.saved_bytes == 0

    @causal_or_not
    @pytest.mark.parametrize("mask", [None, "bools", "a row of numbers"])
    def test_memory_grows_with_the_sum_of_both_lengths(self, mask, causal, monkeypatch):
        """In both directions, with as many threads as there are and a batch for them to share."""
        monkeypatch.setattr(kernels, "threads_for", lambda work: 2)

        def peaks(length):
            made = {
                None: None,
                "bools": np.ones((length, length), bool),
                "a row of numbers": mtlib.zeros(length),
            }[mask]
            leaves = [mtlib.rand(1, length, 8, dtype="float32") for _ in range(3)]
            for x in leaves:
                x.requires_grad = True
            with mtlib.trace() as forward:
                out = mtlib.fused.attention(*leaves, made, causal)
            d = mtlib.ones(1, length, 8, dtype="float32")
            with mtlib.trace() as backward:
                out.backward(d)
            return forward.peak_bytes, backward.peak_bytes

        short, middle, long = map(np.array, map(peaks, (512, 1024, 2048)))
        assert (long - middle == 2 * (middle - short)).all()
        assert (long < 4 * 2048 * 2048 / 8).all()

    def test_only_a_mask_that_requires_a_gradient_costs_as_much_as_the_scores(self):
        leaves = [mtlib.rand(2, 128, 4, requires_grad=True) for _ in range(3)]
        scores = 8 * 2 * 128 * 128
        for requires_grad in (False, True):
            mask = mtlib.zeros(128, 128, requires_grad=requires_grad)
            out = mtlib.fused.attention(*leaves, mask).sum()
            with mtlib.trace() as t:
                out.backward()
            assert any(b.nbytes == scores for b in t.buffers) == requires_grad

    def test_no_operand_is_copied(self):
        """Heads are views of one matrix, and one head's keys can serve several queries."""
        x = mtlib.rand(2, 128, 3 * 4 * 8)
        q, k, v = (
            x[..., n * 32 : (n + 1) * 32].view(2, 128, 4, 8).transpose(1, 2) for n in range(3)
        )
        with mtlib.trace() as t:
            out = mtlib.fused.attention(q, k[:, :1].expand(2, 4, 128, 8), v)
        results = [b for b in t.buffers if b.role == "result"]
        assert sum(b.nbytes for b in results) == out.nbytes + 8 * 2 * 4 * 128
        assert_close(out, reference(q.numpy(), k.numpy()[:, :1], v.numpy()))

    def test_the_naive_pipeline_writes_the_scores_down(self):
        q, k, v = (mtlib.rand(3, 2), mtlib.rand(4, 2), mtlib.rand(4, 5))
        with mtlib.trace() as t:
            mtlib.naive.attention(q, k, v)
        steps = [
            (e.name, e.reads, e.writes) for e in t.events if e.kind in ("zip", "reduce", "map")
        ]
        assert steps[:3] == [("mul", 48, 24), ("reduce", 24, 12), ("mul", 24, 12)]
        assert steps[-2:] == [("mul", 120, 60), ("reduce", 60, 15)]
        softmax = steps[3:-2]
        assert sum(reads for _, reads, _ in softmax) == 7 * 12
        assert sum(writes for _, _, writes in softmax) == 3 * 12 + 2 * 3
