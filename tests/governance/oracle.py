"""pref_voting as an oracle, without what it draws, compiles and optimises with.

It imports numba, matplotlib, ortools, nashpy and scipy, of which what we ask it needs nothing but
numba's decorator; together they weigh about 400 MB. Here plain stand-ins take their place while it
is imported, so that its own Python runs, only slower.
"""

import importlib
import sys
import types
import warnings

LEFT_OUT = [
    "numba",
    "matplotlib",
    "matplotlib.pyplot",
    "nashpy",
    "ortools",
    "ortools.linear_solver",
    "scipy",
    "scipy.optimize",
]


def jit(*functions, **_options):
    """Leave the function as it is; numba's decorator is used with and without brackets."""
    return functions[0] if functions else lambda function: function


def pref_voting(module):
    """Import one of its modules, with the stand-ins in place for as long as that takes."""
    missing = [name for name in LEFT_OUT if name not in sys.modules]
    for name in missing:
        sys.modules[name] = types.ModuleType(name)
    for name, attribute, value in (
        ("numba", "jit", jit),
        ("ortools.linear_solver", "pywraplp", None),
        ("scipy.optimize", "linprog", None),
    ):
        if name in missing:
            setattr(sys.modules[name], attribute, value)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return importlib.import_module(f"pref_voting.{module}")
    finally:
        for name in missing:
            del sys.modules[name]
