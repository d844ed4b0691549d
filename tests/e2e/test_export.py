# SPDX-License-Identifier: BSD-2-Clause
"""The way back: what is exported is somebody else's, once, and unaltered."""

import json
import os
import random
import shutil
import signal
import time

from exporting import (content_of, dsn_message, export, files, held_queue,
                       odd_messages, started)
from harness import (Skip, all_arrived, backlog, case, check, drained, equal,
                     free_port, main, wait_for)
from queue_files import QueueDirectory
from rig import Postfix, RigError, Sink


def queued(postfix):
    """Its files, while it runs: one may go while we look."""
    try:
        return postfix.files()
    except FileNotFoundError:
        return True


@case
def a_postfix_delivers_what_was_exported(rig):
    """Promises 1, 3, 8. Catches a queue file that Postfix refuses, drops,
    alters or sends twice, and an export that keeps what it gave away."""
    s, _ = started(rig)
    pq, _ = backlog(rig, 300)
    q = QueueDirectory(rig.dir / "odd")
    odd_messages(q)
    ledger = q.ledger(rig.dir / "both.tsv")
    with open(ledger, "a", encoding="ascii") as f:
        f.write((rig.dir / "pq.tsv").read_text())
    s.cli("import", "postfix", pq)
    s.cli("import", "postfix", q.path)
    port = free_port()
    p = Postfix(rig, {"relayhost": f"[127.0.2.1]:{port}",
                      "default_destination_recipient_limit": "100",
                      "smtp_line_length_limit": "0",
                      "smtp_destination_concurrency_limit": "5",
                      "header_size_limit": "10000000"}, smtp_client=True)
    p.start()  # makes the queue's folders
    p.stop()
    before = s.status()["totals"]["recipients"]
    r = export(s, "postfix", p.queue, "--all", "--queue", "incoming")
    check("exported" in r.stdout, r.stdout)
    equal(s.status()["totals"]["recipients"], 0, "left in sluice")
    equal(s.status()["totals"]["exported"], before, "exported")
    check(not (p.queue / "sluice-export").exists(), "sluice-export is left")
    for f in p.files("incoming"):
        equal(f.owner(), "postfix", f"owner of {f}")
        equal(f.stat().st_mode & 0o7777, 0o700, f"mode of {f}")
    sink = Sink(rig, [f"127.0.2.1:{port}"], ledger)
    p.start()
    wait_for("Postfix to deliver", 120, lambda: not queued(p))
    p.stop()
    report = sink.finish()
    all_arrived(report)
    log = (rig.dir / "postfix" / "maillog").read_text()
    for mark in ("warning", "panic", "fatal", "corrupt"):
        check(mark not in log, log[-2000:])


@case
def what_comes_back_is_what_was_exported(rig):
    """Catches an envelope fact or a byte that is lost on the way out: the
    exported files are imported again and sent."""
    s, port = started(rig)
    q = QueueDirectory(rig.dir / "odd")
    odd_messages(q)
    q.message("j\u00f6rg@x.test".encode(), [b"b@y.test"], b"\nutf-8\n")
    ledger = q.ledger(rig.dir / "odd.tsv")
    s.cli("import", "postfix", q.path)
    before = content_of(s)
    back = held_queue(rig)
    export(s, "postfix", back, "--all")
    equal(s.status()["totals"]["messages"], 0, "left after the export")
    equal(len(files(back, "hold")), 13, "files in hold")
    s.cli("import", "postfix", back)
    equal(content_of(s), before, "after the way out and back")
    sink = Sink(rig, [f"127.0.2.1:{port}"], ledger)
    s.cli("release", "--all", "--reason", "test")
    wait_for("the drain", 60, lambda: s.status()["totals"]["waiting"] == 0
             and s.status()["totals"]["in_flight"] == 0)
    report = sink.finish()
    equal((report["duplicated"], report["altered"]), (0, 0), "at the sink")
    equal(report["expected"] - report["delivered"], 1,
          "all but the one that needs SMTPUTF8")


