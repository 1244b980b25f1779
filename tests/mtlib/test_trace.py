"""The ledger: what it says is what happened."""

import gc
import threading

import numpy as np
import pytest

import mtlib
from mtlib.runtime import mode


def check_ledger(t) -> None:
    """At each tick, the bytes said to be live are those of the buffers that were."""
    for tick, live in enumerate(t.live_bytes):
        alive = [b for b in t.buffers if b.born <= tick and (b.died is None or tick < b.died)]
        assert live == sum(b.nbytes for b in alive), tick
    ticks = [b.born for b in t.buffers] + [b.died for b in t.buffers if b.died is not None]
    assert sorted(ticks) == list(range(1, len(t.live_bytes)))  # one thing happens at each
    assert t.peak_bytes == max(t.live_bytes)
    assert t.allocated_bytes == sum(b.nbytes for b in t.buffers)
    for event in t.events:
        assert 0 <= event.start <= event.stop < len(t.live_bytes)
        made = [b for b in t.buffers if event.start < b.born <= event.stop]
        inner = [
            e for e in t.events if e is not event and event.start <= e.start <= e.stop <= event.stop
        ]
        if not any(e.bytes_allocated for e in inner):
            assert event.bytes_allocated == sum(b.nbytes for b in made if b.name == event.name)


def train(x, w):
    """A little of everything, forward and backward."""
    hidden = (x @ w).relu() + 1
    loss = (hidden.exp() / hidden.exp().sum(1, keepdim=True)).log().mean() + hidden[::2].max()
    loss.backward()
    return loss


@pytest.fixture
def xw():
    return mtlib.rand(6, 4, seed=0), mtlib.rand(4, 3, requires_grad=True, seed=1)


def test_every_tick_adds_up(xw):
    with mtlib.trace() as t:
        train(*xw)
    check_ledger(t)
    assert {e.kind for e in t.events} == {"map", "zip", "reduce", "view", "fused"}
    assert {e.phase for e in t.events} == {"forward", "backward"}
    assert t.live_bytes[-1] == xw[1].grad.nbytes  # all that is left


@pytest.mark.parametrize("module", [mtlib.naive, mtlib.fused])
def test_every_tick_of_a_product_adds_up(module, xw):
    x, w = xw
    with mtlib.trace() as t:
        c = module.matmul(x, w)
        del c
        module.matmul(x, w).sum().backward()
    check_ledger(t)


def test_an_event_says_what_went_in_and_what_came_out():
    a = mtlib.ones(2, 3)
    with mtlib.trace() as t:
        result = a.T + mtlib.ones(1, 2)
    permute, expand, add = t.events
    assert (permute.name, permute.output_strides) == ("permute", ((1, 3),))
    assert (expand.name, expand.kind) == ("expand", "view")
    assert (expand.input_shapes, expand.output_shapes) == (((1, 2),), ((3, 2),))
    assert expand.output_strides == ((0, 1),)
    assert (add.name, add.kind, add.phase) == ("add", "zip", "forward")
    assert add.input_shapes == ((3, 2), (3, 2))
    assert add.input_strides == ((1, 3), (0, 1))
    assert (add.output_shapes, add.output_strides) == (((3, 2),), (result.strides,))
    assert (add.reads, add.writes, add.bytes_allocated) == (12, 6, 48)
    assert (t.reads, t.writes) == (12, 6)
    assert t.by_name("add") == [add]
    assert [b.name for b in t.buffers] == ["ones", "add"]


def test_views_cost_nothing():
    a = mtlib.ones(2, 3)
    with mtlib.trace() as t:
        _ = a.T, a[0], a.view(6), a.unsqueeze(0), a.expand(5, 2, 3), a.squeeze(), a.permute(1, 0)
    assert len(t.events) == 7
    assert t.buffers == []
    assert (t.reads, t.writes, t.peak_bytes) == (0, 0, 0)


class TestSaved:
    @pytest.mark.parametrize(
        ("call", "elements"),
        [
            (lambda x: x.exp(), 6),
            (lambda x: x * x, 6),  # one storage, counted once
            (lambda x: x * 2, 6 + 1),  # the 2 is stretched, not copied
            (lambda x: x + x, 0),
            (lambda x: x.sum(), 0),
            (lambda x: mtlib.reduce(x, "add"), 6),
            (lambda x: x.T.view(6) if x.T.is_contiguous() else x.view(6), 0),
            (lambda x: (x * x) * x, 6 + 6),  # the x that is saved again adds nothing
            (lambda x: x[0].exp(), 3),
            (lambda x: x > 1, 0),
        ],
    )
    def test_bytes_saved(self, call, elements):
        x = mtlib.ones(2, 3, requires_grad=True)
        with mtlib.trace() as t:
            y = call(x)
        assert t.saved_bytes == 8 * elements
        assert sum(b.nbytes for b in t.buffers if b.saved) <= t.saved_bytes
        del y
        with mtlib.trace() as t, mtlib.no_grad():
            call(x)
        assert t.saved_bytes == 0

    def test_what_is_saved_is_marked(self):
        x = mtlib.ones(3, requires_grad=True)
        with mtlib.trace() as t:
            y = x.exp()
            z = y + 1
        assert [(b.name, b.saved) for b in t.buffers if b.shape == (3,)] == [
            ("exp", True),
            ("add", False),
        ]
        assert z.shape == y.shape

    def test_a_storage_freed_and_saved_anew_counts_twice(self):
        x = mtlib.ones(3, requires_grad=True)
        with mtlib.trace() as t:
            x.exp()
            x.exp()
        assert t.saved_bytes == 48


