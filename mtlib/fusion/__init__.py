"""The same again, fused by a machine: a function of tensors is taken apart and put together.

Read it in the order in which a program goes through it: ``capture`` reads it into a ``graph``, and
``results`` keeps apart what it returns; ``expressions`` sinks views to where they are strides;
``repeats``, ``tasks``, ``joining`` and ``schedule`` decide what becomes one kernel; ``loops``,
``wording`` and ``source`` write it as Python; ``execute`` runs it (``plain`` says how without a
compiler), ``compiled`` joins it to autograd, and ``function`` is what is called.  Which program a
call runs depends on its ``arguments`` and on what ``guards`` see beside them.
"""

from mtlib.fusion.function import fuse

__all__ = ["fuse"]
