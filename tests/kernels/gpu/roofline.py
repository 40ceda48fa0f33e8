"""How long a denoise step must take on a card, from what a warp issues in one turn of a kernel's loop.

Each unit of a card has a rate; the unit that a turn keeps busy for longest, or the card's memory, binds. Nothing here
was measured on a card.
"""
import collections
import math
import re
from typing import NamedTuple

from code_objects import Resources


class Card(NamedTuple):
    name: str
    architecture: str
    units: int  # SMs or CUs
    ghz: float  # boost
    gb_per_s: float
    cache_mb: int  # the last before its memory
    f16_macs: float  # a clock and unit, products of f16 with sums in f32
    s8_macs: float
    source: str


# mma.sync reaches 62.9 % of the peak that wgmma has.
HOPPER = 0.629
CARDS = (
    Card("3060", "sm_86", 28, 1.777, 360, 3, 256, 1024, "NVIDIA, GA102 whitepaper, appendix A; GA106 data sheet"),
    Card("3090", "sm_86", 82, 1.695, 936, 6, 256, 1024, "NVIDIA, GA102 whitepaper, appendix A"),
    Card("4090", "sm_89", 128, 2.52, 1008, 72, 256, 1024, "NVIDIA, Ada whitepaper, appendix A"),
    Card("7900 XTX", "gfx1100", 96, 2.5, 960, 96, 256, 256, "AMD, product page and RDNA3 ISA guide"),
    Card("H100 SXM", "sm_90a", 132, 1.83, 3350, 50, 2048 * HOPPER, 4096 * HOPPER,
         "NVIDIA, H100 data sheet; mma.sync: arXiv 2402.13499"),
)  # fmt: skip

# What an instruction keeps busy, by its name: (class of the table, unit).
CLASSES = [(re.compile(pattern), name, unit) for pattern, name, unit in (
    (r"HMMA|IMMA|v_wmma", "mma", "mma"),
    (r"LDG|LD\.|LD$|LDGSTS|global_load|flat_load|buffer_load", "global", "global"),
    (r"LDS|LDSM|MOVM|SHFL|ds_load|ds_read|ds_bpermute", "shared loads", "shared"),
    (r"STS|ds_store|ds_write", "shared stores", "shared"),
    (r"STG|ST\.|global_store|flat_store", "stores", "global"),
    (r"I2F\b|F2F\b|F2I\b|FRND|MUFU|POPC|v_exp|v_rcp|v_sqrt|v_log", "conversions, specials", "special"),
    (r"I2FP|F2FP|HADD2\.F32|v_cvt", "conversions", "integer"),
    (r"IDP|v_dot", "dot", "f32"),
    (r"FFMA|FMUL|FADD|v_fma|v_mul_f32|v_add_f32|v_sub_f32|v_dual|v_pk_(fma|mul|add)_f32", "f32", "f32"),
    (r"HFMA2|HMUL2|HADD2|v_pk|v_mul_f16|v_add_f16", "f16", "half"),
    (r"IMAD", "integer", "half"),
    (r"s_(waitcnt|delay_alu|nop|clause)", "waits", None),
    (r"s_", "scalar", "scalar"),
    (r"BRA|BRX|BAR|BSSY|BSYNC|WARPSYNC|NOP|EXIT|DEPBAR|LDGDEPBAR|YIELD|CALL|RET|ERRBAR|MEMBAR|CCTL", "control", "issue"),
    (r"", "integer", "integer"),
)]  # fmt: skip

# Warps' instructions that a unit takes a clock, and bytes. NVIDIA: CUDA C++ programming guide 12.9, throughput of
# arithmetic instructions, for 8.6, 8.9 and 9.0 alike; L2 to an SM: 64 B. AMD: RDNA3, two SIMDs of 32 lanes a CU.
RATES = {
    "nvidia": {"issue": 4, "f32": 4, "integer": 2, "half": 2, "special": 0.5, "shared": 128, "global": 64},
    "amd": {"issue": 2, "f32": 2, "integer": 2, "half": 2, "special": 0.5, "shared": 128, "global": 64},
}


def vendor_of(architecture):
    return "nvidia" if architecture.startswith("sm_") else "amd"


def class_of(name):
    return next((label, unit) for pattern, label, unit in CLASSES if pattern.match(name))