class TestNesting:
    def test_an_outer_trace_records_what_an_inner_one_does(self, xw):
        with mtlib.trace() as outer:
            a = xw[0] * 2
            with mtlib.trace() as inner:
                train(*xw)
            b = a + 1
        assert [e.name for e in outer.events[2:-2]] == [e.name for e in inner.events]
        assert (len(inner.events), outer.events[-1].name) == (len(outer.events) - 4, "add")
        check_ledger(inner)
        check_ledger(outer)
        assert b.size

    def test_what_was_made_outside_is_not_counted_inside(self):
        with mtlib.trace() as outer:
            a = mtlib.ones(100)
            with mtlib.trace() as inner:
                del a
        assert inner.live_bytes == [0]
        assert outer.live_bytes == [0, 800, 0]

    def test_a_function_made_of_others_does_not_count_twice(self):
        class Twice(mtlib.Function):
            @staticmethod
            def forward(ctx, x):
                return (x + x) * 1

        with mtlib.trace() as t:
            Twice.apply(mtlib.ones(5))
        assert t.events[-1].name == "Twice"
        assert t.reads == 20
        assert sum(e.bytes_allocated for e in t.events) == t.allocated_bytes - 40


class TestClosing:
    def test_nothing_is_recorded_any_more(self):
        with mtlib.trace() as t:
            a = mtlib.ones(3)
        before = str(t)
        _ = a + 1
        del a
        gc.collect()
        assert str(t) == before
        assert t.live_bytes == [0, 24]
        assert t.buffers[0].died is None

    def test_an_exception_leaves_the_ledger_consistent(self):
        def half_way():
            a = mtlib.ones(3)
            return a + 1, a + mtlib.ones(2)

        with pytest.raises(ValueError, match="broadcast"), mtlib.trace() as t:
            half_way()
        check_ledger(t)
        assert [e.name for e in t.events] == ["expand", "add"]
        with mtlib.trace() as after:
            pass
        assert after.events == []
        assert not t._running

    def test_an_operation_that_raises_leaves_no_line(self):
        class Fails(mtlib.Function):
            @staticmethod
            def forward(ctx, x):
                x + x
                raise ZeroDivisionError

        a = mtlib.ones(3)
        with mtlib.trace() as t:
            with pytest.raises(ZeroDivisionError):
                Fails.apply(a)
            _ = a * a
        assert [(e.name, e.bytes_allocated) for e in t.events] == [("add", 24), ("mul", 24)]
        check_ledger(t)

    def test_the_page_keeps_nothing_alive(self):
        with mtlib.trace() as t:
            a = mtlib.ones(3)
            b = a.storage
            del a
        assert t._watched == {}
        assert b.size == 3


