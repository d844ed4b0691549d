# SPDX-License-Identifier: BSD-2-Clause
"""What a refusal stops at once, and what it leaves alone: each scope."""

import time

from harness import (Sluiced, all_arrived, case, check, configuration,
                     drained, equal, free_port, main, wait_for)
from queue_files import QueueDirectory
from rig import Sink

SHORT = ("retry: {first: 1s, max: 2s}\n"
         "delivery: {greeting: 3s, command: 3s, data: 3s, eom: 3s}\n")
RULES = """version: 1
rules:
  - id: grey
    text: 'greylisted'
    class: greylisted
    wait: 3s
    example: 'rcpt 450 4.7.1 Greylisted'
"""


def setup(rig, policy, messages=20, extra=SHORT, sender=b"sender@x.test",
          **kw):
    """sluiced, a sink with that policy, an imported backlog, released."""
    port = free_port()
    where = f"127.0.2.1:{port}"
    s = Sluiced(rig, configuration(rig, route=where, extra=extra, **kw))
    s.start()
    q = QueueDirectory(rig.dir / "pq")
    for n in range(messages):
        q.message(sender, [b"u%d@y.test" % n], b"\n%d\n" % n)
    sink = Sink(rig, [where], q.ledger(rig.dir / "ledger.tsv"),
                extra=["--policy", f"{where}={policy}"])
    s.cli("import", "postfix", q.path)
    s.cli("release", "--all", "--reason", "test")
    return s, sink


def totals(s):
    return s.status()["totals"]


def stopped(s):
    return [p for p in s.status()["providers"] if p["state"] == "stopped"]


def attempts(s):
    return sum(m["attempts"] for m in s.json("list", "--all"))


@case
def the_same_unknown_answer_for_three_stops_the_path(rig):
    """Catches a backlog that ends in needs-decision, or is charged attempts,
    because of one sentence that no rule knows. 4xx and 5xx."""
    for code in ("550", "450"):
        s, _ = setup(rig, f"reject-rcpt={code} Frobnication denied, id 4711",
                     pace="20/s")
        wait_for("the stop", 30, lambda: stopped(s))
        wait_for("quiet", 30, lambda: totals(s)["in_flight"] == 0)
        equal(totals(s)["waiting"], 20, "waiting")
        equal(attempts(s), 0, "attempts charged")
        s.stop()
        s.start()
        equal(totals(s)["waiting"], 20, "waiting after a restart")
        equal(attempts(s), 0, "attempts after a restart")
        s.stop()
        rig.run("rm", "-rf", rig.dir / "spool", rig.dir / "pq")


@case
def an_unknown_answer_for_two_needs_decisions(rig):
    """Catches a path that stops for what may be two recipients' own."""
    s, _ = setup(rig, "reject-rcpt=550 Frobnication denied", messages=2)
    wait_for("decisions", 30, lambda: totals(s)["needs_decision"] == 2)
    equal(stopped(s), [], "stopped")
    equal(totals(s)["failed"], 0, "failed")


@case
def many_refusals_for_the_content_hold_the_provider(rig):
    """Catches a backlog full of spam that is fed to a receiver to its end."""
    s, sink = setup(rig, "reject-rcpt=550 5.7.1 Message rejected as spam by "
                    "content filtering", messages=60, pace="40/s")
    holds = wait_for("the hold", 30, lambda: s.status()["holds"])
    check("spam" in holds[0]["reason"], str(holds))
    wait_for("quiet", 30, lambda: totals(s)["in_flight"] == 0)
    equal(totals(s)["held"], 60, "held")
    equal(totals(s)["failed"], 0, "failed")
    check(sink.finish()["refused"] <= 20, "it went on")


@case
def missing_authentication_holds_the_sender_domain(rig):
    """Catches a policy of a sender's domain that stops everybody's mail."""
    s, _ = setup(rig, "reject-rcpt=550 5.7.26 Unauthenticated email from "
                 "x.test is not accepted due to domain's DMARC policy")
    holds = wait_for("the hold", 30, lambda: s.status()["holds"])
    equal(len(holds), 1, "holds")
    check("x.test" in str(holds[0]), str(holds))
    wait_for("quiet", 30, lambda: totals(s)["held"] == 20)
    equal(stopped(s), [], "stopped")
    equal(attempts(s), 0, "attempts charged")


@case
def a_listed_source_stops_where_the_list_is_used(rig):
    """Catches a source that is stopped at providers that never asked a list,
    and one that goes on at the provider that did."""
    ports = [free_port(), free_port()]
    where = [f"127.0.2.{n + 1}:{p}" for n, p in enumerate(ports)]
    s = Sluiced(rig, configuration(
        rig, route=where[1], sources=2, pace="50/s", extra=SHORT, provider=(
            f"  listed: {{domains: [y.test], route: \"{where[0]}\"}}")))
    s.start()
    q = QueueDirectory(rig.dir / "pq")
    for n in range(40):
        q.message(b"s%d@x%d.test" % (n, n),
                  [b"u%d@%s" % (n, b"y.test" if n % 2 else b"z.test")],
                  b"\n%d\n" % n)
    ledger = q.ledger(rig.dir / "ledger.tsv")
    Sink(rig, where, ledger, extra=[
        "--policy", f"{where[0]}=banner=554 5.7.1 Service unavailable; client "
        "host blocked using zen.spamhaus.org"])
    s.cli("import", "postfix", q.path)
    s.cli("release", "--all", "--reason", "test")
    wait_for("the others", 30, lambda: totals(s)["delivered"] == 20)
    wait_for("the stop", 30, lambda: sum(
        p["state"] == "stopped" for p in s.json("sources")) == 2)
    equal(totals(s)["waiting"], 20, "waiting")
    for p in s.json("sources"):
        equal(p["state"], "stopped" if p["provider"] == "listed" else "open",
              f"{p['provider']} via {p['source']}")


@case
def greylisted_mail_comes_back_by_its_source(rig):
    """Catches a retry over another address, which is greylisted anew: each
    recipient is refused once and no more."""
    rules = rig.dir / "rules.yaml"
    rules.write_text(RULES)
    s, sink = setup(rig, "greylist=2", messages=30, sources=4,
                    extra=SHORT + f"classify: {{rules: {rules}}}\n")
    drained(s, 60)
    report = sink.finish()
    all_arrived(report)
    equal(report["refused"], 30, "refusals")


@case
def a_receiver_in_trouble_is_no_block(rig):
    """Catches 421 system problems that stop the clock of lifetime, or a path:
    it is tried again, less and less, and what waits expires."""
    s, _ = setup(rig, "banner=421 4.3.0 System temporarily unavailable",
                 extra=SHORT.replace("max: 2s", "max: 2s, lifetime: 6s"))
    time.sleep(1)
    equal(stopped(s), [], "stopped")
    wait_for("the end", 60, lambda: totals(s)["expired"] == 20)
    p = s.status()["providers"][0]
    check("unavailable" in p["refusal"]["text"], str(p))


if __name__ == "__main__":
    main()
