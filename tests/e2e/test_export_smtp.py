# SPDX-License-Identifier: BSD-2-Clause
"""Handing over by SMTP: what is accepted goes, the rest stays, by name."""

import json
import random
import socket
import threading

from exporting import dsn_message, export, odd_messages, started
from harness import (backlog, all_arrived, case, check, equal, free_port,
                     main, wait_for)
from queue_files import QueueDirectory
from rig import Postfix, Sink


def to_sink(rig, s, q, *policies, args=(), check=True):
    """Exports all by SMTP to a sink of its own: result, report."""
    port = free_port()
    extra = [x for p in policies for x in ("--policy", f"*={p}")]
    sink = Sink(rig, [f"127.0.3.1:{port}"], q.ledger(rig.dir / "smtp.tsv"),
                name=f"smtp{port}", extra=extra)
    r = export(s, "smtp", f"127.0.3.1:{port}", "--all", "--json", *args,
               check=check)
    lines = [json.loads(x) for x in r.stdout.splitlines()]
    return r, lines, sink.finish()


@case
def by_smtp_everything_arrives_once(rig):
    """Catches bytes or addresses that are touched, dots that are not doubled,
    and what was accepted and is kept."""
    s, _ = started(rig)
    q = QueueDirectory(rig.dir / "pq")
    odd_messages(q)
    for n in range(300):
        q.message(b"a@x.test", [b"u%d@y.test" % n], b"\n%d\n" % n)
    s.cli("import", "postfix", q.path)
    r, lines, report = to_sink(rig, s, q)
    all_arrived(report)
    equal(report["protocol_errors"]["missing_stuffing"], 0, "stuffing")
    equal(lines[-1]["recipients"], report["expected"], "exported")
    equal(s.status()["totals"]["recipients"], 0, "left")
    s.stop()
    s.start()
    equal(s.status()["totals"]["recipients"], 0, "left after a restart")
    equal(s.status()["doubts"], 0, "in doubt")


@case
def a_postfix_takes_it_by_smtp(rig):
    """Catches commands that a real server does not take."""
    s, _ = started(rig)
    pq, _ = backlog(rig, 200)
    q = QueueDirectory(rig.dir / "odd")
    for n in range(5):
        dsn_message(q, n)
    q.message("j\u00f6rg@x.test".encode(), [b"b@y.test"], b"\nutf-8\n")
    s.cli("import", "postfix", pq)
    s.cli("import", "postfix", q.path)
    before = s.status()["totals"]["recipients"]
    p = Postfix(rig)
    p.start()
    r = export(s, "smtp", f"127.0.0.1:{p.port}", "--all", "--json")
    equal(json.loads(r.stdout.splitlines()[-1])["recipients"], before,
          f"exported\n{r.stderr}")
    p.stop()
    equal(len(p.files()), 206, "queued there")
    texts = [f.read_bytes() for f in p.files()]
    equal(sum(b"dsn_orig_rcpt=rfc822;c+d@y.test" in t
              and b"notify_flags=10" in t and b"ret_flags=2" in t
              for t in texts), 5, "messages with DSN options")


@case
def refused_recipients_stay(rig):
    """Catches a recipient that a 4xx or 5xx loses, or that goes twice."""
    s, _ = started(rig)
    q = QueueDirectory(rig.dir / "pq")
    for n in range(20):
        q.message(b"a@x.test", [b"u%d-%d@y.test" % (n, i) for i in range(5)],
                  b"\n%d\n" % n)
    s.cli("import", "postfix", q.path)
    r, lines, report = to_sink(rig, s, q, "accept-3-of-5", check=False)
    equal(r.returncode, 65, "exit status")
    equal((report["delivered"], report["duplicated"]), (60, 0), "at the sink")
    equal((lines[-1]["recipients"], lines[-1]["refused"]), (60, 40), "said")
    refused = [x for x in lines[:-1] if x["result"] == "refused"]
    equal(len(refused), 40, "named")
    check(all(x["reply"].startswith(("450", "550")) for x in refused),
          refused[0])
    left = s.json("list", "--all")
    equal(sorted(x["recipient"] for x in left),
          sorted(x["recipient"] for x in refused), "left")
    equal({x["state"] for x in left}, {"held"}, "their state")
    s.stop()
    s.start()
    equal(s.status()["totals"]["held"], 40, "held after a restart")
    equal(s.status()["doubts"], 0, "in doubt")
    for policy in ("tempfail-rcpt", "reject-rcpt=550 5.7.1 no",
                   "banner=554 5.7.1 not you", "421-every=1"):
        r, lines, report = to_sink(rig, s, q, policy, check=False)
        check(r.returncode in (65, 75), f"{policy}: {r.returncode}")
        equal(report["delivered"], 0, f"{policy}: delivered")
        equal(lines[-1]["in_doubt"], 0, f"{policy}: in doubt")
        equal(s.status()["totals"]["held"], 40, f"{policy}: held")


