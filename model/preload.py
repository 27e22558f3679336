"""Map torch's big libraries into the process without stopping every other thread.

``import torch`` opens a shared library of hundreds of megabytes while it holds the GIL: nothing else in Python runs
for about 0.2 s, and for seconds when the file is not cached. Opened first through a foreign call, which releases
the GIL, the later import finds it already there.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import sys
from pathlib import Path

#: In the order in which ``torch/__init__.py`` opens them, with its flags. None of them calls into Python.
_LIBRARIES = (
    ("libtorch_global_deps.so", os.RTLD_LAZY | os.RTLD_GLOBAL),
    ("libtorch_cpu.so", os.RTLD_LAZY | os.RTLD_LOCAL),
    ("libtorch_cuda.so", os.RTLD_LAZY | os.RTLD_LOCAL),
)


def preload_torch() -> bool:
    """Open the libraries that are there; ``True`` when at least one was. A failure only makes the import slower."""
    if sys.platform != "linux" or "torch" in sys.modules:
        return False
    spec = importlib.util.find_spec("torch")
    if spec is None or spec.origin is None:
        return False
    dlopen = ctypes.CDLL(None).dlopen
    dlopen.argtypes, dlopen.restype = (ctypes.c_char_p, ctypes.c_int), ctypes.c_void_p
    folder = Path(spec.origin).parent / "lib"
    present = [(folder / name, flags) for name, flags in _LIBRARIES if (folder / name).exists()]
    handles = [dlopen(os.fsencode(path), flags) for path, flags in present]
    return any(handles)
