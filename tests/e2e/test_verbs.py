# SPDX-License-Identifier: BSD-2-Clause
"""Verbs that act on a selection, and what tells of them afterwards."""

import os
import pty
import select
import signal
import time

from harness import (Sluiced, case, check, configuration, equal, free_port,
                     main, wait_for)
from queue_files import QueueDirectory
from scripted import Scripted

RETRY = "retry: {first: 1h, max: 4h}\n"


def started(rig, extra=RETRY, **kw):
    port = free_port()
    s = Sluiced(rig, configuration(rig, route=f"127.0.2.1:{port}",
                                   extra=extra, **kw))
    s.start()
    return s, Scripted("127.0.2.1", port)


def totals(s):
    return s.status()["totals"]


def count(s, *selection):
    c = s.json("count", *selection)[0]
    return c["messages"], c["recipients"]


def queue(rig, recipients, name="pq"):
    """One message for each group of recipients, imported by the caller."""
    q = QueueDirectory(rig.dir / name)
    for n, group in enumerate(recipients):
        q.message(b"sender@x.test", [r.encode() for r in group],
                  b"\nbody %d\n" % n, header=b"Subject: number %d\n" % n)
    return q


def on_a_terminal(args, typed):
    """Runs it with a terminal that types `typed`: status and what it shows."""
    pid, fd = pty.fork()
    if pid == 0:
        os.execv(str(args[0]), [str(a) for a in args])
    shown = b""
    asked = False
    while True:
        ready, _, _ = select.select([fd], [], [], 60)
        check(ready, f"no more output after: {shown!r}")
        try:
            part = os.read(fd, 4096)
        except OSError:
            break
        if not part:
            break
        shown += part
        if b"to go on" in shown and not asked:
            asked = True
            os.write(fd, typed.encode() + b"\n")
    os.close(fd)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status), shown.decode()


@case
def selections_read_what_only_the_record_has(rig):
    """Catches a selection by account, client, subject or header that takes
    too much or too little, and one that is not understood."""
    s, _ = started(rig)
    q = QueueDirectory(rig.dir / "pq")
    anna = (("sasl_username", "anna"), ("log_client_address", "192.0.2.7"))
    for n in range(300):
        q.message(b"a@x.test", [b"u%d@one.test" % n, b"u%d@two.test" % n],
                  b"\n1\n", header=b"Subject: Hello\n number %d\n" % n,
                  attributes=anna if n % 3 == 0 else ())
    q.message(b"b@x.test", [b"v@one.test"], b"\n2\n",
              header=b"X-Filler: " + b"f" * 900 + b"\n" +
              b"X-Other: y\n" * 3000 + b"Subject: =?utf-8?Q?Gr=C3=BC=C3=9Fe?=\n"
              b"X-Spam: yes, 12\n")
    s.cli("import", "postfix", q.path)
    equal(count(s, "--account", "anna"), (100, 200), "account")
    equal(count(s, "--account", "anna", "--domain", "one.test"), (100, 100),
          "account and domain")
    equal(count(s, "--account", "ann"), (0, 0), "account's beginning")
    equal(count(s, "--client-ip", "192.0.2.0/24"), (100, 200), "prefix")
    equal(count(s, "--client-ip", "192.0.2.8"), (0, 0), "address")
    equal(count(s, "--subject", "^hello number 2[0-9]$"), (10, 20), "subject")
    equal(count(s, "--subject", "grüße"), (1, 1), "encoded, far down")
    equal(count(s, "--header", "x-spam: ^yes, [0-9]+"), (1, 1), "header")
    equal(count(s, "--header", "X-Spam: no"), (0, 0), "other header")
    equal(count(s, "--smaller", "2KiB"), (300, 600), "smaller")
    equal(len(s.json("list", "--subject", "number 7$")), 2, "listed")
    for args, text in ((("--subject", "a("), "character 3"),
                       (("--header", "X"), "NAME: PATTERN"),
                       (("--client-ip", "home"), "192.0.2.0/24"),
                       (("--score", "5"), "score"),
                       (("--fingerprint", "ab"), "fingerprint")):
        r = s.cli("count", *args, check=False)
        equal(r.returncode, 64, f"{args}: {r.stderr}")
        check(text in r.stderr, r.stderr)
    r = s.cli("release", "--account", "anna", "--reason", "hers is fine")
    check("released 200 recipients of 100 messages" in r.stdout, r.stdout)


