# SPDX-License-Identifier: BSD-2-Clause
"""Receivers that do one thing wrong: a table of them, and the fate of mail.

All of receiver_table.py at once: one receiver, one provider, one domain and
four recipients per row, in one daemon. A receiver that is stuck must not
hold up another one either.
"""

import collections
import time

from doc_tables import keep
from harness import Sluiced, case, check, equal, free_port, main, wait_for
from queue_files import QueueDirectory
from receiver_table import (BIG, DECIDE, DEFERRED, DELIVERED, DOUBT, FAILED,
                            STOPPED, rows)
from rig import Sink

RCPTS = 4
SETTLE_S = 90
STAY_S = 3


def address(n):
    return f"127.0.{3 + n // 250}.{n % 250 + 1}"


def config(rig, table, port):
    """Each row has a source of its own: an answer may speak of the source,
    and then stops it everywhere."""
    lines = [f"spool: {{dir: {rig.dir}/spool, min_free: 50MiB}}",
             f"run: {{dir: {rig.dir}/sluice}}",
             "retry: {first: 1s, max: 2s}",
             "delivery: {connect: 2s, greeting: 2s, command: 2s, data: 2s, "
             "eom: 2s, idle: 1s}", "sources:"]
    numbers = range(len(table))
    lines += [f"  s{n:03}: {{address: 127.1.{n // 250}.{n % 250 + 1}, "
              f"helo: s{n:03}.example.test}}" for n in numbers]
    lines.append("pools:")
    lines += [f"  s{n:03}: [s{n:03}]" for n in numbers]
    lines += ["providers:",
              "  default: {pace: {start: unlimited, max: unlimited, "
              "per_source: unlimited}, connections: {max: 2}}"]
    lines += [f"  p{n:03}: {{domains: [o{n:03}.test], pool: s{n:03}, "
              f"route: \"{address(n)}:{port}\"}}" for n in numbers]
    return "\n".join(lines) + "\n"


def fill(rig, table):
    q = QueueDirectory(rig.dir / "pq")
    for n, (_, name, _, _) in enumerate(table):
        big = name.startswith("content:")
        body = b"0123456789abcde\n" * (BIG // 16) if big else b"\nbody\n"
        for m in range(2):
            q.message(b"sender@x.test",
                      [b"u%d-%d@o%03d.test" % (m, r, n) for r in range(2)],
                      body + b"%d\n" % m)
    return q


class Fates:
    """What sluiced says of each row, and what the receivers say."""

    def __init__(self, sluiced, sink, table, port, domains):
        self.domains = domains  # of each id, before anything was sent
        self.sluiced, self.sink = sluiced, sink
        self.table, self.port = table, port

    def look(self):
        report = wait_for("a report", 5, self.sink.interim)
        at = report["by_listener"]
        doubts = collections.Counter()
        for d in self.sluiced.json("recovered"):
            doubts[self.domains[d["id"]]] += 1
        providers = {p["provider"]: p for p in self.sluiced.json("providers")}
        return {n: self.fate(n, providers.get(f"p{n:03}", {}),
                             doubts[f"o{n:03}.test"],
                             at.get(f"{address(n)}:{self.port}", {}))
                for n in range(len(self.table))}

    def fate(self, n, p, doubts, at):
        arrived, delivered = at.get("recipients", 0), p.get("delivered", 0)
        left = p.get("recipients", 0)
        if doubts:
            return DOUBT
        if p.get("failed", 0) == RCPTS and arrived == 0:
            return FAILED
        if p.get("needs_decision", 0) and left == RCPTS and arrived == 0:
            return DECIDE
        if delivered == RCPTS and arrived == RCPTS and left == 0:
            return DELIVERED
        if left == RCPTS and arrived == 0 and at.get("connections", 0):
            return STOPPED if p["state"] == "stopped" else DEFERRED
        return (f"{arrived} arrived, {delivered} delivered, {left} left, "
                f"{p.get('failed')} failed, {p.get('state')}")

    def wrong(self):
        now = self.look()
        return {n: now[n] for n, row in enumerate(self.table)
                if now[n] != row[3]}


@case
def every_odd_receiver_leads_to_the_right_fate(rig):
    """Catches mail that is lost, bounced, delivered twice or stuck because of
    what a receiver does wrong, and a path that holds up the others."""
    table = list(rows())
    check(len(table) >= 80, f"{len(table)} rows")
    port = free_port()
    s = Sluiced(rig, config(rig, table, port))
    s.start()
    q = fill(rig, table)
    policies = []
    for n, (_, _, ways, _) in enumerate(table):
        for way in ways:
            policies += ["--policy", f"{address(n)}:{port}={way}"]
    sink = Sink(rig, [f"{address(n)}:{port}" for n in range(len(table))],
                q.ledger(rig.dir / "ledger.tsv"), extra=policies)
    s.cli("import", "postfix", q.path)
    domains = {m["id"]: m["domain"]
               for m in s.json("list", "--all", "--limit", "10000")}
    s.cli("release", "--all", "--reason", "test")
    fates = Fates(s, sink, table, port, domains)
    end = time.monotonic() + SETTLE_S
    while fates.wrong() and time.monotonic() < end:
        time.sleep(1)
    time.sleep(STAY_S)  # whoever was right has to stay so
    wrong = fates.wrong()
    for n, fate in wrong.items():
        print(f"  {table[n][1]}: {fate}, wanted {table[n][3]} "
              f"(provider p{n:03})")
    equal(len(wrong), 0, "wrong fates")
    totals = s.status()["totals"]
    s.stop()
    report = sink.finish()
    equal(report["altered"] + report["unknown"], 0, "altered or unknown")
    ours = totals["recipients"] + totals["failed"]
    check(ours + totals["delivered"] == RCPTS * len(table), str(totals))
    keep("smtp.md", "receivers", ["what", "receiver", "fate"],
         [[f"{group.replace('_', ' ')}", name, fate]
          for group, name, _, fate in table])


if __name__ == "__main__":
    main()
