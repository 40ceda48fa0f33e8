"""A deeper model out of a small one: a GGUF file with its layers repeated, for plans that name layers of the real depth."""
import io
import struct

ALIGNMENT = 32
SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
STRING, ARRAY = 8, 9
BLOCK_BYTES = {0: (1, 4), 1: (1, 2), 30: (1, 2)}  # f32, f16, bf16: (values, bytes)


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, form):
        value = struct.unpack_from("<" + form, self.data, self.at)[0]
        self.at += struct.calcsize("<" + form)
        return value

    def string(self):
        size = self.take("Q")
        self.at += size
        return self.data[self.at - size : self.at]

    def value(self, kind):
        if kind == STRING:
            return self.string()
        if kind == ARRAY:
            item = self.take("I")
            return item, [self.value(item) for _ in range(self.take("Q"))]
        return self.take(SCALARS[kind])


class Writer:
    def __init__(self):
        self.out = io.BytesIO()

    def put(self, form, value):
        self.out.write(struct.pack("<" + form, value))

    def string(self, text):
        self.put("Q", len(text))
        self.out.write(text)

    def value(self, kind, value):
        if kind == STRING:
            self.string(value)
        elif kind == ARRAY:
            item, values = value
            self.put("I", item)
            self.put("Q", len(values))
            for each in values:
                self.value(item, each)
        else:
            self.put(SCALARS[kind], value)


def pad(size):
    return -size % ALIGNMENT


def read(path):
    """(metadata: name → (kind, value), tensors: [(name, shape, type, bytes)])"""
    with open(path, "rb") as file:
        r = Reader(file.read())
    assert r.take("I") == 0x46554747 and r.take("I") == 3
    count, pairs = r.take("Q"), r.take("Q")
    metadata = {}
    for _ in range(pairs):
        name, kind = r.string(), r.take("I")
        metadata[name] = (kind, r.value(kind))
    directory = [(r.string(), [r.take("Q") for _ in range(r.take("I"))], r.take("I"), r.take("Q")) for _ in range(count)]
    start = r.at + pad(r.at)
    tensors = []
    for name, shape, kind, offset in directory:
        values, size = BLOCK_BYTES[kind]
        for extent in shape:
            size *= extent
        tensors.append((name, shape, kind, r.data[start + offset : start + offset + size // values]))
    return metadata, tensors


def write(path, metadata, tensors):
    w = Writer()
    for form, value in (("I", 0x46554747), ("I", 3), ("Q", len(tensors)), ("Q", len(metadata))):
        w.put(form, value)
    for name, (kind, value) in metadata.items():
        w.string(name)
        w.put("I", kind)
        w.value(kind, value)
    offset = 0
    for name, shape, kind, data in tensors:
        w.string(name)
        w.put("I", len(shape))
        for extent in shape:
            w.put("Q", extent)
        w.put("I", kind)
        w.put("Q", offset)
        offset += len(data) + pad(len(data))
    w.out.write(bytes(pad(w.out.tell())))
    for *_, data in tensors:
        w.out.write(data + bytes(pad(len(data))))
    with open(path, "wb") as file:
        file.write(w.out.getvalue())


def deepen(source, target, layers):
    """Layer i of the target is layer i mod n of the source's n."""
    metadata, tensors = read(source)
    key = b"diffusion-gemma.block_count"
    n = metadata[key][1]
    for name, (kind, value) in list(metadata.items()):
        if kind == ARRAY and name.startswith(b"diffusion-gemma.") and len(value[1]) == n:
            metadata[name] = (kind, (value[0], [value[1][i % n] for i in range(layers)]))
    metadata[key] = (metadata[key][0], layers)
    shared = [t for t in tensors if not t[0].startswith(b"blk.")]
    by_layer = [[t for t in tensors if t[0].startswith(b"blk.%d." % i)] for i in range(n)]
    deep = [(b"blk.%d." % i + t[0].split(b".", 2)[2], *t[1:]) for i in range(layers) for t in by_layer[i % n]]
    write(target, metadata, shared + deep)