@case
def a_purge_asks_says_and_stays_purged(rig):
    """Catches a purge without a question, of too much, or one that a restart
    brings back."""
    s, sink = started(rig)
    q = queue(rig, [[f"u{n}@one.test", f"u{n}@two.test"] for n in range(50)])
    s.cli("import", "postfix", q.path)
    args = ("--domain", "one.test", "--reason", "spam")
    r = s.cli("purge", *args, "--dry-run")
    check("would purge 50 recipients of 50 messages" in r.stdout, r.stdout)
    equal(totals(s)["held"], 100, "after a dry run")
    r = s.cli("purge", *args, check=False)
    equal(r.returncode, 64, "without a terminal")
    check("--yes" in r.stderr and "--dry-run" in r.stderr, r.stderr)
    r = s.cli("purge", "--domain", "one.test", "--yes", check=False)
    equal(r.returncode, 64, "without a reason")
    equal(totals(s)["held"], 100, "after refusals")
    command = [rig.binary("sluice"), "purge", "-c", s.config, *args]
    status, shown = on_a_terminal(command, "49")
    equal(status, 65, shown)
    check("50 recipients of 50 messages" in shown, shown)
    equal(totals(s)["held"], 100, "after a wrong count")
    status, shown = on_a_terminal(command, "50")
    equal(status, 0, shown)
    check("purged 50 recipients of 50 messages" in shown, shown)
    s.process.kill()
    s.start()
    t = totals(s)
    equal((t["held"], t["purged"], t["messages"]), (50, 50, 50),
          "after kill -9")
    s.cli("release", "--all", "--reason", "go")
    wait_for("the rest", 30, lambda: totals(s)["delivered"] == 50)
    equal(sink.recipients(), sorted(f"u{n}@two.test" for n in range(50)),
          "delivered")
    done = s.json("purge", "--all", "--yes", "--reason", "nothing is left")[0]
    equal((done["schema"], done["recipients"]), ("sluice.purge.1", 0),
          "of nothing")


@case
def failed_stays_until_it_is_requeued_or_purged(rig):
    """Catches a failed recipient that is forgotten, tried again by itself, or
    cannot be brought back; and a requeue of what nobody asked for."""
    s, sink = started(rig)
    q = queue(rig, [["fail-1@y.test", "defer-1@y.test", "fine-1@y.test"],
                    ["fail-2@y.test"], ["odd-1@y.test"]])
    s.cli("import", "postfix", q.path)
    s.cli("release", "--all", "--reason", "go")

    def all_tried():
        t = totals(s)
        return (t["failed"], t["deferred"], t["needs_decision"]) == (2, 1, 1)
    wait_for("the answers", 30, all_tried)

    def as_it_was():
        equal([e["recipient"] for e in s.json("list", "--state", "failed")],
              ["fail-1@y.test", "fail-2@y.test"], "failed")
        equal(count(s, "--all"), (2, 2), "still to be sent")
        equal(sink.recipients(), ["fine-1@y.test"], "taken")
    as_it_was()
    s.process.kill()
    s.start()
    check(all_tried(), str(totals(s)))
    as_it_was()
    failed = s.json("list", "--state", "failed")
    shown = s.json("show", failed[1]["id"])[0]
    equal(shown["recipients"][0]["state"], "failed", "shown")
    r = s.cli("requeue", "--all", "--reason", "again", "--dry-run")
    check("would requeue 2 recipients of 2 messages" in r.stdout, r.stdout)
    sink.kind = True
    s.cli("requeue", "--state", "failed", "--reason", "the users are back",
          "--recipient", "fail-1@y.test")
    wait_for("the first", 30, lambda: len(sink.recipients()) == 2)
    equal(totals(s)["failed"], 1, "failed")
    s.cli("requeue", "--all", "--reason", "and the others")
    wait_for("the others", 30, lambda: len(sink.recipients()) == 4)
    equal(totals(s)["recipients"], 0, "to be sent")
    s.cli("purge", "--id", failed[1]["id"], "--yes", "--reason", "no user")
    t = totals(s)
    equal((t["failed"], t["purged"], t["messages"]), (0, 1, 0), "at the end")
    equal(sink.recipients(), ["defer-1@y.test", "fail-1@y.test",
                              "fine-1@y.test", "odd-1@y.test"], "taken")


