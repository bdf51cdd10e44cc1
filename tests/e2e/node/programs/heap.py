"""Holds session records as plain objects, and rewrites some when told: `heap.py PORT`.

A line `SEED LENGTH START...` writes the records START … START+LENGTH-1 for each START, and is answered with `ok`.
"""

import random
import socket
import sys

CITIES = ["Amsterdam", "Berlin", "Chicago", "Delhi"]


class Session:
    """What a web shop keeps of one visitor: some of it repeats, some of it is random."""

    def __init__(self, number, rnd):
        self.number = number
        self.user = rnd.choice(["alice", "bob", "carol", "dave"])
        self.token = f"{rnd.getrandbits(128):032x}"
        self.place = {"city": rnd.choice(CITIES), "since": 1_700_000_000 + rnd.randrange(10**7)}
        self.cart = [{"sku": rnd.randrange(99999), "price": rnd.random()} for _ in range(rnd.randrange(1, 7))]


def main(port):
    records = {}
    with socket.create_server(("127.0.0.1", port)) as server:
        while True:
            connection, _ = server.accept()
            with connection, connection.makefile("rw") as stream:
                seed, length, *starts = map(int, stream.readline().split())
                rnd = random.Random(seed)
                for start in starts:
                    for number in range(start, start + length):
                        records[number] = Session(number, rnd)
                stream.write("ok\n")


main(int(sys.argv[1]))
