# SPDX-License-Identifier: BSD-2-Clause
"""Receivers that are slow, broken, picky or hostile: what becomes of the mail.

Retry times are short in these configs, so that a deferral is seen to come
back.
"""

import time

from harness import (Sluiced, all_arrived, case, check, configuration,
                     drained, equal, free_port, main, wait_for)
from queue_files import QueueDirectory
from rig import Sink

SHORT = ("retry: {first: 1s, max: 2s}\n"
         "delivery: {greeting: 3s, command: 3s, data: 3s, eom: 3s}\n")


def setup(rig, policy, messages=40, recipients=1, extra=SHORT, body=b"body",
          **kw):
    """sluiced, a sink with that policy, an imported backlog."""
    port = free_port()
    where = f"127.0.2.1:{port}"
    s = Sluiced(rig, configuration(rig, route=where, extra=extra, **kw))
    s.start()
    q = QueueDirectory(rig.dir / "pq")
    for n in range(messages):
        q.message(b"sender@x.test",
                  [b"u%d-%d@y.test" % (n, i) for i in range(recipients)],
                  b"\n%s %d\n" % (body, n))
    policies = [policy] if isinstance(policy, str) else policy
    extra_args = []
    for p in policies:
        extra_args += ["--policy", f"{where}={p}"]
    sink = Sink(rig, [where], q.ledger(rig.dir / "ledger.tsv"),
                extra=extra_args)
    s.cli("import", "postfix", q.path)
    s.cli("release", "--all", "--reason", "test")
    return s, sink


def totals(s):
    return s.status()["totals"]


@case
def replies_in_single_bytes_and_in_64_kib_lines_are_read(rig):
    """Catches a parser that needs a reply in one piece or of a size."""
    for policy in ("byte-by-byte", "long-replies"):
        s, sink = setup(rig, policy)
        drained(s)
        all_arrived(sink.finish())
        s.stop()
        rig.run("rm", "-rf", rig.dir / "spool", rig.dir / "pq")


@case
def receivers_without_pipelining_or_8bitmime_get_their_mail(rig):
    """Catches a client that sends ahead, or alters content, uninvited."""
    s, sink = setup(rig, ["no-pipelining", "no-8bitmime"])
    drained(s)
    report = sink.finish()
    all_arrived(report)
    equal(report["protocol_errors"]["not_waited"], 0, "sent ahead")


@case
def a_421_between_messages_costs_nothing(rig):
    """Catches a message that is charged or lost by a closing receiver."""
    s, sink = setup(rig, "421-every=7", messages=100)
    wait_for("most of the drain", 60,
             lambda: totals(s)["delivered"] >= 50)
    equal(totals(s)["failed"], 0, "failed")
    s.stop()
    report = sink.finish()
    equal(report["duplicated"] + report["altered"], 0, "wrong arrivals")


@case
def three_of_five_recipients_are_delivered(rig):
    """Catches one recipient's refusal that decides for the others."""
    s, sink = setup(rig, "accept-3-of-5", messages=10, recipients=5)
    wait_for("three fifths", 30, lambda: totals(s)["delivered"] >= 30)
    report = sink.finish()
    equal(report["duplicated"] + report["altered"], 0, "wrong arrivals")
    check(report["delivered"] >= 30, str(report["delivered"]))


@case
def a_close_after_mail_is_tried_again_and_nothing_is_lost(rig):
    """Catches a message that vanishes with its connection."""
    s, sink = setup(rig, "close-after-mail", messages=5)
    wait_for("a deferral", 30, lambda: totals(s)["deferred"] > 0)
    time.sleep(2)
    t = totals(s)
    equal(t["recipients"], 5, "still ours")
    equal(t["failed"] + t["delivered"], 0, "decided")
    equal(sink.finish()["messages"], 0, "at the receiver")


@case
def silence_after_354_ends_in_doubt_not_in_a_bounce(rig):
    """Catches a receiver that takes the message and never says so: it may
    have it, so it is listed, and it is tried again."""
    s, _ = setup(rig, "silent-after-354", messages=3)
    wait_for("doubts", 60, lambda: s.status()["doubts"] >= 3)
    doubts = s.json("recovered")
    check(all(d["cause"] == "connection lost" for d in doubts), str(doubts))
    equal(totals(s)["recipients"], 3, "still ours")


@case
def a_close_after_the_dot_is_in_doubt(rig):
    """Catches a lost reply that is taken for a delivery or for a failure."""
    s, _ = setup(rig, "close-after-dot", messages=3)
    wait_for("doubts", 30, lambda: s.status()["doubts"] >= 3)
    equal(totals(s)["failed"], 0, "failed")


@case
def a_reset_inside_data_is_no_doubt(rig):
    """Catches a message listed as possibly delivered before its dot. It is
    large: of a small one the dot is on its way when the reset comes."""
    s, _ = setup(rig, "drop-in-data", messages=3,
                 body=b"0123456789abcde\n" * (20 << 16))
    wait_for("a deferral", 30, lambda: totals(s)["deferred"] > 0)
    equal(s.status()["doubts"], 0, "doubts")
    equal(totals(s)["failed"], 0, "failed")


@case
def a_blocking_banner_stops_the_path_and_bounces_nothing(rig):
    """Promise 2. Catches a backlog that is bounced because of our address."""
    s, sink = setup(rig, "banner=554 5.7.1 Your IP has a poor reputation")
    wait_for("the stop", 30, lambda: any(
        p["state"] == "stopped" for p in s.status()["providers"]))
    time.sleep(1)
    t = totals(s)
    equal(t["waiting"], 40, "waiting")
    equal(t["failed"] + t["needs_decision"] + t["deferred"], 0, "touched")
    p = s.status()["providers"][0]
    check("poor reputation" in p["refusal"]["text"], str(p["refusal"]))
    check(p["probe_in_s"] > 200, str(p))
    check(sink.finish()["connections"] <= 5, "it went on knocking")


