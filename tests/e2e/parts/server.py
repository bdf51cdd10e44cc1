"""The server under test: the released binary, on a free port of loopback."""

import ctypes
import json
import pathlib
import signal
import socket
import subprocess
import urllib.error
import urllib.request

from parts.report import run, wait_until

LIBC = ctypes.CDLL(None)
PR_SET_PDEATHSIG = 1


def die_with_parent():
    """Run in a child before it starts its program: it is killed when the test is, however that ends."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Server:
    """`pagevault serve`, and the commands that talk to it."""

    def __init__(self, binary, data, log):
        self.binary, self.data, self.log = str(binary), str(data), pathlib.Path(log)
        self.address = f"127.0.0.1:{free_port()}"
        self.url = f"http://{self.address}"
        self.process = None

    def start(self):
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [self.binary, "serve", "--listen", self.address, "--data", self.data],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, preexec_fn=die_with_parent)
        wait_until("the server is ready", self._ready)

    def stop(self):
        """Asks politely, then does not."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self):
        self.process.kill()
        self.process.wait()

    def push_command(self, tar, ref):
        return [self.binary, "push", str(tar), "--server", self.url, "--ref", ref, "--json"]

    def push(self, tar, ref):
        """Pushes a checkpoint and returns what the command says of it."""
        return json.loads(run(self.push_command(tar, ref)))

    def pull(self, ref, out):
        run([self.binary, "pull", ref, "-o", str(out), "--server", self.url])

    def list(self):
        """All checkpoints, as the command lists them."""
        return json.loads(run([self.binary, "ls", "--json", "--limit", "10000", "--server", self.url]))["items"]

    def tags(self, repository):
        with urllib.request.urlopen(f"{self.url}/v2/{repository}/tags/list", timeout=10) as answer:
            return json.load(answer)["tags"]

    def _ready(self):
        if self.process.poll() is not None:
            raise AssertionError(f"the server ended with code {self.process.returncode}")
        try:
            with urllib.request.urlopen(f"{self.url}/readyz", timeout=2) as answer:
                return answer.status == 200
        except (urllib.error.URLError, OSError):
            return False
