"""Disassembles code objects, finds the loops that multiply, and counts what a warp issues in one turn of them.

A code object must hold line numbers: they say from which lines of the source, through all that was inlined, an
instruction comes, and so for which stored type it is where a kernel has code for many.
"""
import collections
import functools
import json
import pathlib
import re
import subprocess
from typing import NamedTuple

QUANTIZED = ("q8_0|q4_0|q4_1|q5_0|q5_1|iq4_nl|iq4_xs|q2_k|q3_k|q4_k|q5_k|q6_k|iq2_xxs|iq2_xs|iq2_s|iq3_xxs|iq3_s|"
             "iq1_s|iq1_m|mxfp4")
TYPE = re.compile(rf"(?:\w*_|\b)({QUANTIZED})\b|\b(f32|f16|bf16)\b")


class Instruction(NamedTuple):
    address: int
    name: str  # with its modifiers: LDG.E.128
    text: str
    targets: tuple  # addresses that it may go to
    falls: bool  # the next instruction may follow
    lines: tuple  # (file, line), the innermost first


class Turn(NamedTuple):
    """The longest way through a loop that multiplies as much as `macs`."""

    macs: int  # multiplications that a warp's turn adds up, on the units that most of them are done by
    names: tuple  # of the instructions


@functools.cache
def source_lines(file):
    return [line.split("//")[0] for line in pathlib.Path(file).read_text().splitlines()]


@functools.cache
def source_text(lines):
    return "\n".join(source_lines(file)[line - 1] for file, line in lines if line)


@functools.cache
def types_of(lines):
    """The stored types that an instruction's source names; a line that names several says nothing."""
    named = [set(filter(None, sum(TYPE.findall(source_text((at,))), ()))) for at in lines]
    return frozenset(types.copy().pop() for types in named if len(types) == 1)


