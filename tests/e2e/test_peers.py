# SPDX-License-Identifier: BSD-2-Clause
"""Postfix, Exim and OpenSMTPD in front of Sluice and behind it.

The load is mail of all kinds (several recipients, 8-bit text, dots, long
lines, open last lines), and the receivers compare it byte for byte from its
first own header on: what stands above, every MTA may add.
"""

from harness import (RigError, Sluiced, all_arrived, case, check, equal,
                     free_port, main, wait_for)
from peers import Exim, OpenSmtpd
from rig import Postfix, Sink, campus_domains

MESSAGES = 300
# The generator's lines are up to 9,000 bytes; left alone they arrive as sent.
LONG_LINES = {"smtp_line_length_limit": "0"}


def config(rig, routes, port):
    """sluiced that takes mail on `port`; `routes`: {provider: (domains or
    None, next hop)}."""
    lines = [f"spool: {{dir: {rig.dir}/spool, min_free: 50MiB}}",
             f"run: {{dir: {rig.dir}/sluice}}",
             f"listen: [{{address: \"127.0.0.1:{port}\"}}]",
             "retry: {first: 1s, max: 2s}",
             "sources:", "  out1: {address: 127.0.1.1, helo: out1.test}",
             "  out2: {address: 127.0.1.2, helo: out2.test}", "providers:"]
    for name, (domains, hop) in routes.items():
        which = f"domains: [{', '.join(domains)}], " if domains else ""
        lines.append(
            f"  {name}: {{{which}route: \"{hop}\", pace: {{start: unlimited, "
            "max: unlimited, per_source: unlimited}, connections: {max: 5}}")
    return "\n".join(lines) + "\n"


def sink_of(rig, name, ledger):
    port = free_port()
    return f"127.0.0.1:{port}", Sink(
        rig, [f"127.0.0.1:{port}"], ledger, name=name,
        extra=["--below-trace", "--policy", "*=smtputf8", "--policy",
               "*=chunking"])


def mail(rig, name, target, messages, first, extra=()):
    """Mixed mail to `target`; its ledger is written first, by a dry run to a
    receiver of our own, so that the sinks know what to expect."""
    rig.run(rig.binary("sluice-bench"), "load", "--target", target,
            "--messages", messages, "--first-index", first, "--now",
            1760000000, "--below-trace", *extra)


def ledger_of(rig, name, messages, first):
    """What `mail` with the same numbers sends."""
    path = rig.dir / f"{name}.tsv"
    path.write_text("")
    where, sink = sink_of(rig, f"dry-{name}", path)
    mail(rig, name, where, messages, first, ("--ledger", path))
    sink.process.stop()
    return path


def accepted_by(sluiced, sinks, recipients, seconds=240):
    """Until all of them together have what was sent."""
    def done():
        reports = [s.interim() for s in sinks]
        check(sluiced.process.alive(), "sluiced ended")
        return all(reports) and sum(
            r["recipients"] for r in reports) >= recipients
    try:
        wait_for("the mail", seconds, done)
    except RigError as e:
        left = sluiced.cli("status").stdout
        raise RigError(f"{e}; {[s.interim() for s in sinks]}\n{left}") from e


def split_ledger(rig, ledger, parts):
    """The rows of each provider's domains, in files of their own."""
    rows = [r for r in ledger.read_text().splitlines(keepends=True)
            if not r.startswith("#")]
    named = {d for domains in parts.values() for d in domains or ()}
    paths = {}
    for name, domains in parts.items():
        paths[name] = rig.dir / f"ledger-{name}.tsv"
        paths[name].write_text("".join(
            r for r in rows
            if (r.split("\t")[1].rpartition("@")[2] in domains
                if domains else
                r.split("\t")[1].rpartition("@")[2] not in named)))
    return paths, len(rows)


