# SPDX-License-Identifier: BSD-2-Clause
"""What an operator does and sees: holds, lists, errors, stops, full disks."""

import json
import subprocess

from harness import (Skip, Sluiced, all_arrived, backlog, case, check,
                     configuration, drained, equal, free_port, main,
                     wait_for)
from queue_files import QueueDirectory
from rig import Sink


def started(rig, **kw):
    port = free_port()
    s = Sluiced(rig, configuration(rig, route=f"127.0.2.1:{port}", **kw))
    s.start()
    return s, port


@case
def nothing_moves_before_release_and_a_hold_keeps_back(rig):
    """Promise 3. Catches an import that sends, and a hold that leaks."""
    s, port = started(rig)
    q = QueueDirectory(rig.dir / "pq")
    for n in range(30):
        q.message(b"a@x.test", [b"u%d@one.test" % n], b"\n1\n")
        q.message(b"a@phish.test", [b"u%d@two.test" % n], b"\n2\n")
    sink = Sink(rig, [f"127.0.2.1:{port}"],
                q.ledger(rig.dir / "ledger.tsv"))
    s.cli("import", "postfix", q.path)
    t = s.status()["totals"]
    equal((t["held"], t["waiting"], t["delivered"]), (60, 0, 0), "totals")
    r = s.cli("release", "--domain", "one.test", "--reason", "r", "--dry-run")
    check("would release 30 recipients of 30 messages" in r.stdout, r.stdout)
    equal(s.status()["totals"]["held"], 60, "held after a dry run")
    s.cli("hold", "--sender-domain", "phish.test", "--reason", "spam")
    r = s.cli("release", "--all", "--reason", "go")
    check("still kept back: hold 1" in r.stdout, r.stdout)
    wait_for("the first half", 30,
             lambda: s.status()["totals"]["delivered"] == 30)
    # Restart: the hold and the release are still there.
    s.stop()
    s.start()
    t = s.status()["totals"]
    equal(t["recipients"], 30, "left")
    equal(t["waiting"], 0, "waiting")
    r = s.cli("release", "--sender-domain", "phish.test", "--reason", "ok")
    check("hold 1 (sender_domain=phish.test: spam) has this very selection "
          "and is lifted" in r.stdout and "30 recipients" in r.stdout,
          r.stdout)
    drained(s)
    all_arrived(sink.finish())


@case
def selections_count_and_list_what_they_say(rig):
    """Catches a selection that takes too much or too little."""
    s, _ = started(rig)
    q = QueueDirectory(rig.dir / "pq")
    q.message(b"a@x.test", [b"one@one.test", b"two@two.test"], b"\n1\n")
    q.message(b"b@x.test", [b"one@one.test"], b"\n2\n")
    q.message(b"", [b"three@one.test"], b"\n" + b"z\n" * 5000)
    s.cli("import", "postfix", q.path)

    def count(*selection):
        c = s.json("count", *selection)[0]
        return c["messages"], c["recipients"]

    equal(count("--all"), (3, 4), "all")
    equal(count("--domain", "one.test"), (3, 3), "domain")
    equal(count("--provider", "two.test"), (1, 1), "provider")
    equal(count("--sender", "a@x.test"), (1, 2), "sender")
    equal(count("--sender", ""), (1, 1), "null sender")
    equal(count("--recipient", "one@one.test"), (2, 2), "recipient")
    equal(count("--recipient", "ONE@one.test"), (0, 0), "local part")
    equal(count("--sender-domain", "x.test", "--domain", "one.test"), (2, 2),
          "two terms")
    equal(count("--larger", "8KiB"), (1, 1), "larger")
    equal(count("--newer", "1h"), (0, 0), "newer")
    equal(count("--older", "1h"), (3, 4), "older")
    equal(count("--state", "held"), (3, 4), "held")
    equal(count("--state", "waiting"), (0, 0), "waiting")
    listed = s.json("list", "--sender", "b@x.test")
    equal([e["recipient"] for e in listed], ["one@one.test"], "listed")
    shown = s.json("show", listed[0]["id"])[0]
    equal(shown["message"]["sender"], "b@x.test", "sender")
    check("X-Sluice-Bench: 9-2" in shown["message"]["header"], str(shown))
    equal(count("--id", listed[0]["id"]), (1, 1), "id")
    equal(len(s.json("list", "--all", "--limit", "2")), 2, "limit")


