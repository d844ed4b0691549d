# SPDX-License-Identifier: BSD-2-Clause
"""A real name server whose zones change, fail, lie or are silent, and where
the mail goes.

Hosts are on 127.0.2.N and 127.0.3.N; nobody listens on 127.0.3.
"""

import signal
import socket
import threading
import time

from harness import (Sluiced, all_arrived, case, check, configuration, drained,
                     equal, free_port, main, wait_for)
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


@case
def mail_goes_to_the_host_that_dns_prefers(rig):
    """Catches a wrong order of preferences, an MX that is ignored, an implicit
    one that is not found, aliases that are not followed, a wildcard that is
    not believed, an answer that is too long for UDP."""
    many = "".join(f"many 60 MX 10 h{n}.many\nh{n}.many A 127.0.2.1\n"
                   for n in range(1000))
    zone = ("one MX 20 b\none MX 10 a\n"
            "dead MX 10 gone\ndead MX 20 b\n"
            "implicit A 127.0.2.1\nimplicit-none MX 5 b\n"
            "alias CNAME one\nmx-alias MX 10 to-a\nto-a CNAME a\n"
            "*.wild MX 10 b\n"
            "a A 127.0.2.1\nb A 127.0.2.2\ngone A 127.0.3.1\n" + many)
    to = {"one": "127.0.2.1", "dead": "127.0.2.2", "implicit": "127.0.2.1",
          "implicit-none": "127.0.2.2", "alias": "127.0.2.1",
          "mx-alias": "127.0.2.1", "x.wild": "127.0.2.2",
          "many": "127.0.2.1"}
    s, sink, _ = setup(rig, {"test": zone}, ["127.0.2.1", "127.0.2.2"],
                       [f"u{n}@{d}.test" for d in to for n in range(3)])
    release(s)
    drained(s)
    report = sink.finish()
    all_arrived(report)
    equal(arrived(report), {"127.0.2.1": 15, "127.0.2.2": 9}, "arrived")


@case
def what_dns_says_is_final_and_what_is_not(rig):
    """Catches mail that bounces over a repairable mistake, and mail that waits
    for a domain that takes none."""
    zone = ("null MX 0 .\n"
            "us MX 10 own\nown A 127.0.1.1\n"
            "zero MX 10 zero-host\nzero-host A 0.0.0.0\n"
            "number MX 10 10.0.0.1.\n"
            "no-address MX 10 nowhere\n"
            "loop CNAME pool\npool CNAME loop\n")
    final = {"null": "5.1.10", "missing": "5.1.2", "us": "5.4.6"}
    later = ["zero", "number", "no-address", "loop"]
    s, sink, _ = setup(rig, {"test": zone}, ["127.0.2.1"],
                       [f"u@{d}.test" for d in [*final, *later]])
    release(s)
    wait_for("the failures", 60,
             lambda: totals(s)["failed"] == len(final))
    log = "\n".join(x for x in s.process.log.read_text().splitlines()
                    if "unroutable" in x)
    for domain, code in final.items():
        check(f"{domain}.test: {code}" in log, f"{domain}: {log}")
    for domain in later:
        check(f"{domain}.test" in log, f"{domain}: {log}")
    time.sleep(2)
    t = totals(s)
    equal((t["failed"], t["waiting"]), (len(final), len(later)), "failed, left")
    equal(sink.finish()["messages"], 0, "messages")


