"""What the pages show: a series of a real redis, real counters, and one whose names would like to be markup."""

import io
import json
import pathlib
import subprocess
import tarfile
import urllib.parse
import urllib.request

FIXTURES = pathlib.Path(__file__).resolve().parent.parent / "fixtures"

MARKUP = "<img src=x onerror=window.owned=1>\"'&amp;</td><script>window.owned=1</script>"
# Turns the rest of a line around, and moves a terminal's cursor.
TURNED = "\u202egnp.exe\u202c\x1b[2J"
HOSTILE = f"{MARKUP}{TURNED}"


def push(server, tar, **query):
    """Pushes a tar in one request, and returns what the server says of it."""
    url = f"{server.url}/api/v1/checkpoints?{urllib.parse.urlencode(query, doseq=True)}"
    with urllib.request.urlopen(urllib.request.Request(url, tar, method="POST"), timeout=60) as answer:
        return json.load(answer)


def ask(server, method, path, body=None):
    """Asks the API, past the pages."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{server.url}/api/v1{path}", data, {"if-match": "*"}, method=method)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.loads(answer.read() or b"null")


def unpacked(name):
    return subprocess.run(["zstd", "-dc", FIXTURES / f"{name}.tar.zst"], stdout=subprocess.PIPE, check=True).stdout


def series():
    """The four checkpoints of the cart's redis, oldest first."""
    with tarfile.open(fileobj=io.BytesIO(unpacked("cart-redis-series"))) as tar:
        files = sorted((member for member in tar if member.isfile()), key=lambda member: member.name)
        return [tar.extractfile(member).read() for member in files]


def hostile():
    """A real checkpoint with an environment and a file of a stranger's choice."""
    out = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(unpacked("cri-containerd-counter"))) as old, \
            tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as new:
        for member in old:
            data = old.extractfile(member).read() if member.isfile() else b""
            if member.name == "spec.dump":
                spec = json.loads(data)
                spec["process"]["env"] += [f"GREETING={HOSTILE}", f"{MARKUP}=1", "API_TOKEN=hunter2hunter2"]
                data = json.dumps(spec).encode()
            if member.name == "rootfs-diff.tar":
                data = with_file(data, f"tmp/{MARKUP.replace('/', '')}")
            member.size = len(data)
            new.addfile(member, io.BytesIO(data))
    return out.getvalue()


def with_file(tar, path):
    """An inner tar with one more file."""
    out = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(tar)) as old, tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as new:
        names = set()
        for member in old:
            names.add(member.name.rstrip("/"))
            new.addfile(member, old.extractfile(member) if member.isfile() else None)
        if "tmp" not in names:
            folder = tarfile.TarInfo("tmp")
            folder.type, folder.mode = tarfile.DIRTYPE, 0o1777
            new.addfile(folder)
        file = tarfile.TarInfo(path)
        file.size = 4
        new.addfile(file, io.BytesIO(b"boo\n"))
    return out.getvalue()


def fill(server):
    """Pushes everything; returns the references of the series, oldest first, and of the hostile one."""
    for name in ["podman-counter", "cri-o-counter", "kubelet-containerd-redis"]:
        push(server, unpacked(name))
    cart = [push(server, tar, workload="cart", label="team=shop")["reference"] for tar in series()]
    bad = push(server, hostile(), workload=HOSTILE.replace("\x1b", ""), node=MARKUP, label=f"note={MARKUP}")
    return cart, bad["reference"]


def many(server, number):
    """Checkpoints of one container, more than a page of a list holds: one tar in many places."""
    tar = unpacked("cri-o-counter")
    for n in range(number):
        push(server, tar, ref=f"many/{n}:1", workload="many")