@case
def wrong_commands_are_answered_with_what_to_do(rig):
    """Catches an error that does not help, or a wrong exit status."""
    s, _ = started(rig)
    cases = [(["release", "--all"], 64, "--reason"),
             (["release", "--reason", "x"], 64, "--all"),
             (["hold", "--provider", "x"], 64, "--reason"),
             (["count", "--sate", "held"], 64, "sate"),
             (["count", "--state", "hold"], 64, "hold"),
             (["show", "xyz"], 64, "xyz"),
             (["show", "123"], 65, "123"),
             (["list", "gmail.com"], 64, "--domain gmail.com"),
             (["count", "--older", "3 moons"], 64, "'older'")]
    for args, status, text in cases:
        r = s.cli(*args, check=False)
        equal(r.returncode, status, f"{args}: {r.stderr}")
        check(text in r.stderr, f"{args}: {r.stderr}")
    r = subprocess.run([rig.binary("sluice"), "statsu"], capture_output=True,
                       text=True, check=False)
    check("did you mean 'status'" in r.stderr, r.stderr)
    s.stop()
    r = s.cli("status", check=False)
    equal(r.returncode, 69, "exit status without sluiced")
    check("is sluiced running" in r.stderr, r.stderr)


@case
def a_hold_on_a_name_that_nobody_has_is_said(rig):
    """Catches a typo that holds nothing, at three in the morning."""
    s = Sluiced(rig, configuration(
        rig, route="127.0.2.1:25", provider="  microsoft: {domains: "
        "[hotmail.test]}"))
    s.start()
    q = QueueDirectory(rig.dir / "pq")
    q.message(b"a@x.test", [b"u@gmail.test"], b"\n1\n")
    s.cli("import", "postfix", q.path)
    for args, text in (
            (["--provider", "microsfot"], "no provider 'microsfot' is known; "
             "did you mean 'microsoft'?"),
            (["--domain", "gmial.test"], "no mail for domain 'gmial.test' is "
             "known; did you mean 'gmail.test'?"),
            (["--source", "xyz"], "no source 'xyz' is known")):
        r = s.cli("hold", *args, "--reason", "r", "--dry-run")
        check(text in r.stderr, r.stderr)
    for args in (["--provider", "microsoft"], ["--provider", "gmail.test"],
                 ["--domain", "hotmail.test"], ["--domain", "*.test"],
                 ["--source", "out1"]):
        r = s.cli("hold", *args, "--reason", "r", "--dry-run")
        equal(r.stderr, "", f"{args}")


@case
def a_hold_that_goes_with_a_release_is_told(rig):
    """Catches `release --all` that lifts another one's `hold --all` without
    a word, before and after."""
    s, _ = started(rig)
    s.cli("hold", "--all", "--reason", "the boss said so")
    r = s.cli("release", "--all", "--reason", "x", "--dry-run")
    check("hold 1 (all: the boss said so) has this very selection and would "
          "be lifted" in r.stdout, r.stdout)
    equal(s.status()["hold_count"], 1, "holds after a dry run")
    r = s.cli("release", "--all", "--reason", "x")
    check("(all: the boss said so) has this very selection and is lifted" in
          r.stdout, r.stdout)
    equal(s.status()["hold_count"], 0, "holds")


@case
def tables_of_thousands_of_rows_come_in_slices(rig):
    """Catches a table that is cut off, or held up for ever, where the client
    reads more slowly than rows are made."""
    s = Sluiced(rig, configuration(rig, route="127.0.2.1:1", sources=2))
    s.start()
    q = QueueDirectory(rig.dir / "pq")
    for n in range(3000):
        q.message(b"a@x.test", [b"u@d%d.test" % n], b"\n1\n")
    s.cli("import", "postfix", q.path)
    rows = s.json("providers")
    equal(len(rows), 3000, "rows")
    equal(len({r["provider"] for r in rows}), 3000, "providers")
    equal(s.json("sources"), [], "paths that were used")


@case
def damaged_records_are_counted_in_the_answer(rig):
    """Catches a selection by sender that quietly leaves out what it cannot
    read."""
    s, _ = started(rig)
    q = QueueDirectory(rig.dir / "pq")
    for n in range(20):
        q.message(b"a@x.test", [b"u%d@y.test" % n], b"\nnumber %d\n" % n)
    s.cli("import", "postfix", q.path)
    segment = next((rig.dir / "spool" / "segments").glob("*.seg"))
    data = bytearray(segment.read_bytes())
    at = data.index(b"u7@y.test")
    with open(segment, "r+b") as f:
        f.seek(at)
        f.write(b"X")
    r = s.cli("count", "--sender", "a@x.test")
    check("19 messages" in r.stdout, r.stdout)
    check("the records of 1 messages are damaged" in r.stderr, r.stderr)
    c = s.json("count", "--sender", "a@x.test")[0]
    equal((c["messages"], c["unreadable"]), (19, 1), "count")
    check("unreadable" not in s.json("count", "--all")[0], "index alone")


