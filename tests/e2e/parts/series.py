"""A series of real checkpoints of one container: what `redis-series`, `python-series` and `java-series` share."""

import argparse
import contextlib
import pathlib
import random
import socket
import tempfile
import time

from parts.machine import CriMachine, Machine, host_settings, stop_on_signal
from parts.report import wait_until
from parts.server import Server, free_port

ROOT = pathlib.Path(__file__).resolve().parents[3]
# Rewritten records lie together in runs, as the sessions of one busy hour do.
RUN = 50
# zstd looks back this far when a checkpoint is packed against the one before: 2^29 is 512 MiB.
PACK_WINDOW_LOG = 29


class Series:
    """One program whose memory fills up and then changes little by little.

    `write(port, ids, rnd)` writes the records of these numbers, on a connection that is closed when it returns: CRIU
    refuses to dump one that is open. `arguments` follow the image's entry point; the port comes last.
    """

    def __init__(self, name, write, arguments=()):
        self.name, self.write, self.arguments = name, write, arguments

    def checkpoints(self, node, image, options, out):
        """Fills the program, then freezes it again and again; gives the path of each tar when it is there."""
        port = free_port()
        node.cri("pull", image)
        pod = f"{self.name}-0"
        container = node.cri("run", pod, "prod", self.name, image, *self.arguments, port)
        rnd = random.Random(1)
        self.write(port, range(options.keys), rnd)
        for _ in range(options.count):
            tar = time.strftime(f"checkpoint-{pod}_prod-{self.name}-%Y-%m-%dT%H:%M:%SZ.tar", time.gmtime())
            node.cri("checkpoint", container, f"/e2e/share/{tar}")
            yield out / tar
            starts = [rnd.randrange(options.keys) for _ in range(max(options.rewritten // RUN, 1))]
            self.write(port, [(start + k) % options.keys for start in starts for k in range(RUN)], rnd)
            time.sleep(1)  # the next name must differ
        node.cri("rm", pod)

    def main(self, doc, keys, rewritten):
        options = parse(doc, keys, rewritten)
        stop_on_signal()
        out = options.folder.resolve()
        out.mkdir(parents=True, exist_ok=True)
        with node_with(self.name, options.binary.resolve(), out) as (node, image):
            pack = Packer(node) if options.packed else None
            for tar in self.checkpoints(node, image, options, out):
                bytes_ = tar.stat().st_size
                kept = pack.add(tar) if pack else tar
                print(kept.name, bytes_, flush=True)
            if pack:
                pack.close()


def parse(doc, keys, rewritten):
    options = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("folder", type=pathlib.Path)
    options.add_argument("--keys", type=int, default=keys, help="records that are held (default: %(default)s)")
    options.add_argument("--rewritten", type=int, default=rewritten,
                         help="of them rewritten from one checkpoint to the next (default: %(default)s)")
    options.add_argument("--count", type=int, default=5, help="checkpoints (default: %(default)s)")
    options.add_argument("--packed", action="store_true",
                         help="keep each as a zstd patch of the one before: a hundred take some hundred MB, not 23 GB")
    options.add_argument("--binary", default=ROOT / "target/release/pagevault", type=pathlib.Path)
    return options.parse_args()


@contextlib.contextmanager
def node_with(name, binary, out):
    """A machine with containerd that can pull the program's image, and the image's reference."""
    with tempfile.TemporaryDirectory(prefix="pagevault-series-") as folder, host_settings():
        server = Server(binary, f"{folder}/data", f"{folder}/pagevault.log")
        try:
            server.start()
            with Machine("podman", out, f"{folder}/builder.log") as builder:
                builder.run("/e2e/bin/node/images", "pause", "/e2e/share/pause.tar")
                builder.run("/e2e/bin/node/images", name, server.address, timeout=300)
            with CriMachine(out, f"{folder}/containerd.log") as node:
                yield node, f"{server.address}/base/{name}:1"
        finally:
            server.stop()
            (out / "pause.tar").unlink(missing_ok=True)


class Packer:
    """Keeps the newest tar only, and each as a patch of the one before it; `unpack` is the other direction."""

    def __init__(self, machine):
        self.machine, self.before = machine, None

    def add(self, tar):
        packed = tar.with_name(f"{tar.name}.zst")
        against = [f"--patch-from=/e2e/share/{self.before.name}"] if self.before else []
        self.machine.run("zstd", "-q", "-f", f"--long={PACK_WINDOW_LOG}", *against,
                         f"/e2e/share/{tar.name}", "-o", f"/e2e/share/{packed.name}")
        self.close()
        self.before = tar
        return packed

    def close(self):
        if self.before:
            self.before.unlink()


def unpack(machine, packed, out, inside):
    """Makes the tars of a packed series again, in order, in `out`, which the machine sees as `inside`.

    Only the newest is there at a time: what was given before is gone when the next one is asked for.
    """
    before = None
    for patch in packed:
        tar = out / patch.name.removesuffix(".zst")
        (out / patch.name).write_bytes(patch.read_bytes())
        against = [f"--patch-from={inside}/{before.name}"] if before else []
        machine.run("zstd", "-q", "-d", "-f", f"--long={PACK_WINDOW_LOG}", *against,
                    f"{inside}/{patch.name}", "-o", f"{inside}/{tar.name}")
        (out / patch.name).unlink()
        if before:
            before.unlink()
        before = tar
        yield tar
    if before:
        before.unlink()


def tell(port, line):
    """Says one line to a program of `node/programs` and waits until it has done what that means."""
    def connect():
        with contextlib.suppress(OSError):
            return socket.create_connection(("127.0.0.1", port), timeout=120)
    with wait_until("the program answers", connect, 60) as connection:
        connection.sendall(f"{line}\n".encode())
        answer = connection.makefile("rb").readline()
    assert answer == b"ok\n", f"the program answered {answer!r}"


def write_by_telling(port, ids, rnd):
    """The program makes the records itself: it is told a seed, and stretches of numbers."""
    stretches = [f"{ids[at]}" for at in range(0, len(ids), RUN)]
    tell(port, f"{rnd.getrandbits(31)} {RUN} {' '.join(stretches)}")
