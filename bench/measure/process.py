"""Seconds, CPU seconds and peak memory of commands and of servers."""

import contextlib
import dataclasses
import os
import pathlib
import subprocess
import time

from parts.report import CommandFailed
from parts.server import die_with_parent

TICKS = os.sysconf("SC_CLK_TCK")
MB = 1_000_000
MIB = 1 << 20


@dataclasses.dataclass
class Usage:
    """What a command took. Its peak memory is never below that of this script, from which it was forked: 20 MB."""

    wall: float
    cpu: float
    peak: int
    output: bytes = b""


def timed(command, *, env=None, cwd=None):
    """Runs a command to its end. Processes that it waited for count too."""
    start = time.monotonic()
    child = subprocess.Popen(list(map(str, command)), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, env=env, cwd=cwd, preexec_fn=die_with_parent)
    output = child.stdout.read()
    _, status, used = os.wait4(child.pid, 0)
    wall = time.monotonic() - start
    child.stdout.close()
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise CommandFailed(command, child.returncode, output.decode(errors="replace"))
    return Usage(wall, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024, output)


class Meter:
    """CPU seconds and peak memory of a process that goes on."""

    def __init__(self, pid):
        self.proc = pathlib.Path(f"/proc/{pid}")

    def cpu(self):
        # The program's name may hold spaces, so read after its end: utime and stime are fields 14 and 15 of proc(5).
        fields = (self.proc / "stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def precise_cpu(self):
        """In nanoseconds instead of ticks of 10 ms; of the threads that are alive."""
        spent = 0
        for schedstat in self.proc.glob("task/*/schedstat"):
            with contextlib.suppress(OSError):
                spent += int(schedstat.read_text().split()[0])
        return spent / 1e9

    def peak(self):
        for line in (self.proc / "status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
        raise AssertionError("no VmHWM")

    def reset_peak(self):
        (self.proc / "clear_refs").write_text("5")


def stored(folder):
    """Bytes that a folder takes on the disk, as du counts them."""
    total = 0
    for here, _, files in os.walk(folder):
        for path in [here, *(os.path.join(here, name) for name in files)]:
            with contextlib.suppress(FileNotFoundError):  # something temporary that is gone
                total += os.lstat(path).st_blocks * 512
    return total


def warm(paths):
    """Reads files once, so that the first tool to come finds them in memory like the others do."""
    for path in paths:
        with open(path, "rb") as file:
            while file.read(8 * MIB):
                pass