@case
def no_answer_to_the_last_byte_is_a_doubt_by_name(rig):
    """Promise 1. Catches a message that may have been taken, and is neither
    kept nor listed."""
    s, _ = started(rig)
    q = QueueDirectory(rig.dir / "pq")
    for n in range(12):
        q.message(b"a@x.test", [b"u%d@y.test" % n], b"\n%d\n" % n)
    s.cli("import", "postfix", q.path)
    r, lines, report = to_sink(rig, s, q, "close-after-dot", check=False)
    check(r.returncode in (65, 75), f"exit status {r.returncode}")
    doubts = {x["id"] for x in lines[:-1] if x["result"] == "doubt"}
    check(doubts, "nothing in doubt")
    equal(s.status()["totals"]["held"], 12, "held")
    equal({x["id"] for x in s.json("recovered") if "id" in x}, doubts,
          "listed")
    s.stop()
    s.start()
    equal(s.status()["doubts"], len(doubts), "after a restart")


def answers(port, replies, heard):
    """A receiver that answers by the first word of each line, with
    PIPELINING, and notes what it hears."""
    def serve(peer):
        with peer, peer.makefile("rwb") as f:
            f.write(b"220 odd\r\n")
            f.flush()
            for line in f:
                heard.append(line)
                word = line.split()[0].upper() if line.split() else b""
                f.write(replies.get(word, b"250 ok\r\n"))
                f.flush()

    def accept(server):
        with server:
            for _ in range(50):
                peer, _ = server.accept()
                threading.Thread(target=serve, args=(peer,),
                                 daemon=True).start()

    server = socket.create_server(("127.0.3.1", port))
    threading.Thread(target=accept, args=(server,), daemon=True).start()


@case
def no_empty_message_to_who_refused_the_sender(rig):
    """Catches a dot alone that a receiver takes for a message: it had refused
    MAIL, and takes recipients and DATA all the same."""
    s, _ = started(rig)
    q = QueueDirectory(rig.dir / "pq")
    q.message(b"a@x.test", [b"u@y.test", b"v@y.test"], b"\nhello\n")
    s.cli("import", "postfix", q.path)
    port, heard = free_port(), []
    answers(port, {b"EHLO": b"250-odd\r\n250 PIPELINING\r\n",
                   b"MAIL": b"550 5.7.1 not from you\r\n",
                   b"DATA": b"354 go on\r\n"}, heard)
    r = export(s, "smtp", f"127.0.3.1:{port}", "--all", "--json", check=False)
    check(r.returncode in (65, 75), f"exit status {r.returncode}")
    check(b"DATA\r\n" in heard, heard)
    check(b".\r\n" not in heard, heard)
    lines = [json.loads(x) for x in r.stdout.splitlines()]
    equal([(x["result"], x["reply"][:9]) for x in lines[:-1]],
          [("refused", "550 5.7.1")] * 2, "said")
    equal(s.status()["totals"]["held"], 2, "held")


@case
def a_host_that_is_not_there_changes_nothing(rig):
    """Catches attempts that are never taken back."""
    s, _ = started(rig)
    pq, _ = backlog(rig, 400)
    s.cli("import", "postfix", pq)
    before = s.status()["totals"]
    port = free_port()
    r = export(s, "smtp", f"127.0.3.1:{port}", "--all", check=False)
    equal(r.returncode, 75, f"exit status: {r.stderr}")
    check("refused" in r.stderr, r.stderr)
    equal(s.status()["totals"], before, "totals")
    s.stop()
    s.start()
    equal(s.status()["totals"], before, "totals after a restart")
    equal(s.status()["doubts"], 0, "in doubt")


@case
def killed_by_smtp_only_what_is_listed_may_be_twice(rig):
    """Promise 1. Catches a message that is lost when command or daemon are
    killed, and one that arrives twice without being listed."""
    s, _ = started(rig)
    pq, ledger = backlog(rig, 3000)
    s.cli("import", "postfix", pq)
    port = free_port()
    sink = Sink(rig, [f"127.0.3.1:{port}"], ledger)
    for n in range(4):
        before = s.status()["totals"]["recipients"]
        client = rig.start(f"exporter{n}", rig.binary("sluice"), "export",
                           "-c", s.config, "smtp", f"127.0.3.1:{port}",
                           "--all", "--reason", "test")
        wait_for("some of it", 60, lambda: not client.alive()
                 or s.status()["totals"]["recipients"]
                 < before - random.randrange(1, 500))
        (client if n % 2 else s.process).kill()
        client.child.wait(60)
        if n % 2 == 0:
            s.start()
    wait_for("the rest", 120, lambda: export(
        s, "smtp", f"127.0.3.1:{port}", "--all", check=False).returncode == 0)
    equal(s.status()["totals"]["recipients"], 0, "left")
    report = sink.finish()
    for key in ("lost", "altered", "unknown"):
        equal(report[key], 0, f"{key} at the sink")
    check(report["duplicated"] <= s.status()["doubts"],
          f"{report['duplicated']} twice, {s.status()['doubts']} listed")


if __name__ == "__main__":
    main()
