# SPDX-License-Identifier: BSD-2-Clause
"""A real name server whose zones change, fail, lie or are silent, and where
the mail goes.

Hosts are on 127.0.2.N and 127.0.3.N; nobody listens on 127.0.3.
"""

import time

from harness import (all_arrived, case, check, drained, equal, free_port, main,
                     wait_for)
from zones import Forwarder, Zones, arrived, release, setup, totals


@case
def mail_goes_to_the_host_that_dns_prefers(rig):
    """Catches a wrong order of preferences, an MX that is ignored, an implicit
    one that is not found, aliases that are not followed, a wildcard that is
    not believed, an answer that is too long for UDP."""
    many = "".join(f"many 60 MX 10 h{n}.many\nh{n}.many A 127.0.2.1\n"
                   for n in range(1000))
    zone = ("one MX 20 b\none MX 10 a\n"
            "dead MX 10 gone\ndead MX 20 b\n"
            "implicit A 127.0.2.1\nimplicit-none MX 5 b\n"
            "alias CNAME one\nmx-alias MX 10 to-a\nto-a CNAME a\n"
            "*.wild MX 10 b\n"
            "a A 127.0.2.1\nb A 127.0.2.2\ngone A 127.0.3.1\n" + many)
    to = {"one": "127.0.2.1", "dead": "127.0.2.2", "implicit": "127.0.2.1",
          "implicit-none": "127.0.2.2", "alias": "127.0.2.1",
          "mx-alias": "127.0.2.1", "x.wild": "127.0.2.2",
          "many": "127.0.2.1"}
    s, sink, _ = setup(rig, {"test": zone}, ["127.0.2.1", "127.0.2.2"],
                       [f"u{n}@{d}.test" for d in to for n in range(3)])
    release(s)
    drained(s)
    report = sink.finish()
    all_arrived(report)
    equal(arrived(report), {"127.0.2.1": 15, "127.0.2.2": 9}, "arrived")


@case
def what_dns_says_is_final_and_what_is_not(rig):
    """Catches mail that bounces over a repairable mistake, and mail that waits
    for a domain that takes none."""
    zone = ("null MX 0 .\n"
            "us MX 10 own\nown A 127.0.1.1\n"
            "zero MX 10 zero-host\nzero-host A 0.0.0.0\n"
            "number MX 10 10.0.0.1.\n"
            "no-address MX 10 nowhere\n"
            "loop CNAME pool\npool CNAME loop\n")
    final = {"null": "5.1.10", "missing": "5.1.2", "us": "5.4.6"}
    later = ["zero", "number", "no-address", "loop"]
    s, sink, _ = setup(rig, {"test": zone}, ["127.0.2.1"],
                       [f"u@{d}.test" for d in [*final, *later]])
    release(s)
    wait_for("the failures", 60,
             lambda: totals(s)["failed"] == len(final))
    log = "\n".join(x for x in s.process.log.read_text().splitlines()
                    if "unroutable" in x or "unreachable" in x)
    for domain, code in final.items():
        check(f"{domain}.test: {code}" in log, f"{domain}: {log}")
    for domain in later:
        check(f"{domain}.test" in log, f"{domain}: {log}")
    time.sleep(2)
    t = totals(s)
    equal((t["failed"], t["waiting"]), (len(final), len(later)), "failed, left")
    equal(sink.finish()["messages"], 0, "messages")


