"""Functions, and how gradients flow back through them.

A :class:`Function` is an operation that knows its derivative.  Applying one leaves a :class:`Node`
that remembers where its inputs came from; ``backward`` walks the nodes from the last to the first,
hands each the gradient of its output, and passes on the gradients of its inputs that come back.

This room knows nothing of arrays.  All it asks of a gradient is a ``shape`` and a ``+``.
"""

from __future__ import annotations

import heapq
import itertools
import threading
from contextlib import ContextDecorator

from mtlib.trace import Recording, backward_phase, is_recording


class _Thread(threading.local):
    """Whether operations of this thread are being remembered for a backward pass."""

    grad_enabled: bool = True


_thread = _Thread()


class no_grad(ContextDecorator):
    """Nothing that runs inside is remembered for backward; a context manager and a decorator.

    >>> import mtlib
    >>> x = mtlib.ones(2, requires_grad=True)
    >>> with mtlib.no_grad():
    ...     y = x * 2
    >>> y.requires_grad
    False
    """

    def __init__(self) -> None:
        self._before: list[bool] = []

    def __enter__(self) -> None:
        self._before.append(_thread.grad_enabled)
        _thread.grad_enabled = False

    def __exit__(self, *_) -> None:
        _thread.grad_enabled = self._before.pop()


class Differentiable:
    """What a gradient can flow to: the part of a tensor that autograd knows."""

    __slots__ = ("_requires_grad", "grad", "grad_fn")

    def __init__(self, requires_grad: bool = False) -> None:
        self._requires_grad = requires_grad
        self.grad = None
        self.grad_fn: Node | None = None

    @property
    def is_leaf(self) -> bool:
        """Whether no operation made it that is remembered: it is where gradients arrive."""
        return self.grad_fn is None

    @property
    def requires_grad(self) -> bool:
        """Whether gradients flow to it.  Can be set on leaves."""
        return self._requires_grad

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        if not self.is_leaf:
            raise RuntimeError(
                f"requires_grad: can only be set on a leaf, and this is the result of "
                f"{self.grad_fn.name}; detach() gives a leaf"
            )
        self._requires_grad = bool(value)

    def backward(self, gradient=None, retain_graph: bool = False) -> None:
        """Add to ``.grad`` of every leaf the derivative of this tensor with respect to it.

        ``gradient`` has the shape of this tensor; a tensor of one element may leave it out (then
        it is 1).  What was saved for backward is freed on the way unless ``retain_graph``.

        >>> import mtlib
        >>> x = mtlib.tensor([1.0, 2.0, 3.0], requires_grad=True)
        >>> (x * x).sum().backward()
        >>> x.grad
        tensor([2., 4., 6.])
        """
        if not self.requires_grad:
            raise RuntimeError(
                f"backward: this tensor of shape {self.shape} does not depend on anything that "
                "requires a gradient"
            )
        with no_grad(), backward_phase():
            if self.grad_fn is None:
                _Arrivals().add(self, self._seed(gradient))
            else:
                _flow_back(self.grad_fn, self._seed(gradient), retain_graph)

    def _seed(self, gradient):
        """The gradient to start from; how to make one is for the tensor to say."""
        raise NotImplementedError


class Context:
    """What a Function's forward leaves for its backward.

    Tensors go through :meth:`save_for_backward`; anything else (a dim, a flag) can be set as an
    attribute.  ``needs_input_grad`` has one bool for each argument of ``forward``; ``function`` is
    the Function that was applied.
    """

    def __init__(self, function: type[Function], needs_input_grad: tuple[bool, ...]) -> None:
        self.function = function
        self._saved: tuple = ()
        self._freed = False
        self.needs_input_grad = needs_input_grad

    def save_for_backward(self, *tensors) -> None:
        """Keep ``tensors``, and with them their memory, until backward has run.

        Kept without their history: an output that held itself could never be freed.
        """
        if any(self.needs_input_grad):
            self._saved = tuple(None if t is None else t.detach() for t in tensors)

    @property
    def saved_tensors(self) -> tuple:
        """The tensors that forward saved, in the same order."""
        if self._freed:
            raise RuntimeError(
                f"backward: what {self.function.name} had saved was freed by an earlier backward; "
                "call that one with retain_graph=True"
            )
        return self._saved

    def _free(self) -> None:
        if self._saved:
            self._saved, self._freed = (), True


class Node:
    """One applied Function in the graph: what to call, and where its inputs came from.

    ``inputs`` has one entry per argument of ``forward``: the node that made it, the leaf itself, or
    None where no gradient flows.  Results that nothing saved are not held.
    """

    __slots__ = ("context", "function", "input_shapes", "inputs", "number", "shape")

    _count = itertools.count()

    def __init__(self, function: type[Function], context: Context, arguments, shape) -> None:
        self.function = function
        self.context = context
        self.shape = shape
        self.inputs = tuple(
            (x.grad_fn or x) if needed else None
            for x, needed in zip(arguments, context.needs_input_grad, strict=True)
        )
        self.input_shapes = tuple(getattr(x, "shape", None) for x in arguments)
        self.number = next(Node._count)  # later than that of every node it depends on

    @property
    def name(self) -> str:
        return self.function.name

    def __repr__(self) -> str:
        return f"<{self.function.__name__}>"


