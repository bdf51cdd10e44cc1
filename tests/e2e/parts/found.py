"""What a person does who wants last night's checkpoint back, by what the command line says and nothing else."""

import json
import shlex

from parts.clients import same
from parts.report import run


class Found:
    """The last two checkpoints of a container, and the commands about them."""

    def __init__(self, server, namespace, container):
        self.server = server
        items = self.json("ls", "--namespace", namespace, "--container", container)["items"]
        assert len(items) >= 2, items
        self.newest, self.before = (item["reference"] for item in items[:2])

    def say(self, *words):
        return run([self.server.binary, *words, "--server", self.server.url])

    def json(self, *words):
        return json.loads(self.say(*words, "--json"))

    def changed_pages(self):
        return self.json("diff", self.before, self.newest)["memory"]["pages"]

    def pin(self, reason):
        same(self.json("pin", self.newest, "--reason", reason)["pinned"], True)
        same([item["reference"] for item in self.json("ls", "--pinned")["items"]], [self.newest])

    def restore(self, node):
        """Runs the lines that `inspect --restore` prints, on a node."""
        lines = [shlex.split(line) for line in self.say("inspect", self.newest, "--restore").splitlines()]
        same([line[:-1] for line in lines], [["podman", "pull"], ["podman", "container", "restore"]])
        pull, restore = lines
        node.run(*pull)
        # The node's own way round what its cgroups refuse at the first try.
        node.run("/e2e/bin/node/podman-restore", *restore[3:])
