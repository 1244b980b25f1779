"""no_grad around functions that run in steps."""

import asyncio
import inspect

import pytest

import mtlib
from mtlib.runtime.mode import thread


def flows() -> bool:
    """Whether a gradient flows now."""
    return (mtlib.ones(1, requires_grad=True) * 2).requires_grad


@mtlib.no_grad()
def steps(n):
    """So many, each telling whether a gradient flows in it."""
    got = []
    try:
        for _ in range(n):
            got.append((yield flows()))
    finally:
        got.append(flows())
    return got


class TestGenerators:
    def test_off_inside_and_on_between(self):
        assert inspect.isgeneratorfunction(steps)
        assert steps.__name__ == "steps"
        for inside in steps(3):
            assert not inside
            assert flows()
        assert flows()

    def test_what_is_sent_and_returned(self):
        def asking():
            return (yield from steps(2))

        run = asking()
        assert next(run) is False
        assert run.send("a") is False
        with pytest.raises(StopIteration) as end:
            run.send("b")
        assert end.value.value == ["a", "b", False]
        assert flows()

    def test_what_is_thrown(self):
        @mtlib.no_grad()
        def catching():
            try:
                yield
            except KeyError:
                yield flows()

        run = catching()
        next(run)
        assert run.throw(KeyError) is False
        assert flows()
        with pytest.raises(ZeroDivisionError):
            run.throw(ZeroDivisionError)
        assert flows()

    def test_closed_early(self):
        ended = []

        @mtlib.no_grad()
        def open_ended():
            try:
                while True:
                    yield
            finally:
                ended.append(flows())

        run = open_ended()
        next(run)
        run.close()
        assert ended == [False]
        assert flows()

    def test_two_at_once_and_around_each_other(self):
        first, second = steps(2), steps(2)
        assert [next(first), next(second), flows(), next(first), next(second)] == [
            False,
            False,
            True,
            False,
            False,
        ]
        with mtlib.no_grad():
            run = steps(1)
            next(run)
            assert not flows()
        assert flows()
        assert thread.mode.before == []

    def test_an_error_inside(self):
        @mtlib.no_grad()
        def failing():
            yield
            raise ValueError("inside")

        with pytest.raises(ValueError, match=r"inside"):
            list(failing())
        assert flows()


def test_coroutines():
    @mtlib.no_grad()
    async def inside(name):
        """Waits once."""
        before = flows()
        await asyncio.sleep(0)
        return name, before, flows()

    async def outside():
        seen = []
        for _ in range(3):
            seen.append(flows())
            await asyncio.sleep(0)
        return seen

    async def main():
        return await asyncio.gather(inside(1), outside(), inside(2))

    assert inspect.iscoroutinefunction(inside)
    assert inside.__doc__ == "Waits once."
    assert asyncio.run(main()) == [(1, False, False), [True] * 3, (2, False, False)]
    assert flows()


def test_asynchronous_generators_are_refused():
    async def both():
        yield

    with pytest.raises(TypeError, match=r"^no_grad: .*both is an asynchronous generator"):
        mtlib.no_grad()(both)


def test_functions():
    assert mtlib.no_grad()(flows)() is False
    assert flows()