@case
def what_needs_a_decision_is_shown_and_decided(rig):
    """Catches an undecided refusal that is not shown with its words, and a
    decision that touches something else."""
    s, sink = started(rig)
    groups = [[f"odd-{n}@y.test"] for n in range(6)]
    q = queue(rig, groups + [["odd-9@z.test"], ["defer-1@y.test"],
                             ["fail-1@y.test"]])
    s.cli("import", "postfix", q.path)
    # Three of a kind stop the path: one at a time, so that all are answered.
    s.cli("release", "--domain", "z.test", "--reason", "go")
    wait_for("the first", 30, lambda: totals(s)["needs_decision"] == 1)
    s.cli("release", "--recipient", "odd-0@y.test", "--recipient",
          "odd-1@y.test", "--reason", "go")
    s.cli("release", "--recipient", "fail-1@y.test", "--recipient",
          "defer-1@y.test", "--reason", "go")
    wait_for("the others", 30, lambda: totals(s)["needs_decision"] == 3 and
             totals(s)["deferred"] == 1 and totals(s)["failed"] == 1)

    def shown():
        rows = s.json("decide")
        equal([(r["provider"], r["recipients"]) for r in rows],
              [("y.test", 2), ("z.test", 1)], "groups")
        check(all(r["reply"] == "554 5.9.9 the moon is in the wrong house"
                  for r in rows), str(rows))
        equal(rows[0]["schema"], "sluice.undecided.1", "schema")
        replies = s.json("replies", "--provider", "y.test")
        equal({r["text"]: r["count"] for r in replies},
              {"554 5.9.9 the moon is in the wrong house": 2,
               "550 5.1.1 no such user here": 1,
               "450 4.2.1 come back later": 1}, "replies")
    shown()
    s.process.kill()
    s.start()
    shown()  # from the journal
    listed = s.json("list", "--state", "needs-decision", "--domain", "z.test")
    check("the moon" in listed[0]["reply"], str(listed))
    r = s.cli("decide", "--domain", "y.test", "--fail", check=False)
    equal(r.returncode, 64, "without a reason")
    r = s.cli("decide", "--keep", "--fail", check=False)
    check(r.returncode == 64 and "not both" in r.stderr, r.stderr)
    r = s.cli("decide", "--all", "--purge", "--reason", "x", "--dry-run")
    check("would purge 3 recipients" in r.stdout, r.stdout)
    s.cli("decide", "--recipient", "odd-0@y.test", "--keep", "--reason", "k")
    s.cli("decide", "--recipient", "odd-1@y.test", "--fail", "--reason", "f")
    s.cli("decide", "--domain", "z.test", "--purge", "--yes", "--reason", "p")
    t = totals(s)
    equal((t["needs_decision"], t["failed"], t["purged"], t["deferred"]),
          (0, 2, 1, 1), "decided")
    s.process.kill()
    s.start()
    failed = s.json("list", "--state", "failed")
    equal([e.get("reply") for e in failed if "odd" in e["recipient"]],
          ["failed by an operator: f"], "why")
    equal(count(s, "--recipient", "odd-0@y.test", "--state", "held"), (1, 1),
          "kept")
    sink.kind = True
    s.cli("release", "--recipient", "odd-0@y.test", "--reason", "go")
    wait_for("the kept one", 30, lambda: sink.recipients() ==
             ["odd-0@y.test"])