@case
def eml_files_come_back_as_they_went(rig):
    """Catches an envelope fact or a byte that .eml and its line lose."""
    s, port = started(rig)
    q = QueueDirectory(rig.dir / "odd")
    odd_messages(q)
    for n in range(5):
        dsn_message(q, n)
    ledger = q.ledger(rig.dir / "odd.tsv")
    s.cli("import", "postfix", q.path)
    before = content_of(s)
    show = {m["subject"]: m for m in facts(s)}
    eml = rig.dir / "eml"
    export(s, "eml", eml, "--recipient", "user7@y.test")
    export(s, "eml", eml, "--all")
    equal(s.status()["totals"]["messages"], 0, "left")
    check(not (eml / "sluice-export").exists(), "sluice-export is left")
    lines = [json.loads(x) for x in
             (eml / "envelope.jsonl").read_text().splitlines()]
    for line in lines:
        check((eml / line["file"]).is_file(), f"{line['file']} is missing")
    equal(sum(len(x["recipients"]) for x in lines), len(before),
          "recipients in the lines")
    dsn = [x for x in lines if "envid" in x]
    equal(len(dsn), 5, "lines with an ENVID")
    for x in dsn:
        equal((x["ret"], x["account"], x["recipients"]),
              ("hdrs", "jane", [{"address": "b@y.test", "notify":
                                 ["success", "delay"], "orcpt":
                                 "rfc822;c+2Bd@y.test"}]), "what was asked")
    s.cli("import", "eml", "--envelope", eml / "envelope.jsonl")
    equal(content_of(s), before, "after the way out and back")
    equal({m["subject"]: m for m in facts(s)}, show, "facts")
    sink = Sink(rig, [f"127.0.2.1:{port}"], ledger)
    s.cli("release", "--all", "--reason", "test")
    drained(s)
    all_arrived(sink.finish())


def facts(s):
    """What `show` says of messages that asked for something."""
    for row in s.json("list", "--sender", "a@x.test", "--recipient",
                      "b@y.test"):
        m = s.json("show", row["id"])[0]["message"]
        if "Subject: dsn" in m["header"]:
            yield {"subject": m["header"], "account": m["account"],
                   "origin": m["origin"], "arrival": m["arrival"]}


@case
def an_eml_export_broken_off_has_each_line_once(rig):
    """Catches a line that is missing, cut, or there twice, when command or
    daemon are killed."""
    s, port = started(rig)
    pq, ledger = backlog(rig, 4000)
    s.cli("import", "postfix", pq)
    eml = rig.dir / "eml"
    eml.mkdir()
    seed = random.randrange(1 << 30)
    print(f"# seed {seed}")
    random.seed(seed)
    for n in range(6):
        client = rig.start(f"exporter{n}", rig.binary("sluice"), "export",
                           "-c", s.config, "eml", eml, "--all", "--reason",
                           "test")
        victim = client if n % 2 else s.process
        wanted = count(eml) + random.randrange(1, 700)
        while count(eml) < wanted and client.alive():
            time.sleep(0.001)
        victim.kill()
        client.child.wait(60)
        if n % 2 == 0:
            s.start()
    wait_for("the end of it", 30, lambda: s.cli(
        "export", "eml", eml, "--finish", check=False).returncode == 0)
    equal(s.status()["totals"]["exporting"], 0, "exporting")
    lines = (eml / "envelope.jsonl").read_text().splitlines()
    equal(len(set(lines)), len(lines), "lines")
    names = [json.loads(x)["file"] for x in lines]
    equal(sorted(names), sorted(p.name for p in eml.glob("*.eml")), "files")
    check(len(names) > 0, "nothing was exported")
    s.cli("import", "eml", "--envelope", eml / "envelope.jsonl")
    sink = Sink(rig, [f"127.0.2.1:{port}"], ledger)
    s.cli("release", "--all", "--reason", "test")
    drained(s)
    all_arrived(sink.finish())


