"""Every client's copy of a checkpoint image, compared byte for byte with the runtime's own tar."""

import contextlib
import hashlib
import http.client
import json
import pathlib
import shutil

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"


def sha256(path):
    with open(path, "rb") as f:
        return "sha256:" + hashlib.file_digest(f, "sha256").hexdigest()


def sha256_of(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def same(got, want):
    assert got == want, f"{got} is not {want}"


class Image:
    """What was pushed: a reference, the digest that push told, and the digest of the uncompressed tar."""

    def __init__(self, server, ref, digest, tar):
        self.server, self.digest = server, digest
        self.repository, _, self.tag = ref.rpartition(":")
        self.ref = f"{server.address}/{ref}"
        self.layer, self.size = sha256(tar), pathlib.Path(tar).stat().st_size

    def at(self, digest):
        return f"{self.server.address}/{self.repository}@{digest}"


def get(image, kind, what, headers=(), method="GET"):
    """A plain HTTP request: status, headers, body."""
    connection = http.client.HTTPConnection(image.server.address, timeout=60)
    with contextlib.closing(connection):
        connection.request(method, f"/v2/{image.repository}/{kind}/{what}", headers=dict(headers))
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()


def compare(report, machine, image, scratch):
    """Runs every client. `scratch` is a folder of the host that the machine sees as /e2e/share/NAME."""
    checks = (http_manifest, http_plain, http_zstd, http_range, pagevault, skopeo_dir, skopeo_oci, crane_blob,
              crane_pull, oras_blob, oras_copy, podman)
    for check in checks:
        folder = scratch / check.__name__
        folder.mkdir(parents=True)
        inside = f"/e2e/share/{scratch.name}/{check.__name__}"
        with report.check(f"{check.__name__.replace('_', ' ')}: {image.repository}"):
            check(machine, image, folder, inside)
        shutil.rmtree(folder)


def http_manifest(_machine, image, _folder, _inside):
    """The image is one manifest with one layer: the runtime's tar, uncompressed."""
    status, headers, body = get(image, "manifests", image.tag, {"Accept": MANIFEST})
    same(status, 200)
    same(headers["Content-Type"], MANIFEST)
    same(headers["Docker-Content-Digest"], image.digest)
    same(sha256_of(body), image.digest)
    layers = json.loads(body)["layers"]
    same([(layer["mediaType"], layer["digest"], layer["size"]) for layer in layers],
         [(LAYER, image.layer, image.size)])


def http_plain(_machine, image, _folder, _inside):
    status, headers, body = get(image, "blobs", image.layer)
    same((status, headers["Content-Encoding"]), (200, None))
    same(headers["Content-Length"], str(image.size))
    same(sha256_of(body), image.layer)


def http_zstd(machine, image, folder, inside):
    """The server may compress on the way or not; what comes out must be the same."""
    status, headers, body = get(image, "blobs", image.layer, {"Accept-Encoding": "zstd"})
    same(status, 200)
    if headers["Content-Encoding"] == "zstd":
        (folder / "body.zst").write_bytes(body)
        machine.run("zstd", "-dq", f"{inside}/body.zst", "-o", f"{inside}/body")
        body = (folder / "body").read_bytes()
    same(sha256_of(body), image.layer)


def http_range(_machine, image, _folder, _inside):
    """A broken pull goes on where it stopped."""
    middle = image.size // 2 + 7
    parts = []
    for first, last in ((0, middle - 1), (middle, image.size - 1)):
        status, headers, body = get(image, "blobs", image.layer, {"Range": f"bytes={first}-{last}"})
        same(status, 206)
        same(headers["Content-Range"], f"bytes {first}-{last}/{image.size}")
        parts.append(body)
    same(sha256_of(b"".join(parts)), image.layer)


def pagevault(_machine, image, folder, _inside):
    out = folder / "pulled.tar"
    image.server.pull(f"{image.repository}:{image.tag}", out)
    same(sha256(out), image.layer)


def skopeo_dir(machine, image, folder, inside):
    machine.run("skopeo", "copy", "--preserve-digests", "--src-tls-verify=false",
                f"docker://{image.ref}", f"dir:{inside}/out")
    same(sha256(folder / "out/manifest.json"), image.digest)
    same(sha256(folder / "out" / image.layer.removeprefix("sha256:")), image.layer)


def skopeo_oci(machine, image, folder, inside):
    machine.run("skopeo", "copy", "--preserve-digests", "--src-tls-verify=false",
                f"docker://{image.ref}", f"oci:{inside}/out:copy")
    same_layout(image, folder / "out")


def crane_blob(machine, image, _folder, _inside):
    same(machine.run("crane", "digest", "--insecure", image.ref), image.digest)
    same(sha256_of(machine.run("crane", "blob", "--insecure", image.at(image.layer), text=False)), image.layer)


def crane_pull(machine, image, folder, inside):
    machine.run("crane", "pull", "--insecure", "--format=oci", image.ref, f"{inside}/out")
    same_layout(image, folder / "out")


def oras_blob(machine, image, folder, inside):
    manifest = machine.run("oras", "manifest", "fetch", "--plain-http", image.ref, text=False)
    same(sha256_of(manifest.rstrip(b"\n")), image.digest)
    machine.run("oras", "blob", "fetch", "--plain-http", "--output", f"{inside}/blob", image.at(image.layer))
    same(sha256(folder / "blob"), image.layer)


def oras_copy(machine, image, folder, inside):
    machine.run("oras", "copy", "--from-plain-http", image.ref, "--to-oci-layout", f"{inside}/out:copy")
    same_layout(image, folder / "out")


def podman(machine, image, _folder, _inside):
    machine.run("podman", "pull", "--quiet", image.ref)
    same(machine.run("podman", "image", "inspect", "--format={{.Digest}}", image.ref), image.digest)


def same_layout(image, layout):
    """Manifest and layer of an OCI layout are the ones that were pushed."""
    for digest in (image.digest, image.layer):
        same(sha256(layout / "blobs/sha256" / digest.removeprefix("sha256:")), digest)
