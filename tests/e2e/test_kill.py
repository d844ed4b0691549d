# SPDX-License-Identifier: BSD-2-Clause
"""kill -9 at random moments, with the ledger outside.

Catches a message that is lost by a crash, and one that was delivered twice
without being listed by `sluice recovered`. SLUICE_KILLS says how often (50);
the seed is printed, SLUICE_SEED repeats it.
"""

import json
import os
import random
import time

from harness import (Sluiced, case, check, configuration, equal, free_port,
                     main, wait_for)
from queue_files import QueueDirectory
from rig import Sink

MESSAGES = 6000


def import_all(s, path):
    """As an operator would: again until it is through."""
    return s.cli("import", "postfix", path, check=False).returncode == 0


def release_all(s):
    s.cli("release", "--all", "--reason", "test", check=False)


def recipients_by_id(s):
    return {(e["id"], e["rcpt"]): e["recipient"]
            for e in s.json("list", "--all")}


@case
def nothing_is_lost_and_duplicates_are_listed(rig):
    """The whole way: import, release, delivery, each cut many times."""
    seed = int(os.environ.get("SLUICE_SEED", random.randrange(1 << 32)))
    kills = int(os.environ.get("SLUICE_KILLS", "50"))
    print(f"seed {seed}, {kills} kills", flush=True)
    dice = random.Random(seed)
    port = free_port()
    s = Sluiced(rig, configuration(rig, route=f"127.0.2.1:{port}",
                                   pace="1500/s",
                                   extra="retry: {first: 1s, max: 1s}\n"
                                   "delivery: {connect: 5s}\n"))
    q = QueueDirectory(rig.dir / "pq")
    for n in range(MESSAGES):
        q.message(b"a@x.test", [b"u%d@y.test" % n], b"\nnumber %d\n" % n)
    sink = Sink(rig, [f"127.0.2.1:{port}"],
                q.ledger(rig.dir / "ledger.tsv"))
    imported, names = False, {}
    for _ in range(kills):
        s.start()
        started = time.monotonic()
        lifetime = dice.uniform(0.02, 0.5)
        if not imported:
            # killed in the middle of the import, as often as it takes
            importer = rig.start("importer", rig.binary("sluice"), "import",
                                 "-c", s.config, "postfix", q.path)
            time.sleep(lifetime)
            s.process.kill()
            importer.child.wait()
            left = [p for p in q.path.rglob("*") if p.is_file()]
            imported = not left
            continue
        names = names or recipients_by_id(s)
        release_all(s)
        time.sleep(max(0.0, lifetime - (time.monotonic() - started)))
        s.process.kill()
    s.start()
    if not imported:
        check(import_all(s, q.path), "the last import failed")
    check(not [p for p in q.path.rglob("*") if p.is_file()], "files left")
    names = names or recipients_by_id(s)
    release_all(s)
    wait_for("the drain", 120,
             lambda: s.status()["totals"]["recipients"] == 0)
    doubts = s.json("recovered")
    s.stop()
    report = sink.finish()
    print(json.dumps({k: report[k] for k in
                      ("expected", "delivered", "lost", "duplicated",
                       "altered", "unknown")}), "doubts", len(doubts))
    equal(report["lost"], 0, "lost")
    equal(report["altered"] + report["unknown"], 0, "altered or unknown")
    equal(report["delivered"], MESSAGES, "delivered")
    check(report["duplicated"] <= len(doubts),
          f"{report['duplicated']} duplicates, {len(doubts)} listed")
    listed = {names[d["id"], d["rcpt"]] for d in doubts}
    for x in report["examples"]["duplicated"]:
        check(x.split()[1] in listed, f"{x} came twice and is not listed")


@case
def outcome_sync_message_leaves_one_doubt_per_connection(rig):
    """Catches a crash that leaves two messages of one connection in doubt."""
    connections, port = 3, free_port()
    where = f"127.0.2.1:{port}"
    s = Sluiced(rig, configuration(rig, route=where).replace(
        "min_free: 50MiB", "min_free: 50MiB, outcome_sync: message").replace(
        "{max: 20,", f"{{max: {connections},"))
    q = QueueDirectory(rig.dir / "pq")
    for n in range(MESSAGES):
        q.message(b"a@x.test", [b"u%d@y.test" % n], b"\nnumber %d\n" % n)
    sink = Sink(rig, [where], q.ledger(rig.dir / "ledger.tsv"))
    s.start()
    s.cli("import", "postfix", q.path)
    release_all(s)
    seen, worst = 0, 0
    for _ in range(8):
        left = s.status()["totals"]["recipients"]
        check(left > 300, "it is over already")
        wait_for("progress", 60, lambda: s.status()["totals"]["recipients"]
                 < left - 100)
        s.process.kill()
        s.start()
        listed = len(s.json("recovered"))
        worst = max(worst, listed - seen)
        check(listed - seen <= connections,
              f"{listed - seen} doubts of {connections} connections")
        seen = listed
    print(f"at most {worst} doubts of {connections} connections")
    check(worst > 0, "no kill hit a transaction: nothing was tested")
    s.stop()
    report = sink.finish()
    equal(report["altered"] + report["unknown"], 0, "altered or unknown")
    check(report["duplicated"] <= seen, "a duplicate that is not listed")


if __name__ == "__main__":
    main()
