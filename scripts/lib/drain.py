# SPDX-License-Identifier: BSD-2-Clause
"""drain.py - the main job on real input: from a Postfix queue to receivers.

Called by scripts/run. Everything runs in one directory and on loopback; the
verdict is that of the receivers' own ledger.
"""

import argparse
import pathlib
import shutil
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))

import inject  # noqa: E402
import postfix_ledger  # noqa: E402
from rig import (Dns, Postfix, Rig, RigError, Sink, Sluiced,  # noqa: E402
                 campus_domains, free_port)

SOURCES = [f"127.0.1.{n}" for n in range(1, 5)]
RECEIVERS = {"microsoft": "127.0.2.1", "google": "127.0.2.2",
             "yahoo": "127.0.2.3", "apple": "127.0.2.4"}
TAIL = [f"127.0.2.{n}" for n in range(5, 9)]
TRAPPED = "yahoo"


def parse_arguments():
    p = argparse.ArgumentParser(prog="scripts/run")
    p.add_argument("--messages", type=int, default=50000)
    p.add_argument("--fast", action="store_true")
    p.add_argument("--dir", required=True)
    p.add_argument("--bindir", required=True)
    a = p.parse_args()
    if a.messages < 1:
        p.error("--messages: at least 1")
    return a


def say(text):
    print(text, flush=True)


def dns_hosts():
    """MX and A records: a host for each provider, four for the tail."""
    big, tail = campus_domains()
    hosts = {}
    for provider, domains in big.items():
        host = f"mx.{domains[0]}"
        for d in domains:
            hosts[d] = [(10, host, RECEIVERS[provider])]
    for n, d in enumerate(tail):
        hosts[d] = [(10, f"mx.{d}", TAIL[n % len(TAIL)])]
    return hosts