def bytes_of(name):
    """Bytes of a lane that a load or a store moves."""
    if "LDSM" in name:
        return 4 * int((re.search(r"\.([24])\b", name) or [0, 1])[1])
    words = re.search(r"dwordx([234])", name)
    wide = re.search(r"_b(128|96|64|32|16)|\.(128|64)\b|[._][USus]?(16|8)\b|[us](byte|short)", name)
    if words:
        return 4 * int(words[1])
    width = next(filter(None, wide.groups())) if wide else "32"
    return {"byte": 1, "short": 2}.get(width) or int(width) // 8


def counts_of(names):
    """Class → how many; of loads by the bytes of a lane too."""
    counts = collections.Counter()
    for name in names:
        label, unit = class_of(name)
        counts[f"{label} {bytes_of(name)} B" if label in ("global", "shared loads") else label] += 1
    return counts


def busy_clocks(names, card):
    """Unit → clocks of an SM or CU that one warp's turn keeps it busy."""
    vendor = vendor_of(card.architecture)
    rates, used = RATES[vendor], collections.Counter()
    for name in names:
        label, unit = class_of(name)
        if unit in ("global", "shared"):
            used[unit] += 32 * bytes_of(name) / rates[unit]
        elif unit in rates and unit != "issue":
            used[unit] += 1 / rates[unit]
        if label == "mma":
            s8 = name.startswith("IMMA") or "iu8" in name
            used["mma"] += mma_macs(name) / (card.s8_macs if s8 else card.f16_macs)
        takes_slot = unit is not None and (vendor == "nvidia" or name.startswith("v_"))
        used["issue"] += takes_slot / rates["issue"]
    if vendor == "amd":  # a WMMA holds the SIMD that other vector instructions wait for
        used["issue"] += used["mma"]
    return used


def mma_macs(name):
    return {"HMMA.16816": 2048, "HMMA.1688": 1024, "IMMA.16832": 4096, "IMMA.16816": 2048}.get(
        ".".join(name.split(".")[:2]), 4096)  # fmt: skip


# The released model, and a step of 256 rows behind 2,048 tokens.
ROWS, PREFIX, HIDDEN, VOCAB, HEADS = 256, 2048, 2816, 262144, 16
EXPERTS, USED, INNER, DENSE = 128, 8, 704, 2112
SLIDING, FULL, WINDOW = 25, 5, 1024
BYTES = {"q8_0": 34 / 32, "q4_k": 144 / 256, "q5_0": 22 / 32, "q6_k": 210 / 256, "f16": 2}  # a value


class Operation(NamedTuple):
    """Launches of one shape in a step; macs, bytes and blocks are those of one launch."""

    part: str  # of the step
    product: str  # of PRODUCTS in instruction_counts
    stored: str
    launches: int
    macs: float  # as the kernel's tiles do them
    bytes: float  # that come from the card's memory
    blocks: int
    steps: tuple = ((1.0, 1.0),)  # (share of a tile's rows that a turn multiplies, share of the turns)


class Tiles(NamedTuple):
    """What a block of a product takes: rows, outputs, and the rows that it skips together."""

    rows: int
    outputs: int
    skips: int


def dense(part, product, tiles, stored, launches, columns, outputs):
    across, down = math.ceil(outputs / tiles.outputs), math.ceil(ROWS / tiles.rows)
    macs = across * tiles.outputs * down * tiles.rows * columns
    return Operation(part, product, stored, launches, macs, outputs * columns * BYTES[stored], across * down)


def rows_of_an_expert():
    """(rows, their chance) for an expert, where routing is uniform."""
    n, p = ROWS * USED, 1 / EXPERTS
    return [(rows, math.comb(n, rows) * p**rows * (1 - p) ** (n - rows)) for rows in range(80)]


def expert_tiles(tiles):
    """(tiles of rows an expert, ((share of a tile's rows, share of the tiles), …))."""
    counts = collections.Counter()
    for rows, chance in rows_of_an_expert():
        while rows > 0:
            here = min(rows, tiles.rows)
            counts[math.ceil(here / tiles.skips) * tiles.skips / tiles.rows] += chance
            rows -= here
    total = sum(counts.values())
    return total, tuple(sorted((share, count / total) for share, count in counts.items()))


def experts(product, tiles, stored, launches, columns, outputs):
    count, steps = expert_tiles(tiles)
    across = math.ceil(outputs / tiles.outputs)
    macs = EXPERTS * count * tiles.rows * across * tiles.outputs * columns
    bytes_read = EXPERTS * outputs * columns * BYTES[stored]
    return Operation("experts", product, stored, launches, macs, bytes_read, round(EXPERTS * count) * across, steps)


class Attention(NamedTuple):
    heads: int  # of K and V
    head_dim: int
    cached: int  # keys
    queries: int  # of a block
    extra: float  # times that products are done, as warps share scores