@case
def only_what_is_selected_goes(rig):
    """Catches recipients that go along, or stay behind, unasked."""
    s, port = started(rig)
    q = QueueDirectory(rig.dir / "pq")
    for n in range(20):
        q.message(b"a@x.test", [b"u%d@one.test" % n, b"u%d@two.test" % n],
                  b"\n%d\n" % n)
    ledger = q.ledger(rig.dir / "pq.tsv")
    s.cli("import", "postfix", q.path)
    back = held_queue(rig)
    r = export(s, "postfix", back, "--domain", "two.test", "--dry-run",
               "--json")
    equal(json.loads(r.stdout)["recipients"], 20, "would go")
    equal(files(back), [], "files after a dry run")
    r = export(s, "postfix", back, "--domain", "two.test", "--json")
    lines = [json.loads(line) for line in r.stdout.splitlines()]
    equal((lines[-1]["recipients"], lines[-1]["gave_up"]), (20, 0), "said")
    check(0 < lines[-1]["seconds"] < 300, lines[-1])
    for line in lines[:-1]:
        check((back / line["file"]).is_file(), f"{line}: no such file")
    equal({e["domain"] for e in s.json("list", "--all")}, {"one.test"},
          "left")
    s.cli("import", "postfix", back)
    sink = Sink(rig, [f"127.0.2.1:{port}"], ledger)
    s.cli("release", "--all", "--reason", "test")
    drained(s)
    all_arrived(sink.finish())


@case
def failed_mail_goes_when_it_is_named(rig):
    """Catches failed mail that --all takes along, or that nothing takes; and
    an export that is in no audit."""
    s, port = started(rig)
    q = QueueDirectory(rig.dir / "pq")
    for n in range(3):
        q.message(b"a@x.test", [b"u%d@y.test" % n], b"\n%d\n" % n)
    s.cli("import", "postfix", q.path)
    sink = rig.start("no", rig.binary("sluice-bench"), "sink", "--listen",
                     f"127.0.2.1:{port}", "--policy",
                     "*=reject-rcpt=550 5.1.1 no such user")
    s.cli("release", "--all", "--reason", "test")
    wait_for("failures", 60, lambda: s.status()["totals"]["failed"] == 3)
    sink.kill()
    back = held_queue(rig)
    export(s, "postfix", back, "--all")
    equal(files(back), [], "files of --all")
    export(s, "postfix", back, "--state", "failed")
    equal(len(files(back, "hold")), 3, "files")
    totals = s.status()["totals"]
    equal((totals["failed"], totals["messages"], totals["exported"]),
          (0, 0, 3), "totals")
    line = s.json("audit")[-1]
    equal((line["verb"], line["kind"], line["where"], line["recipients"],
           line["reason"], line["result"]),
          ("export", "postfix", str(back), 3, "test", "done"), "the audit")


@case
def long_names_and_folders_are_as_the_instance_has_them(rig):
    """Catches files where that Postfix would not find them."""
    s, _ = started(rig)
    pq, _ = backlog(rig, 60)
    s.cli("import", "postfix", pq)
    back = held_queue(rig)
    (back / "active" / "4CzbSv1mhfz9vmR").write_bytes(b"")
    (back / "deferred" / "0" / "A").mkdir(parents=True)
    export(s, "postfix", back, "--all", "--queue", "deferred")
    found = files(back, "deferred")
    equal(len(found), 60, "files")
    for f in found:
        check("z" in f.name and len(f.name) > 12, f"{f}: no long name")
        check(len(f.parent.name) == 1 and len(f.parent.parent.name) == 1,
              f"{f}: not two levels down")


@case
def what_is_under_way_stays_and_is_named(rig):
    """Catches an export of what is being delivered at this moment."""
    s, port = started(rig)
    pq, _ = backlog(rig, 30)
    s.cli("import", "postfix", pq)
    sink = rig.start("stall", rig.binary("sluice-bench"), "sink", "--listen",
                     f"127.0.2.1:{port}", "--policy", "*=slow:5000")
    s.cli("release", "--all", "--reason", "test")
    wait_for("some in flight", 30,
             lambda: s.status()["totals"]["in_flight"] > 0)
    back = held_queue(rig)
    r = export(s, "postfix", back, "--all", "--json", check=False)
    done = json.loads(r.stdout.splitlines()[-1])
    equal(r.returncode, 65, f"exit status\n{r.stdout}{r.stderr}")
    check(done["in_flight"] > 0, f"{done}: nothing in flight")
    equal(done["messages"] + s.status()["totals"]["messages"], 30,
          "messages here and there")
    equal(len(files(back)), done["messages"], "files")
    sink.kill()


