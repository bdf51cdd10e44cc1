"""The command line on the history of a real redis: what a person does who looks for last night's checkpoint."""

import io
import json
import pathlib
import subprocess
import tarfile

FIXTURES = pathlib.Path(__file__).resolve().parent.parent / "fixtures"
REPOSITORY = "shop/cart-7d9f-0/redis"
POLICIES = """
policies:
- scope: { namespace: shop, pod: cart-7d9f-0 }
  keepLast: 1
"""


def series(folder):
    """The four checkpoints of the cart's redis as files, oldest first."""
    packed = FIXTURES / "cart-redis-series.tar.zst"
    outer = subprocess.run(["zstd", "-dc", packed], stdout=subprocess.PIPE, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(outer)) as tar:
        tar.extractall(folder, filter="data")
        return sorted(folder / member.name for member in tar if member.isfile())


class Commands:
    """Commands against one server."""

    def __init__(self, server):
        self.server = server

    def run(self, *words, stdin=None, code=0):
        """What a command prints; it ends with that code."""
        command = [self.server.binary, *map(str, words), "--server", self.server.url]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=120)
        assert done.returncode == code, f"{words}: {done.returncode}: {done.stdout}{done.stderr}"
        return done.stdout if code == 0 else done.stderr

    def json(self, *words, **more):
        return json.loads(self.run(*words, "--json", **more))

    def tags(self, *filters):
        return [item["reference"].rpartition(":")[2] for item in self.json("ls", REPOSITORY, *filters)["items"]]


def walk(report, server, folder):
    """Finds, looks into, compares, pins, labels and lets go."""
    it = Commands(server)
    tars = series(folder)
    pushed = [server.push(tar, f"{REPOSITORY}:{n}")["reference"] for n, tar in enumerate(tars)]
    with report.check("ls: newest first, filters, order"):
        assert it.tags() == ["3", "2", "1", "0"], it.tags()
        assert it.tags("--reverse", "--limit", "2") == ["0", "1"]
        assert it.tags("--since", "2026-11-23T09:20:36Z") == ["3", "2"]
        assert it.tags("--pod", "another") == []
        assert "redis" in it.run("ls", "--namespace", "shop")
    with report.check("inspect and diff"):
        detail = it.json("inspect", pushed[1])
        assert detail["namespace"] == "shop" and detail["pinned"] is False, detail
        assert "redis-server" in it.run("inspect", pushed[1])
        assert "/usr/bin/redis-server" in it.run("inspect", pushed[1], "--memory")
        pages = it.json("diff", pushed[1], pushed[2])["memory"]["pages"]
        assert pages == {"same": 3473, "changed": 117, "added": 1, "removed": 0}, pages
        assert "117" in it.run("diff", pushed[1], pushed[2])
    with report.check("pin, label"):
        assert it.json("pin", pushed[1], "--reason", "before the upgrade")["pinned"] is True
        assert "pinned" in it.run("rm", pushed[1], code=1)
        assert it.json("label", pushed[0], "team=shop")["labels"] == {"team": "shop"}
        assert (it.tags("--pinned"), it.tags("--label", "team=shop")) == (["1"], ["0"])
    with report.check("retention: set, plan, run"):
        assert it.json("retention", "set", "-", stdin=POLICIES)["policies"][0]["keepLast"] == 1
        assert "cart-7d9f-0" in it.run("retention", "show")
        plan = it.json("retention", "plan")
        assert (plan["run"]["result"]["deleted"], plan["run"]["dryRun"]) == (2, True), plan["run"]
        digests = {item["digest"]: item["reference"].rpartition(":")[2] for item in it.json("ls", REPOSITORY)["items"]}
        assert sorted(digests[item["digest"]] for item in plan["items"]) == ["0", "2"], plan["items"]
        assert len(it.tags()) == 4
        assert it.json("retention", "run")["result"]["deleted"] == 2
        # The newest, and the one with a pin.
        assert it.tags() == ["3", "1"]
        assert it.json("retention", "set", "-", stdin="policies: []")["policies"] == []
    with report.check("what stays is whole, what went is collected"):
        dry = it.json("gc", "--dry-run")
        assert it.json("gc")["result"]["freed"] == dry["result"]["freed"]
        for n in (1, 3):
            server.pull(pushed[n], folder / f"pulled-{n}")
            assert (folder / f"pulled-{n}").read_bytes() == tars[n].read_bytes()
        it.run("unpin", pushed[1])
        assert "deleted" in it.run("rm", pushed[1], pushed[3])
        assert it.tags() == []