@case
def rerouted_mail_goes_the_way_it_was_told(rig):
    """Catches a reroute that takes other mail along, is forgotten by a
    restart, or cannot be taken back."""
    s, first = started(rig, sources=2)
    port = free_port()
    second = Scripted("127.0.2.1", port)
    way = f"127.0.2.1:{port}"
    q = queue(rig, [["odd-1@y.test"], ["defer-1@y.test"],
                    ["u1@y.test", "u2@z.test"], ["u3@y.test", "w3@z.test"],
                    ["u4@y.test"], ["u5@y.test"]])
    s.cli("import", "postfix", q.path)
    s.cli("release", "--recipient", "odd-1@y.test", "--recipient",
          "defer-1@y.test", "--reason", "go")
    wait_for("their answers", 30, lambda: totals(s)["needs_decision"] == 1 and
             totals(s)["deferred"] == 1)
    second.kind = True
    r = s.cli("reroute", "--all", "--reason", "x", check=False)
    check(r.returncode == 64 and "route" in r.stderr, r.stderr)
    r = s.cli("reroute", "--all", "--route", "a b", "--reason", "x",
              check=False)
    check(r.returncode == 64 and "HOST:PORT" in r.stderr, r.stderr)
    r = s.cli("reroute", "--all", "--source", "out9", "--reason", "x",
              check=False)
    equal(r.returncode, 65, r.stderr)
    r = s.cli("reroute", "--recipient", "u1@y.test", "--recipient",
              "u2@z.test", "--route", way, "--reason", "r", "--dry-run")
    check("would reroute 2 recipients of 1 messages" in r.stdout, r.stdout)
    s.cli("reroute", "--recipient", "u1@y.test", "--recipient", "u2@z.test",
          "--recipient", "u5@y.test", "--route", way, "--reason", "smarthost")
    s.cli("decide", "--all", "--reroute", "--route", way, "--reason", "there")
    s.cli("reroute", "--state", "deferred", "--route", way, "--reason", "too")
    s.cli("reroute", "--recipient", "u4@y.test", "--source", "out2",
          "--reason", "from there")
    s.cli("reroute", "--recipient", "u5@y.test", "--back", "--reason", "no")
    wait_for("the undecided", 30, lambda: second.recipients() ==
             ["defer-1@y.test", "odd-1@y.test"])

    def as_told():
        providers = {e["recipient"]: e["provider"]
                     for e in s.json("list", "--all")}
        equal(providers, {"u1@y.test": f"via {way}", "u2@z.test": f"via {way}",
                          "u3@y.test": "y.test", "w3@z.test": "z.test",
                          "u4@y.test": "y.test", "u5@y.test": "y.test"},
              "providers")
        listed = s.json("list", "--recipient", "u4@y.test")[0]
        equal(listed["source"], "out2", "source")
        equal(count(s, "--domain", "z.test"), (2, 2), "by domain")
        equal(count(s, "--domain", "z.test", "--provider", f"via {way}"),
              (1, 1), "by provider")
    as_told()
    for kill in (True, False):
        if kill:
            s.process.kill()
        else:
            s.stop()
        s.start()
        as_told()
    s.cli("hold", "--domain", "z.test", "--reason", "also what is rerouted")
    s.cli("release", "--all", "--reason", "go")
    wait_for("what may go", 30, lambda: totals(s)["recipients"] == 2)
    equal(second.recipients(), ["defer-1@y.test", "odd-1@y.test",
                                "u1@y.test"], "there")
    equal(first.recipients(), ["u3@y.test", "u4@y.test", "u5@y.test"], "here")
    equal([h for r, h in first.clients if r == "u4@y.test"], ["127.0.1.2"],
          "from")
    s.cli("release", "--domain", "z.test", "--reason", "go")
    wait_for("the rest", 30, lambda: totals(s)["recipients"] == 0)
    equal(second.recipients()[-1], "u2@z.test", "there")
    lines = [e for e in s.json("audit") if e["verb"] == "reroute"]
    equal([(e["recipients"], e.get("route")) for e in lines],
          [(3, way), (1, way), (1, None), (1, None)], "audit")