def count(directory):
    try:
        return sum(1 for _ in os.scandir(directory))
    except FileNotFoundError:
        return 0


def kill_within(process, back, client, moment=None):
    """Kills `process` at a random moment of what `client` does in `back`:
    when so many files are staged, or so many more are placed."""
    moment = moment or random.choice(("staged", "placed"))
    where = back / ("sluice-export" if moment == "staged" else "hold")
    wanted = count(where) + random.randrange(1, 1200)
    end = time.monotonic() + 60
    while count(where) < wanted and client.alive():
        check(time.monotonic() < end, f"{moment}: nothing happens")
    process.kill()


def finish(s, back):
    """As an operator would: until it says that it is done."""
    for _ in range(20):
        r = s.cli("export", "postfix", back, "--finish", check=False)
        if r.returncode == 0:
            return
        time.sleep(0.2)
    raise RigError(f"--finish: {r.returncode}: {r.stderr}")


def all_accounted(rig, s, back, ledger, port):
    """Every message is in exactly one of the two places, unaltered: both
    together are imported, and sent."""
    equal(s.status()["totals"]["exporting"], 0, "exporting")
    check(not (back / "sluice-export").exists(), "sluice-export is left")
    s.cli("import", "postfix", back)
    sink = Sink(rig, [f"127.0.2.1:{port}"], ledger)
    s.cli("release", "--all", "--reason", "test")
    drained(s)
    all_arrived(sink.finish())


@case
def a_client_killed_at_any_moment_loses_and_doubles_nothing(rig):
    """Promise 3. Catches a message with two owners or none when the command
    is killed."""
    s, port = started(rig)
    pq, ledger = backlog(rig, 6000)
    s.cli("import", "postfix", pq)
    back = held_queue(rig)
    seed = random.randrange(1 << 30)
    print(f"# seed {seed}")
    random.seed(seed)
    kills = 0
    for n in range(12):
        client = rig.start(f"exporter{n}", rig.binary("sluice"), "export",
                           "-c", s.config, "postfix", back, "--all",
                           "--reason", "test")
        kill_within(client, back, client)
        kills += client.child.returncode == -signal.SIGKILL
        if s.status()["totals"]["recipients"] == 0:
            break
    check(kills > 0, "no run was killed in the middle")
    finish(s, back)
    check(len(files(back)) > 0, "nothing was exported")
    all_accounted(rig, s, back, ledger, port)


@case
def a_daemon_killed_at_any_moment_loses_and_doubles_nothing(rig):
    """Promises 1 and 3. Catches the same when sluiced is killed."""
    s, port = started(rig)
    pq, ledger = backlog(rig, 6000)
    s.cli("import", "postfix", pq)
    back = held_queue(rig)
    seed = random.randrange(1 << 30)
    print(f"# seed {seed}")
    random.seed(seed)
    for n in range(8):
        client = rig.start(f"exporter{n}", rig.binary("sluice"), "export",
                           "-c", s.config, "postfix", back, "--all",
                           "--reason", "test")
        kill_within(s.process, back, client)
        client.child.wait(60)
        s.start()
        if s.status()["totals"]["recipients"] == 0:
            break
    finish(s, back)
    check(len(files(back)) > 0, "nothing was exported")
    all_accounted(rig, s, back, ledger, port)


def broken_off(rig, s, back):
    """An export that was killed with messages handed over and not yet all
    journaled as exported."""
    for n in range(10):
        client = rig.start(f"off{n}", rig.binary("sluice"), "export", "-c",
                           s.config, "postfix", back, "--all", "--reason",
                           "test")
        kill_within(client, back, client, "placed")
        if s.status()["totals"]["exporting"] > 0:
            return
        if s.status()["totals"]["recipients"] == 0:
            s.cli("import", "postfix", back)
    raise Skip("the machine never stopped it half way")