def attention(product, launches, shape, span, cache_mb):
    """Keys go by spans, in blocks of their own, whose sums a second kernel reads."""
    keys, spans = shape.cached + ROWS, math.ceil(shape.cached / span) + math.ceil(ROWS / span)
    rows = max(shape.queries // (HEADS // shape.heads), 1)
    macs = 2 * shape.extra * ROWS * HEADS * shape.head_dim * keys
    sums = 2 * spans * ROWS * HEADS * shape.head_dim * 4
    bytes_read = 2 * keys * shape.heads * shape.head_dim * BYTES["f16"] + (sums if sums > cache_mb * 1e6 else 0)
    return Operation("attention", product, "f16", launches, macs, bytes_read,
                     math.ceil(ROWS / rows) * shape.heads * spans)  # fmt: skip


def vocabulary(tiles, sum_tiles, stored, chunk, cache_mb):
    """Logits and Σ p·E, a chunk of ids after another; a small cache keeps neither E nor the logits."""
    chunks, logits = VOCAB // chunk, ROWS * chunk * 4
    again = chunk * HIDDEN * BYTES[stored] + 3 * logits if cache_mb * 1e6 < chunk * HIDDEN * BYTES[stored] + logits else 0
    across, down = math.ceil(HIDDEN / sum_tiles.outputs), math.ceil(ROWS / sum_tiles.rows)
    macs = across * sum_tiles.outputs * down * sum_tiles.rows * chunk
    return [dense("logits", "dense", tiles, stored, chunks, HIDDEN, chunk),
            Operation("sum of E", "sum of E", stored, chunks, macs, again, across * down)]  # fmt: skip


def turns_clocks(operation, turns, card):
    """Unit → clocks that it is busy in the SM or CU with the most blocks."""
    most = max(turns)
    turns_each = operation.macs / operation.blocks / most * math.ceil(operation.blocks / card.units)
    clocks = collections.Counter()
    for share, part in operation.steps:
        turn = turns[min(turns, key=lambda macs: abs(macs - share * most))]
        for unit, busy in busy_clocks(turn.names, card).items():
            clocks[unit] += turns_each * part * busy
    return clocks


def operation_ms(operation, turns, card):
    """(ms of its launches, what binds): the longest of the card's memory and of the units of its fullest SM or CU."""
    clocks = turns_clocks(operation, turns, card)
    times = {unit: count / card.ghz / 1e6 for unit, count in clocks.items()}
    times["memory"] = operation.bytes / card.gb_per_s / 1e6
    binds = max(times, key=times.get)
    return operation.launches * times[binds], binds


# Of an SM or CU: registers, shared memory, warps, blocks; registers go out a warp at a time in such units. NVIDIA: CUDA
# C++ programming guide 12.9, technical specifications. AMD: RDNA guides; a CU has two SIMDs with 1,024 or 1,536
# registers of 32 lanes.
class Room(NamedTuple):
    registers: int  # of 32 lanes
    unit: int  # registers of 32 lanes
    shared: int  # bytes
    reserved: int  # bytes of a block
    warps: int
    blocks: int


ROOMS = {
    "sm_86": Room(2048, 8, 100 << 10, 1024, 48, 16),
    "sm_89": Room(2048, 8, 100 << 10, 1024, 48, 24),
    "sm_90a": Room(2048, 8, 228 << 10, 1024, 64, 32),
    "gfx1030": Room(2 * 1024, 16, 64 << 10, 0, 32, 32),
    "gfx1100": Room(2 * 1536, 24, 64 << 10, 0, 32, 32),
}


def blocks_resident(architecture, took, threads):
    room, warps = ROOMS[architecture], threads // 32
    registers = math.ceil(took.registers / room.unit) * room.unit * warps
    by_shared = room.shared // (took.shared + room.reserved) if took.shared + room.reserved else room.blocks
    return min(room.registers // registers, by_shared, room.warps // warps, room.blocks)


# What a first version may be expected to reach of the counted limit: warps wait for memory and for each other.
REACHED = 0.75
# Launches follow each other with a gap; a step has about 30 · 28 + 32 · 6 of them. Assumed, not measured.
GAP_MS, LAUNCHES = 0.002, 1000


def total_ms(parts):
    return sum(ms for ms, _ in parts.values())


def late_ms(parts):
    """A step of whose rows almost all are sure: the sum of E skips what weighs nothing."""
    return total_ms(parts) - parts["sum of E"][0]


def expected_ms(parts):
    return total_ms(parts) / REACHED + GAP_MS * LAUNCHES
