"""Blobs and manifests over HTTP, by the cheapest client there is: curl, writing to nowhere."""

import concurrent.futures
import contextlib
import dataclasses
import json
import random
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request

from parts.clients import MANIFEST, sha256
from parts.server import die_with_parent

BLOCK = 1 << 20
CONNECTIONS = 8


def answers(url):
    with contextlib.suppress(urllib.error.URLError, OSError):
        with urllib.request.urlopen(url, timeout=2) as answer:
            return answer.status == 200


@dataclasses.dataclass
class Flow:
    """Bytes that went one way, the time they took, and the CPU time of the server."""

    moved: int
    wall: float
    server_cpu: float

    def rate(self):
        return self.moved / self.wall / 1e9


def together(commands):
    """Runs commands at once, waits for all, and returns the seconds that took."""
    start = time.monotonic()
    children = [subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                 preexec_fn=die_with_parent) for command in commands]
    codes = [child.wait() for child in children]
    wall = time.monotonic() - start
    assert not any(codes), f"curl ended with {codes}"
    return wall


def layer(url, repository, tag):
    """URL and size of the one layer of an image."""
    request = urllib.request.Request(f"{url}/v2/{repository}/manifests/{tag}", headers={"Accept": MANIFEST})
    with urllib.request.urlopen(request) as answer:
        found = json.load(answer)["layers"][0]
    return f"{url}/v2/{repository}/blobs/{found['digest']}", found["size"]


def pull(urls, size, streams, times, meter):
    """Each stream gets its blob again and again on one connection; streams share out the URLs."""
    commands = []
    for stream in range(streams):
        commands.append(["curl", "-sS", "--fail"])
        for _ in range(times):
            commands[-1] += ["-o", "/dev/null", urls[stream % len(urls)]]
    before = meter.precise_cpu()
    wall = together(commands)
    return Flow(size * streams * times, wall, meter.precise_cpu() - before)


def upload_target(url, repository, digest):
    """Begins an upload and returns where its content goes."""
    request = urllib.request.Request(f"{url}/v2/{repository}/blobs/uploads/", method="POST", data=b"")
    with urllib.request.urlopen(request) as answer:
        target = urllib.parse.urljoin(url, answer.headers["Location"])
    return f"{target}{'&' if '?' in target else '?'}digest={digest}"


def push(url, repository, files, meter):
    """Uploads files at once, one request each, and returns the URLs of the blobs besides."""
    with concurrent.futures.ThreadPoolExecutor() as pool:
        digests = list(pool.map(sha256, files))
    commands = []
    for file, digest in zip(files, digests, strict=True):
        target = upload_target(url, repository, digest)
        commands.append(["curl", "-sS", "--fail", "-H", "Content-Type: application/octet-stream", "-H", "Expect:",
                         "-T", str(file), "-X", "PUT", target])
    before = meter.precise_cpu()
    wall = together(commands)
    flow = Flow(sum(file.stat().st_size for file in files), wall, meter.precise_cpu() - before)
    return flow, [f"{url}/v2/{repository}/blobs/{digest}" for digest in digests]


def tiny_image(url, repository, scratch, meter):
    """Puts the smallest image there is as `REPOSITORY:tiny`."""
    config = scratch / "tiny"
    config.write_text("{}")
    _, [blob] = push(url, repository, [config], meter)
    config.unlink()
    descriptor = {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": blob.rpartition("/")[2], "size": 2}
    manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": descriptor, "layers": []}
    request = urllib.request.Request(f"{url}/v2/{repository}/manifests/tiny", method="PUT",
                                     data=json.dumps(manifest).encode(), headers={"Content-Type": MANIFEST})
    with urllib.request.urlopen(request) as answer:
        assert answer.status == 201


def manifests(url, repository, tag, count, meter):
    """CPU seconds of the server for one GET of a manifest, of so many on each of eight connections."""
    # What follows the mark is not sent: it makes curl ask again and again.
    again = f"{url}/v2/{repository}/manifests/{tag}#[1-{count}]"
    command = ["curl", "-sS", "--fail", "-H", f"Accept: {MANIFEST}", "-o", "/dev/null", again]
    together([command])
    before = meter.precise_cpu()
    together([command] * CONNECTIONS)
    return (meter.precise_cpu() - before) / (count * CONNECTIONS)


def incompressible(folder, count, size):
    """Files of bytes that neither compress nor resemble each other."""
    files = []
    for n in range(count):
        rnd = random.Random(n)
        files.append(folder / f"blob-{n}")
        with files[-1].open("wb") as file:
            for _ in range(0, size, BLOCK):
                file.write(rnd.randbytes(BLOCK))
    return files
