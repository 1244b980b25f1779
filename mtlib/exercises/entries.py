"""What an exercise is: a task, three hints, and answers, right and wrong, that are known."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from mtlib.exercises.lines import lines_of
from mtlib.exercises.verdicts import NOT_YET, PASSED, WRONG, NotYet, Verdict, Wrong

Outputs = dict[str, np.ndarray]  # what an answer gave, by name


@dataclass(kw_only=True, eq=False)
class Exercise:
    """One exercise, with what all kinds have in common.

    ``task`` says in a line what is asked for, ``hints`` lead from a nudge to an outline without
    giving the solution away, and ``lines`` is how many the body may have.

    The answers that are known are functions (or classes) below it in the file::

        @ROW_DOTS.solution
        def row_dots(a, b): ...

        @ROW_DOTS.stub
        def row_dots_stub(a, b): ...

        @ROW_DOTS.wrong("that adds up a alone; b has no part in it")
        def one_operand(a, b): ...

        ROW_DOTS.refused("einsum is called", lambda a, b: np.einsum("ik,ik->i", a, b))

    ``wrong`` answers give wrong results, and a reader whose results are the same is told the
    sentence.  ``refused`` ones fall foul of what the kind of exercise checks anyway; the sentence
    is part of what it says.  A test holds each to its sentence.
    """

    name: str
    task: str
    hints: tuple[str, str, str]
    lines: int | None = None
    known: list[tuple[str, str, object]] = field(default_factory=list)  # (kind, sentence, answer)

    def solution(self, answer):
        return self._know("solution", "", answer)

    def stub(self, answer):
        return self._know("stub", "", answer)

    def wrong(self, sentence: str, answer=None):
        return self._know("wrong", sentence, answer)

    def refused(self, sentence: str, answer=None):
        return self._know("refused", sentence, answer)

    def _know(self, kind: str, sentence: str, answer):
        if answer is None:  # to stand above a function
            return functools.partial(self._know, kind, sentence)
        self.known.append((kind, sentence, self.complete(answer)))
        return answer

    def complete(self, answer):
        """A known answer as a reader would give it, where its entry may leave something out."""
        return answer

    def answers(self, kind: str) -> list[tuple[str, object]]:
        """The known answers of one kind, each with its sentence."""
        return [(sentence, answer) for k, sentence, answer in self.known if k == kind]

    # --- Checking an answer -----------------------------------------------------------------------

    def check(self, answer) -> Verdict:
        """What there is to say about ``answer``."""
        if answer is None or answer is ...:
            return self._not_yet()
        try:
            praise = self.judge(answer)
            used = lines_of(answer)
            if self.lines and used > self.lines:
                raise Wrong(f"right, but in {used} lines; {self.lines} are enough")
        except NotYet as stub:
            return self._not_yet(str(stub))
        except Wrong as wrong:
            return Verdict(self.name, WRONG, wrong.message, wrong.figure)
        return Verdict(self.name, PASSED, f"correct; {praise}" if praise else "correct")

    def _not_yet(self, told: str = "") -> Verdict:
        begun = f": {told}" if told else ""
        return Verdict(self.name, NOT_YET, f"not yet{begun}; hint({self.name!r}) gives a nudge")

    def judge(self, answer) -> str:
        """What to praise; raises Wrong with the first mistake, NotYet for a stub."""
        praise = []
        for case in self.cases():
            got = self.run(answer, case)
            if not same(got, self.wanted(case)):
                raise self.mistake(case, got, self.sentence_for(answer))
            praise.append(self.afterwards(case))
        return praise[0]

    def sentence_for(self, answer) -> str:
        """The sentence for the known wrong answer that gives the same in every case, or nothing."""
        given = [self._given(answer, case) for case in self.cases()]
        for sentence, wrong in self.answers("wrong"):
            theirs = [self._given(wrong, case) for case in self.cases()]
            if all(
                a is not None and b is not None and same(a, b)
                for a, b in zip(given, theirs, strict=True)
            ):
                return sentence
        return ""

    def _given(self, answer, case) -> Outputs | None:
        try:
            return self.run(answer, case)
        except (Wrong, NotYet):
            return None

    # --- For each kind of exercise to say ---------------------------------------------------------

    def cases(self) -> Iterator:
        """What to try an answer on; anew each time, and the same."""
        raise NotImplementedError

    def run(self, answer, case) -> Outputs:
        """What ``answer`` gives for it; Wrong if it is not even of the right kind."""
        raise NotImplementedError

    def wanted(self, case) -> Outputs:
        raise NotImplementedError

    def mistake(self, case, got: Outputs, told: str) -> Wrong:
        """What to say of a wrong result, if ``told`` is the sentence that is known for it."""
        raise NotImplementedError

    def afterwards(self, case) -> str:
        """What to praise; raises Wrong if it took too much, or if operands have changed."""
        return ""


def same(a: Outputs, b: Outputs) -> bool:
    """Whether two answers gave the same.

    >>> same({"out": np.ones(2)}, {"out": np.ones(2)})
    True
    """
    return a.keys() == b.keys() and all(
        a[k].shape == b[k].shape and np.allclose(a[k], b[k], equal_nan=True) for k in a
    )
