"""Much at once and much in all: memory under load, a hundred checkpoints of one program, 20 GB that share nothing."""

import pathlib
import random
import shutil
import tarfile

from measure import transfers
from measure.ours import fresh_server, push
from measure.process import MB
from parts.clients import same, sha256

PARALLEL = 8
SMALL = 100 * MB
# Members that say whose checkpoint it is; a name in there is as long in every variant, so that nothing moves.
IDENTITY = ("spec.dump", "config.dump", "status.dump")


def parallel_blobs(binary, scratch, size):
    """Peak memory while eight plain blobs come in at once, and go out at once."""
    folder = scratch / "blobs"
    folder.mkdir(parents=True)
    try:
        with fresh_server(binary, scratch) as (server, meter):
            files = transfers.incompressible(folder, PARALLEL, size)
            meter.reset_peak()
            pushed, urls = transfers.push(server.url, "bench/plain", files, meter)
            peaks = [meter.peak()]
            meter.reset_peak()
            pulled = transfers.pull(urls, files[0].stat().st_size, PARALLEL, 1, meter)
            peaks.append(meter.peak())
            return {"size": size, "push_peak": peaks[0], "pull_peak": peaks[1],
                    "push_rate": pushed.rate(), "pull_rate": pulled.rate()}
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def small_requests(url, meter, scratch):
    """CPU of a server for one plain blob of 100 MB in and out, and for the manifest of an image without layers."""
    folder = scratch / "small"
    folder.mkdir(parents=True)
    try:
        files = transfers.incompressible(folder, 1, SMALL)
        transfers.tiny_image(url, "bench/plain", folder, meter)
        pushed, urls = transfers.push(url, "bench/plain", files, meter)
        transfers.pull(urls, files[0].stat().st_size, 1, 1, meter)
        pulled = transfers.pull(urls, files[0].stat().st_size, 1, 5, meter)
        return {"push": pushed.server_cpu, "pull": pulled.server_cpu / 5,
                "manifest": transfers.manifests(url, "bench/plain", "tiny", 1000, meter)}
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def hundred(binary, scratch, tars, times):
    """A long series of one program: what is stored in the end, and how fast the newest comes back."""
    steps = []
    with fresh_server(binary, scratch) as (server, meter):
        for number, tar in enumerate(tars):
            steps.append(push(server, meter, tar, f"bench/long:{number}")[0])
            if (number + 1) % 10 == 0:
                print(f"# {number + 1} pushed, {steps[-1].stored / MB:.1f} MB stored", flush=True)
            digest, newest = sha256(tar), number
        out = scratch / "newest.tar"
        server.pull(f"bench/long:{newest}", out)
        same(sha256(out), digest)
        out.unlink()
        url, size = transfers.layer(server.url, "bench/long", newest)
        first, _ = transfers.layer(server.url, "bench/long", 0)
        flows = {name: transfers.pull([url], size, streams, times, meter)
                 for name, (url, streams) in {"newest": (url, 1), "newest, two": (url, 2), "first": (first, 1)}.items()}
    return {"steps": steps, "pull": flows}


class Variants:
    """Ever other checkpoints from one: another pod, and other bytes in memory that compress just as well.

    Each byte but zero becomes another, by a substitution of its own for each variant. So no page equals one of another
    variant, while zero pages stay zero and repetitions stay repetitions.
    """

    def __init__(self, tar, pod):
        self.bytes, self.pod = tar.read_bytes(), pod.encode()
        with tarfile.open(tar) as archive:
            members = [(pathlib.PurePath(m.name), m.offset_data, m.size) for m in archive]
        self.pages = [(at, size) for path, at, size in members if path.match("pages-*.img")]
        self.identity = [(at, size) for path, at, size in members if path.name in IDENTITY]

    def write(self, number, out):
        data = bytearray(self.bytes)
        others = list(range(1, 256))
        random.Random(number).shuffle(others)
        table = bytes([0, *others])
        for at, size in self.pages:
            data[at:at + size] = data[at:at + size].translate(table)
        name = f"{number:0{len(self.pod)}d}".encode()
        for at, size in self.identity:
            data[at:at + size] = data[at:at + size].replace(self.pod, name)
        out.write_bytes(data)
        return out


def soak(binary, scratch, tar, pod, total):
    """Ingests distinct checkpoints until so many bytes are in, and tells the peak of the server's memory."""
    variants = Variants(tar, pod)
    ingested, peaks, steps = 0, [], []
    with fresh_server(binary, scratch) as (server, meter):
        while ingested < total:
            made = variants.write(len(steps), scratch / "variant.tar")
            step, said = push(server, meter, made, f"bench/soak-{len(steps)}:1")
            assert said.get("base") is None, f"not distinct: {said}"
            steps.append(step)
            peaks.append(step.server_peak)
            ingested += step.raw
        made.unlink()
    return {"ingested": ingested, "count": len(steps), "peak": max(peaks), "last_peak": peaks[-1],
            "stored": steps[-1].stored, "wall": sum(step.wall for step in steps)}
