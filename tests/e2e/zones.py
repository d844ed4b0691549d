# SPDX-License-Identifier: BSD-2-Clause
"""zones.py - a real name server with zones that change, a resolver that is
silent for some names, and mail that goes where they say."""

import signal
import socket
import threading

from harness import Sluiced, configuration, free_port, wait_for
from queue_files import QueueDirectory
from rig import Dns, Sink, listens

SHORT = "retry: {first: 1s, max: 2s}\n"
SOA = "@ 5 SOA ns root 1 60 60 600 2\n@ NS ns\nns A 127.0.0.1\n"


class Zones(Dns):
    """Knot with whole zones as text; one that is None is not there: SERVFAIL."""

    def __init__(self, rig, zones):
        self.port = free_port()
        self.dir = rig.dir / "dns"
        self.dir.mkdir(exist_ok=True)
        for name, text in zones.items():
            self.write(name, text)
        (self.dir / "knot.conf").write_text(
            f"server:\n    listen: 127.0.0.1@{self.port}\n"
            f"    rundir: \"{self.dir}\"\n"
            "log:\n  - target: stderr\n    any: error\n"
            f"database:\n    storage: \"{self.dir}\"\n"
            f"template:\n  - id: default\n    storage: \"{self.dir}\"\n"
            "    zonefile-sync: -1\n    journal-content: none\n"
            "    zonefile-load: whole\n    semantic-checks: off\n"
            "zone:\n" + "".join(f"  - domain: {z}\n    file: {z}.zone\n"
                                for z in zones))
        self.process = rig.start("dns", "/usr/sbin/knotd", "-c",
                                 self.dir / "knot.conf")
        wait_for("the DNS server", 20,
                 lambda: listens("127.0.0.1", self.port))

    serial = 1

    def write(self, zone, text):
        path = self.dir / f"{zone}.zone"
        if text is None:
            path.unlink(missing_ok=True)
            return
        Zones.serial += 1
        soa = SOA.replace(" 1 60", f" {Zones.serial} 60")
        path.write_text(f"$ORIGIN {zone}.\n$TTL 60\n{soa}{text}")

    def change(self, zone, text):
        self.write(zone, text)
        self.process.child.send_signal(signal.SIGHUP)

    def asked(self, name):
        """The addresses that the server itself tells, over UDP."""
        labels = b"".join(bytes([len(x)]) + x.encode()
                          for x in name.split("."))
        query = (b"\1\2\0\0\0\1\0\0\0\0\0\0" + labels + b"\0\0\1\0\1")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(2)
            s.sendto(query, ("127.0.0.1", self.port))
            answer = s.recv(4096)
        rest, out = answer[len(query):], []
        for _ in range(int.from_bytes(answer[6:8], "big")):
            size = int.from_bytes(rest[10:12], "big")
            out.append(".".join(str(b) for b in rest[12:12 + size]))
            rest = rest[12 + size:]
        return out


class Forwarder:
    """A resolver in front of `port` that is silent for some names."""

    def __init__(self, port, silent):
        self.silent = silent
        self.server = ("127.0.0.1", port)
        self.front = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.front.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self.front.bind(("127.0.0.1", 0))
        self.port = self.front.getsockname()[1]
        self.back = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.back.bind(("127.0.0.1", 0))
        self.who = {}
        for loop in (self.ask, self.answer):
            threading.Thread(target=loop, daemon=True).start()

    @staticmethod
    def first_label(packet):
        return packet[13:13 + packet[12]].decode(errors="replace").lower()

    def ask(self):
        while True:
            packet, client = self.front.recvfrom(4096)
            if self.silent(self.first_label(packet)):
                continue
            # ids are not unique over sockets: the question is part of the key
            end = packet.index(0, 12) + 5
            self.who[packet[:2] + packet[12:end].lower()] = client
            self.back.sendto(packet, self.server)

    def answer(self):
        while True:
            packet = self.back.recv(65536)
            end = packet.index(0, 12) + 5
            client = self.who.pop(packet[:2] + packet[12:end].lower(), None)
            if client:
                self.front.sendto(packet, client)


def setup(rig, zones, hosts, messages, extra=SHORT, resolver=None, dns=None,
          **kw):
    """Knot, a sink on `hosts`, sluiced; mail for `messages`: a list of
    recipients, one message each."""
    dns = dns or Zones(rig, zones)
    port = free_port()
    q = QueueDirectory(rig.dir / "pq")
    for n, recipient in enumerate(messages):
        q.message(b"sender@x.test", [recipient.encode()], b"\n%d\n" % n)
    sink = Sink(rig, [f"{h}:{port}" for h in hosts],
                q.ledger(rig.dir / "ledger.tsv"))
    resolver = resolver or f"servers: [\"127.0.0.1:{dns.port}\"]"
    s = Sluiced(rig, configuration(
        rig, extra=f"{extra}delivery: {{port: {port}, connect: 2s}}\n"
                   f"resolver: {{{resolver}}}\n", **kw))
    s.start()
    s.cli("import", "postfix", q.path)
    return s, sink, dns


def release(s, *what):
    s.cli("release", *(what or ("--all",)), "--reason", "test")


def arrived(report):
    """Recipients per listening address."""
    return {k.rsplit(":", 1)[0]: v["recipients"]
            for k, v in report["by_listener"].items()}


def totals(s):
    return s.status()["totals"]
