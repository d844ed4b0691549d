# SPDX-License-Identifier: BSD-2-Clause
"""harness.py - what the end-to-end tests share.

Each test file is a program: it makes a Rig in a directory of its own, runs its
cases in order, prints one line per case and exits 0, 1, or 77 (skipped). The
build directory comes in SLUICE_BUILD.
"""

import os
import pathlib
import shutil
import sys
import tempfile
import traceback

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts" / "lib"))

from rig import Rig, RigError, Sluiced, free_port, wait_for  # noqa: E402,F401

CASES = []


class Skip(Exception):
    """The machine cannot run this; the text says why."""


def case(function):
    """A test; its docstring says what it catches."""
    CASES.append(function)
    return function


def check(condition, text):
    if not condition:
        raise AssertionError(text)


def equal(got, wanted, what):
    check(got == wanted, f"{what}: {got!r}, wanted {wanted!r}")


def sanitizer_silent(rig):
    """A finding in a program's own log fails the case, also a late one."""
    for p in rig.processes:
        text = p.log.read_text(errors="replace")
        for mark in ("Sanitizer", "runtime error:", ": bug: "):
            check(mark not in text, f"{p.name}: {p.tail(40)}")


def run_case(function):
    directory = pathlib.Path(tempfile.mkdtemp(prefix="sluice-e2e-"))
    directory.chmod(0o755)
    try:
        with Rig(directory, os.environ["SLUICE_BUILD"]) as rig:
            try:
                function(rig)
            except Exception:
                for p in rig.processes:
                    print(f"--- {p.name}: {p.tail(15)}")
                raise
        sanitizer_silent(rig)
        print(f"ok - {function.__name__}", flush=True)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def main():
    if os.geteuid() != 0:
        print("skipped: needs root")
        sys.exit(77)
    failed = skipped = 0
    names = [a for a in sys.argv[1:] if not a.startswith("--")]
    for function in CASES:
        if names and function.__name__ not in names:
            continue
        try:
            run_case(function)
        except Skip as e:
            skipped += 1
            print(f"skipped - {function.__name__}: {e}", flush=True)
        except Exception:
            failed += 1
            print(f"FAILED - {function.__name__}", flush=True)
            traceback.print_exc()
    sys.exit(1 if failed else 77 if skipped == len(CASES) else 0)


def configuration(rig, route=None, extra="", pace="unlimited", sources=1,
                  provider="", by=None):
    """A config that sends everything to `route`, as fast as `pace`."""
    names = [f"out{n}" for n in range(1, sources + 1)]
    lines = [f"spool: {{dir: {rig.dir}/spool, min_free: 50MiB}}",
             f"run: {{dir: {rig.dir}/sluice}}", "sources:"]
    for n, name in enumerate(names, 1):
        lines.append(f"  {name}: {{address: 127.0.1.{n}, "
                     f"helo: {name}.example.test}}")
    where = f", route: \"{route}\"" if route else ""
    where += f", by: {by}" if by else ""
    lines += [f"pools: {{default: [{', '.join(names)}]}}", "providers:",
              f"  default: {{pace: {{start: {pace}, max: {pace}, per_source: "
              f"{pace}}}{where}, connections: {{max: 20, messages: 200}}}}"]
    if provider:
        lines.append(provider)
    return "\n".join(lines) + "\n" + extra


def backlog(rig, count, where="pq", seed=1, size="2KiB", form="postfix"):
    """A generated queue and its ledger."""
    ledger = rig.dir / f"{where}.tsv"
    rig.run(rig.binary("sluice-bench"), "backlog", "--messages", count,
            "--size", size, "--seed", seed, "--format", form, "--output",
            rig.dir / where, "--ledger", ledger)
    return rig.dir / where, ledger


def drained(sluiced, seconds=120):
    try:
        wait_for("the drain", seconds,
                 lambda: sluiced.status()["totals"]["recipients"] == 0)
    except RigError as e:
        left = sluiced.cli("list", "--all", "--limit", "10").stdout
        raise RigError(f"{e}; left:\n{left}") from e


def all_arrived(report):
    for key in ("lost", "duplicated", "altered", "unknown"):
        equal(report[key], 0, f"{key} at the receivers {report['examples']}")
    equal(report["delivered"], report["expected"], "delivered")
