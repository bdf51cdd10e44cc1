#!/usr/bin/env python3
"""Pagevault beside Debian's docker-registry, in one run: what pushes and pulls cost.

  tests/bench/registry.py [--binary PATH] [--docker-registry PATH] [--scale PERCENT] [--results FILE]

Both serve a fresh folder of the same disk, one after the other, with the same data and the same clients, which are
another process: `cargo build --release -p pagevault-tests --example load`. CPU is that of the server's threads, as the
kernel counts it. The table replaces the section of the results file that has its heading; without a file it is printed.
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

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "e2e"))

from parts.machine import stop_on_signal  # noqa: E402
from parts.report import run, wait_until  # noqa: E402
from parts.server import Server, die_with_parent, free_port  # noqa: E402

HEADING = "## Registry: beside docker-registry"
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


def measure(load, server, scale):
    """Rows by their names. What the load generator prints first is printed here as it comes."""
    server.start()
    try:
        command = [str(load), "bench", "--address", server.address, "--pid", str(server.process.pid), "--scale", str(scale)]
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                              preexec_fn=die_with_parent) as process:
            rows = {}
            for line in process.stdout:
                row = json.loads(line)
                rows[row["what"]] = row
                print(f"# {line.strip()}", flush=True)
        if process.returncode:
            raise SystemExit(f"the load generator ended with {process.returncode}")
        return rows
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


def write(path, section):
    """Puts the section in place of the one with its heading, or at the end."""
    text = path.read_text() if path.exists() else "# Results\n"
    before, found, after = text.partition(HEADING)
    rest = re.search(r"^## ", after, re.MULTILINE)
    tail = after[rest.start():] if found and rest else ""
    path.write_text(before.rstrip("\n") + "\n\n" + section + ("\n" + tail if tail else ""))


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--binary", default=HERE.parents[1] / "target/release/pagevault", type=pathlib.Path)
    options.add_argument("--docker-registry", default=shutil.which("docker-registry"), type=pathlib.Path)
    options.add_argument("--scale", default=100, type=int)
    options.add_argument("--results", type=pathlib.Path)
    options = options.parse_args()
    stop_on_signal()
    binary = options.binary.resolve()
    load = binary.parent / "examples/load"
    with tempfile.TemporaryDirectory(prefix="pagevault-bench-") as folder:
        folder = pathlib.Path(folder)
        for part in ("ours", "theirs", "package"):
            (folder / part).mkdir()
        program = options.docker_registry or docker_registry(folder / "package")
        version = run([str(program), "--version"]).split()[-1]
        ours = measure(load, Server(binary, folder / "ours/data", folder / "ours/log"), options.scale)
        shutil.rmtree(folder / "ours")
        theirs = measure(load, DockerRegistry(program, folder / "theirs"), options.scale)
    about = (f"docker-registry {version}, same disk, same data, same clients in one run on {os.cpu_count()} cores; load of the "
             f"machine at the end {os.getloadavg()[0]:.1f}. Ours syncs files and folders before it acknowledges. "
             f"A push or pull is an image of one layer of that size and a configuration of 2 KiB.")
    section = table(ours, theirs, about)
    if options.results:
        write(options.results, section)
    else:
        print(section)


if __name__ == "__main__":
    main()