@case
def a_days_mail_goes_from_postfix_through_sluice_to_three_mtas(rig):
    """Catches anything that Sluice adds, drops or changes between real MTAs:
    a stock Postfix with relayhost in front; Postfix, Exim and OpenSMTPD
    behind; each recipient exactly once, byte for byte."""
    ledger = ledger_of(rig, "day", MESSAGES, 0)
    big, _ = campus_domains()
    parts = {"google": big["google"], "microsoft": big["microsoft"],
             "default": None}
    paths, count = split_ledger(rig, ledger, parts)
    sinks, where = {}, {}
    for name in parts:
        where[name], sinks[name] = sink_of(rig, f"sink-{name}", paths[name])
    exim = Exim(rig, where["google"])
    opensmtpd = OpenSmtpd(rig, where["microsoft"])
    behind = Postfix(rig, {**LONG_LINES, "relayhost":
                           f"[127.0.0.1]:{where['default'].split(':')[1]}"},
                     smtp_client=True, name="postfix-behind")
    behind.start()
    port = free_port()
    s = Sluiced(rig, config(rig, {
        "google": (big["google"], f"127.0.0.1:{exim.port}"),
        "microsoft": (big["microsoft"], f"127.0.0.1:{opensmtpd.port}"),
        "default": (None, f"127.0.0.1:{behind.port}")}, port))
    s.start()
    front = Postfix(rig, {**LONG_LINES, "relayhost": f"[127.0.0.1]:{port}"},
                    smtp_client=True, name="postfix-front")
    front.start()
    mail(rig, "day", f"127.0.0.1:{front.port}", MESSAGES, 0,
         ("--rate", "100/s"))
    accepted_by(s, sinks.values(), count)
    wait_for("the spool to be empty", 30,
             lambda: s.status()["totals"]["recipients"] == 0)
    totals = s.status()["totals"]
    equal(totals["failed"], 0, "failed")
    equal(totals["delivered"], count, "delivered by sluiced")
    for sink in sinks.values():
        report = sink.finish()
        all_arrived(report)
        check(report["expected"] > 0, "a receiver without mail")


@case
def exim_and_opensmtpd_send_through_sluice(rig):
    """Catches an intake that other senders than Postfix cannot talk to, or
    that changes what they say."""
    ledgers = [ledger_of(rig, f"part{n}", 150, 1000 * n) for n in (1, 2)]
    both = rig.dir / "both.tsv"
    both.write_text("".join(p.read_text() for p in ledgers))
    _, count = split_ledger(rig, both, {"all": None})
    where, sink = sink_of(rig, "sink", both)
    port = free_port()
    s = Sluiced(rig, config(rig, {"default": (None, where)}, port))
    s.start()
    for n, peer in ((1, Exim(rig, f"127.0.0.1:{port}")),
                    (2, OpenSmtpd(rig, f"127.0.0.1:{port}"))):
        mail(rig, peer, f"127.0.0.1:{peer.port}", 150, 1000 * n)
    accepted_by(s, [sink], count)
    equal(s.status()["totals"]["failed"], 0, "failed")
    all_arrived(sink.finish())


@case
def swaks_is_answered_in_each_of_its_ways(rig):
    """Catches an intake that only our own client can talk to."""
    where, sink = sink_of(rig, "sink", "/dev/null")
    port = free_port()
    s = Sluiced(rig, config(rig, {"default": (None, where)}, port))
    s.start()
    ways = [(), ("--pipeline",), ("--protocol", "SMTP"),
            ("--to", "a@x.test,b@x.test,c@y.test"),
            ("--body", ".\n..\n.x\n"), ("--attach", "/bin/true")]
    for way in ways:
        to = () if "--to" in way else ("--to", "u@x.test")
        rig.run("swaks", "--server", "127.0.0.1", "--port", port, "--from",
                "s@z.test", *to, *way)
    wait_for("the mail", 60, lambda: (sink.interim() or {}).get(
        "recipients", 0) >= len(ways) + 2)
    equal(s.status()["totals"]["failed"], 0, "failed")
    report = sink.finish()
    equal(report["protocol_errors"]["total"], 0, "protocol errors")


if __name__ == "__main__":
    main()
