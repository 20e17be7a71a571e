"""Stand-ins for small packages that a machine with a GPU may lack.

The library imports tqdm for its bars and psutil for the free memory. Training needs
neither, so the run on a foreign Python puts these in their place where they are
missing; nothing else ever does.
"""

import importlib
import os
import sys
import types
from importlib.machinery import ModuleSpec


def install():
    """Put a stand-in in the place of each package that is missing."""
    for name, content in CONTENTS.items():
        try:
            importlib.import_module(name)
        except ImportError:
            module = types.ModuleType(name)
            module.__spec__ = ModuleSpec(name, None)  # PyTorch's compiler asks for it
            vars(module).update(content)
            sys.modules[name] = module


class Bar:
    """A tqdm that is never drawn."""

    def __init__(self, iterable=(), *_, **__):
        self.iterable = iterable

    def __iter__(self):
        return iter(self.iterable)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        """Do nothing."""

    def update(self, _count=1):
        """Say that nothing was drawn."""
        return False

    def close(self):
        """Do nothing."""


def virtual_memory():
    """Return an object whose `available` is the free memory [bytes]."""
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return types.SimpleNamespace(available=free)


CONTENTS = {"tqdm": {"tqdm": Bar}, "psutil": {"virtual_memory": virtual_memory}}
