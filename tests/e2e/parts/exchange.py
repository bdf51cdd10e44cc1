"""What clients push themselves, pulled back by the same client and by others: images, indexes, artifacts, signatures,
a blob of 2 GiB, and zstd:chunked with partial pulls."""

import contextlib
import hashlib
import http.client
import json
import random

from parts.clients import same, sha256, sha256_of

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
CONFIG = "application/vnd.oci.image.config.v1+json"
ARTIFACT = "application/vnd.pagevault.test"
LARGE_BYTES = 2 << 30


class Layout:
    """An OCI layout of an index of two images, written here so that its digests are known before any client is asked."""

    def __init__(self, folder, rnd):
        self.folder = folder
        (folder / "blobs/sha256").mkdir(parents=True)
        (folder / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
        images = []
        for architecture in ("amd64", "arm64"):
            layer = self.blob(LAYER, tar_of(rnd.randbytes(300_000)))
            config = self.json(CONFIG, {"architecture": architecture, "os": "linux", "config": {},
                                        "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]}})
            image = self.json(MANIFEST, {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer]})
            images.append(image | {"platform": {"architecture": architecture, "os": "linux"}})
        self.image = images[0]["digest"]
        index = self.json(INDEX, {"schemaVersion": 2, "mediaType": INDEX, "manifests": images})
        self.index = index["digest"]
        self.name(index)

    def blob(self, kind, data):
        digest = sha256_of(data)
        (self.folder / "blobs/sha256" / digest.removeprefix("sha256:")).write_bytes(data)
        return {"mediaType": kind, "digest": digest, "size": len(data)}

    def json(self, kind, value):
        return self.blob(kind, json.dumps(value).encode())

    def name(self, descriptor):
        """What the layout's tag `it` is."""
        named = descriptor | {"annotations": {"org.opencontainers.image.ref.name": "it"}}
        (self.folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [named]}))


def tar_of(data):
    """A tar of one file."""
    import io
    import tarfile
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        member = tarfile.TarInfo("data")
        member.size = len(data)
        tar.addfile(member, io.BytesIO(data))
    return out.getvalue()


def ask(server, method, path):
    """Status, headers and body of a plain request."""
    with contextlib.closing(http.client.HTTPConnection(server.address, timeout=60)) as connection:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()


def stored(server, repository, reference):
    """The digest under which the registry has a manifest, and all that it names, each checked against its digest."""
    status, headers, body = ask(server, "GET", f"/v2/{repository}/manifests/{reference}")
    same(status, 200)
    same(sha256_of(body), headers["Docker-Content-Digest"])
    manifest = json.loads(body)
    for blob in [manifest[key] for key in ("config",) if key in manifest] + manifest.get("layers", []):
        status, _, data = ask(server, "GET", f"/v2/{repository}/blobs/{blob['digest']}")
        same((status, len(data), sha256_of(data)), (200, blob["size"], blob["digest"]))
    for image in manifest.get("manifests", []):
        stored(server, repository, image["digest"])
    return headers["Docker-Content-Digest"]