@case
def trace_tells_the_whole_way_also_afterwards(rig):
    """Catches a step that is missing, told of another message, or forgotten
    when the message is gone."""
    s, sink = started(rig)
    q = queue(rig, [["other@y.test"], ["defer-1@y.test", "u1@y.test"]])
    s.cli("import", "postfix", q.path)
    first, mine = sorted({e["id"] for e in s.json("list", "--all")})
    s.cli("release", "--id", mine, "--reason", "go")
    wait_for("the answers", 30, lambda: totals(s)["deferred"] == 1 and
             totals(s)["delivered"] == 1)

    def steps():
        lines = s.json("trace", mine)
        equal(lines[-1]["schema"], "sluice.trace.1", "schema")
        return lines[-1], [(e["event"], e.get("rcpt"), e.get("state"))
                           for e in lines[:-1]]
    last, way = steps()
    equal(way, [("released", 0, None), ("released", 1, None),
                ("attempt", 0, None), ("outcome", 1, "delivered"),
                ("outcome", 0, "deferred")], "so far")
    equal([r["state"] for r in last["recipients"]],
          ["deferred", "delivered"], "states")
    text = s.cli("trace", mine).stdout
    for wanted in ("sender@x.test", "450 4.2.1 come back later",
                   "<defer-1@y.test>", "via out1", "250 2.0.0 taken"):
        check(wanted in text, f"{wanted} is not in\n{text}")
    sink.kind = True
    s.cli("reroute", "--id", mine, "--source", "out1", "--reason", "r")
    wait_for("the rest", 30, lambda: totals(s)["delivered"] == 2)
    s.process.kill()
    s.start()
    last, way = steps()
    equal(way[5:], [("rerouted", 0, None), ("requeued", 0, None),
                    ("attempt", 0, None), ("outcome", 0, "delivered")],
          "to the end")
    equal((last["here"], last["message"]["sender"]), (False, "sender@x.test"),
          "gone, and known")
    equal([e["event"] for e in s.json("trace", first)[:-1]], [], "the other")
    r = s.cli("trace", "4711", check=False)
    equal(r.returncode, 65, r.stderr)


@case
def shape_counts_ages_by_domain(rig):
    """Catches a table whose rows, columns or sums are wrong."""
    s, _ = started(rig)
    q = QueueDirectory(rig.dir / "pq")
    now = int(time.time())
    for age, domain, recipients in ((60, "new.test", 1), (360, "new.test", 2),
                                    (90000, "old.test", 3)):
        q.message(b"a@%s" % domain.encode(),
                  [b"u%d@%s" % (n, domain.encode())
                   for n in range(recipients)], b"\nx\n",
                  arrival=now - age)
    s.cli("import", "postfix", q.path)
    rows = {r["domain"]: r["ages"] for r in s.json("shape")}
    equal(rows, {"TOTAL": [1, 2, 0, 0, 0, 0, 0, 0, 0, 3],
                 "new.test": [1, 2, 0, 0, 0, 0, 0, 0, 0, 0],
                 "old.test": [0, 0, 0, 0, 0, 0, 0, 0, 0, 3]}, "shape")
    rows = s.json("shape", "--senders", "--domain", "new.test")
    equal([(r["domain"], r["recipients"]) for r in rows],
          [("TOTAL", 3), ("new.test", 3)], "senders")
    text = s.cli("shape", "--limit", "1").stdout.splitlines()
    equal(text[0].split(), ["T", "5", "10", "20", "40", "80", "160", "320",
                            "640", "1280", "1280+"], "columns")
    check("2 domains" in text[3], str(text))


