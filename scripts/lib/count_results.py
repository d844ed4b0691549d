# SPDX-License-Identifier: BSD-2-Clause
"""count_results.py - adds up Meson's test logs into one closing line.

    count_results.py LOG...             DIR-again.json corrects DIR.json
    count_results.py --failed LOG       names of the failed tests, for another
                                        try by themselves; nothing, exit 1, if
                                        one of them may not have one

A test that waits for real programs can fail because the machine is busy with
the others. Each gets a second try, alone, and is named. One that judges whether
mail is lost gets none: a fault that shows only sometimes is a fault.
"""

import json
import sys

NO_SECOND_TRY = ("sim/", "e2e/kill", "e2e/export", "lint/", "fuzz/")
GOOD = ("OK", "EXPECTEDFAIL")


def results(path):
    with open(path, encoding="utf-8") as f:
        for line in f:
            test = json.loads(line)
            yield test["name"].rpartition(" / ")[2], test["result"]


def failed(path):
    names = [n for n, r in results(path) if r not in (*GOOD, "SKIP")]
    if any(n.startswith(NO_SECOND_TRY) for n in names):
        return 1
    print("\n".join(names))
    return 0


def count(paths):
    final = {}
    for path in paths:
        again = path.endswith("-again.json")
        build = path.removesuffix(".json").removesuffix("-again")
        for name, result in results(path):
            if again and result in GOOD:
                print(f"{name}: failed among the others, passed alone")
            final[build, name] = result
    good = sum(r in GOOD for r in final.values())
    skipped = sum(r == "SKIP" for r in final.values())
    bad = len(final) - good - skipped
    print(f"{good} passed, {bad} failed, {skipped} skipped")
    return 0 if good > 0 and bad == 0 else 1


if __name__ == "__main__":
    sys.exit(failed(sys.argv[2]) if sys.argv[1] == "--failed"
             else count(sys.argv[1:]))