def output_of(*command, text=None):
    done = subprocess.run(list(map(str, command)), input=text, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{command[0]}: {done.stderr.strip()}")
    return done.stdout


# NVIDIA


def sass_instruction(address, text, labels, bar, lines):
    predicate, text = re.match(r"(@\S+\s+)?(.*)", text).groups()
    name = text.split()[0]
    base = name.split(".")[0]
    conditional = bool(predicate) or bool(re.match(rf"{re.escape(name)}\s+!?U?P\d", text))
    named = [labels[label] for label in re.findall(r"\.L_x?_?\d+", text) if label in labels]
    if base == "BSSY":
        bar[text.split()[1].rstrip(",")] = named
        return Instruction(address, name, text, (), True, lines)
    if base == "BSYNC":
        return Instruction(address, name, text, tuple(bar.get(text.split()[1], ())), False, lines)
    goes = base in ("BRA", "BRX", "JMP")
    falls = conditional or not (goes or base in ("EXIT", "RET", "KILL"))
    return Instruction(address, name, text, tuple(named) if goes else (), falls, lines)


def sass_kernels(disassembly):
    """Kernel → its lines of text."""
    kernels, kernel = {}, None
    for line in disassembly.splitlines():
        begin = re.match(r"\.text\.(\w+):", line)
        if begin:
            kernel = kernels.setdefault(begin[1], [])
        elif re.match(r"\s*//-{3,} ", line):
            kernel = None
        elif kernel is not None:
            kernel.append(line)
    return kernels


def sass_labels(lines):
    labels, waiting = {}, []
    for line in lines:
        label = re.match(r"(\.L_\w+):", line)
        at = re.match(r"\s+/\*([0-9a-f]+)\*/", line)
        if label:
            waiting.append(label[1])
        elif at:
            labels |= dict.fromkeys(waiting, int(at[1], 16))
            waiting = []
    return labels


def read_sass(lines):
    labels, bar, chain, fresh, found = sass_labels(lines), {}, (), False, []
    for line in lines:
        where = re.match(r'\s*//## File "(.*?)", line (\d+)', line)
        if where:
            chain = (chain if fresh else ()) + ((where[1], int(where[2])),)
            fresh = True
            continue
        fresh = False
        at = re.match(r"\s+/\*([0-9a-f]+)\*/\s+(.*?)\s*;?$", line)
        if at:
            found.append(sass_instruction(int(at[1], 16), at[2], labels, bar, chain))
    return found


def nvidia_kernels(nvdisasm, code):
    said = output_of(nvdisasm, "-gi", "-c", code)
    return {kernel: read_sass(lines) for kernel, lines in sass_kernels(said).items()}


# AMD


def gcn_instruction(address, text, target, lines):
    name = text.split()[0]
    goes = name.startswith(("s_cbranch", "s_branch"))
    falls = name not in ("s_branch", "s_endpgm", "s_setpc_b64")
    return Instruction(address, name, text, (target,) if goes else (), falls, lines)


def amd_lines(symbolizer, code, addresses):
    """Address → (file, line), the innermost first."""
    asked = "".join(f"{address:#x}\n" for address in addresses)
    said = output_of(symbolizer, f"--obj={code}", "--inlines", "--output-style=JSON", text=asked)
    return {int(found["Address"], 16): tuple((at["FileName"], at["Line"]) for at in found["Symbol"])
            for found in map(json.loads, said.splitlines())}  # fmt: skip


def amd_kernels(objdump, symbolizer, code):
    kernels, begins, kernel = {}, {}, None
    for line in output_of(objdump, "-d", code).splitlines():
        begin = re.match(r"([0-9a-f]+) <(\w+)>:", line)
        if begin:
            kernel = kernels.setdefault(begin[2], [])
            begins[begin[2]] = int(begin[1], 16)
            continue
        at = re.match(r"\s+(\S.*?)\s*// ([0-9A-F]+):[0-9A-F ]*(?:<(\w+)(?:\+0x([0-9a-f]+))?>)?", line)
        if at and kernel is not None:
            target = begins[at[3]] + int(at[4] or "0", 16) if at[3] in begins else None
            kernel.append((int(at[2], 16), at[1], target))
    where = amd_lines(symbolizer, code, [at for rows in kernels.values() for at, _, _ in rows])
    return {kernel: [gcn_instruction(at, text, target, where.get(at, ())) for at, text, target in rows]
            for kernel, rows in kernels.items()}  # fmt: skip


# Loops

# Multiplications of a warp's instruction, by what its name begins with. AMD's v_dual has two halves.
MACS = {"HMMA.16816": 2048, "HMMA.1688": 1024, "IMMA.16832": 4096, "IMMA.16816": 2048, "IMMA.8816": 1024,
        "v_wmma": 4096, "IDP.4A": 128, "v_dot4": 128, "v_dot2": 64, "FFMA": 32,
        "v_fma": 32, "v_dual_fma": 32}  # fmt: skip
UNITS = (("HMMA", "IMMA", "v_wmma"), ("IDP", "v_dot"), ("FFMA", "v_fma", "v_dual_fma"))


def macs_of(name, units):
    return next((macs for begins, macs in MACS.items() if name.startswith(begins)), 0) if name.startswith(units) else 0


def blocks_of(instructions):
    """First address → (instructions, addresses of the blocks that may follow)."""
    leaders = {instructions[0].address} | {target for each in instructions for target in each.targets}
    blocks, block = {}, []
    for i, each in enumerate(instructions):
        if each.address in leaders and block:
            blocks[block[0].address] = (block, (each.address,))
            block = []
        block.append(each)
        if each.targets or not each.falls:
            after = (instructions[i + 1].address,) if each.falls and i + 1 < len(instructions) else ()
            blocks[block[0].address] = (block, each.targets + after)
            block = []
    return blocks


def natural_loop(header, latch, before, entry):
    """The blocks from which the latch is reached without the header; None: some are entered elsewhere."""
    loop, waiting = {header, latch}, [latch] if latch != header else []
    while waiting:
        for block in before[waiting.pop()]:
            if block not in loop:
                loop.add(block)
                waiting.append(block)
    return None if entry in loop and entry != header else frozenset(loop)


def backward_edges(blocks):
    """(from, to) of the branches to a block that the way from the kernel's entry is still in."""
    entry = min(blocks)
    state, stack, found = {entry: "open"}, [(entry, iter(blocks[entry][1]))], []
    while stack:
        at, follow = stack[-1]
        target = next(follow, None)
        if target is None:
            state[at] = "done"
            stack.pop()
        elif state.get(target) == "open":
            found.append((at, target))
        elif target in blocks and target not in state:
            state[target] = "open"
            stack.append((target, iter(blocks[target][1])))
    return found


def loops_of(blocks):
    """Header → its loop, for the loops that a backward branch closes."""
    before = collections.defaultdict(list)
    for at, (_, follow) in blocks.items():
        for target in follow:
            before[target].append(at)
    loops = {}
    for latch, header in backward_edges(blocks):
        loop = natural_loop(header, latch, before, min(blocks))
        if loop:
            loops[header] = loops.get(header, frozenset()) | loop
    return loops


def multiplying_loops(instructions, units):
    """(blocks, header, loop) of the innermost loops that multiply on these units; header → loop of all that do."""
    blocks = blocks_of(instructions)
    multiplies = {at for at, (block, _) in blocks.items() if any(macs_of(each.name, units) for each in block)}
    loops = {header: loop for header, loop in loops_of(blocks).items() if loop & multiplies}
    return [(blocks, header, loop) for header, loop in loops.items()
            if not any(other < loop for other in loops.values())], loops  # fmt: skip


def turns_around(blocks, header, loop, around, repeats, stored, units):
    """The turns of the loop around a loop that is gone through `repeats` times in each of them."""
    inner = turns_of(blocks, header, loop, stored, units)
    again = inner[max(inner)][1]
    return {macs + (repeats - 1) * again.macs: (score, Turn(macs + (repeats - 1) * again.macs,
                                                            turn.names + (repeats - 1) * again.names))
            for macs, (score, turn) in turns_of(blocks, *around, stored, units).items()}  # fmt: skip


def order_of(blocks, header, loop):
    """The loop's blocks, each behind those that lead to it; inner loops are taken once."""
    order, state = [], {}
    stack = [(header, iter(blocks[header][1]))]
    state[header] = "open"
    kept = collections.defaultdict(list)
    while stack:
        at, follow = stack[-1]
        target = next(follow, None)
        if target is None:
            state[at] = "done"
            order.append(at)
            stack.pop()
        elif target in loop and state.get(target) != "open":
            kept[at].append(target)
            if target not in state:
                state[target] = "open"
                stack.append((target, iter(blocks[target][1])))
    return order[::-1], kept


def turns_of(blocks, header, loop, stored, units):
    """Multiplications → the Turn that does as many: of the ways through the loop that which is most of the
    stored type, and then the longest."""

    def value(at):
        own = foreign = macs = 0
        for each in blocks[at][0]:
            types = types_of(each.lines)
            own += stored in types
            foreign += bool(types) and stored not in types
            macs += macs_of(each.name, units)
        return own - foreign, len(blocks[at][0]), macs

    order, kept = order_of(blocks, header, loop)
    values = {at: value(at) for at in order}
    best = {header: {values[header][2]: (values[header][:2], (header,))}}
    ends = {}
    for at in order:
        for target in kept[at]:
            score, length, macs = values[target]
            ways = best.setdefault(target, {})
            for done, (so_far, way) in best[at].items():
                candidate = ((so_far[0] + score, so_far[1] + length), way + (target,))
                ways[done + macs] = max(ways.get(done + macs, candidate), candidate)
        if header in blocks[at][1]:
            for macs, way in best[at].items():
                ends[macs] = max(ends.get(macs, way), way)
    return {macs: (way[0], Turn(macs, tuple(each.name for at in way[1] for each in blocks[at][0])))
            for macs, way in ends.items() if macs}  # fmt: skip


def loop_text(blocks, loop):
    return "\n".join({source_text((at,)) for block in loop for each in blocks[block][0] for at in each.lines})


def loop_around(blocks, loop, innermost, loops, units):
    """(header, loop) of the smallest loop around a loop; around one on matrix units it must multiply there itself."""
    within = frozenset().union(*(other for _, _, other in innermost))
    multiplies = {at for at in blocks if at not in within and any(macs_of(each.name, units) for each in blocks[at][0])}
    around = [each for each in loops.items() if loop < each[1] and (units != UNITS[0] or each[1] & multiplies)]
    return min(around, key=lambda each: len(each[1]), default=None)


class Wanted(NamedTuple):
    """Which loops find_turns takes."""

    needs: str = ""  # a pattern that the loop's source must hold, on matrix units
    of_all: bool = False  # not the best alone, but all
    repeats: int = 0  # on matrix units: the loop around it, which goes through it so many times
    repeats_without: int = 0  # the same on other units


def find_turns(instructions, stored, wanted=Wanted()):
    """Multiplications → Turn, of the innermost loop that multiplies values of a stored type, on the best units that
    any loop uses. Of several that with most of the type, then with most multiplications, then the shortest.
    """
    units = next(u for u in UNITS if multiplying_loops(instructions, u)[0])
    found, (innermost, loops) = [], multiplying_loops(instructions, units)
    repeats = wanted.repeats if units == UNITS[0] else wanted.repeats_without
    for blocks, header, loop in innermost:
        if units != UNITS[0] or re.search(wanted.needs, loop_text(blocks, loop)):
            around = loop_around(blocks, loop, innermost, loops, units) if repeats else None
            turns = (turns_around(blocks, header, loop, around, repeats, stored, units) if around else
                     turns_of(blocks, header, loop, stored, units))  # fmt: skip
            (score, _), longest = turns[max(turns)] if turns else ((0, 0), None)
            if longest:
                found.append((-score, -longest.macs, len(longest.names), header, turns))
    if not found:
        raise SystemExit(f"no loop that multiplies {stored} has {wanted.needs!r} in its source: see PRODUCTS")
    found.sort(key=lambda each: each[:4], reverse=True)
    return {macs: turn for *_, turns in found[0 if wanted.of_all else -1:] for macs, (_, turn) in turns.items()}
