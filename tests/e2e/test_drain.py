# SPDX-License-Identifier: BSD-2-Clause
"""The main job, as scripts/run does it: real Postfix, real DNS, the trap."""

import re
import subprocess
import sys
import tempfile

from harness import ROOT, case, check, equal, main


def drain(rig, directory, *more):
    return subprocess.run(
        ["/usr/bin/python3", ROOT / "scripts" / "lib" / "drain.py", "--bindir",
         rig.bindir, "--dir", directory, *more], capture_output=True,
        text=True, timeout=300, cwd=tempfile.gettempdir())


@case
def a_real_backlog_is_drained_twice_in_a_row(rig):
    """Catches a run that leaves something behind that the next one trips on."""
    for _ in range(2):
        r = drain(rig, rig.dir / "run", "--messages", "1200")
        sys.stdout.write(r.stdout[-600:])
        equal(r.returncode, 0, f"exit status\n{r.stderr}")
        last = r.stdout.strip().splitlines()[-1]
        check(re.fullmatch(r"drained 1200 messages in [0-9.]+ s: 1200 "
                           r"delivered, 0 lost, 0 duplicated, 0 altered",
                           last), last)


@case
def paces_are_lifted_by_fast(rig):
    """Catches a --fast that still waits for paces."""
    r = drain(rig, rig.dir / "run", "--messages", "1500", "--fast")
    equal(r.returncode, 0, f"exit status\n{r.stdout[-500:]}{r.stderr}")
    seconds = float(re.search(r"drained 1500 messages in ([0-9.]+) s",
                              r.stdout).group(1))
    # At the default paces this backlog takes more than 20 s.
    check(seconds < 20, f"{seconds} s")


if __name__ == "__main__":
    main()