class Function:
    """An operation and its derivative, side by side.

    Subclass it with two static methods, and call it as ``Cube.apply(x)``:

    >>> import mtlib
    >>> class Cube(mtlib.Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         ctx.save_for_backward(x)
    ...         return x * x * x
    ...     @staticmethod
    ...     def backward(ctx, grad_output):
    ...         (x,) = ctx.saved_tensors
    ...         return grad_output * 3 * x * x
    >>> x = mtlib.tensor([2.0], requires_grad=True)
    >>> Cube.apply(x).backward()
    >>> x.grad
    tensor([12.])

    ``forward`` gets a context and the arguments as they were passed, and returns a tensor.
    ``backward`` gets the context and the gradient of that tensor, and returns one gradient for each
    argument of ``forward``, None for those that have none.

    ``name`` and ``kind`` are how the ledger enters it.  A Function that runs a kernel of its own
    says in ``traffic`` how many elements the kernel loads and stores.
    """

    name: str
    kind = "fused"

    def __init_subclass__(cls) -> None:
        cls.name = cls.__dict__.get("name", cls.__name__)

    @staticmethod
    def forward(ctx: Context, *arguments):
        """The result, as a tensor."""
        raise NotImplementedError

    @staticmethod
    def backward(ctx: Context, grad_output):
        """The gradients, one for each argument of forward."""
        raise NotImplementedError

    @staticmethod
    def traffic(inputs, output) -> tuple[int, int]:
        """Elements (loaded, stored): by default each input and each output once."""
        return sum(x.size for x in inputs), output.size

    @classmethod
    def apply(cls, *arguments):
        """Run forward, entering it in the ledger and, where gradients flow, in the graph."""
        enabled = _thread.grad_enabled
        needs = tuple(
            enabled and isinstance(x, Differentiable) and x.requires_grad for x in arguments
        )
        ctx = Context(cls, needs)
        _thread.grad_enabled = False  # what forward is made of is not differentiated, it is
        try:
            output = cls._recorded(ctx, arguments) if is_recording() else cls._run(ctx, arguments)
        finally:
            _thread.grad_enabled = enabled
        if any(needs):
            output._requires_grad = True
            output.grad_fn = Node(cls, ctx, arguments, output.shape)
        return output

    @classmethod
    def _run(cls, ctx: Context, arguments):
        output = cls.forward(ctx, *arguments)
        if not isinstance(output, Differentiable):
            raise TypeError(
                f"{cls.__name__}.forward must return a tensor, got {type(output).__name__}"
            )
        # A result that is one of the inputs needs an identity of its own to hang its node on.
        return output.detach() if any(output is x for x in arguments) else output

    @classmethod
    def _recorded(cls, ctx: Context, arguments):
        inputs = [x for x in arguments if isinstance(x, Differentiable)]
        with Recording(cls.name, cls.kind, inputs) as recording:
            output = cls._run(ctx, arguments)
            saved = [x.storage for x in ctx._saved if x is not None]
            recording.finish(output, saved, cls.traffic(inputs, output))
        return output


def _flow_back(last: Node, gradient, retain_graph: bool) -> None:
    """Walk the graph from ``last`` back to the leaves.

    A node is numbered after all that it depends on, so taking the highest number first visits each
    node when every gradient that flows into it has arrived (the order of PyTorch's engine).  A
    heap instead of recursion, so that depth does not matter.
    """
    waiting = {last.number: (last, gradient)}
    order = [-last.number]
    arrivals = _Arrivals()
    del gradient  # from here on `waiting` alone holds gradients, so that each is freed once used

    def visit(node: Node, gradient) -> None:
        gradients = _derive(node, gradient)
        if not retain_graph:
            node.context._free()
        for source, part in zip(node.inputs, gradients, strict=True):
            if source is None or part is None:
                continue
            if not isinstance(source, Node):
                arrivals.add(source, part)
            elif source.number in waiting:
                waiting[source.number] = (source, waiting[source.number][1] + part)
            else:
                waiting[source.number] = (source, part)
                heapq.heappush(order, -source.number)

    while order:
        visit(*waiting.pop(-heapq.heappop(order)))


def _derive(node: Node, gradient) -> tuple:
    """Call a node's backward and check what it returned."""
    who = f"{node.function.__name__}.backward"
    if node.function.backward is Function.backward:
        raise NotImplementedError(f"{who} is not written: {node.function.__name__} has no gradient")
    gradients = node.function.backward(node.context, gradient)
    if not isinstance(gradients, tuple):
        gradients = (gradients,)
    if len(gradients) != len(node.inputs):
        raise ValueError(
            f"{who} returned {len(gradients)} gradients for the {len(node.inputs)} arguments of "
            "forward; return None for those without one"
        )
    for i, (part, shape) in enumerate(zip(gradients, node.input_shapes, strict=True)):
        if part is None or node.inputs[i] is None:
            continue
        if not isinstance(part, Differentiable):
            raise TypeError(f"{who} must return tensors, got {type(part).__name__}")
        if part.shape != shape:
            raise ValueError(
                f"{who} returned a gradient of shape {part.shape} for argument {i} of shape {shape}"
            )
    return gradients


class _Arrivals:
    """Adds gradients to leaves, so that each ``.grad`` has memory of its own.

    One backward can return the same tensor for several inputs (addition does).  Two leaves must
    not share it, or clearing one's gradient in place would clear the other's.
    """

    def __init__(self) -> None:
        self.given: list = []

    def add(self, leaf: Differentiable, gradient) -> None:
        if leaf.grad is not None:
            leaf.grad = leaf.grad + gradient
            return
        shared = any(gradient.storage is other for other in self.given)
        leaf.grad = gradient.owned(copy=shared)
        self.given.append(leaf.grad.storage)