@case
def config_errors_name_file_line_and_column(rig):
    """Catches a config mistake that starts anyway or is not named."""
    good = configuration(rig, route="127.0.2.1:25")
    bad = {"providers:": ("provders:", "providers"),
           "per_source:": ("per_sorce:", "per_source"),
           "address: 127.0.1.1": ("address: nowhere", "nowhere"),
           "min_free: 50MiB": ("min_free: 50MB", "50MB")}
    for old, (new, text) in bad.items():
        path = rig.dir / "bad.yaml"
        path.write_text(good.replace(old, new))
        for program in (["sluiced", "-c", path], ["sluice", "check", "-c",
                                                   path]):
            r = rig.run(rig.binary(program[0]), *program[1:], check=False)
            equal(r.returncode, 78, f"{new}: exit status")
            check(f"{path}:" in r.stderr and text in r.stderr, r.stderr)


@case
def a_second_daemon_on_the_same_spool_is_refused(rig):
    """Catches two daemons that write one spool."""
    s, _ = started(rig)
    r = rig.run(rig.binary("sluiced"), "-c", s.config, check=False)
    equal(r.returncode, 75, "exit status")
    check("spool" in r.stderr, r.stderr)
    equal(s.cli("status").returncode, 0, "the first one is well")


@case
def a_clean_stop_in_mid_drain_leaves_no_doubt(rig):
    """Catches a SIGTERM that cuts deliveries off."""
    s, port = started(rig, pace="40/s")
    pq, ledger = backlog(rig, 1500)
    sink = Sink(rig, [f"127.0.2.1:{port}"], ledger)
    s.cli("import", "postfix", pq)
    s.cli("release", "--all", "--reason", "test")
    for n in range(1, 4):
        wait_for("progress", 20,
                 lambda: s.status()["totals"]["delivered"] > n * 200)
        s.stop()
        s.start()
        equal(s.status()["doubts"], 0, "doubts after a clean stop")
        check(s.status()["totals"]["recipients"] > 0, "it is over already")
    drained(s)
    all_arrived(sink.finish())


@case
def a_full_spool_refuses_intake_and_drains(rig):
    """Catches mail taken without room for it, and a full disk that stops the
    drain. A small tmpfs is the disk."""
    spool = rig.dir / "spool"
    spool.mkdir()
    if rig.run("mount", "-t", "tmpfs", "-o", "size=40m", "tmpfs", spool,
               check=False).returncode != 0:
        raise Skip("tmpfs cannot be mounted here")
    try:
        port = free_port()
        text = configuration(rig, route=f"127.0.2.1:{port}").replace(
            "min_free: 50MiB", "min_free: 8MiB, segment_size: 8MiB")
        s = Sluiced(rig, text)
        s.start()
        pq, ledger = backlog(rig, 12000, size="4KiB")
        r = s.cli("import", "postfix", pq, "--json", check=False)
        summary = json.loads(r.stdout.splitlines()[-1])
        check(summary["refused"], "a full spool refused nothing")
        check("space" in summary["refused"][0]["error"], str(
            summary["refused"][0]))
        left = [p for p in pq.rglob("*") if p.is_file()]
        equal(summary["taken"] + len(left), 12000, "taken and left")
        taken = s.status()["totals"]["messages"]
        equal(taken, summary["taken"], "in custody")
        sink = Sink(rig, [f"127.0.2.1:{port}"], ledger)
        s.cli("release", "--all", "--reason", "test")
        drained(s)
        report = sink.finish()
        equal(report["duplicated"] + report["altered"], 0, "wrong arrivals")
        s.stop()
    finally:
        rig.close()
        rig.run("umount", "-l", spool, check=False)


@case
def smtp_intake_is_durable_before_250(rig):
    """Catches live mail that is lost by kill -9 after its 250; and a relay
    for strangers."""
    port, intake = free_port(), free_port()
    s = Sluiced(rig, configuration(
        rig, route=f"127.0.2.1:{port}",
        extra=f"listen:\n  - {{address: \"127.0.0.1:{intake}\", "
        "allow: [127.0.0.1/32]}\n"))
    s.start()
    s.cli("hold", "--all", "--reason", "nothing goes yet")
    r = rig.run(rig.binary("sluice-bench"), "accept", "--target",
                f"127.0.0.1:{intake}", "--sessions", "10", "--messages",
                "2000", "--size", "2KiB", "--json")
    equal(json.loads(r.stdout)["messages"], 2000, "accepted")
    s.process.kill()
    s.start()
    equal(s.status()["totals"]["messages"], 2000, "after kill -9")


if __name__ == "__main__":
    main()
