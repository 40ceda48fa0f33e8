"""The daemons that mDNS needs, on a machine of the tests: a D-Bus and an Avahi of its own."""
import pathlib
import shutil
import subprocess

from namespaces import Machine, cable
from rings import wait_until

WHY = "skipped: there is no dbus-daemon or no avahi-daemon"
BUS = """<busconfig>
  <type>system</type>
  <listen>unix:path={bus}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*"/><allow receive_sender="*"/><allow own="*"/><allow user="*"/>
  </policy>
</busconfig>
"""
AVAHI = "[server]\nhost-name={name}\nuse-ipv6=no\n"
# The daemon's folder for its process id and socket is the machine's own.
START = ("mkdir -p /run/avahi-daemon && mount -t tmpfs none /run/avahi-daemon && "
         "exec avahi-daemon --no-chroot --no-drop-root --no-rlimits -f \"$0\"")


def are_there():
    return bool(shutil.which("dbus-daemon") and shutil.which("avahi-daemon"))


def bus_of(machine):
    return machine.folder / "bus"


def environment(machine):
    """What finds the machine's own bus instead of the system's."""
    return {"DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={bus_of(machine)}"}


def inside(machine, *words):
    return ["ip", "netns", "exec", machine.namespace, "env",
            *(f"{name}={value}" for name, value in environment(machine).items()), *words]


def start(test, machine, *command):
    log = open(machine.folder / f"{command[-1].rsplit('/', 1)[-1]}.log", "w", encoding="utf-8")
    test.addCleanup(log.close)
    process = subprocess.Popen(inside(machine, *command), stdout=log, stderr=subprocess.STDOUT)

    def end():
        process.terminate()
        process.wait()

    test.addCleanup(end)
    return process, log.name


def start_bus(test, machine):
    config = machine.folder / "bus.conf"
    config.write_text(BUS.format(bus=bus_of(machine)))
    start(test, machine, "dbus-daemon", "--nofork", "--nopidfile", f"--config-file={config}")
    wait_until(bus_of(machine).exists, "a D-Bus")


def start_avahi(test, machine):
    config = machine.folder / "avahi.conf"
    config.write_text(AVAHI.format(name=machine.name))
    process, log = start(test, machine, "unshare", "--mount", "sh", "-c", START, str(config))
    wait_until(lambda: "Server startup complete" in pathlib.Path(log).read_text(), "Avahi")
    return process


class Lan:
    """A switch with a machine at each port: the machine's link is lan0."""

    def __init__(self, test, name="lan"):
        self.test, self.ports = test, 0
        self.switch = Machine(test, name)
        self.switch.ip("link", "add", "bridge", "type", "bridge", "mcast_snooping", "0")
        self.switch.ip("link", "set", "bridge", "up")

    def machine(self, name, *addresses):
        machine = Machine(self.test, name)
        port = f"port{self.ports}"
        self.ports += 1
        cable(machine, "lan0", self.switch, port)
        self.switch.ip("link", "set", port, "master", "bridge", "up")
        machine.address("lan0", *addresses)
        return machine