def config(rig, dns_port, smtp_port, fast, messages):
    big, _ = campus_domains()
    # Paces that drain this backlog in about a minute.
    big_pace = max(messages * 35 // 100 // 50, 20)
    tail_pace = max(messages * 6 // 100 // 50, 10)
    pace = ("{start: unlimited, max: unlimited, per_source: unlimited}"
            if fast else
            f"{{start: {tail_pace}/s, max: {tail_pace}/s, "
            f"per_source: {tail_pace}/s}}")
    lines = [
        f"spool: {{dir: {rig.dir}/spool, min_free: 100MiB}}",
        f"run: {{dir: {rig.dir}/sluice}}",
        "workers: 1",
        f"resolver: {{servers: [\"127.0.0.1:{dns_port}\"]}}",
        f"delivery: {{port: {smtp_port}}}",
        "sources:"]
    for n, address in enumerate(SOURCES, 1):
        lines.append(f"  out{n}: {{address: {address}, "
                     f"helo: out{n}.example.test}}")
    lines += ["pools: {default: [out1, out2, out3, out4]}", "providers:",
              f"  default: {{pace: {pace}, batch: {{interval: 2s, first: 5, "
              "max: 500}, connections: {max: 20, messages: 500}}"]
    for provider, domains in big.items():
        own = "" if fast else (f", pace: {{start: {big_pace // 4 + 1}/s, "
                               f"max: {big_pace}/s, "
                               f"per_source: {big_pace // 3 + 1}/s}}")
        lines.append(f"  {provider}: {{domains: [{', '.join(domains)}]{own}}}")
    return "\n".join(lines) + "\n"


def queue_by_postfix(rig, postfix, count):
    """`count` messages go through a real Postfix; returns their ledger."""
    eml = rig.dir / "eml"
    rig.run(rig.binary("sluice-bench"), "backlog", "--format", "eml",
            "--messages", count, "--size", "4KiB", "--seed", 1, "--output",
            eml)
    envelopes = next(eml.glob("*.jsonl"))
    postfix.start()
    inject.inject(envelopes, postfix.port)
    postfix.stop()
    shutil.rmtree(eml)
    files = postfix.files()
    ledger = rig.dir / "ledger-postfix.tsv"
    with open(ledger, "w", encoding="utf-8") as f:
        for line in postfix_ledger.ledger_lines(files):
            f.write(line + "\n")
    return len(files), ledger


def make_backlog(rig, messages):
    """Fills a Postfix queue; returns (postfix, ledger of all of it)."""
    postfix = Postfix(rig)
    real = min(messages, 10000)
    started = time.monotonic()
    say(f"queueing {real} messages through a real Postfix (delivery deferred)")
    queued, ledger = queue_by_postfix(rig, postfix, real)
    if queued != real:
        raise RigError(f"Postfix queued {queued} of {real} messages")
    say(f"  {queued} queue files in {time.monotonic() - started:.1f} s")
    merged = rig.dir / "ledger.tsv"
    text = ledger.read_text()
    if messages > real:
        say(f"adding {messages - real} in the same queue format")
        more = rig.dir / "ledger-made.tsv"
        rig.run(rig.binary("sluice-bench"), "backlog", "--format", "postfix",
                "--messages", messages - real, "--size", "4KiB", "--seed", 2,
                "--output", postfix.queue, "--ledger", more)
        text += more.read_text()
    merged.write_text(text)
    return postfix, merged


def table(status, report, started, out):
    """One live screen on a terminal, one line elsewhere."""
    got = report["delivered"] if report else 0
    t = status["totals"]
    left = sum(t[k] for k in ("waiting", "deferred", "held", "in_flight",
                              "needs_decision"))
    seconds = time.monotonic() - started
    head = (f"{seconds:5.1f} s  at the receivers: {got}  left: {left}  "
            f"held: {t['held']}  now {status['rate_per_s'] or 0:.0f}/s")
    if not out.isatty():
        return head
    rows = sorted(status["providers"], key=lambda p: -p["recipients"])
    lines = [head, f"{'PROVIDER':<16}{'WAITING':>9}{'DELIVERED':>11}"
                   f"{'HELD':>8}{'NOW':>9}  STATE"]
    for p in rows[:12]:
        lines.append(f"{p['provider'][:15]:<16}"
                     f"{p['waiting'] + p['in_flight']:>9}"
                     f"{p['delivered']:>11}{p['held']:>8}"
                     f"{p['rate_per_s'] or 0:>7.0f}/s  {p['state']}")
    return "\033[H\033[J" + "\n".join(lines)


def watch(sluiced, sink, until, seconds, out):
    """Shows the drain until `until(totals)` or the time is over."""
    started = time.monotonic()
    shown = 0
    while True:
        status = sluiced.status()
        now = time.monotonic()
        if now - shown >= (1 if out.isatty() else 5):
            print(table(status, sink.interim(), started, out), file=out,
                  flush=True)
            shown = now
        if until(status):
            return
        if now - started > seconds:
            raise RigError(f"not drained within {seconds} s:\n"
                           f"{sluiced.cli('status').stdout}\n"
                           f"{sluiced.process.tail()}")
        time.sleep(0.1)


def open_recipients(totals):
    return (totals["waiting"] + totals["in_flight"] + totals["deferred"])


def drain(rig, sluiced, sink, postfix):
    say("importing (nothing is sent)")
    say("  " + sluiced.cli("import", "postfix", postfix.queue)
        .stdout.strip().replace("\n", "\n  "))
    say(f"the trap: {TRAPPED} is held; everything else is released")
    sluiced.cli("hold", "--provider", TRAPPED, "--reason",
                "the trap: not before the others are through")
    started = time.monotonic()
    say("  " + sluiced.cli("release", "--all", "--reason",
                           "the block is over").stdout.strip()
        .replace("\n", "\n  "))
    watch(sluiced, sink, lambda s: drained_but_trap(s), 900, sys.stdout)
    say(f"the trap opens: {TRAPPED} is released")
    sluiced.cli("release", "--provider", TRAPPED, "--reason",
                "the others are through")
    watch(sluiced, sink, lambda s: s["totals"]["recipients"] == 0, 900,
          sys.stdout)
    return time.monotonic() - started


def drained_but_trap(status):
    others = [p for p in status["providers"] if p["provider"] != TRAPPED]
    return all(p["waiting"] + p["in_flight"] + p["deferred"] == 0
               for p in others)


def verdict(report, messages, seconds):
    m = report["whole_messages"]
    say(f"drained {messages} messages in {seconds:.1f} s: "
        f"{m['delivered']} delivered, {m['lost']} lost, "
        f"{m['duplicated']} duplicated, {m['altered']} altered")
    ok = (m["delivered"] == messages and m["lost"] == 0 and
          m["duplicated"] == 0 and m["altered"] == 0 and
          report["unknown"] == 0)
    return 0 if ok else 1


def job(rig, a):
    postfix, ledger = make_backlog(rig, a.messages)
    dns = Dns(rig, dns_hosts())
    smtp_port = free_port()
    listen = [f"{ip}:{smtp_port}" for ip in [*RECEIVERS.values(), *TAIL]]
    sink = Sink(rig, listen, ledger)
    sluiced = Sluiced(rig, config(rig, dns.port, smtp_port, a.fast,
                                  a.messages))
    sluiced.start()
    seconds = drain(rig, sluiced, sink, postfix)
    say(sluiced.cli("sources").stdout.splitlines()[0])
    for line in sluiced.cli("sources").stdout.splitlines()[1:17]:
        say(line)
    sluiced.stop()
    return verdict(sink.finish(), a.messages, seconds)


def main():
    a = parse_arguments()
    directory = pathlib.Path(a.dir)
    shutil.rmtree(directory, ignore_errors=True)
    try:
        with Rig(directory, a.bindir) as rig:
            status = job(rig, a)
    except RigError as e:
        print(f"scripts/run: {e}", file=sys.stderr)
        status = 1
    except KeyboardInterrupt:
        print("scripts/run: interrupted", file=sys.stderr)
        status = 130
    sys.exit(status)


if __name__ == "__main__":
    main()
