"""A redis client of a few lines, and made-up session records that are the same on every run."""

import contextlib
import json
import random
import socket


class Redis:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.stream = self.socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stream.close()
        self.socket.close()

    def call(self, *words):
        return self.calls([words])[0]

    def calls(self, commands):
        """Sends all commands at once, then reads their answers."""
        self.socket.sendall(b"".join(encode(words) for words in commands))
        return [self._answer() for _ in commands]

    def _answer(self):
        kind, rest = (line := self.stream.readline().rstrip(b"\r\n"))[:1], line[1:]
        if kind == b"$":
            if int(rest) < 0:
                return None
            return self.stream.read(int(rest) + 2)[:-2].decode()
        if kind in (b"+", b":"):
            return rest.decode()
        raise AssertionError(f"redis answered {line!r}")

    def write_sessions(self, ids, rnd):
        for start in range(0, len(ids), 500):
            self.calls([("SET", key(i), session(i, rnd)) for i in ids[start:start + 500]])

    def run_id(self):
        """Made at random when the process starts: the same one means the same process."""
        return dict(line.split(":", 1) for line in self.call("INFO", "server").splitlines() if ":" in line)["run_id"]


def connect(port):
    """A connection, or nothing while redis is starting."""
    with contextlib.suppress(OSError, AssertionError):
        redis = Redis(port)
        redis.call("PING")
        return redis


def encode(words):
    words = [str(word).encode() for word in words]
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)


def key(i):
    return f"session:{i:08d}"


def session(i, rnd):
    """A record as a web shop keeps one per visitor: some of it repeats, some of it is random."""
    cart = [{"sku": rnd.randrange(99999), "qty": rnd.randrange(1, 5)} for _ in range(rnd.randrange(1, 7))]
    return json.dumps({
        "user": rnd.choice(["alice", "bob", "carol", "dave"]), "id": i, "token": f"{rnd.getrandbits(128):032x}",
        "city": rnd.choice(["Amsterdam", "Berlin", "Chicago", "Delhi"]),
        "ts": 1_700_000_000 + rnd.randrange(10**7), "cart": cart})


def sessions(count, seed=1):
    """The values that `write_sessions(range(count), Random(seed))` writes."""
    rnd = random.Random(seed)
    return [session(i, rnd) for i in range(count)]
