"""Pagevault: a series pushed through the released server, and pulled back."""

import contextlib
import dataclasses
import json
import pathlib
import shutil

from measure.process import Meter, stored, timed
from parts.clients import sha256
from parts.server import Server


@dataclasses.dataclass
class Step:
    """One checkpoint put into a store: the client or command, the server if there is one, the store after it."""

    raw: int
    wall: float
    cpu: float
    server_cpu: float
    client_peak: int
    server_peak: int
    stored: int


@contextlib.contextmanager
def fresh_server(binary, scratch):
    """The released server on an empty folder, and its meter; both are gone afterwards."""
    folder = scratch / "pagevault"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    server = Server(binary, folder / "data", folder / "log")
    try:
        server.start()
        yield server, Meter(server.process.pid)
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def push(server, meter, tar, ref):
    """Pushes one checkpoint; the answer comes when it can be pulled."""
    meter.reset_peak()
    before = meter.cpu()
    used = timed(server.push_command(tar, ref))
    return Step(tar.stat().st_size, used.wall, used.cpu, meter.cpu() - before, used.peak, meter.peak(),
                stored(server.data)), json.loads(used.output)


def store_series(server, meter, tars, name):
    """Pushes a whole series; `name` is its repository."""
    return [push(server, meter, tar, f"{name}:{number}")[0] for number, tar in enumerate(tars)]


def identical(server, tars, name, scratch):
    """Pulls all of it back: a number about bytes that cannot be had again is worth nothing."""
    out = pathlib.Path(scratch) / "pulled.tar"
    for number, tar in enumerate(tars):
        server.pull(f"{name}:{number}", out)
        assert sha256(out) == sha256(tar), f"{tar.name} came back as something else"
        out.unlink()


def series(binary, scratch, tars, runs):
    """Several runs on empty folders; each gives the steps of the whole series."""
    measured = []
    for turn in range(runs):
        with fresh_server(binary, scratch) as (server, meter):
            measured.append(store_series(server, meter, tars, "bench/series"))
            if turn == 0:
                identical(server, tars, "bench/series", scratch)
    return measured