@case
def an_old_host_gets_nothing_after_the_ttl(rig):
    """Catches a relay that hangs on to old records. The zone changes in
    mid-run; from TTL + 1 s (of whole seconds) on the old host is not spoken
    to, also not over connections that are still open."""
    ttl = 3
    zone = f"moves {ttl} MX 10 mx\nmx {ttl} A 127.0.2.%d\n"
    s, sink, dns = setup(rig, {"test": zone % 1}, ["127.0.2.1", "127.0.2.2"],
                         [f"u{n}@moves.test" for n in range(400)],
                         pace="40/s")
    release(s)
    wait_for("the first host", 30, lambda: sink.interim() and
             arrived(sink.interim())["127.0.2.1"] > 20)
    dns.change("test", zone % 2)
    wait_for("the new zone", 10,
             lambda: dns.asked("mx.test") == ["127.0.2.2"])
    time.sleep(ttl + 1 + 1)  # the report is written twice a second
    before = arrived(sink.interim())["127.0.2.1"]
    check(before < 400, "the backlog was too small")
    drained(s)
    report = sink.finish()
    all_arrived(report)
    equal(arrived(report)["127.0.2.1"], before, "at the old host")


@case
def a_zone_that_fails_is_asked_again(rig):
    """Catches SERVFAIL that bounces mail, or that is never looked at again."""
    s, sink, dns = setup(rig, {"test": "ok MX 10 mx\nmx A 127.0.2.1\n",
                               "broken.test": None}, ["127.0.2.1"],
                         ["u@ok.test", "u@broken.test"])
    release(s)
    wait_for("the good one", 30, lambda: totals(s)["delivered"] == 1)
    time.sleep(2)
    equal((totals(s)["waiting"], totals(s)["failed"]), (1, 0), "waiting, failed")
    dns.change("broken.test", "@ MX 10 mx.test.\n")
    drained(s, 60)
    all_arrived(sink.finish())


@case
def a_dead_host_costs_its_domains_little(rig):
    """Catches each of many domains finding out for itself, connect timeout by
    connect timeout, that the best host they share is dead."""
    zone = "".join(f"d{n} MX 10 dead\nd{n} MX 20 b{n}\nb{n} A 127.0.2.1\n"
                   for n in range(60)) + "dead A 127.0.3.1\n"
    s, sink, _ = setup(rig, {"test": zone}, ["127.0.2.1"],
                       [f"u@d{n}.test" for n in range(60)])
    release(s)
    drained(s)
    all_arrived(sink.finish())
    equal(totals(s)["failed"], 0, "failed")


@case
def silent_name_servers_do_not_starve_two_thousand_domains(rig):
    """Catches healthy domains in line behind those whose name servers do not
    answer (one in twenty)."""
    count = 2000
    zone = "".join(f"{'s' if n % 20 == 7 else 'd'}{n} MX 10 mx\n"
                   for n in range(count)) + "mx A 127.0.2.1\n"
    dns = Zones(rig, {"test": zone})
    front = Forwarder(dns.port, lambda name: name.startswith("s"))
    s, sink, _ = setup(
        rig, None, ["127.0.2.1"],
        [f"u@{'s' if n % 20 == 7 else 'd'}{n}.test" for n in range(count)],
        dns=dns, resolver=f"servers: [\"127.0.0.1:{front.port}\"], "
                          "timeout: 120s")
    release(s)
    # The silent ones are not even given up in that time.
    wait_for("the healthy ones", 60,
             lambda: totals(s)["delivered"] == count - count // 20)
    equal(totals(s)["waiting"], count // 20, "waiting")
    equal(totals(s)["failed"], 0, "failed")
    front.silent = lambda name: False
    sink.process.stop()


@case
def a_private_zone_is_asked_at_its_own_servers(rig):
    """Catches a zone that libunbound holds to be empty, or that goes to the
    wrong resolver."""
    dns = Zones(rig, {"home.arpa": "mail MX 10 mx\nmx A 127.0.2.1\n"})
    nobody = free_port()
    s, sink, _ = setup(
        rig, None, ["127.0.2.1"], ["u@mail.home.arpa"], dns=dns,
        resolver=f"servers: [\"127.0.0.1:{nobody}\"], "
                 f"zones: {{home.arpa: [\"127.0.0.1:{dns.port}\"]}}")
    release(s)
    drained(s)
    all_arrived(sink.finish())


if __name__ == "__main__":
    main()
