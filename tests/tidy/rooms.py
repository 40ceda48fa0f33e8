"""Shows that the rooms hold: units in each folder, arrows between rooms, casts, longest function, most parameters.

Usage: rooms.py ROOT. Prints the evidence; exit code 1 if an arrow runs up or both ways, or a limit is passed.
"""
import pathlib
import re
import sys

import cpp
import shape

# Rooms of each floor, lowest first: a room may include those before it. "." is the floor's own files; a unit of the
# floor that chooses among its rooms is a room of its own, by its name.
ORDER = {
    "topology": ["base", "model", "plan", "cluster", "planner", "hub"],
    "kernels": ["noise", "gpu/device", "gpu/exact", "gpu/fast", "gpu", "gpu/compile", "cpu/machine", "cpu/reference",
                "cpu/packed", "cpu/packed/avx2", "cpu/packed/avx512", "cpu/packed/amx", "cpu/fast", "cpu"],
    "transport": ["proof", ".", "wire", "link", "inproc", "mdns", "zmq", "mpi", "nccl", "control", "make_transport"],
    "backends": [".", "cpu", "gpu", "profiled", "make_backend"],
    "shard": ["."],
    "coordinator": [".", "text", "control", "membership"],
    "cluster": ["cli", "terminal", "ring", "planning", "launch", "run", "inspect", "verify", "bench", "bench/step", "demo", "."],
}
ARROWS_MAX = {"kernels": 15, "cluster": 20}
CASTS_MAX = 8  # in 1,000 lines of product code
CAST = re.compile(r"\b(static|reinterpret|const)_cast\s*<")
INCLUDE = re.compile(r'^\s*#\s*include\s*"([^"]+)"', re.M)


def room_of(path):
    """(floor, room) of "cluster/run/chat.cc" and of "run/chat.h" seen from the root."""
    floor, *folders, name = pathlib.PurePosixPath(path).parts
    stem = pathlib.PurePosixPath(name).stem
    if not folders:
        return floor, stem if stem in ORDER[floor] else "."
    return floor, "/".join(folders)


def arrows_of(texts):
    """(floor, from, to) → the includes that make the arrow."""
    arrows = {}
    for path, text in texts.items():
        floor, room = room_of(path)
        for target in INCLUDE.findall(text):
            if target.split("/")[0] != floor:
                continue
            other = room_of(target)[1]
            if other != room:
                arrows.setdefault((floor, room, other), []).append(f"{path} includes {target}")
    return arrows


def check_arrows(arrows):
    for (floor, room, other), includes in arrows.items():
        order = ORDER[floor]
        for name in (room, other):
            if name not in order:
                yield f"{floor}/{name} has no place in ORDER; write it there, above what it includes"
                break
        else:
            if order.index(other) > order.index(room):
                both = ", and the other way as well" if (floor, other, room) in arrows else ""
                yield (f"{floor}: {room} → {other} runs up{both} ({includes[0]}); move what is shared to the lower "
                       f"room")
    for floor, most in ARROWS_MAX.items():
        count = sum(key[0] == floor for key in arrows)
        if count > most:
            yield f"{floor}: {count} arrows between rooms, at most {most}; a room that needs fewer others is a better one"


def show_arrows(arrows):
    for floor in ORDER:
        own = {key: includes for key, includes in arrows.items() if key[0] == floor}
        most = f" of at most {ARROWS_MAX[floor]}" if floor in ARROWS_MAX else ""
        print(f"{floor}: {len(own)} arrows{most}")
        for (_, room, other), includes in sorted(own.items()):
            print(f"  {room} → {other} ({len(includes)} includes)")


def show_units(texts):
    units = {}
    for path in map(pathlib.PurePosixPath, texts):
        units.setdefault(path.parent, set()).add(path.stem)
    for folder, stems in units.items():
        print(f"{folder}: {len(stems)} units")
    print(f"most: {max(map(len, units.values()))} of at most {shape.UNITS_MAX}")


def show_code(texts):
    """Casts, functions and parameters; yields what is past its limit."""
    sources = {path: cpp.read(text) for path, text in texts.items()}
    functions = [(path, f) for path, source in sources.items() for f in source.functions]
    lines = sum(text.count("\n") for text in texts.values())
    casts = sum(len(CAST.findall(cpp.blank(text)[0])) for text in texts.values())
    rate = 1000 * casts / lines
    print(f"casts: {casts} in {lines} lines, {rate:.1f} in 1,000 of at most {CASTS_MAX}")
    path, longest = max(functions, key=lambda pair: (pair[1].last - pair[1].first) * pair[1].defined)
    print(f"longest function: {longest.last - longest.first + 1} lines of at most {shape.FUNCTION_LINES_MAX}, "
          f"{longest.name} in {path}")
    outside = [pair for pair in functions if not pair[0].startswith(shape.MANY_PARAMETERS)]
    path, most = max(outside, key=lambda pair: len(pair[1].parameters))
    print(f"most parameters outside kernels: {len(most.parameters)} of at most {shape.PARAMETERS_MAX}, {most.name} in "
          f"{path}")
    if rate > CASTS_MAX:
        yield f"{rate:.1f} casts in 1,000 lines, at most {CASTS_MAX}; take away those that no warning asks for"


def read_tree(root):
    return {path.relative_to(root).as_posix(): path.read_text() for floor in ORDER
            for path in sorted((root / floor).rglob("*")) if path.suffix in (".h", ".cc", ".cu")}


def main(root):
    texts = read_tree(pathlib.Path(root))
    arrows = arrows_of(texts)
    show_units(texts)
    show_arrows(arrows)
    findings = [*show_code(texts), *check_arrows(arrows)]
    for finding in findings:
        print(finding)
    print(f"rooms: {len(findings)} findings")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
