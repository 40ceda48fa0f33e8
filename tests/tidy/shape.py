"""How functions, classes, headers and folders are shaped."""
import pathlib
import re

FUNCTION_LINES_MAX = 60
PARAMETERS_MAX = 6
# Raw loops over many pointers and strides, and signatures that a library gives its callbacks.
MANY_PARAMETERS = ("kernels/", "transport/mdns/avahi_", "tests/backends/gpu/stub_")
UNITS_MAX = 25
# Headers whose names are defined elsewhere, and why.
ELSEWHERE = {
    "cluster/cli/commands.h": "lists what each room's command adds to the command line; main alone reads it",
}


def check_functions(path, source):
    for function in source.functions:
        lines = function.last - function.first + 1
        if function.defined and lines > FUNCTION_LINES_MAX:
            yield (f"{path}:{function.first}: {function.name} is a function of {lines} lines, at most "
                   f"{FUNCTION_LINES_MAX}; name its parts")
        count = len(function.parameters)
        if count > PARAMETERS_MAX and not path.startswith(MANY_PARAMETERS):
            yield (f"{path}:{function.first}: {function.name} has {count} parameters, at most {PARAMETERS_MAX}; "
                   f"pass a struct with named fields")


def check_interfaces(path, source):
    """A class with a pure method is an interface: it has no fields, and no bodies."""
    for each in source.classes:
        if not each.pure():
            continue
        for line, text in each.fields:
            yield f"{path}:{line}: {each.name} is an interface and has a field, \"{text}\"; an implementation keeps it"
        for method in each.methods:
            if not re.search(r"=\s*(0|default)$", method.head):
                yield (f"{path}:{method.first}: {method.name} belongs to an interface and is not pure; write \"= 0\", "
                       f"or make it a free function")


def sources_of(header, paths):
    """X.cc, X_part.cc where no header has that name, and X/….cc; of X/X.h the whole folder X/."""
    folder, stem = header.parent, header.stem
    headers = {path for path in paths if path.suffix == ".h"}
    for path in paths:
        if path.suffix not in (".cc", ".cu"):
            continue
        part = path.parent == folder and path.stem.startswith(stem + "_") and path.with_suffix(".h") not in headers
        own = path.parent == folder and path.stem == stem
        if own or part or folder / stem in path.parents or (folder.name == stem and path.parent == folder):
            yield path


def check_homes(sources):
    """What a header declares is defined in it, or in the source or the folder of its name."""
    paths = [pathlib.PurePosixPath(path) for path in sources]
    for path in paths:
        if path.suffix != ".h" or str(path) in ELSEWHERE or path.parts[0] == "tests":
            continue
        homes = [path, *sources_of(path, paths)]
        defined = {function.name for home in homes for function in sources[str(home)].functions if function.defined}
        for function in sources[str(path)].functions:
            pure = re.search(r"=\s*(0|default|delete)$", function.head)
            if not function.defined and not pure and function.name not in defined:
                yield (f"{path}:{function.first}: {function.name} is defined neither in {path.stem}.cc nor in "
                       f"{path.stem}/; move it, or declare it where it lives")


def check_folders(paths):
    units = {}
    for path in map(pathlib.PurePosixPath, paths):
        units.setdefault(path.parent, set()).add(path.stem)
    for folder, stems in units.items():
        if len(stems) > UNITS_MAX:
            yield f"{folder}: {len(stems)} units, at most {UNITS_MAX}; give those that belong together a room"
