#!/usr/bin/env python3
"""Pagevault beside Debian's docker-registry, in one run: what pushes and pulls cost; and that it does not matter how
much is stored.

  tests/bench/registry.py [--binary PATH] [--docker-registry PATH] [--scale PERCENT] [--manifests N] [--results FILE]

Both serve a fresh folder of the same disk, one after the other, with the same data and the same clients, which are
another process: `cargo build --release -p pagevault-tests --example load`. CPU is that of the server's threads, as the
kernel counts it. Each table replaces the section of the results file that has its heading; without a file it is printed.
Without `--docker-registry` the package is downloaded and unpacked, not installed.
"""

import argparse
import contextlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "e2e"))

from parts.machine import stop_on_signal  # noqa: E402
from parts.report import run, wait_until  # noqa: E402
from parts.server import Server, die_with_parent, free_port  # noqa: E402

HEADING = "## Registry: beside docker-registry"
GROWTH = "## Registry: whatever is stored"
# Rows of DESIGN that the table answers, in the words of the load generator: milliseconds of the server's CPU, or MiB.
TARGETS = {"push 100 MiB, one PUT": "≤ 180 ms", "pull 100 MiB": "≤ 130 ms", "GET manifest by tag": "≤ 0.05 ms",
           "push 8 x 1 GiB at once": "≤ 128 MiB", "pull 8 x 1 GiB at once": "≤ 128 MiB"}


class DockerRegistry:
    """Debian's docker-registry, as it is configured for a folder, deletes on."""

    def __init__(self, program, folder):
        self.program, self.folder = str(program), folder
        self.address = f"127.0.0.1:{free_port()}"
        self.process = None

    def start(self):
        config = self.folder / "config.yml"
        config.write_text(f"version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\n"
                          f"storage: {{filesystem: {{rootdirectory: {self.folder}/data}}, delete: {{enabled: true}}}}\n"
                          f"http: {{addr: '{self.address}'}}\n")
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen([self.program, "serve", str(config)], stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, start_new_session=True, preexec_fn=die_with_parent)
        wait_until("docker-registry answers", self._answers)

    def stop(self):
        self.process.kill()
        self.process.wait()

    def _answers(self):
        with contextlib.suppress(OSError):
            import urllib.request
            return urllib.request.urlopen(f"http://{self.address}/v2/", timeout=2).status == 200


def docker_registry(folder):
    """The program out of Debian's package; with a notice of its version."""
    run(["apt-get", "download", "-qq", "docker-registry"], cwd=folder)
    package = next(folder.glob("*.deb"))
    run(["dpkg", "-x", str(package), str(folder)])
    return folder / "usr/bin/docker-registry"


def lines_of(load, server, what, *options):
    """What the load generator says of a server, also printed here as it comes."""
    command = [str(load), what, "--address", server.address, "--pid", str(server.process.pid), *options]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                          preexec_fn=die_with_parent) as process:
        for line in process.stdout:
            print(f"# {line.strip()}", flush=True)
            yield json.loads(line)
    if process.returncode:
        raise SystemExit(f"the load generator ended with {process.returncode}")


def measure(load, server, scale):
    """Rows by their names."""
    server.start()
    try:
        return {row["what"]: row for row in lines_of(load, server, "bench", "--scale", str(scale))}
    finally:
        server.stop()


def grown(load, server, manifests):
    """Rows of a repository as it grows, and the seconds from a start after kill -9 until the server is ready."""
    server.start()
    try:
        rows = list(lines_of(load, server, "grow", "--manifests", str(manifests)))
        server.kill()
        begun = time.monotonic()
        server.start()
        return rows, time.monotonic() - begun
    finally:
        server.stop()


def number(value):
    return f"{value:.0f}" if value >= 100 or isinstance(value, int) else f"{value:.1f}" if value >= 10 else f"{value:.2f}" if value >= 0.1 else f"{value:.3f}"