@case
def a_stop_and_an_eased_pace_survive_a_restart(rig):
    """Catches a restart that knocks at a receiver that blocks, or sends as
    fast as before it complained."""
    s, sink = setup(rig, "block-after=20", messages=60, pace="100/s")
    wait_for("the stop", 30, lambda: any(
        p["state"] == "stopped" for p in s.status()["providers"]))
    delivered = s.status()["providers"][0]["delivered"]
    s.stop()
    time.sleep(1)  # the report is written twice a second
    before = wait_for("a report", 5, sink.interim)["connections"]
    s.start()
    time.sleep(2)
    p = s.status()["providers"][0]
    equal(p["state"], "stopped", "state after the restart")
    check(p["probe_in_s"] > 200, str(p))
    check(p["delivered"] <= delivered + 20, f"{p['delivered']} delivered")
    equal(sink.finish()["connections"], before, "connections")
    s.stop()
    rig.run("rm", "-rf", rig.dir / "spool", rig.dir / "pq")
    s, sink = setup(rig, "rate=10/s", messages=400, pace="100/s")
    wait_for("the easing", 30, lambda: any(
        p["pace"] != "100/s" for p in s.json("sources")))
    s.stop()
    s.start()
    wait_for("the drain to go on", 20, lambda: s.json("sources"))
    check(all(p["pace"] != "100/s" for p in s.json("sources")),
          str(s.json("sources")))


@case
def a_block_in_mid_drain_stops_and_bounces_nothing(rig):
    """Catches a reflex that is late: no more than what was in flight may
    follow a block."""
    s, sink = setup(rig, "block-after=100", messages=400, pace="200/s")
    wait_for("the stop", 30, lambda: any(
        p["state"] == "stopped" for p in s.status()["providers"]))
    time.sleep(1)
    t = totals(s)
    equal(t["failed"], 0, "failed")
    # Those in flight when the 100th was accepted may still get through.
    check(100 <= t["delivered"] <= 120, f"{t['delivered']} delivered")
    report = sink.finish()
    equal(report["delivered"], t["delivered"], "at the receiver")
    check(report["refused"] <= 25, f"{report['refused']} refusals")


@case
def one_blocked_source_leaves_the_others_working(rig):
    """Catches a whole provider that stops because of one address."""
    s, sink = setup(rig, "block-after=30", messages=100, sources=4)
    wait_for("the drain", 60, lambda: totals(s)["delivered"] == 100)
    all_arrived(sink.finish())


@case
def unknown_recipients_fail_and_strange_ones_need_a_decision(rig):
    """Catches a bounce on an unknown 5xx, and a 5.1.1 that is kept for ever."""
    s, _ = setup(rig, "reject-rcpt=550 5.1.1 No such user here", messages=4)
    wait_for("failures", 30, lambda: totals(s)["failed"] == 4)
    s.stop()
    rig.run("rm", "-rf", rig.dir / "spool", rig.dir / "pq")
    s, _ = setup(rig, "reject-rcpt=550 Frobnication denied", messages=2)
    wait_for("decisions", 30, lambda: totals(s)["needs_decision"] == 2)
    equal(totals(s)["failed"], 0, "failed")


@case
def greylisted_mail_comes_back_and_arrives(rig):
    """Catches a greylisting that is taken for a block, or never retried."""
    s, sink = setup(rig, "greylist=2", messages=20, sources=3,
                    extra=SHORT)
    wait_for("a deferral", 20, lambda: totals(s)["deferred"] > 0)
    equal(totals(s)["failed"], 0, "failed")
    check(all(p["state"] == "open" for p in s.json("sources")), "a path is "
          "not open")
    sink.finish()


@case
def a_dead_receiver_is_shown_and_nothing_is_lost(rig):
    """Catches mail that vanishes, or waits without a word, behind a host that
    refuses connections."""
    port = free_port()  # nobody listens there
    s = Sluiced(rig, configuration(rig, route=f"127.0.2.1:{port}",
                                   extra=SHORT))
    s.start()
    q = QueueDirectory(rig.dir / "pq")
    for n in range(10):
        q.message(b"a@x.test", [b"u%d@y.test" % n], b"\n%d\n" % n)
    s.cli("import", "postfix", q.path)
    s.cli("release", "--all", "--reason", "test")
    p = wait_for("the reason", 20, lambda: next(
        (p for p in s.status()["providers"] if p["refusal"]), None))
    check("no connection" in p["refusal"]["text"], str(p["refusal"]))
    equal(totals(s)["recipients"], 10, "still ours")
    equal(totals(s)["failed"], 0, "failed")
    # It comes up: the mail goes.
    sink = Sink(rig, [f"127.0.2.1:{port}"],
                q.ledger(rig.dir / "ledger.tsv"))
    drained(s, 60)
    all_arrived(sink.finish())


@case
def a_rate_limit_slows_down_and_bounces_nothing(rig):
    """Catches a client that runs on against a receiver's rate limit."""
    s, sink = setup(rig, "rate=20/s", messages=300, pace="100/s")
    wait_for("the easing", 30, lambda: any(
        p["pace"] != "100/s" for p in s.json("sources")))
    time.sleep(2)
    equal(totals(s)["failed"], 0, "failed")
    equal(sink.finish()["duplicated"], 0, "duplicated")


if __name__ == "__main__":
    main()
