"""Relays between processes, to see what passes: each listens on loopback, sends on, and keeps all bytes.

And what is looked for in a capture.
"""
import contextlib
import json
import socket
import struct
import subprocess
import threading
import time

from rings import POTLUCK


class Relay:
    """Between whoever dials `endpoint` and the listener at `target`."""

    def __init__(self, target):
        self.target = address_of(target)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"tcp://127.0.0.1:{self.listener.getsockname()[1]}"
        self.calls = []  # of each: what the dialer sent, what the listener sent
        self.sockets = []
        threading.Thread(target=self.accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for each in [self.listener, *self.sockets]:
            each.close()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                dialer = self.listener.accept()[0]
                listener = socket.create_connection(self.target)
                self.sockets += [dialer, listener]
                call = (bytearray(), bytearray())
                self.calls.append(call)
                for source, to, seen in ((dialer, listener, call[0]), (listener, dialer, call[1])):
                    threading.Thread(target=self.pump, args=(source, to, seen), daemon=True).start()

    @staticmethod
    def pump(source, to, seen):
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                seen += data
                to.sendall(data)
        with contextlib.suppress(OSError):
            to.shutdown(socket.SHUT_WR)

    def capture(self):
        return b"".join(bytes(side) for call in self.calls for side in call)


class CutRelay(Relay):
    """Ends its connections each time it has sent on so many bytes of the listener's, and can change one."""

    def __init__(self, target):
        super().__init__(target)
        self.moved, self.cuts, self.flip_at = 0, [], None
        self.hold_at = None  # after so many bytes nothing more is sent on
        self.holding = threading.Event()

    def pump(self, source, to, seen):
        answers = seen is self.calls[-1][1]
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 14):
                if answers:
                    data = self.altered(data)
                    if self.is_over(data):
                        return
                to.sendall(data)
                if answers:
                    self.moved += len(data)
                    if self.cuts and self.moved >= self.cuts[0]:
                        self.cuts.pop(0)
                        time.sleep(0.05)  # what is on its way arrives
                        break
        for each in (source, to):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def is_over(self, data):
        """Sends no more of a connection whose end is held back, and keeps it open."""
        if self.hold_at is None or self.moved + len(data) <= self.hold_at:
            return False
        self.holding.set()
        return True

    def altered(self, data):
        if self.cuts:
            data = data[:max(self.cuts[0] - self.moved, 1)]
        if self.flip_at is not None and self.moved + len(data) > self.flip_at:
            at, self.flip_at = self.flip_at - self.moved, None
            data = data[:at] + bytes([data[at] ^ 1]) + data[at + 1:]
        return data


def pieces_of(capture):
    """Short pieces that two captures have in common only if the same bytes passed in both."""
    pieces = {bytes(capture[at:at + 24]) for at in range(0, len(capture) - 24, 64)}
    return {piece for piece in pieces if len(set(piece)) > 16}


def ids_as_sent(*arguments, prompt):
    """The prompt's ids as they lie in a message: `potluck tokenize ARGUMENTS…` says which."""
    done = subprocess.run([POTLUCK, "tokenize", *arguments], input=prompt, text=True, check=True, capture_output=True)
    ids = json.loads(done.stdout)["ids"]
    return struct.pack(f"<{len(ids)}i", *ids)


def address_of(endpoint):
    host, port = endpoint.removeprefix("tcp://").rsplit(":", 1)
    return host, int(port)


def say(endpoint, data, patience=2):
    """What the listener answers to these bytes, until it hangs up or says nothing for so many seconds."""
    answer = bytearray()
    with socket.create_connection(address_of(endpoint)) as stranger, contextlib.suppress(OSError):
        stranger.settimeout(patience)
        stranger.sendall(data)
        while got := stranger.recv(1 << 16):
            answer += got
    return bytes(answer)