@case
def what_was_broken_off_is_nobody_elses(rig):
    """Catches an import that takes exported files for known ones, another
    export beside one that is not finished, a delivery of what is handed
    over; and no way back when the place is lost."""
    s, port = started(rig)
    pq, ledger = backlog(rig, 3000)
    s.cli("import", "postfix", pq)
    back = held_queue(rig)
    broken_off(rig, s, back)
    half = s.status()["totals"]["exporting"]
    r = s.cli("import", "postfix", back, "--queue", "hold", check=False)
    check(r.returncode != 0 and "export" in r.stderr,
          f"import meanwhile: {r.returncode}: {r.stderr}")
    equal(s.status()["totals"]["exporting"], half, "after an import")
    other = held_queue(rig, "other")
    r = export(s, "postfix", other, "--all", check=False)
    equal(r.returncode, 75, f"another export: {r.stderr}")
    check("--finish" in r.stderr and str(back) in r.stderr, r.stderr)
    s.stop()
    s.start()
    equal(s.status()["totals"]["exporting"], half, "after a restart")
    s.cli("release", "--state", "exporting", "--reason", "test")
    equal(s.status()["totals"]["exporting"], half, "after a release")
    lost = back.rename(rig.dir / "lost")
    r = s.cli("export", "abandon", "--reason", "the disk is gone", "--json")
    equal(json.loads(r.stdout)["recipients"], half, "taken back")
    equal(s.status()["totals"]["exporting"], 0, "after it was abandoned")
    equal(len([e for e in s.json("list", "--state", "held")
               if e["state"] == "held"]),
          s.status()["totals"]["recipients"], "all of it held")
    # The place comes back: what was only staged there goes from there.
    lost.rename(back)
    s.cli("export", "postfix", back, "--finish")
    equal(s.status()["totals"]["exporting"], 0, "at the end")
    check(not (back / "sluice-export").exists(), "sluice-export is left")


@case
def files_of_another_spool_are_not_touched(rig):
    """Catches a run that takes another daemon's handed-over files for
    leftovers and removes them: the only copies."""
    s, _ = started(rig)
    pq, _ = backlog(rig, 3000)
    s.cli("import", "postfix", pq)
    back = held_queue(rig)
    broken_off(rig, s, back)
    s.stop()
    (rig.dir / "spool").rename(rig.dir / "spool.first")
    staged = sorted((back / "sluice-export").iterdir())
    if len(staged) < 2:
        raise Skip("nothing was staged when it was stopped")
    s.start()
    q = QueueDirectory(rig.dir / "new")
    q.message(b"a@x.test", [b"b@y.test"], b"\nnew\n")
    s.cli("import", "postfix", q.path)
    r = export(s, "postfix", back, "--all", check=False)
    equal(r.returncode, 65, f"exit status: {r.stderr}")
    check("another spool" in r.stderr, r.stderr)
    equal(sorted((back / "sluice-export").iterdir()), staged, "files")
    s.stop()
    shutil.rmtree(rig.dir / "spool")
    (rig.dir / "spool.first").rename(rig.dir / "spool")
    s.start()
    finish(s, back)


@case
def a_wrong_place_is_named_and_nothing_happens(rig):
    """Catches a directory filled with queue files that no Postfix reads."""
    s, _ = started(rig)
    pq, _ = backlog(rig, 5)
    s.cli("import", "postfix", pq)
    plain = rig.dir / "plain"
    plain.mkdir()
    r = export(s, "postfix", plain, "--all", check=False)
    equal(r.returncode, 66, "exit status")
    check("postconf -h queue_directory" in r.stderr, r.stderr)
    equal(list(plain.iterdir()), [], "what was made there")
    for args in (("postfix", rig.dir / "nowhere", "--all"),
                 ("postfix", held_queue(rig)),
                 ("postfix", held_queue(rig), "--all", "--queue", "active"),
                 ("teapot", plain, "--all")):
        r = export(s, *args, check=False)
        check(r.returncode not in (0, 75) and r.stderr, f"{args}: {r}")
    r = s.cli("export", "postfix", held_queue(rig), "--all", check=False)
    check("--reason" in r.stderr, r.stderr)
    equal(s.status()["totals"]["messages"], 5, "messages")


if __name__ == "__main__":
    main()