class Exchange:
    """The clients on one machine, and the server that they push to."""

    def __init__(self, report, machine, server, scratch, seed=1):
        self.report, self.machine, self.server = report, machine, server
        self.scratch, self.inside = scratch, f"/e2e/share/{scratch.name}"
        scratch.mkdir()
        self.rnd = random.Random(seed)
        self.layout = Layout(scratch / "layout", self.rnd)

    def run(self, *words, **options):
        return self.machine.run(*words, **options)

    def ref(self, name):
        return f"{self.server.address}/{name}:it"

    def all(self):
        for check in (self.skopeo_index, self.skopeo_image, self.oras_index, self.crane_index, self.crane_image,
                      self.podman_image, self.podman_index, self.buildah_image, self.podman_artifact, self.oras_artifact,
                      self.oras_referrers, self.cosign_signature, self.large_blob, self.zstd_chunked):
            with self.report.check(f"push and pull: {check.__doc__.rstrip('.')}"):
                check()

    def pulled_index(self, name):
        """What was pushed comes back the same by every client that keeps digests."""
        same(stored(self.server, name, "it"), self.layout.index)
        for client, words in {
            "skopeo": ("skopeo", "copy", "--all", "--preserve-digests", "--src-tls-verify=false",
                       f"docker://{self.ref(name)}", f"oci:{self.inside}/{name}-skopeo:it"),
            "oras": ("oras", "copy", "--from-plain-http", self.ref(name), "--to-oci-layout",
                     f"{self.inside}/{name}-oras:it"),
            "crane": ("crane", "pull", "--insecure", "--format=oci", self.ref(name), f"{self.inside}/{name}-crane"),
        }.items():
            self.run(*words)
            blobs = self.scratch / f"{name}-{client}/blobs/sha256"
            for blob in (self.layout.folder / "blobs/sha256").iterdir():
                copy = blobs / blob.name
                same(copy.exists() and sha256(copy), f"sha256:{blob.name}")

    def skopeo_index(self):
        """an index by skopeo."""
        self.run("skopeo", "copy", "--all", "--preserve-digests", "--dest-tls-verify=false",
                 f"oci:{self.inside}/layout:it", f"docker://{self.ref('skopeo-index')}")
        self.pulled_index("skopeo-index")

    def skopeo_image(self):
        """an image by skopeo, from one repository to another (mounted blobs)."""
        self.run("skopeo", "copy", "--override-arch=amd64", "--src-tls-verify=false", "--dest-tls-verify=false",
                 f"docker://{self.ref('skopeo-index')}", f"docker://{self.ref('skopeo-image')}")
        same(stored(self.server, "skopeo-image", "it"), self.layout.image)
        self.run("skopeo", "delete", "--tls-verify=false", f"docker://{self.ref('skopeo-image')}")
        same(ask(self.server, "GET", "/v2/skopeo-image/manifests/it")[0], 404)

    def oras_index(self):
        """an index by oras."""
        self.run("oras", "copy", "--from-oci-layout", f"{self.inside}/layout:it", "--to-plain-http", self.ref("oras-index"))
        self.pulled_index("oras-index")

    def crane_index(self):
        """an index by crane."""
        self.run("crane", "push", "--insecure", "--index", f"{self.inside}/layout", self.ref("crane-layout"))
        # Crane pushes the layout's own index, in which the one that we made is the only entry.
        self.run("crane", "copy", "--insecure", f"{self.server.address}/crane-layout@{self.layout.index}",
                 self.ref("crane-index"))
        self.pulled_index("crane-index")

    def crane_image(self):
        """an image by crane, copied between repositories."""
        source = f"{self.server.address}/crane-index@{self.layout.image}"
        self.run("crane", "copy", "--insecure", source, self.ref("crane-image"))
        same(stored(self.server, "crane-image", "it"), self.layout.image)
        same(self.run("crane", "ls", "--insecure", f"{self.server.address}/crane-image"), "it")
        same("crane-image" in self.run("crane", "catalog", "--insecure", self.server.address).split(), True)

    def podman_image(self):
        """an image by podman."""
        self.run("podman", "pull", "--quiet", "--arch=amd64", self.ref("skopeo-index"))
        self.run("podman", "push", "--quiet", self.ref("skopeo-index"), self.ref("podman-image"))
        digest = stored(self.server, "podman-image", "it")
        self.run("podman", "rmi", "--all", "--force")
        self.run("podman", "pull", "--quiet", self.ref("podman-image"))
        same(self.run("podman", "image", "inspect", "--format={{.Digest}}", self.ref("podman-image")), digest)

    def podman_index(self):
        """an index by podman."""
        self.run("podman", "manifest", "create", "listed")
        for image in ("skopeo-index", "podman-image"):
            self.run("podman", "manifest", "add", "--arch=amd64", "listed", f"docker://{self.ref(image)}")
        self.run("podman", "manifest", "push", "--all", "listed", f"docker://{self.ref('podman-index')}")
        stored(self.server, "podman-index", "it")
        self.run("podman", "pull", "--quiet", self.ref("podman-index"))

    def buildah_image(self):
        """an image by buildah."""
        container = self.run("buildah", "from", "--arch=amd64", self.ref("skopeo-index"))
        self.run("buildah", "config", "--label", "by=buildah", container)
        self.run("buildah", "commit", "--quiet", container, "localhost/built:1")
        self.run("buildah", "push", "--quiet", "localhost/built:1", f"docker://{self.ref('buildah-image')}")
        digest = stored(self.server, "buildah-image", "it")
        self.run("buildah", "rm", container)
        self.run("buildah", "rmi", "--all", "--force")
        self.run("buildah", "pull", "--quiet", self.ref("buildah-image"))
        image = self.run("buildah", "images", "--format", "{{.Digest}}", self.ref("buildah-image"))
        same(image, digest)

    def file(self, name, size):
        path = self.scratch / name
        path.write_bytes(self.rnd.randbytes(size))
        return path, f"{self.inside}/{name}"

    def podman_artifact(self):
        """an artifact by podman."""
        path, inside = self.file("podman-artifact", 200_000)
        self.run("podman", "artifact", "add", "--type", ARTIFACT, self.ref("podman-artifact"), inside)
        self.run("podman", "artifact", "push", "--quiet", self.ref("podman-artifact"))
        stored(self.server, "podman-artifact", "it")
        self.run("podman", "artifact", "rm", self.ref("podman-artifact"))
        self.run("podman", "artifact", "pull", "--quiet", self.ref("podman-artifact"))
        self.run("podman", "artifact", "extract", self.ref("podman-artifact"), f"{self.inside}/podman-extracted")
        same(sha256(self.scratch / "podman-extracted"), sha256(path))

    def oras_artifact(self):
        """an artifact by oras."""
        path, _ = self.file("oras-artifact", 200_000)
        self.run("sh", "-c", f"cd {self.inside} && oras push --plain-http --artifact-type {ARTIFACT} "
                             f"{self.ref('oras-artifact')} oras-artifact:application/octet-stream")
        stored(self.server, "oras-artifact", "it")
        self.run("oras", "pull", "--plain-http", "--output", f"{self.inside}/oras-pulled", self.ref("oras-artifact"))
        same(sha256(self.scratch / "oras-pulled/oras-artifact"), sha256(path))

    def oras_referrers(self):
        """what is attached to an artifact by oras, discovered by the referrers API."""
        self.file("report", 1000)
        self.run("sh", "-c", f"cd {self.inside} && oras attach --plain-http --artifact-type {ARTIFACT}.report "
                             f"{self.ref('oras-artifact')} report:text/plain")
        subject = self.run("oras", "resolve", "--plain-http", self.ref("oras-artifact"))
        found = self.run("oras", "discover", "--plain-http", "--format=json", self.ref("oras-artifact"))
        same(f"{ARTIFACT}.report" in found, True)
        status, headers, body = ask(self.server, "GET", f"/v2/oras-artifact/referrers/{subject}")
        same((status, headers["Content-Type"], len(json.loads(body)["manifests"])), (200, INDEX, 1))
        # A client that finds no API keeps an index under a tag made of the digest.
        tags = json.loads(ask(self.server, "GET", "/v2/oras-artifact/tags/list")[2])["tags"]
        same(tags, ["it"])

    def cosign_signature(self):
        """a signature by cosign, verified."""
        image = f"{self.server.address}/skopeo-index@{self.layout.index}"
        self.run("sh", "-c", f"cd {self.inside} && COSIGN_PASSWORD= cosign generate-key-pair")
        # No transparency log: nothing leaves this machine.
        self.run("sh", "-c", f"COSIGN_PASSWORD= cosign sign --yes --key {self.inside}/cosign.key --allow-http-registry "
                             f"--use-signing-config=false --tlog-upload=false {image}")
        verify = ("cosign", "verify", "--key", f"{self.inside}/cosign.pub", "--allow-http-registry",
                  "--insecure-ignore-tlog=true")
        self.run(*verify, image)
        try:
            self.run(*verify, f"{self.server.address}/skopeo-index@{self.layout.image}")
        except Exception:
            return
        raise AssertionError("an image that nobody signed is verified")

    def large_blob(self):
        """a blob of 2 GiB by oras and skopeo."""
        path, digest = self.scratch / "large", hashlib.sha256()
        part = bytearray(self.rnd.randbytes(64 << 20))
        with path.open("wb") as file:
            for number in range(LARGE_BYTES // len(part)):
                part[:8] = number.to_bytes(8, "little")
                digest.update(part)
                file.write(part)
        self.run("sh", "-c", f"cd {self.inside} && oras push --plain-http --artifact-type {ARTIFACT} "
                             f"{self.ref('large')} large:application/octet-stream", timeout=300)
        path.unlink()
        self.run("skopeo", "copy", "--preserve-digests", "--src-tls-verify=false", f"docker://{self.ref('large')}",
                 f"dir:{self.inside}/large-skopeo", timeout=300)
        copy = self.scratch / "large-skopeo" / digest.hexdigest()
        same(sha256(copy), f"sha256:{digest.hexdigest()}")
        self.run("skopeo", "copy", "--preserve-digests", "--dest-tls-verify=false", f"dir:{self.inside}/large-skopeo",
                 f"docker://{self.ref('large-again')}", timeout=300)
        copy.unlink()
        self.run("oras", "pull", "--plain-http", "--output", f"{self.inside}/large-oras", self.ref("large-again"), timeout=300)
        copy = self.scratch / "large-oras/large"
        same(sha256(copy), f"sha256:{digest.hexdigest()}")
        copy.unlink()

    def zstd_chunked(self):
        """zstd:chunked by podman, and a partial pull of it by ranges."""
        storage = self.machine.path("/etc/containers/storage.conf")
        before = storage.read_text() if storage.exists() else None
        storage.write_text('[storage]\ndriver = "overlay"\nrunroot = "/run/containers/storage"\n'
                           'graphroot = "/var/lib/containers/storage"\n'
                           '[storage.options.pull_options]\nenable_partial_images = "true"\nconvert_images = "false"\n')
        try:
            self.partial_pull()
        finally:
            if before is None:
                storage.unlink()
            else:
                storage.write_text(before)

    def partial_pull(self):
        root = self.scratch / "tree"
        root.mkdir()
        for number in range(40):
            (root / f"file-{number}").write_bytes(self.rnd.randbytes(100_000))
        (self.scratch / "containerfile").write_text("FROM scratch\nCOPY tree/ /\n")

        def pushed(tag):
            self.run("buildah", "build", "--isolation", "chroot", "--quiet", "--tag", f"localhost/chunked:{tag}",
                     "--file", f"{self.inside}/containerfile", self.inside)
            ref = f"{self.server.address}/chunked:{tag}"
            self.run("podman", "push", "--quiet", "--compression-format=zstd:chunked", "--force-compression",
                     f"localhost/chunked:{tag}", ref)
            stored(self.server, "chunked", tag)
            return ref

        first = pushed(1)
        for number in range(0, 40, 10):
            (root / f"file-{number}").write_bytes(self.rnd.randbytes(100_000))
        second = pushed(2)
        self.run("podman", "rmi", "--all", "--force")
        self.run("podman", "pull", "--quiet", first)
        mark = self.server.log.stat().st_size
        self.run("podman", "pull", "--quiet", second)
        with self.server.log.open("rb") as log:
            log.seek(mark)
            said = log.read().decode()
        ranges = [line for line in said.splitlines() if "/v2/chunked/blobs/" in line and " 206" in line]
        assert ranges, f"the second pull asked for no range:\n{said}"
        mounted = self.run("podman", "image", "mount", second)
        for number in range(40):
            copy = self.machine.path(f"{mounted}/file-{number}")
            same(sha256(copy), sha256(root / f"file-{number}"))
        self.run("podman", "image", "unmount", second)