def table(ours, theirs, about):
    lines = [HEADING, "", about, "",
             "| | CPU, ms each | target | docker-registry | p50, ms | p99, ms | docker-registry p50, p99 | peak MiB | docker-registry |",
             "|---|---|---|---|---|---|---|---|---|"]
    for what, row in ours.items():
        other = theirs.get(what)
        cpu, p50, p99, peak = (f"{number(other[k])}" if other else "–" for k in ("cpuMs", "p50Ms", "p99Ms", "peakMiB"))
        lines.append(f"| {what} | {number(row['cpuMs'])} | {TARGETS.get(what, '')} | {cpu} | {number(row['p50Ms'])} | "
                     f"{number(row['p99Ms'])} | {p50}, {p99} | {row['peakMiB']} | {peak} |")
    return "\n".join(lines) + "\n"


def growth_table(rows, seconds):
    """For each question what it costs in the smallest repository, and how many times that in the larger ones."""
    sizes = sorted({row["manifests"] for row in rows})
    of = {(row["what"], row["manifests"]): row for row in rows}
    lines = [GROWTH, "",
             f"One client asks for one thing by name, in a repository of {', '.join(f'{n:,}' for n in sizes)} manifests with as many "
             f"tags. After kill -9 with all of them the server is ready in {seconds:.2f} s (target ≤ 1 s). Load of the machine at "
             f"the end {os.getloadavg()[0]:.1f}.", "",
             f"| | p50 at {sizes[0]:,}, ms | CPU, ms | " + " | ".join(f"p50, CPU at {n:,}" for n in sizes[1:]) + " |",
             "|---" * (2 + len(sizes)) + "|"]
    for what in dict.fromkeys(row["what"] for row in rows):
        first = of[what, sizes[0]]
        later = [", ".join(f"× {of[what, n][key] / first[key]:.2f}" for key in ("p50Ms", "cpuMs")) for n in sizes[1:]]
        lines.append(f"| {what} | {number(first['p50Ms'])} | {number(first['cpuMs'])} | " + " | ".join(later) + " |")
    return "\n".join(lines) + "\n"


def write(path, section):
    """Puts the section in place of the one with its heading, or at the end."""
    heading = section.split("\n", 1)[0]
    text = path.read_text() if path.exists() else "# Results\n"
    before, found, after = text.partition(heading)
    rest = re.search(r"^## ", after, re.MULTILINE)
    tail = after[rest.start():] if found and rest else ""
    path.write_text(before.rstrip("\n") + "\n\n" + section + ("\n" + tail if tail else ""))


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--binary", default=HERE.parents[1] / "target/release/pagevault", type=pathlib.Path)
    options.add_argument("--docker-registry", default=shutil.which("docker-registry"), type=pathlib.Path)
    options.add_argument("--scale", default=100, type=int)
    options.add_argument("--manifests", default=100_000, type=int, help="those of the largest repository")
    options.add_argument("--results", type=pathlib.Path)
    options = options.parse_args()
    stop_on_signal()
    binary = options.binary.resolve()
    load = binary.parent / "examples/load"
    with tempfile.TemporaryDirectory(prefix="pagevault-bench-") as folder:
        folder = pathlib.Path(folder)
        for part in ("ours", "theirs", "package", "grown"):
            (folder / part).mkdir()
        program = options.docker_registry or docker_registry(folder / "package")
        version = run([str(program), "--version"]).split()[-1]
        ours = measure(load, Server(binary, folder / "ours/data", folder / "ours/log"), options.scale)
        shutil.rmtree(folder / "ours")
        theirs = measure(load, DockerRegistry(program, folder / "theirs"), options.scale)
        growth = growth_table(*grown(load, Server(binary, folder / "grown/data", folder / "grown/log"), options.manifests))
    about = (f"docker-registry {version}, same disk, same data, same clients in one run on {os.cpu_count()} cores; load of the "
             f"machine at the end {os.getloadavg()[0]:.1f}. Ours syncs files and folders before it acknowledges. "
             f"A push or pull is an image of one layer of that size and a configuration of 2 KiB.")
    for section in (table(ours, theirs, about), growth):
        if options.results:
            write(options.results, section)
        else:
            print(section)


if __name__ == "__main__":
    main()
