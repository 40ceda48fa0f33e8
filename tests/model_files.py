"""Model files to be altered: reads a GGUF or a checkpoint, lets a test change keys and tensors, and writes it again.

    model = GgufFile.read(path); model.keys["a.b"] = (U32, 7); model.tensors["x.weight"] = Tensor([2, 3], F32_TENSOR, data)
    checkpoint = Checkpoint.read(folder); checkpoint.config["text_config"]["head_dim"] = 16; checkpoint.write(other_folder)

A GGUF's dimensions come innermost first here, as in the file.
"""
import dataclasses
import json
import math
import pathlib
import struct

U32, I32, F32, BOOL, TEXT, ARRAY = 4, 5, 6, 7, 8, 9
NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", U32: "I", I32: "i", F32: "f", BOOL: "?", 10: "Q", 11: "q", 12: "d"}
F32_TENSOR = 0
# Values and bytes of a block by ggml's type id.
BLOCKS = {0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34), 10: (256, 84),
          11: (256, 110), 12: (256, 144), 13: (256, 176), 14: (256, 210), 20: (32, 18), 23: (256, 136), 30: (1, 2), 16: (256, 66), 17: (256, 74), 18: (256, 98), 19: (256, 50), 21: (256, 110),
          22: (256, 82), 29: (256, 56), 39: (32, 17)}
ALIGNMENT = 32


@dataclasses.dataclass
class Tensor:
    dims: list
    kind: int
    data: bytes

    def rows(self):
        return math.prod(self.dims[1:])

    def patched(self, at, new):
        return Tensor(self.dims, self.kind, self.data[:at] + new + self.data[at + len(new):])


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, count):
        self.at += count
        return self.data[self.at - count:self.at]

    def number(self, form):
        return struct.unpack("<" + form, self.take(struct.calcsize(form)))[0]

    def text(self):
        return self.take(self.number("Q"))

    def value(self, kind):
        if kind == TEXT:
            return self.text()
        if kind == ARRAY:
            of = self.number("I")
            return of, [self.value(of) for _ in range(self.number("Q"))]
        return self.number(NUMBERS[kind])


def value_bytes(kind, value):
    if kind == TEXT:
        return struct.pack("<Q", len(value)) + value
    if kind == ARRAY:
        of, values = value
        return struct.pack("<IQ", of, len(values)) + b"".join(value_bytes(of, each) for each in values)
    return struct.pack("<" + NUMBERS[kind], value)


def padded(data):
    return data + bytes(-len(data) % ALIGNMENT)


class GgufFile:
    def __init__(self, keys, tensors):
        self.keys, self.tensors = keys, tensors

    @classmethod
    def read(cls, path):
        reader = Reader(pathlib.Path(path).read_bytes())
        reader.take(8)
        count, key_count = reader.number("Q"), reader.number("Q")
        keys = {}
        for _ in range(key_count):
            name = reader.text().decode()
            kind = reader.number("I")
            keys[name] = (kind, reader.value(kind))
        places = []
        for _ in range(count):
            name = reader.text().decode()
            dims = [reader.number("Q") for _ in range(reader.number("I"))]
            places.append((name, dims, reader.number("I"), reader.number("Q")))
        start = reader.at + -reader.at % ALIGNMENT
        tensors = {}
        for name, dims, kind, offset in places:
            values, size = BLOCKS[kind]
            reader.at = start + offset
            tensors[name] = Tensor(dims, kind, reader.take(math.prod(dims) // values * size))
        return cls(keys, tensors)

    def write(self, path):
        head = b"GGUF" + struct.pack("<IQQ", 3, len(self.tensors), len(self.keys))
        for name, (kind, value) in self.keys.items():
            head += value_bytes(TEXT, name.encode()) + struct.pack("<I", kind) + value_bytes(kind, value)
        offset, body = 0, []
        for name, tensor in self.tensors.items():
            head += value_bytes(TEXT, name.encode()) + struct.pack("<I", len(tensor.dims))
            head += b"".join(struct.pack("<Q", dim) for dim in tensor.dims) + struct.pack("<IQ", tensor.kind, offset)
            body.append(padded(tensor.data))
            offset += len(body[-1])
        pathlib.Path(path).write_bytes(padded(head) + b"".join(body))
        return str(path)


class Checkpoint:
    """config, generation and tokenizer are the files' trees; tensors: name -> (dtype, shape, bytes)."""

    def __init__(self, folder, config, tokenizer, tensors):
        self.folder, self.config, self.tokenizer, self.tensors = folder, config, tokenizer, tensors
        self.more = {}  # other JSON files by name

    @classmethod
    def read(cls, folder):
        folder = pathlib.Path(folder)
        data = (folder / "model.safetensors").read_bytes()
        size = struct.unpack("<Q", data[:8])[0]
        tensors = {}
        for name, entry in json.loads(data[8:8 + size]).items():
            if name != "__metadata__":
                begin, end = entry["data_offsets"]
                tensors[name] = (entry["dtype"], entry["shape"], data[8 + size + begin:8 + size + end])
        return cls(folder, json.loads((folder / "config.json").read_text()),
                   json.loads((folder / "tokenizer.json").read_text()), tensors)

    @property
    def text(self):
        return self.config["text_config"]

    def write(self, folder):
        folder = pathlib.Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.json").write_text(json.dumps(self.config))
        (folder / "tokenizer.json").write_text(json.dumps(self.tokenizer))
        (folder / "generation_config.json").write_text((self.folder / "generation_config.json").read_text())
        for name, tree in self.more.items():
            (folder / name).write_text(json.dumps(tree))
        head, body = {}, b""
        for name, (dtype, shape, data) in self.tensors.items():
            head[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(body), len(body) + len(data)]}
            body += data
        text = json.dumps(head).encode()
        (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + body)
        return str(folder)
