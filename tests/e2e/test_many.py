# SPDX-License-Identifier: BSD-2-Clause
"""A thousand destinations at once, some of them dead, some of them slow.

Every destination has its own MX host in a real DNS, and its own pace. What a
dead host costs (connection slots, timeouts, DNS) must not be paid by others.
"""

import csv
import socket
import statistics

from harness import Sluiced, case, check, equal, free_port, main, wait_for
from rig import Dns, RigError, Sink

DOMAINS, DEAD, SLOW = 1000, 100, 100
PER_DOMAIN = 20
RATE = 2
SLOW_MS = 700


def address(n):
    return f"127.9.{n // 200}.{n % 200 + 1}"


class Tarpit:
    """Hosts that never answer: their queue of connections is full, so that a
    SYN to them is dropped."""

    def __init__(self, addresses, port):
        self.sockets = []
        for a in addresses:
            s = socket.socket()
            s.bind((a, port))
            s.listen(0)
            self.sockets.append(s)
            for _ in range(2):
                c = socket.socket()
                c.setblocking(False)
                c.connect_ex((a, port))
                self.sockets.append(c)

    def close(self):
        for s in self.sockets:
            s.close()


def config(rig, dns, port):
    return f"""
spool: {{dir: {rig.dir}/spool, min_free: 50MiB}}
run: {{dir: {rig.dir}/sluice}}
resolver: {{servers: ["127.0.0.1:{dns.port}"]}}
delivery: {{port: {port}}}
sources: {{out1: {{address: 127.0.1.1, helo: out1.test}}}}
providers:
  default: {{pace: {{start: {RATE}/s, max: {RATE}/s, per_source: {RATE}/s}}}}
"""


def arrivals(rig, names):
    """Seconds of each arrival, by domain."""
    found = {}
    for name in names:
        with open(rig.dir / f"{name}.csv", encoding="utf-8") as f:
            for row in csv.DictReader(f):
                found.setdefault(row["domain"], []).append(
                    int(row["mail_ns"]) / 1e9)
    return {d: sorted(t) for d, t in found.items()}


@case
def dead_and_slow_destinations_do_not_slow_the_others(rig):
    """Catches 100 dead destinations (half refuse, half never answer) and 100
    slow ones that eat the connections, the resolver or the loop: the healthy
    800 keep 95 % of their pace."""
    names = [f"n{n:04}.test" for n in range(DOMAINS)]
    dead = range(0, DEAD)
    slow = range(DEAD, DEAD + SLOW)
    healthy = range(DEAD + SLOW, DOMAINS)
    port = free_port()
    dns = Dns(rig, {d: [(10, f"mx.{d}", address(n))]
                    for n, d in enumerate(names)})
    tarpit = Tarpit([address(n) for n in dead if n % 2], port)
    (rig.dir / "domains").write_text("".join(f"{d} 1\n" for d in names))
    ledger = rig.dir / "ledger.tsv"
    rig.run(rig.binary("sluice-bench"), "backlog", "--messages",
            DOMAINS * PER_DOMAIN, "--size", "1KiB", "--plain",
            "--domains-file", rig.dir / "domains", "--format", "postfix",
            "--output", rig.dir / "pq", "--ledger", ledger)
    sinks = []
    for k, part in enumerate((slow, healthy[:400], healthy[400:])):
        extra = ["--arrivals", rig.dir / f"sink{k}.csv"]
        if part is slow:
            extra += ["--policy", f"*=slow={SLOW_MS}"]
        sinks.append(Sink(rig, [f"{address(n)}:{port}" for n in part],
                          ledger, name=f"sink{k}", extra=extra))
    s = Sluiced(rig, config(rig, dns, port))
    s.start()
    s.cli("import", "postfix", rig.dir / "pq")
    s.cli("release", "--all", "--reason", "test")
    rows = [r.split("\t")[1].rpartition("@")[2]
            for r in ledger.read_text().splitlines() if r[0] != "#"]
    alive = set(names[DEAD:])
    want = sum(d in alive for d in rows)
    try:
        wait_for("the mail of those that take it", 120, lambda: s.status()
                 ["totals"]["delivered"] >= want)
    except RigError as e:
        raise RigError(f"{e}: {s.status()['totals']} of {want}") from e
    totals = s.status()["totals"]
    equal(totals["failed"], 0, "failed")
    equal(totals["recipients"], len(rows) - want, "left")
    for sink in sinks:
        equal(sink.finish()["duplicated"], 0, "duplicated")
    tarpit.close()
    found = arrivals(rig, ["sink0", "sink1", "sink2"])
    rates = []
    for n in healthy:
        times = found[names[n]]
        equal(len(times), rows.count(names[n]), names[n])
        if len(times) > 1:
            rates.append((len(times) - 1) / (times[-1] - times[0]) / RATE)
    rates.sort()
    print(f"  healthy: {len(rates)} destinations, part of their pace: least "
          f"{rates[0]:.3f}, median {statistics.median(rates):.3f}")
    check(rates[0] >= 0.95, f"{rates[:5]}")
    check(rates[-1] <= 1 + 1 / PER_DOMAIN, f"{rates[-5:]} of the pace")


if __name__ == "__main__":
    main()
