"""Holds what each kernel takes of each architecture to resources.txt, as the compilers at hand compile it.

No kernel may keep values in a card's memory, be they spilled or in an array that found no registers.

Usage: resources_test.py SOURCE_ROOT CODE_OBJECTS [--write]. --write puts what was compiled into resources.txt and
leaves the other architectures' lines. Names what was not compiled; exit code 77 if that is everything.
"""
import pathlib
import re
import sys

import code_objects
from code_objects import Resources

REGISTER_UNIT = 8  # cards hand registers out in such units, so a count within one costs nothing

HEADER = """# Registers of a thread, bytes of a thread in device memory (spills), bytes of shared memory of a block: what each
# kernel takes as compiled for each architecture. tests/kernels/gpu/resources_test.py compares, and writes it anew.
"""


def read_table(path):
    """(kernel, architecture) → Resources."""
    rows = [line.split() for line in path.read_text().splitlines() if line and not line.startswith("#")]
    return {(kernel, architecture): Resources(*map(int, numbers)) for kernel, architecture, *numbers in rows}


def write_table(path, table, kernels):
    rows = sorted(row for row in table.items() if row[0][0] in kernels)
    path.write_text(HEADER + "".join(f"{kernel} {architecture} {took.registers} {took.stack} {took.shared}\n"
                                     for (kernel, architecture), took in rows))


def listed_kernels(root):
    return set(re.findall(r"\bX\((\w+), [\w:<>]+, \w+\)", (root / "backends/gpu/kernels.h").read_text())) - {"kernel"}


def units(registers):
    return (registers + REGISTER_UNIT - 1) // REGISTER_UNIT


def check_kernel(name, took, allowed):
    kernel, architecture = name
    if took.stack:
        yield f"{kernel} keeps {took.stack} bytes a thread in memory on {architecture}, and must keep none there"
    if not allowed:
        yield f"{kernel} on {architecture} is not in resources.txt; write it anew with --write"
        return
    if units(took.registers) > units(allowed.registers):
        yield f"{kernel} takes {took.registers} registers on {architecture}, {allowed.registers} so far"
    if took.shared > allowed.shared:
        yield f"{kernel} takes {took.shared} bytes of shared memory on {architecture}, {allowed.shared} so far"


def check_kernels(compiled, table, kernels):
    for architecture in sorted({architecture for _, architecture in compiled}):
        there = {kernel for kernel, other in compiled if other == architecture}
        for kernel in sorted(kernels ^ there):
            where = "compiled" if kernel in there else "listed in backends/gpu/kernels.h"
            yield f"{kernel} is only {where} ({architecture})"
    for name, took in sorted(compiled.items()):
        yield from check_kernel(name, took, table.get(name))


def compiled_kernels(path):
    return {(kernel, architecture): took for architecture, code in code_objects.read_file(path).items()
            for kernel, took in code_objects.resources(architecture, code).items()}


def main(root, path, *flags):
    root, at = pathlib.Path(root), pathlib.Path(__file__).with_name("resources.txt")
    if not pathlib.Path(path).exists():
        print("skipped: no GPU code was compiled; cluster/install-gpu-compilers fetches compilers")
        return 77
    table, compiled, kernels = read_table(at), compiled_kernels(path), listed_kernels(root)
    if "--write" in flags:
        write_table(at, table | compiled, kernels)
        return 0
    there = {architecture for _, architecture in compiled}
    missing = sorted({architecture for _, architecture in table} - there)
    findings = list(check_kernels(compiled, table, kernels))
    print("\n".join(findings + [f"not compiled, so not compared: {' '.join(missing) or 'none'}",
                                f"compared on {' '.join(sorted(there))}: {len(findings)} findings"]))
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
