# SPDX-License-Identifier: BSD-2-Clause
"""What goes first: live mail or backlog (live_share), and order."""

import smtplib

from harness import (Sluiced, case, check, equal, free_port, main, wait_for)
from queue_files import QueueDirectory
from rig import Sink


def sluiced(rig, port, intake, provider):
    text = (f"spool: {{dir: {rig.dir}/spool, min_free: 50MiB}}\n"
            f"run: {{dir: {rig.dir}/sluice}}\n"
            "sources: {out1: {address: 127.0.1.1, helo: out1.example.test}}\n"
            f"listen: [{{address: \"127.0.0.1:{intake}\"}}]\n"
            "providers:\n  default: {route: \"127.0.2.1:%d\", %s}\n" %
            (port, provider))
    s = Sluiced(rig, text)
    s.start()
    return s


def send_live(intake, count):
    with smtplib.SMTP("127.0.0.1", intake) as client:
        for n in range(count):
            client.sendmail("live@x.test", [f"l{n}@y.test"],
                            f"Subject: {n}\r\n\r\nlive\r\n")


def left(s, sender):
    return s.json("count", "--sender", sender)[0]["recipients"]


def drain_both(rig, share):
    """200 of each at 40/s; (live, backlog) left when half is through."""
    port, intake = free_port(), free_port()
    s = sluiced(rig, port, intake, "pace: {start: 40/s, max: 40/s, "
                f"per_source: 40/s}}, live_share: {share}")
    s.cli("hold", "--domain", "y.test", "--reason", "both first")
    q = QueueDirectory(rig.dir / "pq")
    for n in range(200):
        q.message(b"old@x.test", [b"u%d@y.test" % n], b"\n%d\n" % n)
    Sink(rig, [f"127.0.2.1:{port}"], q.ledger(rig.dir / "ledger.tsv"))
    s.cli("import", "postfix", q.path)
    send_live(intake, 200)
    s.cli("release", "--all", "--reason", "test")
    s.cli("release", "--domain", "y.test", "--reason", "both are here")
    wait_for("a part of the drain", 60,
             lambda: s.status()["totals"]["delivered"] >= 100)
    s.cli("hold", "--all", "--reason", "to count")
    wait_for("quiet", 30, lambda: s.status()["totals"]["in_flight"] == 0)
    counts = left(s, "live@x.test"), left(s, "old@x.test")
    s.stop()
    rig.run("rm", "-rf", rig.dir / "spool", rig.dir / "pq")
    return 200 - counts[0], 200 - counts[1]


@case
def live_mail_and_backlog_share_the_pace(rig):
    """Catches live mail that waits behind the backlog, and a share that is
    not what the config says."""
    for share in (0, 25, 50, 100):
        live, old = drain_both(rig, share)
        check(live + old >= 100, f"{live} + {old} delivered")
        off = live - (live + old) * share / 100
        check(abs(off) <= 2, f"share {share}: {live} live, {old} old")


@case
def messages_leave_in_the_providers_order(rig):
    """Catches an order that is read and not used."""
    for order, key, first in (("oldest", "arrival", min),
                              ("newest", "arrival", max),
                              ("smallest", "size", min)):
        port, intake = free_port(), free_port()
        s = sluiced(rig, port, intake, "pace: {start: 20/s, max: 20/s, "
                    f"per_source: 20/s}}, order: {order}")
        q = QueueDirectory(rig.dir / "pq")
        for n in range(100):
            q.message(b"old@x.test", [b"u%d@y.test" % n],
                      b"\n" + b"x" * (n * 37 % 100 + 1) + b"\n",
                      arrival=1760000000 + n * 61 % 100)
        sink = Sink(rig, [f"127.0.2.1:{port}"],
                    q.ledger(rig.dir / "ledger.tsv"))
        s.cli("import", "postfix", q.path)
        every = {m["id"]: m[key] for m in s.json("list", "--all")}
        equal(len(every), 100, "listed")
        s.cli("release", "--all", "--reason", "test")
        wait_for("a part of the drain", 60,
                 lambda: s.status()["totals"]["delivered"] >= 40)
        s.cli("hold", "--all", "--reason", "to look")
        wait_for("quiet", 30, lambda: s.status()["totals"]["in_flight"] == 0)
        rest = {m["id"] for m in s.json("list", "--all")}
        gone = [v for i, v in every.items() if i not in rest]
        kept = [v for i, v in every.items() if i in rest]
        check(40 <= len(gone) < 100, f"{len(gone)} gone")
        equal(first(gone + kept), first(gone), f"{order}: the first")
        last = max if first is min else min
        check(first(last(gone), first(kept)) == last(gone),
              f"{order}: {sorted(gone)} gone, {sorted(kept)} kept")
        s.stop()
        sink.finish()
        rig.run("rm", "-rf", rig.dir / "spool", rig.dir / "pq")


if __name__ == "__main__":
    main()