def test_a_trace_is_of_its_thread():
    with mtlib.trace() as t:
        thread = threading.Thread(target=lambda: mtlib.ones(3) + 1)
        thread.start()
        thread.join()
        mine = mtlib.ones(2)
    assert [b.shape for b in t.buffers] == [mine.shape]
    pages = {}

    def record(n):
        with mtlib.trace() as page:
            for _ in range(n):
                mtlib.ones(2) * 3
        pages[n] = page

    threads = [threading.Thread(target=record, args=(n,)) for n in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for n, page in pages.items():
        assert len(page.by_name("mul")) == n
        check_ledger(page)


def moved(call) -> list[int]:
    with mtlib.trace() as t:
        call()
    assert t.moved == sum(e.moved for e in t.events)
    return [e.moved for e in t.events]


class TestMoved:
    """Each distinct element of each input and output once, in bytes."""

    A, B = mtlib.ones(2, 4), mtlib.ones(4, 3, dtype="float32")

    def test_of_a_product_each_element_once(self):
        assert moved(lambda: self.A.to("float32") @ self.B) == [8 * 12, 4 * (8 + 12 + 6)]

    @pytest.mark.parametrize(
        "call",
        [lambda a: a.T, lambda a: a[1:], lambda a: a.view(8), lambda a: a.expand(3, 2, 4)],
    )
    def test_a_view_moves_nothing(self, call):
        assert moved(lambda: call(self.A)) == [0]

    def test_what_is_stretched_lies_in_memory_once(self):
        row = mtlib.ones(4)
        assert moved(lambda: self.A * row) == [0, 8 * (8 + 4 + 8)]  # the view, and the product
        assert moved(lambda: mtlib.ones(1).expand(1 << 20).sum()) == [0, 8 * (1 + 1)]

    def test_windows_that_overlap(self):
        windows = np.lib.stride_tricks.sliding_window_view(np.ones(10), 3)
        assert moved(lambda: mtlib.from_numpy(windows).exp()) == [8 * (10 + 24)]

    def test_no_elements(self):
        assert moved(lambda: mtlib.ones(0, 3) + mtlib.ones(0, 3)) == [0]

    def test_what_is_overwritten_is_not_brought_in(self):
        x = mtlib.zeros(5)
        assert moved(lambda: x.copy_(mtlib.ones(5))) == [8 * (5 + 5)]
        assert moved(lambda: x.add_(mtlib.ones(5))) == [8 * (5 + 5 + 5)]

    def test_what_is_made_for_backward_is_sent_too(self):
        x = mtlib.rand(3, 4, requires_grad=True)
        assert moved(lambda: mtlib.fused.softmax(x, 1)) == [8 * (12 + 12)]  # its result is all
        (nbytes,) = moved(lambda: mtlib.fused.layer_norm(x, 4))
        assert nbytes == 8 * (12 + 12 + 3 * 3)  # three numbers for each row

    def test_what_is_made_of_other_operations_moves_nothing_itself(self):
        class Twice(mtlib.Function):
            @staticmethod
            def forward(ctx, x):
                return x + x

        assert moved(lambda: Twice.apply(self.A)) == [8 * 24, 0]


def test_what_was_saved_and_older_is_told_apart():
    a = mtlib.ones(2, 4, requires_grad=True)
    with mtlib.trace() as t:
        (a * 3).exp()
    mul, exp = t.by_name("mul"), t.by_name("exp")
    assert (mul[0].bytes_saved, mul[0].bytes_saved_before) == (64 + 8, 64)  # a, and 3 made a tensor
    assert (exp[0].bytes_saved, exp[0].bytes_saved_before) == (64, 0)
    assert (t.saved_bytes, t.saved_before_bytes) == (136, 64)


def test_off_nothing_is_kept():
    assert mode.thread.mode.traces == ()
    with mtlib.trace() as t:
        assert mode.thread.mode.traces == (t,)
    assert mode.thread.mode.traces == ()


class TestReading:
    @pytest.fixture
    def page(self):
        a, b = mtlib.ones(20, 4, requires_grad=True), mtlib.ones(4, 3)
        with mtlib.trace() as t:
            (a @ b).sum().backward()
        return t

    def test_as_text(self, page):
        lines = str(page).splitlines()
        convention, table, last = lines[:2], lines[2:-1], lines[-1]
        assert " ".join(convention).startswith("reads, writes: elements that the plain loop nest")
        words = [" ".join(line.split()) for line in table]
        assert words[0] == "operation kind phase inputs output reads writes moved bytes saved"
        assert words[1] == "matmul fused forward (20,4) (4,3) (20,3) 480 60 1,216 480 736"
        assert words[2] == "sum reduce forward (20,3) () 60 1 488 8 0"
        assert table[-1].startswith("total  ")
        assert len({len(line) for line in table}) == 1  # the columns are flush
        before = "736 of the saved bytes are older than the trace"
        assert last == f"peak {page.peak_bytes:,} bytes; {before}"
        assert not any(line != line.rstrip() for line in lines)

    def test_as_html(self, page):
        page.events[0].name = "<b>&"
        html = page._repr_html_()
        assert html.startswith("<table")
        assert html.endswith("</table>")
        assert html.count("<tr>") == len(page.events) + 2
        assert f"peak {page.peak_bytes:,} bytes; 736 of the saved bytes are older" in html
        assert "moved: bytes that must travel at least" in html
        assert "&lt;b&gt;&amp;" in html
        assert "<b>" not in html
        assert '<td align="right">480</td>' in html
        for word in ("style", "color", "<script"):  # reads on white and on dark
            assert word not in html

    def test_in_short(self, page):
        assert repr(page) == (f"<trace: {len(page.events)} events, peak {page.peak_bytes:,} bytes>")

    def test_an_empty_page(self):
        with mtlib.trace() as t:
            pass
        assert str(t).splitlines()[-1] == "peak 0 bytes"
        assert "<table" in t._repr_html_()
        assert np.sum(t.live_bytes) == 0
