"""Reads potluck-kernels.bin and, from the machine code in it, what each kernel takes of a card.

backends/gpu/code_objects.cc has the file's layout. A cubin says it in .nv.info, an AMD code object in a note.
"""
import struct
from typing import NamedTuple

AMD_METADATA = 32  # the note's type
REGISTERS, STACK = 0x2F, 0x11  # EIATTR_REGCOUNT, EIATTR_FRAME_SIZE: pairs of a symbol and a value


class Resources(NamedTuple):
    registers: int  # of a thread
    stack: int  # bytes of a thread in device memory: spilled registers, arrays that found none
    shared: int  # bytes of a block


def read_file(path):
    """Architecture → code object."""
    with open(path, "rb") as file:
        data = file.read()
    magic, version, count = struct.unpack_from("<8sII", data)
    assert magic == b"potluckG" and version == 1, f"{path} is no file of GPU code objects of version 1"
    objects = {}
    for i in range(count):
        name, offset, size, _ = struct.unpack_from("<16sQQQ", data, 32 + 40 * i)
        objects[name.rstrip(b"\0").decode()] = data[offset:offset + size]
    return objects


def sections(code):
    """(name, type, bytes, info) of each section; a section without bytes in the file has zeros."""
    at, = struct.unpack_from("<Q", code, 40)
    size, count, names = struct.unpack_from("<HHH", code, 58)
    heads = [struct.unpack_from("<IIQQQQIIQQ", code, at + i * size) for i in range(count)]
    strings = heads[names][4]
    for name, kind, _, _, offset, length, _, _, _, _ in heads:
        text = code[strings + name:code.index(b"\0", strings + name)].decode()
        yield text, kind, bytes(length) if kind == 8 else code[offset:offset + length]


def symbol_names(found):
    table, strings = found[".symtab"], found[".strtab"]
    for at in range(0, len(table), 24):
        name, = struct.unpack_from("<I", table, at)
        yield strings[name:strings.index(b"\0", name)].decode()


def attributes(info):
    """(attribute, payload) of a section .nv.info; a short value lies in the head itself."""
    at = 0
    while at < len(info):
        form, attribute, size = struct.unpack_from("<BBH", info, at)
        at += 4
        if form == 4:
            yield attribute, info[at:at + size]
            at += size


def cuda_resources(code):
    found = {name: content for name, _, content in sections(code)}
    names = list(symbol_names(found))
    said = {REGISTERS: {}, STACK: {}}
    for attribute, payload in attributes(found[".nv.info"]):
        if attribute in said:
            symbol, value = struct.unpack("<II", payload)
            said[attribute][names[symbol]] = value
    kernels = [name.removeprefix(".text.") for name in found if name.startswith(".text.")]
    return {kernel: Resources(said[REGISTERS][kernel], said[STACK].get(kernel, 0),
                              len(found.get(".nv.shared." + kernel, b""))) for kernel in kernels}


def message_pack(data, at=0):
    """The value at `at`, and where it ends: the forms that LLVM writes."""
    kind = data[at]
    at += 1
    if kind < 0x80:
        return kind, at
    if kind in (0xC2, 0xC3):
        return kind == 0xC3, at
    numbers = {0xCC: ">B", 0xCD: ">H", 0xCE: ">I", 0xCF: ">Q", 0xD0: ">b", 0xD1: ">h", 0xD2: ">i", 0xD3: ">q"}
    if kind in numbers:
        return struct.unpack_from(numbers[kind], data, at)[0], at + struct.calcsize(numbers[kind])
    if kind >= 0xE0:
        return kind - 256, at
    lengths = {0xD9: ">B", 0xDA: ">H", 0xDB: ">I", 0xDC: ">H", 0xDD: ">I", 0xDE: ">H", 0xDF: ">I"}
    if kind in lengths:
        length = struct.unpack_from(lengths[kind], data, at)[0]
        at += struct.calcsize(lengths[kind])
    else:
        length = kind & (31 if kind & 0xE0 == 0xA0 else 15)
    if kind & 0xE0 == 0xA0 or kind in (0xD9, 0xDA, 0xDB):
        return data[at:at + length].decode(), at + length
    is_map = kind & 0xF0 == 0x80 or kind in (0xDE, 0xDF)
    values = []
    for _ in range(2 * length if is_map else length):
        value, at = message_pack(data, at)
        values.append(value)
    return (dict(zip(values[::2], values[1::2])) if is_map else values), at


def hip_resources(code):
    for _, kind, content in sections(code):
        if kind != 7:
            continue
        name, size, note = struct.unpack_from("<III", content)
        start = 12 + (name + 3) // 4 * 4
        if note == AMD_METADATA:
            kernels = message_pack(content[start:start + size])[0]["amdhsa.kernels"]
            return {kernel[".name"]: Resources(kernel[".vgpr_count"], kernel[".private_segment_fixed_size"],
                                               kernel[".group_segment_fixed_size"]) for kernel in kernels}
    raise ValueError("an AMD code object without metadata")


def resources(architecture, code):
    """Kernel → Resources."""
    return cuda_resources(code) if architecture.startswith("sm_") else hip_resources(code)
