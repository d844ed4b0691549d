# SPDX-License-Identifier: BSD-2-Clause
"""Domains are counted under the operator behind their MX hosts, with a real
name server. Hosts are on 127.0.2.N."""

import time

from harness import all_arrived, case, check, drained, equal, main, wait_for
from zones import arrived, release, setup, totals


def hosted(count, host="mx.big.test", ttl=60):
    return "".join(f"d{n} {ttl} MX 10 {host}.\n" for n in range(count))


def providers(s):
    return {p["provider"]: p for p in s.json("providers")}


def settled(s, *names):
    """Every domain has been told of, before anything is released."""
    return wait_for("the sites", 20, lambda: (
        lambda p: p if set(p) == set(names) else None)(providers(s)))


@case
def domains_at_one_operator_share_a_pace_and_connections(rig):
    """Catches 40 domains that are paced one by one at the same receiver, or
    that open a connection each."""
    zone = hosted(40) + ("big MX 10 mx.big\nmx.big A 127.0.2.1\n"
                         "alone MX 10 mx.alone\nmx.alone A 127.0.2.1\n")
    s, sink, _ = setup(rig, {"test": zone}, ["127.0.2.1"],
                       [f"u@d{n}.test" for n in range(40)] * 5 +
                       ["u@alone.test"] * 5, pace="20/s")
    p = settled(s, "big.test", "alone.test")
    equal((p["big.test"]["domains"], p["big.test"]["by"]), (40, "mx"), "site")
    began = time.monotonic()
    release(s)
    drained(s)
    spent = time.monotonic() - began
    check(spent > 9, f"200 messages at 20/s took {spent} s")
    text = s.cli("providers").stdout
    check("40 domains by MX" in text, text)
    report = sink.finish()
    all_arrived(report)
    # Two providers, one source, and the probes of this test.
    check(report["connections"] <= 12, f"{report['connections']} connections")


@case
def patterns_come_before_sites_and_domains_before_patterns(rig):
    """Catches a configured `mx` that is not used, or that takes away a domain
    that another provider names."""
    zone = hosted(3, "in.host.test") + "mx.host A 127.0.2.1\nin.host A 127.0.2.1\n"
    provider = ("  named: {domains: [d0.test]}\n"
                "  pattern: {mx: [\"*.host.test\"]}")
    s, sink, _ = setup(rig, {"test": zone}, ["127.0.2.1"],
                       [f"u@d{n}.test" for n in range(3)], provider=provider)
    p = settled(s, "named", "pattern")
    equal((p["named"]["held"], p["pattern"]["held"]), (1, 2), "held")
    equal(p["pattern"]["by"], "config", "by")
    release(s, "--provider", "pattern")
    wait_for("theirs", 20, lambda: totals(s)["delivered"] == 2)
    release(s)
    drained(s)
    all_arrived(sink.finish())


@case
def each_domain_stays_apart_if_the_config_says_so(rig):
    """Catches `by: domain` that is read and not used."""
    zone = hosted(3) + "mx.big A 127.0.2.1\n"
    s, sink, _ = setup(rig, {"test": zone}, ["127.0.2.1"],
                       [f"u@d{n}.test" for n in range(3)], by="domain")
    p = settled(s, "d0.test", "d1.test", "d2.test")
    equal({x["by"] for x in p.values()}, {"domain"}, "by")
    release(s)
    drained(s)
    all_arrived(sink.finish())


@case
def a_domain_moves_after_two_ttls_and_not_before(rig):
    """Catches a provider that changes with one answer, one that never does,
    and mail that is lost or counted twice because its domain moved while it
    was in flight."""
    ttl = 3
    hosts = ("mx.old 3 A 127.0.2.1\nmx.new 3 A 127.0.2.2\n")
    s, sink, dns = setup(
        rig, {"test": hosted(1, "mx.old.test", ttl) + hosts},
        ["127.0.2.1", "127.0.2.2"], ["u@d0.test"] * 400, pace="20/s")
    settled(s, "old.test")
    release(s)
    wait_for("the first host", 30, lambda: sink.interim() and
             arrived(sink.interim())["127.0.2.1"] > 10)
    dns.change("test", hosted(1, "mx.new.test", ttl) + hosts)
    wait_for("the new host", 20,
             lambda: arrived(sink.interim())["127.0.2.2"] > 0)
    first = time.monotonic()
    check("new.test" not in providers(s), "moved with the first answer")
    wait_for("the move", 30, lambda: "new.test" in providers(s))
    took = time.monotonic() - first
    # First heard of up to a second before its first message arrived, and
    # seen in a report that is written twice a second.
    check(took > 2 * ttl - 2, f"moved after {took:.1f} s")
    log = s.process.log.read_text()
    check("d0.test: from old.test to new.test" in log, log[-500:])
    drained(s, 60)
    p = providers(s)
    equal(p["old.test"]["delivered"] + p["new.test"]["delivered"], 400,
          "delivered")
    check(p["new.test"]["delivered"] > 0, "nothing is counted there")
    all_arrived(sink.finish())


@case
def a_restart_knows_the_sites_without_dns(rig):
    """Catches mail that cannot be selected, or that is paced apart, after a
    restart with a name server that is down."""
    zone = hosted(5) + "mx.big A 127.0.2.1\n"
    s, sink, dns = setup(rig, {"test": zone}, ["127.0.2.1"],
                         [f"u@d{n}.test" for n in range(5)])
    settled(s, "big.test")
    s.stop()
    dns.process.stop()
    s.start()
    p = providers(s)
    equal(list(p), ["big.test"], "providers")
    equal((p["big.test"]["held"], p["big.test"]["domains"]), (5, 5), "held")
    release(s, "--provider", "big.test")
    time.sleep(1)
    equal((totals(s)["waiting"], totals(s)["failed"]), (5, 0), "without DNS")
    sink.process.stop()


@case
def a_message_shows_its_provider(rig):
    """Catches `show` that names the domain only."""
    zone = hosted(1) + "mx.big A 127.0.2.1\n"
    s, sink, _ = setup(rig, {"test": zone}, ["127.0.2.1"], ["u@d0.test"])
    settled(s, "big.test")
    rows = [m for line in s.json("list", "--all") for m in
            line.get("messages", [line])]
    shown = s.json("show", rows[0]["id"])[0]
    equal([(r["provider"], r["by"]) for r in shown["recipients"]],
          [("big.test", "mx")], "shown")
    sink.process.stop()


if __name__ == "__main__":
    main()
