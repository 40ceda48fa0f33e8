"""A person at a terminal, for tests: potluck on a pseudo-terminal, and what its screen shows."""
import fcntl
import os
import pathlib
import pty
import select
import signal
import struct
import tempfile
import termios
import time

import pyte

POTLUCK = os.environ["POTLUCK"]  # the program under test
SOURCE = pathlib.Path(__file__).resolve().parents[3]
NANO = str(SOURCE / "tests/golden/nano")
PATIENCE = 60 * int(os.environ.get("POTLUCK_SLOWNESS", "1"))  # seconds after which a test calls it a hang
FRAME_END = b"\x1b[?7h"  # of one drawing of the canvas


class Terminal:
    """`potluck ARGUMENTS…` on a terminal of its own. stdin, stdout: files that stand in for it."""

    def __init__(self, *arguments, columns=80, rows=24, env=None, stdin=None, stdout=None):
        self.screen = pyte.HistoryScreen(columns, rows, history=10_000)
        self.stream = pyte.ByteStream(self.screen)
        self.bytes = b""
        self.status = None
        surroundings = {k: v for k, v in os.environ.items() if k != "NO_COLOR"}
        surroundings.update({"TERM": "xterm-256color", **(env or {})})
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            fcntl.ioctl(2, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
            for file, number in ((stdin, 0), (stdout, 1)):
                if file is not None:
                    os.dup2(file.fileno(), number)
            os.execve(POTLUCK, [POTLUCK, *arguments], surroundings)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.status is None:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self.fd)

    def type(self, text):
        os.write(self.fd, text.encode())

    def enter(self, text):
        self.type(text + "\r")

    def resize(self, columns, rows):
        self.screen.resize(rows, columns)
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read(self):
        """Takes in what there is, a frame at a time; False when the program has ended."""
        if not select.select([self.fd], [], [], 0.05)[0]:
            return True
        try:
            chunk = os.read(self.fd, 65536)
        except OSError:
            chunk = b""
        for piece in chunk.replace(FRAME_END, FRAME_END + b"\0cut").split(b"\0cut"):
            self.bytes += piece
            self.stream.feed(piece)
            if piece.endswith(FRAME_END):
                self.frame()
        return chunk != b""

    def frame(self):
        """A canvas has been drawn; tests look here."""

    def rows(self):
        return [row.rstrip() for row in self.screen.display]

    def scrolled(self):
        """The rows that have left the screen at its top."""
        width = self.screen.columns
        return ["".join(row[x].data for x in range(width)).rstrip() for row in self.screen.history.top]

    def everything(self):
        return "\n".join(self.scrolled() + self.rows())

    def wait_for(self, text, times=1):
        deadline = time.monotonic() + PATIENCE
        while self.everything().count(text) < times:
            if time.monotonic() > deadline or not self.read():
                raise AssertionError(f"waited for {text!r}; the terminal shows\n{self.everything()}")

    def wait_for_row(self, text):
        """Until the screen shows it now, whatever has scrolled away."""
        deadline = time.monotonic() + PATIENCE
        while text not in "\n".join(self.rows()):
            if time.monotonic() > deadline or not self.read():
                raise AssertionError(f"waited for a row with {text!r}; the terminal shows\n{self.everything()}")

    def wait_for_editor(self):
        """Until keys are the program's to edit, not the terminal's own."""
        deadline = time.monotonic() + PATIENCE
        while termios.tcgetattr(self.fd)[3] & termios.ICANON:
            assert time.monotonic() < deadline, "the line editor does not start"
            self.read()

    def end(self):
        """Waits for the program's end: its exit code, or minus the signal that ended it."""
        deadline = time.monotonic() + PATIENCE
        while self.read():
            if time.monotonic() > deadline:
                raise AssertionError(f"it does not end; the terminal shows\n{self.everything()}")
        _, status = os.waitpid(self.pid, 0)
        self.status = os.waitstatus_to_exitcode(status)
        return self.status


def prompt_file(text):
    file = tempfile.TemporaryFile()
    file.write(text.encode())
    file.seek(0)
    return file
