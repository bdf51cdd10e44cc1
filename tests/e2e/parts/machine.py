"""Machines: a node's file system, processes and mounts, gone without a trace when stopped."""

import contextlib
import os
import pathlib
import resource
import signal
import subprocess
import time

from parts.report import CommandFailed, run, wait_until
from parts.server import die_with_parent

HERE = pathlib.Path(__file__).resolve().parent.parent
ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root", "TMPDIR": "/tmp", "LC_ALL": "C.UTF-8",
}
# Process 1: takes in orphans, and ends when the test does, which closes its standard input.
INIT = ("import signal, sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN); "
        "print('ready', flush=True); sys.stdin.read()")


class Machine:
    """One run of the node: a PID namespace and mounts of its own, on the host's network."""

    def __init__(self, kind, share, log):
        self.kind, self.share, self.log = kind, share, pathlib.Path(log)
        self.holder = self.pid = None

    def __enter__(self):
        # Not a child of the terminal: Ctrl-C reaches the test, and the test stops the machine.
        self.holder = subprocess.Popen(
            [HERE / "node/enter", f"--{self.kind}", "python3", "-c", INIT],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True, preexec_fn=die_with_parent,
            env={**os.environ, "PAGEVAULT_SHARE": str(self.share)})
        if self.holder.stdout.readline() != b"ready\n":
            raise AssertionError("the machine did not start")
        self.pid = child_of(self.holder.pid)
        self.cgroups = container_cgroups()
        return self

    def __exit__(self, *_):
        # Process 1 of the namespace goes with it, and the kernel ends the others and takes the mounts away.
        self.holder.kill()
        self.holder.wait()
        self._remove_cgroups()

    def command(self, *words):
        """The host's command that runs these words inside."""
        variables = [f"{k}={v}" for k, v in ENVIRONMENT.items()]
        return ["nsenter", f"--target={self.pid}", "--mount", "--pid", "env", "-i", *variables, *map(str, words)]

    def run(self, *words, **options):
        started = time.time()
        try:
            return run(self.command(*words), **options)
        except CommandFailed as failed:
            failed.output += self._criu_errors(started)
            raise

    def _criu_errors(self, since):
        """What CRIU says in logs written since then: runtimes only tell where those are."""
        said = []
        for folder in ("/var/lib/containerd", "/var/lib/containers", "/run/containerd", "/e2e/share"):
            for log in self.path(folder).rglob("*.log"):
                with contextlib.suppress(OSError):
                    if log.name in ("dump.log", "restore.log") and log.stat().st_mtime >= since:
                        said += [line for line in log.read_text(errors="replace").splitlines() if "Error" in line]
        return "".join(f"\nCRIU: {line}" for line in said[-10:])

    def start(self, *words):
        """Starts a program that goes on until the machine stops; it writes to the machine's log."""
        with self.log.open("ab") as log:
            return subprocess.Popen(self.command(*words), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                    start_new_session=True)

    def path(self, inside):
        """Where the host sees a file of the machine."""
        return pathlib.Path(f"/proc/{self.pid}/root{inside}")

    def _remove_cgroups(self):
        """Cgroups are all that the kernel leaves behind. One that holds a process cannot be removed."""
        ours = sorted(container_cgroups() - self.cgroups, key=len, reverse=True)

        def removed():
            for group in ours:
                with contextlib.suppress(OSError):
                    os.rmdir(group)
            return not any(map(os.path.exists, ours))

        with contextlib.suppress(AssertionError):
            wait_until("cgroups are removed", removed, 5)


class CriMachine(Machine):
    """A machine with containerd, driven through the CRI as a kubelet does."""

    def __init__(self, share, log):
        super().__init__("cri", share, log)

    def __enter__(self):
        super().__enter__()
        try:
            self.start("containerd", "--config", "/etc/containerd/config.toml")
            wait_until("containerd answers", self._answers)
            self.run("ctr", "-n", "k8s.io", "images", "import", "/e2e/share/pause.tar")
        except BaseException:
            super().__exit__()
            raise
        return self

    def cri(self, *words):
        return self.run("python3", "/e2e/bin/node/cri.py", *words)

    def _answers(self):
        with contextlib.suppress(Exception):
            return self.run("ctr", "version")

    def run_pod(self, pod, name, ref, *args):
        return self.cri("run", pod, "e2e", name, ref, *args)

    def log_of(self, container):
        """The container's output: pairs of time (RFC 3339, so it sorts) and line."""
        _, _, path = self.cri("status", container).splitlines()
        return parse_log(self.path(path).read_text())

    def is_restored(self, container):
        return self.cri("status", container).splitlines()[1] == "restored"


def parse_log(text):
    """Lines of the CRI's log format, `TIME STREAM F LINE`; podman's k8s-file driver writes the same."""
    rows = (line.split(" ", 3) for line in text.splitlines())
    return [(row[0], row[3]) for row in rows if len(row) == 4]


def container_cgroups():
    """The cgroups of all containers on this host, as containerd, podman and buildah name them."""
    found = set()
    for folder, _, _ in os.walk("/sys/fs/cgroup"):
        if any(name in folder for name in ("/k8s.io", "/libpod", "/buildah")):
            found.add(folder)
    return found


def child_of(parent):
    """The one child of a process."""
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            # The program's name may hold spaces and brackets, so read after its end: state, parent, ...
            if int(stat.read_text().rpartition(")")[2].split()[1]) == parent:
                return int(stat.parent.name)
    raise AssertionError(f"process {parent} has no child")


@contextlib.contextmanager
def host_settings():
    """What the host's kernel must be told for CRIU to work in a folder's node; put back at the end."""
    wanted = []
    # CRIU raises RLIMIT_NOFILE to fs.nr_open; without CAP_SYS_RESOURCE that must not exceed the hard limit.
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    nr_open = pathlib.Path("/proc/sys/fs/nr_open")
    if hard != resource.RLIM_INFINITY and int(nr_open.read_text()) > hard:
        wanted.append((nr_open, str(hard)))
    # Where a cgroup v1 cpuset is mounted, new cgroups must inherit CPUs or a restore fails with ENOSPC.
    clone_children = pathlib.Path("/sys/fs/cgroup/cpuset/cgroup.clone_children")
    if clone_children.exists():
        wanted.append((clone_children, "1"))
    before = [(path, path.read_text()) for path, value in wanted if path.read_text().strip() != value]
    try:
        for path, value in wanted:
            path.write_text(value)
        yield
    finally:
        for path, value in before:
            path.write_text(value)


def stop_on_signal():
    """Whatever asks the test to end does what Ctrl-C does, also where a shell has that ignored: it cleans up first."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
