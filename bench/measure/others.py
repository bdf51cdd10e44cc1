"""What one would use today, on the same series in the same run: backup tools, and an image in a plain registry.

All run in the project's node, in the newest versions that Debian has, on the disk that Pagevault's folder is on.
"""

import os
import shutil
import signal

from measure.ours import Step
from measure.process import Meter, stored, timed
from measure.transfers import answers
from parts.machine import child_of
from parts.report import CommandFailed, wait_until
from parts.server import free_port

REGISTRY_CONFIG = """\
version: 0.1
log: {{level: error}}
storage: {{filesystem: {{rootdirectory: {inside}/store}}}}
http: {{addr: "{address}"}}
"""


class Tool:
    """One tool: how it is set up, and how it stores one file. `{tar}`, `{n}` and `{dir}` are filled in."""

    def __init__(self, name, version, setup, add):
        self.name, self.version, self.setup, self.add = name, version, setup, add


RESTIC = "RESTIC_PASSWORD=x restic --no-cache -q -r {dir}/store"
BORG = "BORG_BASE_DIR=/tmp/borg BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK=yes borg"
TOOLS = [
    Tool("zstd", "zstd --version", "mkdir {dir}/store", "zstd -q -3 -T0 {tar} -o {dir}/store/{n}.zst"),
    Tool("restic", "restic version", f"{RESTIC} init", f"{RESTIC} backup {{tar}}"),
    Tool("borg", "borg --version", f"{BORG} init -e none {{dir}}/store",
         f"{BORG} create --compression zstd,3 {{dir}}/store::{{n}} {{tar}}"),
    Tool("casync", "casync --version", "mkdir {dir}/store",
         "casync make --store={dir}/store/chunks.castr {dir}/store/{n}.caibx {tar}"),
]
# As the documentation of Kubernetes makes an image of a checkpoint; then it is pushed.
BUILDAH = """\
c=$(buildah from scratch) && buildah add -q "$c" {tar} / &&
buildah config --annotation=io.kubernetes.cri-o.annotations.checkpoint.name=bench "$c" &&
buildah commit -q "$c" localhost/bench:{n} && buildah rm "$c" &&
buildah push -q --tls-verify=false localhost/bench:{n} docker://{address}/bench/series:{n}"""


def missing(machine, tool):
    """Why a tool cannot be measured, if so."""
    try:
        machine.run("sh", "-c", tool.version)
    except CommandFailed as failed:
        return str(failed).splitlines()[-1]
    return None


def version(machine, tool):
    return machine.run("sh", "-c", tool.version).splitlines()[0].strip("* ")


def inside(machine, path):
    return f"/e2e/share/{path.relative_to(machine.share)}"


def store_series(machine, tool, tars, scratch):
    """Stores each tar with the tool; every number is of the tool alone, its start included."""
    folder = scratch / tool.name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        machine.run("sh", "-c", tool.setup.format(dir=inside(machine, folder)))
        steps = []
        for n, tar in enumerate(tars):
            command = tool.add.format(dir=inside(machine, folder), n=n, tar=inside(machine, tar))
            used = timed(machine.command("sh", "-c", command))
            steps.append(Step(tar.stat().st_size, used.wall, used.cpu, 0.0, used.peak, 0, stored(folder)))
        return steps
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class Registry:
    """A plain registry: Debian's docker-registry, inside the machine, on loopback."""

    def __init__(self, machine, scratch):
        self.machine, self.folder = machine, scratch / "registry"
        self.address = f"127.0.0.1:{free_port()}"
        self.url = f"http://{self.address}"
        self.process = None

    def __enter__(self):
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        here = inside(self.machine, self.folder)
        (self.folder / "config.yml").write_text(REGISTRY_CONFIG.format(inside=here, address=self.address))
        self.process = self.machine.start("docker-registry", "serve", f"{here}/config.yml")
        wait_until("the plain registry answers", lambda: answers(f"{self.url}/v2/"))
        self.pid = child_of(self.process.pid)
        self.meter = Meter(self.pid)
        return self

    def __exit__(self, *_):
        os.kill(self.pid, signal.SIGKILL)
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def store_series(self, tars):
        steps = []
        for n, tar in enumerate(tars):
            script = BUILDAH.format(tar=inside(self.machine, tar), n=n, address=self.address)
            self.meter.reset_peak()
            before = self.meter.cpu()
            used = timed(self.machine.command("sh", "-c", script))
            steps.append(Step(tar.stat().st_size, used.wall, used.cpu, self.meter.cpu() - before, used.peak,
                              self.meter.peak(), stored(self.folder)))
        return steps
