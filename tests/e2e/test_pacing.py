# SPDX-License-Identifier: BSD-2-Clause
"""Paces, counted at the receiver.

Catches a rate that is not the one asked for: over the whole time the count is
within one message of rate x time, for provider, source and domain paces.
"""

import csv
import statistics

from harness import (Sluiced, case, check, configuration, drained, equal,
                     free_port, main)
from queue_files import QueueDirectory
from rig import Sink


def arrivals(path, key):
    """Monotonic seconds of each arrival, by the column `key`."""
    found = {}
    with open(path, encoding="utf-8") as f:
        for row in csv.DictReader(f):
            found.setdefault(row[key], []).append(int(row["mail_ns"]) / 1e9)
    return {k: sorted(v) for k, v in found.items()}


# What is made up for after a stall of the machine (docs/release.md), and what a
# stall of the receiver may squeeze together.
LAG_S = 0.05
STALL_S = 0.2


def within_one(times, rate, what):
    """Never ahead of n / rate by more than a message; over stretches of up to
    100 messages within one of rate x time, by the median stretch, so that a
    stall of the machine under the test is not judged; never a burst."""
    ahead = max(n - (t - times[0]) * rate for n, t in enumerate(times))
    w = max(5, min(100, len(times) // 3))
    off = statistics.median((times[n + w] - times[n]) * rate - w
                            for n in range(len(times) - w))
    print(f"  {what}: {len(times)} messages at {rate}/s, ahead by "
          f"{ahead:.2f}, off by {off:.2f} in {w}")
    check(ahead <= 1.0, f"{what}: {ahead} messages ahead")
    check(abs(off) <= 1.0, f"{what}: {off} messages off in {w}")
    first = 0
    for n, t in enumerate(times):
        while times[first] <= t - 1.0:
            first += 1
        check(n - first + 1 <= rate * (1.0 + LAG_S + STALL_S) + 1,
              f"{what}: {n - first + 1} messages in a second")


@case
def counts_are_within_one_message_of_rate_times_time(rig):
    """Three providers, three paces; one of them by a domain's cap."""
    port = free_port()
    where = f"127.0.2.1:{port}"
    rates = {"slow.test": 2, "middle.test": 20, "fast.test": 200,
             "capped.test": 5}
    providers = "".join(
        f"  p{n}: {{domains: [{d}], pace: {{start: {r}/s, max: {r}/s, "
        f"per_source: {r}/s}}}}\n" for n, (d, r) in enumerate(rates.items())
        if d != "capped.test")
    s = Sluiced(rig, configuration(
        rig, route=where, sources=2, provider=providers.rstrip("\n"),
        extra="domains: {capped.test: {pace: 5/s}}\n"))
    s.start()
    q = QueueDirectory(rig.dir / "pq")
    for domain, rate in rates.items():
        for n in range(rate * 6):
            q.message(b"a@x.test", [f"u{n}@{domain}".encode()],
                      b"\nbody\n")
    sink = Sink(rig, [where], q.ledger(rig.dir / "ledger.tsv"),
                extra=["--arrivals", rig.dir / "arrivals.csv"])
    s.cli("import", "postfix", q.path)
    s.cli("release", "--all", "--reason", "test")
    drained(s, 60)
    equal(sink.finish()["lost"], 0, "lost")
    by_domain = arrivals(rig.dir / "arrivals.csv", "domain")
    for domain, rate in rates.items():
        equal(len(by_domain[domain]), rate * 6, domain)
        within_one(by_domain[domain], rate, domain)


@case
def a_source_keeps_its_share(rig):
    """per_source caps each address, max caps their sum."""
    port = free_port()
    where = f"127.0.2.1:{port}"
    s = Sluiced(rig, configuration(
        rig, route=where, sources=4,
        provider="  p: {domains: [y.test], pace: {start: 10/s, max: 30/s, "
        "per_source: 10/s}}"))
    s.start()
    q = QueueDirectory(rig.dir / "pq")
    for n in range(180):
        q.message(b"a@x.test", [b"u%d@y.test" % n], b"\nbody\n")
    sink = Sink(rig, [where], q.ledger(rig.dir / "ledger.tsv"),
                extra=["--arrivals", rig.dir / "arrivals.csv"])
    s.cli("import", "postfix", q.path)
    s.cli("release", "--all", "--reason", "test")
    drained(s, 60)
    equal(sink.finish()["lost"], 0, "lost")
    total = arrivals(rig.dir / "arrivals.csv", "domain")["y.test"]
    within_one(total, 30, "all sources")
    for client, times in arrivals(rig.dir / "arrivals.csv",
                                  "client").items():
        for n in range(len(times)):
            later = [t for t in times if times[n] <= t < times[n] + 1.0]
            check(len(later) <= 13, f"{client}: {len(later)} in a second")


if __name__ == "__main__":
    main()