@case
def an_old_host_gets_nothing_after_the_ttl(rig):
    """Catches a relay that hangs on to old records. The zone changes in
    mid-run; from TTL + 1 s (of whole seconds) on the old host is not spoken
    to, also not over connections that are still open."""
    ttl = 3
    zone = f"moves {ttl} MX 10 mx\nmx {ttl} A 127.0.2.%d\n"
    s, sink, dns = setup(rig, {"test": zone % 1}, ["127.0.2.1", "127.0.2.2"],
                         [f"u{n}@moves.test" for n in range(400)],
                         pace="40/s")
    release(s)
    wait_for("the first host", 30, lambda: sink.interim() and
             arrived(sink.interim())["127.0.2.1"] > 20)
    dns.change("test", zone % 2)
    wait_for("the new zone", 10,
             lambda: dns.asked("mx.test") == ["127.0.2.2"])
    time.sleep(ttl + 1 + 1)  # the report is written twice a second
    before = arrived(sink.interim())["127.0.2.1"]
    check(before < 400, "the backlog was too small")
    drained(s)
    report = sink.finish()
    all_arrived(report)
    equal(arrived(report)["127.0.2.1"], before, "at the old host")


@case
def a_zone_that_fails_is_asked_again(rig):
    """Catches SERVFAIL that bounces mail, or that is never looked at again."""
    s, sink, dns = setup(rig, {"test": "ok MX 10 mx\nmx A 127.0.2.1\n",
                               "broken.test": None}, ["127.0.2.1"],
                         ["u@ok.test", "u@broken.test"])
    release(s)
    wait_for("the good one", 30, lambda: totals(s)["delivered"] == 1)
    time.sleep(2)
    equal((totals(s)["waiting"], totals(s)["failed"]), (1, 0), "waiting, failed")
    dns.change("broken.test", "@ MX 10 mx.test.\n")
    drained(s, 60)
    all_arrived(sink.finish())


@case
def a_dead_host_costs_its_domains_little(rig):
    """Catches each of many domains finding out for itself, connect timeout by
    connect timeout, that the best host they share is dead."""
    zone = "".join(f"d{n} MX 10 dead\nd{n} MX 20 b{n}\nb{n} A 127.0.2.1\n"
                   for n in range(60)) + "dead A 127.0.3.1\n"
    s, sink, _ = setup(rig, {"test": zone}, ["127.0.2.1"],
                       [f"u@d{n}.test" for n in range(60)])
    release(s)
    drained(s)
    all_arrived(sink.finish())
    equal(totals(s)["failed"], 0, "failed")


@case
def silent_name_servers_do_not_starve_two_thousand_domains(rig):
    """Catches healthy domains in line behind those whose name servers do not
    answer (one in twenty), and more next hops than connections that get in each
    other's way."""
    count = 2000
    zone = "".join(f"{'s' if n % 20 == 7 else 'd'}{n} MX 10 mx\n"
                   for n in range(count)) + "mx A 127.0.2.1\n"
    dns = Zones(rig, {"test": zone})
    front = Forwarder(dns.port, lambda name: name.startswith("s"))
    s, sink, _ = setup(
        rig, None, ["127.0.2.1"],
        [f"u@{'s' if n % 20 == 7 else 'd'}{n}.test" for n in range(count)],
        dns=dns, by="domain",
        resolver=f"servers: [\"127.0.0.1:{front.port}\"], timeout: 120s")
    release(s)
    # The silent ones are not even given up in that time.
    wait_for("the healthy ones", 60,
             lambda: totals(s)["delivered"] == count - count // 20)
    equal(totals(s)["waiting"], count // 20, "waiting")
    equal(totals(s)["failed"], 0, "failed")
    front.silent = lambda name: False
    sink.process.stop()


@case
def a_private_zone_is_asked_at_its_own_servers(rig):
    """Catches a zone that libunbound holds to be empty, or that goes to the
    wrong resolver."""
    dns = Zones(rig, {"home.arpa": "mail MX 10 mx\nmx A 127.0.2.1\n"})
    nobody = free_port()
    s, sink, _ = setup(
        rig, None, ["127.0.2.1"], ["u@mail.home.arpa"], dns=dns,
        resolver=f"servers: [\"127.0.0.1:{nobody}\"], "
                 f"zones: {{home.arpa: [\"127.0.0.1:{dns.port}\"]}}")
    release(s)
    drained(s)
    all_arrived(sink.finish())


if __name__ == "__main__":
    main()
