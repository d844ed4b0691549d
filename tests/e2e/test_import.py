# SPDX-License-Identifier: BSD-2-Clause
"""Taking over a Postfix queue: bad files by name, odd messages unaltered."""

import fcntl
import json
import os

from harness import (Sluiced, all_arrived, backlog, case, check,
                     configuration, drained, equal, free_port, main,
                     wait_for)
from queue_files import QueueDirectory, queue_file, record
from rig import Sink


def started(rig, **kw):
    port = free_port()
    s = Sluiced(rig, configuration(rig, route=f"127.0.2.1:{port}", **kw))
    s.start()
    return s, port


@case
def bad_files_are_refused_by_name_and_stay(rig):
    """Catches a torn or foreign file that is guessed at, lost or removed."""
    s, _ = started(rig)
    q = QueueDirectory(rig.dir / "pq")
    good = q.message(b"a@x.test", [b"b@y.test"], b"Subject: good\n\nbody\n")
    whole = queue_file(b"a@x.test", [b"b@y.test"], b"Subject: s\n\nbody\n")
    bad = {
        "B1": whole[:len(whole) // 2],
        "B2": whole[:-1],
        "B3": b"",
        "B4": b"From someone: not a queue file at all\n" * 20,
        "B5": bytes(len(whole)),
        "B6": whole[:120] + b"\xff\xff\xff\xff\xff" + whole[125:],
        "B7": whole.replace(record("M", b""), record("%", b"junk")),
        "B8": os.urandom(4096),
    }
    for name, data in bad.items():
        q.raw(name, data)
    q.raw("B9", whole, mode=0o600)  # not finished by Postfix
    (q.path / "deferred" / "B10").symlink_to("/etc/passwd")
    r = s.cli("import", "postfix", q.path, "--json", check=False)
    equal(r.returncode, 65, f"exit status\n{r.stderr}")
    summary = json.loads(r.stdout.splitlines()[-1])
    equal(summary["taken"], 1, "taken")
    refused = {x["name"].rsplit("/", 1)[-1] for x in summary["refused"]}
    equal(refused, set(bad) | {"B9", "B10"}, "refused")
    for x in summary["refused"]:
        check(len(x["error"]) > 8, f"{x}: says nothing")
    for name in [*bad, "B9", "B10"]:
        check(os.path.lexists(q.path / "deferred" / name), f"{name} is gone")
    check(not (q.path / "deferred" / good).exists(), "the good one is left")
    equal(s.status()["totals"]["messages"], 1, "messages in custody")


@case
def odd_messages_arrive_byte_for_byte(rig):
    """Catches content or addresses that are touched on the way."""
    s, port = started(rig)
    q = QueueDirectory(rig.dir / "pq")
    h = b"Subject: odd\n"
    bodies = [b"\nNUL \0 inside\n", b"\n8-bit \xe4\xf6\xfc \xff\n",
              b"\n" + b"x" * (1 << 20) + b"\nafter a long line\n",
              b"\nno final newline", b"", b"\n",
              b"\n.\n..\n.leading dots\n...\n", b"\nlast line is a dot\n.\n"]
    for body in bodies:
        q.message(b"a@x.test", [b"b@y.test"], body, h)
    for sender in (b"", b"\"quoted local\"@x.test", b"a+b=c@x.test"):
        q.message(sender, [b"b@y.test"], b"\nsenders\n", h)
    q.message(b"a@x.test", [b"\"odd local\"@y.test", b"o'b@y.test"],
              b"\nrecipients\n", h)
    sink = Sink(rig, [f"127.0.2.1:{port}"],
                q.ledger(rig.dir / "ledger.tsv"))
    s.cli("import", "postfix", q.path)
    s.cli("release", "--all", "--reason", "test")
    drained(s)
    report = sink.finish()
    all_arrived(report)
    equal(report["protocol_errors"]["missing_stuffing"], 0, "stuffing")


@case
def utf8_addresses_wait_for_a_receiver_that_takes_them(rig):
    """Promise 8. Catches an address that is mangled where SMTPUTF8 is not
    offered: 5.6.7, and the message is still to be seen."""
    s, port = started(rig)
    q = QueueDirectory(rig.dir / "pq")
    q.message("j\u00f6rg@x.test".encode(), [b"b@y.test"], b"\nhello\n")
    q.message(b"a@x.test", [b"b@y.test"], b"\nplain\n")
    sink = Sink(rig, [f"127.0.2.1:{port}"],
                q.ledger(rig.dir / "ledger.tsv"))
    s.cli("import", "postfix", q.path)
    equal([e["sender"] for e in s.json("list", "--sender",
                                       "j\u00f6rg@x.test")],
          ["j\u00f6rg@x.test"], "listed by its sender")
    s.cli("release", "--all", "--reason", "test")
    wait_for("both outcomes", 30, lambda: s.status()["totals"]["failed"] == 1
             and s.status()["totals"]["delivered"] == 1)
    equal(sink.finish()["delivered"], 1, "delivered")


@case
def a_huge_message_and_a_huge_envelope_go_through(rig):
    """Catches a buffer that has to hold all of a message or an envelope."""
    s, port = started(rig)
    q = QueueDirectory(rig.dir / "pq")
    line = b"0123456789abcdef" * 4 + b"\n"
    q.message(b"a@x.test", [b"b@y.test"],
              b"\n" + line * (300 * (1 << 20) // len(line)))
    q.message(b"a@x.test", [b"user%d@y.test" % n for n in range(50000)],
              b"\nto all of you\n")
    sink = Sink(rig, [f"127.0.2.1:{port}"],
                q.ledger(rig.dir / "ledger.tsv"))
    s.cli("import", "postfix", q.path)
    equal(s.status()["totals"]["recipients"], 50001, "recipients")
    with open(f"/proc/{s.process.pid}/status", encoding="ascii") as f:
        peak = next(int(x.split()[1]) for x in f if x.startswith("VmHWM"))
    check(peak < 300 * 1024, f"{peak} KiB of memory for it")
    s.cli("release", "--all", "--reason", "test")
    drained(s, 300)
    all_arrived(sink.finish())


@case
def a_second_run_takes_nothing_twice(rig):
    """Catches a message with two owners after an interrupted import."""
    s, port = started(rig)
    pq, ledger = backlog(rig, 400)
    copy = rig.dir / "copy"
    rig.run("cp", "-a", pq, copy)
    s.cli("import", "postfix", pq)
    first = s.status()["totals"]
    # The same files again, as after a power cut that undid the removals;
    # some of them half way, in sluice-taken/.
    taken = copy / "sluice-taken"
    taken.mkdir()
    files = [p for p in (copy / "deferred").rglob("*") if p.is_file()]
    for p in files[:100]:
        p.rename(taken / p.name)
    r = s.cli("import", "postfix", copy, "--json")
    summary = json.loads(r.stdout.splitlines()[-1])
    equal(summary["taken"], 0, "taken twice")
    equal(summary["known"], 400, "known")
    equal(s.status()["totals"], first, "totals")
    check(not any(p.is_file() for p in copy.rglob("*")), "files are left")
    sink = Sink(rig, [f"127.0.2.1:{port}"], ledger)
    s.cli("release", "--all", "--reason", "test")
    drained(s)
    all_arrived(sink.finish())


@case
def a_client_that_dies_in_mid_import_leaves_nothing_behind(rig):
    """Catches messages that are durable and unknown to the queue, or taken a
    second time, when the command is killed."""
    s, port = started(rig)
    pq, ledger = backlog(rig, 6000)
    for _ in range(3):
        before = s.status()["totals"]["messages"]
        client = rig.start("importer", rig.binary("sluice"), "import", "-c",
                           s.config, "postfix", pq)
        wait_for("some of it", 30, lambda: s.status()["totals"]["messages"]
                 > before or not client.alive())
        client.kill()
    wait_for("the end of the session", 30, lambda: s.cli(
        "import", "postfix", pq, check=False).returncode == 0)
    equal(s.status()["totals"]["messages"], 6000, "messages")
    s.stop()
    s.start()
    equal(s.status()["totals"]["messages"], 6000, "messages after a restart")
    check(not any(p.is_file() for p in pq.rglob("*")), "files are left")
    sink = Sink(rig, [f"127.0.2.1:{port}"], ledger)
    s.cli("release", "--all", "--reason", "test")
    drained(s)
    all_arrived(sink.finish())


@case
def a_name_that_is_no_text_harms_no_other_file(rig):
    """Catches descriptors and names that get out of step."""
    s, port = started(rig)
    q = QueueDirectory(rig.dir / "pq")
    for n in range(20):
        q.message(b"a@x.test", [b"u%d@y.test" % n], b"\n%d\n" % n)
    whole = queue_file(b"a@x.test", [b"b@z.test"], b"Subject: s\n\nbody\n")
    junk = os.fsencode(q.path / "deferred") + b"/A\xe4\xff1"
    with open(junk, "wb") as f:
        f.write(whole)
    os.chmod(junk, 0o700)
    r = rig.run(rig.binary("sluice"), "import", "-c", s.config, "postfix",
                q.path, check=False, errors="replace")
    equal(r.returncode, 65, "exit status")
    equal(s.status()["totals"]["messages"], 20, "messages")
    check(os.path.exists(junk), "the strange file is gone")
    sink = Sink(rig, [f"127.0.2.1:{port}"],
                q.ledger(rig.dir / "ledger.tsv"))
    s.cli("release", "--all", "--reason", "test")
    drained(s)
    all_arrived(sink.finish())


@case
def a_running_postfix_is_left_alone(rig):
    """Catches an import from under a running queue manager."""
    s, _ = started(rig)
    q = QueueDirectory(rig.dir / "pq")
    q.message(b"a@x.test", [b"b@y.test"], b"\nlive\n")
    q.message(b"a@x.test", [b"b@y.test"], b"\nheld\n", queue="hold")
    with open(q.path / "pid" / "master.pid", "w", encoding="ascii") as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        r = s.cli("import", "postfix", q.path, check=False)
        equal(r.returncode, 75, "exit status")
        check("running" in r.stderr and "postfix stop" in r.stderr, r.stderr)
        equal(s.status()["totals"]["messages"], 0, "messages")
        s.cli("import", "postfix", q.path, "--queue", "hold")
        equal(s.status()["totals"]["messages"], 1, "messages of hold")
    s.cli("import", "postfix", q.path)
    equal(s.status()["totals"]["messages"], 2, "messages after the stop")


@case
def no_queue_directory_says_what_to_do(rig):
    """Catches a silent nothing on a wrong path."""
    s, _ = started(rig)
    r = s.cli("import", "postfix", rig.dir, check=False)
    equal(r.returncode, 66, "exit status")
    check("postconf -h queue_directory" in r.stderr, r.stderr)
    r = s.cli("import", "postfix", rig.dir / "nowhere", check=False)
    check(r.returncode != 0 and "nowhere" in r.stderr, r.stderr)


@case
def eml_files_with_envelopes_are_taken(rig):
    """Catches eml imports that lose or alter; bad envelopes are named."""
    s, port = started(rig)
    eml, ledger = backlog(rig, 200, form="eml")
    sink = Sink(rig, [f"127.0.2.1:{port}"], ledger)
    s.cli("import", "eml", "--envelope", eml / "envelopes.jsonl")
    bad = rig.dir / "bad.jsonl"
    bad.write_text("{not json\n"
                   '{"file": "nowhere.eml", "sender": "a@x.test", '
                   '"recipients": ["b@y.test"]}\n'
                   '{"sender": "a@x.test", "recipients": ["b@y.test"]}\n')
    r = s.cli("import", "eml", "--envelope", bad, check=False)
    equal(r.returncode, 65, "exit status")
    for wanted in ("bad.jsonl:1", "nowhere.eml", "bad.jsonl:3"):
        check(wanted in r.stderr, f"{wanted} not in {r.stderr}")
    s.cli("release", "--all", "--reason", "test")
    drained(s)
    all_arrived(sink.finish())


if __name__ == "__main__":
    main()
