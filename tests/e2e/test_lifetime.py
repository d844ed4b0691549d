# SPDX-License-Identifier: BSD-2-Clause
"""How long mail is tried: dead hosts, full mailboxes, blocks, holds.

Lifetimes are seconds in these configs. What expires has a reason in the log.
"""

import json
import time

from harness import (Sluiced, case, check, configuration, equal, free_port,
                     main, wait_for)
from queue_files import QueueDirectory
from rig import Sink

DEBUG = "log: {level: debug}\n"


def retry(lifetime, extra):
    return (f"retry: {{first: 1s, max: 2s, lifetime: {lifetime}{extra}}}\n"
            "delivery: {greeting: 3s, command: 3s, data: 3s, eom: 3s}\n"
            + DEBUG)


def released(rig, route, messages=20, lifetime="4s", provider="",
             domains=("y.test",), args=("--all",), extra=""):
    """sluiced, a backlog for these domains, released."""
    s = Sluiced(rig, configuration(rig, route=route, extra=retry(lifetime, extra),
                                   provider=provider))
    s.start()
    q = QueueDirectory(rig.dir / "pq")
    for n in range(messages):
        q.message(b"sender@x.test",
                  [b"u%d@%s" % (n, d.encode()) for d in domains],
                  b"\n%d\n" % n)
    s.cli("import", "postfix", q.path)
    s.cli("release", *args, "--reason", "test")
    return s, q


def totals(s):
    return s.status()["totals"]


def expired(s, count, seconds=60):
    wait_for(f"{count} expired", seconds,
             lambda: totals(s)["expired"] == count)
    t = totals(s)
    equal(t["failed"] + t["delivered"], 0, "failed or delivered")


def reasons(s):
    """Details of all that expired, from the debug log."""
    found = []
    for line in s.process.log.read_text(errors="replace").splitlines():
        if '\\"type\\":\\"expired\\"' not in line:
            continue
        found.append(json.loads(json.loads(line)["message"])["reason"])
    return found


def lines(s, text):
    log = s.process.log.read_text(errors="replace")
    return sum(text in line for line in log.splitlines())


@case
def mail_for_a_host_that_refuses_connections_expires(rig):
    """Catches mail that waits for ever behind a dead host, and a dead host
    that is knocked at all the time. More than one slice of it."""
    s, _ = released(rig, f"127.0.2.1:{free_port()}", messages=300)
    began = time.monotonic()
    expired(s, 300)
    check(time.monotonic() - began > 2, "expired at once")
    found = reasons(s)
    equal(len(found), 300, "reasons")
    check(all("connect to 127.0.2.1" in r for r in found), found[0])
    check(lines(s, "trying again in") <= 30, "it is hammered")


@case
def all_domains_behind_a_dead_route_expire(rig):
    """Catches a failure that is charged to one domain of a provider only."""
    names = [f"d{n}.test" for n in range(8)]
    dead = f"127.0.2.1:{free_port()}"
    s, _ = released(rig, dead, messages=5, domains=names, provider=(
        f"  shared: {{domains: [{', '.join(names)}], route: \"{dead}\"}}"))
    expired(s, 40)


@case
def mail_for_a_host_without_a_usable_address_expires(rig):
    """Catches IPv6-only hosts that a pool with IPv4 sources waits for."""
    s, _ = released(rig, f"[::1]:{free_port()}")
    expired(s, 20)
    check(all("family" in r for r in reasons(s)), str(reasons(s)[:1]))


@case
def mail_for_full_mailboxes_expires_with_the_receivers_words(rig):
    """Catches an expiry whose reason is not the last answer."""
    port = free_port()
    q = QueueDirectory(rig.dir / "empty")
    Sink(rig, [f"127.0.2.1:{port}"], q.ledger(rig.dir / "ledger.tsv"),
         extra=["--policy", f"127.0.2.1:{port}=reject-rcpt=452 4.2.2 "
                "Mailbox full"])
    s, _ = released(rig, f"127.0.2.1:{port}", messages=10)
    expired(s, 10)
    check(all("Mailbox full" in r for r in reasons(s)), str(reasons(s)[:1]))


@case
def a_block_costs_no_lifetime(rig):
    """Promise 2. Catches mail that expires because of our address."""
    port = free_port()
    q = QueueDirectory(rig.dir / "empty")
    Sink(rig, [f"127.0.2.1:{port}"], q.ledger(rig.dir / "ledger.tsv"),
         extra=["--policy", f"127.0.2.1:{port}=banner=554 5.7.1 Your IP has "
                "a poor reputation"])
    s, _ = released(rig, f"127.0.2.1:{port}", lifetime="2s")
    wait_for("the stop", 30, lambda: any(
        p["state"] == "stopped" for p in s.status()["providers"]))
    time.sleep(5)
    equal(totals(s)["waiting"], 20, "waiting")
    s.stop()
    s.start()
    time.sleep(3)
    equal(totals(s)["waiting"], 20, "waiting after a restart")


@case
def a_block_that_lasts_asks_the_operator(rig):
    """Promise 2. Catches mail that waits behind a block for ever without a
    word, and an age that begins anew with a restart. What comes back by a
    decision is not asked about again at once."""
    port = free_port()
    q = QueueDirectory(rig.dir / "empty")
    Sink(rig, [f"127.0.2.1:{port}"], q.ledger(rig.dir / "ledger.tsv"),
         extra=["--policy", f"127.0.2.1:{port}=banner=554 5.7.1 Your IP has "
                "a poor reputation"])
    s, _ = released(rig, f"127.0.2.1:{port}", extra=", block_max_age: 12s")
    wait_for("the stop", 30, lambda: any(
        p["state"] == "stopped" for p in s.status()["providers"]))
    equal(totals(s)["needs_decision"], 0, "asked at once")
    s.stop()
    time.sleep(12)
    s.start()
    wait_for("the question", 10, lambda: totals(s)["needs_decision"] == 20)
    equal(totals(s)["expired"] + totals(s)["failed"], 0, "decided")
    check(lines(s, "20 recipients need a decision") == 1, s.process.tail(5))
    check(lines(s, "poor reputation") > 0, s.process.tail(5))


@case
def held_mail_does_not_expire(rig):
    """Catches a clock that runs in custody or under a hold."""
    dead = f"127.0.2.1:{free_port()}"
    s, _ = released(rig, dead, lifetime="3s", domains=("y.test", "z.test"),
                    messages=10, args=("--domain", "y.test"))
    expired(s, 10)
    equal(totals(s)["held"], 10, "held")


@case
def the_clock_goes_on_while_the_program_is_down(rig):
    """Catches a lifetime that begins anew with every restart."""
    s, _ = released(rig, f"127.0.2.1:{free_port()}", lifetime="15s",
                    messages=10)
    s.stop()
    time.sleep(15)
    s.start()
    expired(s, 10, seconds=14)


if __name__ == "__main__":
    main()
