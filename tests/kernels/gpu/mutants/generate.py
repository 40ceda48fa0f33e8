"""Writes copies of the shipped kernels in which each mutant is a switch, and the list of them.

Usage: generate.py SOURCE_ROOT FOLDER. The copies go to FOLDER/kernels/gpu, the list to FOLDER/mutants.json.
"""
import collections
import hashlib
import itertools
import json
import pathlib
import re
import sys

import operators
from device_code import DeviceCode

SEED = 15
KERNEL_MUTANTS_MIN = 10
FILE_MUTANTS_MOST = 128  # a file's numbers follow one another, so that a change renumbers no other file's
MUTANTS_MOST = 16384  # kMutantsMost of mutant.h
# Of a set of kernels' own code, and for each function of it.
POOL, POOL_OF_FUNCTION = 10, 1
# The order in which a pool takes from the kinds, one of each in turn; of the first two all are taken.
KINDS = ["barrier", "copies", "bound", "swap", "wave", "shuffle", "guard", "block", "size", "scale", "rounding", "reset",
         "offset", "omission", "number"]
SEAM = '#include "emulated_gpu.h"'  # in gpu.h vendors' code lies before it


class Source:
    def __init__(self, root, path):
        self.path = path
        self.code = DeviceCode((root / path).read_text())
        seam = self.code.text.find(SEAM)
        self.functions = [f for f in self.code.functions if self.code.tokens[f.first].begin > seam]
        self.includes = re.findall(r'#include "(kernels/gpu/[^"]+)"', self.code.text)


def find_kernels(sources):
    """Which kernels reach a function: (path, its first token) -> their names."""
    reached = collections.defaultdict(set)

    def visible(path, seen):
        for included in sources[path].includes:
            if included not in seen:
                seen.add(included)
                visible(included, seen)
        return seen

    def called(unit, path, name):
        """Those of the nearest files that have the name: of what a template calls there may be several, and files that
        include its own have them."""
        for files in ([path], sorted(visible(path, set())), sorted(visible(unit, set()))):
            found = [(home, f) for home in files for f in sources[home].functions if f.name == name]
            if found:
                return found
        return []

    def visit(unit, path, function, kernel):
        if kernel in reached[path, function.first]:
            return
        reached[path, function.first].add(kernel)
        for name in set(sources[path].code.calls(function)):
            for home, other in called(unit, path, name):
                visit(unit, home, other, kernel)

    for path, source in sources.items():
        for function in source.functions:
            if function.is_kernel:
                visit(path, path, function, function.name)
        for kernel, names in source.code.kernels_of_macros():
            for name in names:
                for home, function in called(path, path, name):
                    visit(path, home, function, kernel)
    return reached


def name_mutants(source):
    """(function, mutant, name) of all that there could be; equal ones in a function are counted."""
    stem = pathlib.PurePosixPath(source.path).stem
    for function in source.functions:
        where = stem if function.name == stem else f"{stem}/{function.name}"
        seen, spans = collections.Counter(), set()
        for mutant in operators.all_of(source.code, function):
            if (mutant.first, mutant.last, mutant.text) in spans:
                continue
            spans.add((mutant.first, mutant.last, mutant.text))
            seen[mutant.what] += 1
            number = f" ({seen[mutant.what]})" if seen[mutant.what] > 1 else ""
            yield function, mutant, f"{where}: {mutant.what}{number}"


def draw(name):
    return hashlib.sha256(f"{SEED} {name}".encode()).digest()


def choose(pool, functions):
    """The seed chooses by name, so that a change elsewhere chooses no others."""
    by_kind = {kind: sorted((each for each in pool if each["kind"] == kind), key=lambda each: draw(each["name"]))
               for kind in KINDS}
    chosen = by_kind["barrier"] + by_kind["copies"]
    rounds = itertools.zip_longest(*(by_kind[kind] for kind in KINDS[2:]))
    rest = [each for round_ in rounds for each in round_ if each]
    return chosen + rest[:POOL + POOL_OF_FUNCTION * functions]


def find_mutants(sources):
    reached = find_kernels(sources)
    pools, functions = collections.defaultdict(list), collections.defaultdict(set)
    for path, source in sources.items():
        for function, mutant, name in name_mutants(source):
            kernels = sorted(reached[path, function.first])
            if not kernels:
                continue
            key = (path, tuple(kernels) if path.endswith(".cu") else ())
            functions[key].add(function.first)
            pools[key].append({"name": name, "kind": mutant.kind, "file": path, "kernels": kernels, "mutant": mutant})
    chosen = [each for key, pool in pools.items() for each in choose(pool, len(functions[key]))]
    for i, path in enumerate(sources):
        of_file = [each for each in chosen if each["file"] == path]
        if len(of_file) > FILE_MUTANTS_MOST:
            sys.exit(f"{path} has {len(of_file)} mutants, at most {FILE_MUTANTS_MOST}; raise FILE_MUTANTS_MOST")
        for j, each in enumerate(sorted(of_file, key=lambda each: (each["mutant"].first, each["name"]))):
            each["number"] = i * FILE_MUTANTS_MOST + j
    if len(sources) * FILE_MUTANTS_MOST > MUTANTS_MOST:
        sys.exit(f"{len(sources)} files need more than {MUTANTS_MOST} numbers; raise MUTANTS_MOST and kMutantsMost")
    return sorted(chosen, key=lambda each: each["number"])


def switch(mutant, number, code):
    """What goes before and behind the tokens that a mutant replaces."""
    if mutant.is_statement:
        return f"potluck::mutants::is({number}) ? void({mutant.text}) : void(", ")"
    return f"(potluck::mutants::is({number}) ? {mutant.text} : ", ")"


def write_copy(source, chosen, root, folder):
    """Of two mutants in one place the one over fewer tokens is the inner one."""
    code, inserted = source.code, []
    for order, (number, mutant) in enumerate(chosen):
        begin, end = code.tokens[mutant.first].begin, code.tokens[mutant.last - 1].end
        before, behind = switch(mutant, number, code)
        inserted.append((begin, 1, -(end - begin), order, before))
        inserted.append((end, 0, end - begin, -order, behind))
    text, last = [f'#include "tests/kernels/gpu/mutants/mutant.h"\n#line 1 "{root / source.path}"\n'], 0
    for at, _, _, _, what in sorted(inserted):
        text += [code.text[last:at], what]
        last = at
    write(folder / source.path, "".join([*text, code.text[last:]]))


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_text() != text:
        path.write_text(text)


def check_counts(mutants, sources):
    kernels = [f.name for source in sources.values() for f in source.functions if f.is_kernel]
    kernels += [name for source in sources.values() for name, _ in source.code.kernels_of_macros()]
    for kernel in kernels:
        count = sum(kernel in each["kernels"] for each in mutants)
        if count < KERNEL_MUTANTS_MIN:
            sys.exit(f"{kernel} has {count} mutants, at least {KERNEL_MUTANTS_MIN}; teach operators.py what it does")


def main(root, folder):
    paths = sorted(path.relative_to(root).as_posix() for suffix in ("cu", "h")
                   for path in (root / "kernels/gpu").glob(f"*/*.{suffix}"))
    sources = {path: Source(root, path) for path in paths}
    mutants = find_mutants(sources)
    check_counts(mutants, sources)
    for path, source in sources.items():
        chosen = [(each["number"], each["mutant"]) for each in mutants if each["file"] == path]
        write_copy(source, chosen, root, folder)
    for each in mutants:
        del each["mutant"]
    write(folder / "mutants.json", json.dumps(mutants, indent=0, ensure_ascii=False))


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]))
