"""Real rings for tests: potluck processes in a session of their own, and what is left of them afterwards."""
import contextlib
import json
import os
import pathlib
import signal
import subprocess
import tempfile
import time

POTLUCK = os.environ["POTLUCK"]  # the program under test
SOURCE = pathlib.Path(__file__).resolve().parents[1]
NANO = str(SOURCE / "tests/golden/nano/model-bf16.gguf")
# Random weights seldom settle: an answer of many steps, some milliseconds each.
SLOW = "synthetic:nano?layers=6&hidden=128&vocab=2048&canvas=32&seed=3"
# No test reads or makes the keys of whoever runs it.
CONFIG = tempfile.TemporaryDirectory()
os.environ["XDG_CONFIG_HOME"] = CONFIG.name
SLOWNESS = int(os.environ.get("POTLUCK_SLOWNESS", "1"))
PATIENCE = 60 * SLOWNESS  # seconds after which a test calls it a hang
HAS_TSAN = SLOWNESS >= 10  # it writes a file of its own as a program begins
IS_SANITIZED = SLOWNESS > 1  # by what reads /proc, and takes memory of its own, which no plan counts


def processes_of(session):
    """Ids of the processes of a session that are not zombies."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            state, _, _, sid = (entry / "stat").read_text().rsplit(")", 1)[1].split()[:4]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(sid) == session and state != "Z":
            found.append(int(entry.name))
    return found


def workers_of(session):
    """Name → process id of the workers that a coordinator of this session started."""
    names = {}
    for pid in processes_of(session):
        try:
            words = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if "worker" in words[:2] and "--name" in words:
            names[words[words.index("--name") + 1]] = pid
    return names


def wait_until(condition, what, seconds=PATIENCE):
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds} s for {what}")
        time.sleep(0.005)
    return value


class Running:
    """`potluck ARGUMENTS…` in a session of its own, its output in files. program: what is called in potluck's place."""

    def __init__(self, *arguments, env=None, cwd=None, program=(POTLUCK,)):
        self.out, self.err = tempfile.TemporaryFile(), tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            [*program, *arguments], stdin=subprocess.DEVNULL, stdout=self.out, stderr=self.err,
            start_new_session=True, env={**os.environ, **(env or {})}, cwd=cwd)  # fmt: skip
        self.session = self.process.pid

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for pid in processes_of(self.session):
            with contextlib.suppress(ProcessLookupError):  # it has just ended by itself
                os.kill(pid, signal.SIGKILL)
        self.process.wait()
        self.out.close()
        self.err.close()

    def text(self, file):
        file.seek(0)
        return file.read().decode()

    def stdout(self):
        return self.text(self.out)

    def stderr(self):
        return self.text(self.err)

    def wait(self, seconds=PATIENCE):
        """The exit code; a hang is an error that shows what was said."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {seconds} s; stderr:\n{self.stderr()}") from None

    def wait_for_workers(self, *names):
        return wait_until(lambda: (w := workers_of(self.session)) and all(n in w for n in names) and w, names)

    def wait_for_steps(self):
        """Until denoising has begun (needs --show text)."""
        wait_until(lambda: "first step" in self.stderr() or self.process.poll() is not None, "the first step")

    def wait_for_endpoint(self):
        """Of a worker: where it listens."""
        line = wait_until(lambda: "\n" in self.stdout() and self.stdout() or self.process.poll() is not None and "-",
                          "an endpoint")  # fmt: skip
        assert line.startswith("listening on "), self.stderr()
        return line.split()[2]


def potluck(*arguments, code=0, **options):
    """Runs to its end; checks the exit code; gives back (stdout, stderr)."""
    with Running(*arguments, **options) as run:
        found = run.wait()
        assert found == code, f"potluck {' '.join(arguments)}: exit {found}, not {code}; stderr:\n{run.stderr()}"
        left = processes_of(run.session)
        assert not left, f"left running: {left}"
        return run.stdout(), run.stderr()


def answer(*arguments, model=SLOW, prompt="hello there", seed=7):
    """run --json as a dict."""
    return json.loads(potluck("run", "-m", model, "-p", prompt, "--raw", "--json", "-s", str(seed), *arguments)[0])


def plan_text(head, *stages):
    """A plan of endpoints; a stage is (endpoint or None for `start: here`, layers)."""
    text = f"version: 1\ncontext: 512\nhead:\n  {place(head)}\nstages:\n"
    for endpoint, layers in stages:
        text += f"  - {place(endpoint)}\n    layers: {layers}\n"
    return text


def place(endpoint):
    return f"endpoint: {endpoint}" if endpoint else "start: here"