@case
def the_audit_knows_who_did_what_to_how_many(rig):
    """Catches an act without a line, a line without an act, and a file that a
    kill -9 leaves without what was answered."""
    s, _ = started(rig)
    q = queue(rig, [[f"u{n}@one.test", f"u{n}@two.test"] for n in range(5)])
    s.cli("import", "postfix", q.path, "--reason", "their block")
    s.cli("hold", "--domain", "one.test", "--reason", "wait")
    s.cli("hold", "--domain", "two.test", "--reason", "dry", "--dry-run")
    s.cli("count", "--all")
    s.cli("purge", "--recipient", "u1@two.test", "--yes", "--reason", "spam")
    s.cli("release", "--hold", "1", "--reason", "fine again")
    s.cli("purge", "--all", "--reason", "no terminal", check=False)
    s.process.kill()
    s.start()
    s.cli("requeue", "--all", "--reason", "again")
    lines = s.json("audit")
    equal([(e["verb"], e.get("recipients"), e.get("reason")) for e in lines],
          [("import", None, "their block"), ("hold", 5, "wait"), ("purge", 1, "spam"),
           ("release", 0, "fine again"), ("requeue", 0, "again")], "lines")
    equal((lines[0]["taken"], lines[0]["kind"]), (5, "postfix"), "import")
    equal(lines[2]["selection"], {"recipient": ["u1@two.test"]}, "selection")
    equal((lines[1]["hold"], lines[3]["hold"]), (1, 1), "hold")
    check(all(e["uid"] == 0 and e["user"] == "root" and e["pid"] > 1 and
              e["result"] == "done" for e in lines), str(lines))
    last = s.cli("audit", "--limit", "1").stdout.splitlines()
    check(len(last) == 1 and "requeue" in last[0] and "root" in last[0],
          str(last))
    with open(rig.dir / "spool" / "audit.jsonl", "a") as f:
        f.write('{"verb": "cut o')
    s.stop()
    s.start()
    s.cli("requeue", "--all", "--reason", "behind a torn line")
    equal([e["reason"] for e in s.json("audit")[-2:]],
          ["again", "behind a torn line"], "after a torn line")
    s.cli("reload")
    s.process.child.send_signal(signal.SIGHUP)
    wait_for("both reloads in the audit", 10, lambda: [
        (e["verb"], e["result"]) for e in s.json("audit")[-2:]] ==
        [("reload", "done")] * 2)


@case
def the_audit_does_not_grow_without_end(rig):
    """Catches a rotation that loses the newest lines, or never happens."""
    s, _ = started(rig)
    s.cli("hold", "--domain", "a.test", "--reason", "first")
    s.stop()
    path = rig.dir / "spool" / "audit.jsonl"
    line = path.read_text()
    path.write_text(line * (8 * 1024 * 1024 // len(line)))
    s.start()
    for n in range(3):
        s.cli("hold", "--domain", f"b{n}.test", "--reason", f"later {n}")
    check(path.with_suffix(".jsonl.1").exists(), "not rotated")
    equal(len(path.read_text().splitlines()), 3, "in the new file")
    equal([e["reason"] for e in s.json("audit", "--limit", "4")],
          ["first", "later 0", "later 1", "later 2"], "the last lines")


@case
def bash_completes_verbs_options_and_states(rig):
    """Catches a completion file that bash does not understand, or that does
    not know what the command knows."""
    def completed(*words):
        script = (f"source {rig.binary('sluice').parent}/sluice.bash; "
                  "COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); _sluice; "
                  "echo \"${COMPREPLY[*]}\"")
        return rig.run("bash", "-euc", script, "bash",
                       *words).stdout.split()
    equal(completed("sluice", "re"), ["release", "requeue", "reroute",
                                      "replies", "reload", "recovered"], "verbs")
    equal(completed("sluice", "purge", "--sender"),
          ["--senders", "--sender", "--sender-domain"], "options")
    equal(completed("sluice", "list", "--state", "d"), ["deferred"], "states")
    equal(completed("sluice", "import", "p"), ["postfix"], "kinds")
    (rig.dir / "queue-dir").mkdir()
    equal(completed("sluice", "import", "postfix", "queue"), ["queue-dir"],
          "files")
    help_text = rig.run(rig.binary("sluice"), "--help").stdout
    for verb in completed("sluice", ""):
        check(f"  {verb} " in help_text, f"{verb} is not in --help")


if __name__ == "__main__":
    main()
