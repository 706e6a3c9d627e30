"""The extension table of the core and its build modes; everything else is in pyproject.toml.

FASTNLB_BUILD=release (default)  -O2 -g, hidden visibility
FASTNLB_BUILD=debug              -O0 -g3, CORE_ASSERT aborts
FASTNLB_BUILD=asan               debug with the address and undefined-behaviour sanitizers
FASTNLB_BENCH=1                  also the load generator in bench/_load, which no wheel carries
"""

import os
from pathlib import Path

from Cython.Build import cythonize
from Cython.Compiler import Options
from setuptools import Extension, setup

CORE = Path("fastnlb/_core")
LOAD = Path("bench/_load")
WARNINGS = ["-Wall", "-Wextra", "-Wno-unused-function", "-Wno-unused-parameter", "-Wno-missing-field-initializers"]
SANITIZE = ["-fsanitize=address,undefined", "-fno-omit-frame-pointer"]
MODES = {
    "release": (["-O2", "-g", "-fvisibility=hidden"], []),
    "debug": (["-O0", "-g3", "-DFASTNLB_DEBUG"], []),
    "asan": (["-O1", "-g", "-DFASTNLB_DEBUG", *SANITIZE], SANITIZE),
}

mode = os.environ.get("FASTNLB_BUILD", "release")
if mode not in MODES:
    raise SystemExit(f"FASTNLB_BUILD={mode}: must be one of {', '.join(MODES)}")
compile_args, link_args = MODES[mode]

Options.warning_errors = True
folders = [CORE, LOAD] if os.environ.get("FASTNLB_BENCH") == "1" else [CORE]
extensions = [
    Extension(
        ".".join((*source.parent.parts, source.stem)),
        [str(source)],
        include_dirs=[str(CORE)],
        depends=[str(path) for path in (*folder.glob("*.pxd"), *CORE.glob("*.h"))],
        extra_compile_args=["-std=gnu11", *WARNINGS, *compile_args],
        extra_link_args=link_args,
    )
    for folder in folders
    for source in sorted(folder.glob("*.pyx"))
]

setup(
    ext_modules=cythonize(
        extensions,
        build_dir=f"build/{mode}-c",
        emit_linenums=mode != "release",
        compiler_directives={"warn.maybe_uninitialized": True, "warn.unused": True},
    )
)
