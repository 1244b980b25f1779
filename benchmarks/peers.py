"""Other libraries to compare with, where they are installed; mtlib needs none of them."""

from __future__ import annotations

import importlib
import importlib.util
import os


def module(name: str):
    """The installed module, or None."""
    return importlib.import_module(name) if importlib.util.find_spec(name) else None


torch = module("torch")
numexpr = module("numexpr")

if torch is not None:
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", torch.get_num_threads())))
    torch.set_grad_enabled(False)


def with_torch(make) -> dict:
    """``{"PyTorch": make(torch)}``, or nothing where there is no PyTorch."""
    return {} if torch is None else {"PyTorch": make(torch)}


def with_numexpr(text: str, **operands) -> dict:
    """``{"numexpr": …}``, which evaluates ``text``, or nothing where there is no numexpr."""
    if numexpr is None:
        return {}
    return {"numexpr": lambda: numexpr.evaluate(text, local_dict=operands, global_dict={})}
