#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Checks who includes whom.

    include/sluice <- dataplane/base <- rooms <- sluiced
    include/sluice <- control

  - contracts (include/sluice) include contracts only
  - no header of dataplane/ in control/, nor the other way round
  - a room sees another room's x.h, never its x_priv.h, and nobody sees sluiced
  - PURE rooms do no I/O, start no threads and read no clock: no io/ header, not
    even through another header, no system header of that kind, no clock call
  - bench/ and tests/ may include anything

Usage: layers.py ROOT | layers.py --self-test
Exit status: 0, or 1 with one line per offence.
"""

import os
import re
import sys
import tempfile

PURE = {
    "dataplane/release", "dataplane/classify", "dataplane/smtp",
    "dataplane/queue", "dataplane/shaper/core", "control/controller",
}
PROGRAMS = {"dataplane/sluiced"}  # rooms that nothing may include
ROOTS = ("include", "dataplane", "control", "bench")
IO_HEADERS = {
    "aio.h", "fcntl.h", "liburing.h", "netdb.h", "poll.h", "pthread.h",
    "semaphore.h", "threads.h", "unistd.h", "unbound.h", "sys/epoll.h",
    "sys/eventfd.h", "sys/file.h", "sys/inotify.h", "sys/ioctl.h",
    "sys/select.h", "sys/signalfd.h", "sys/socket.h",
    "sys/stat.h", "sys/timerfd.h", "sys/uio.h", "sys/un.h",
}
CLOCK_CALL = re.compile(
    r"\b(clock_monotonic_ns|clock_realtime_n?s|clock_gettime|gettimeofday|"
    r"timespec_get|time)\s*\(\s*(?!\s*void)")
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.M)
COMMENT = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"', re.S)


def sources(root):
    for top in ROOTS:
        for folder, dirs, files in os.walk(os.path.join(root, top)):
            dirs[:] = sorted(d for d in dirs if not d.startswith("."))
            for name in sorted(files):
                if name.endswith((".c", ".h")):
                    path = os.path.join(folder, name)
                    yield os.path.relpath(path, root)


class Tree:
    def __init__(self, root):
        self.root = root
        self.text = {}
        for path in sources(root):
            with open(os.path.join(root, path), encoding="utf-8",
                      errors="replace") as f:
                self.text[path] = f.read()
        self.includes = {p: self.includes_of(p) for p in self.text}

    def includes_of(self, path):
        """(line, bracket, name, file of ours or None)"""
        found = []
        for m in INCLUDE.finditer(self.text[path]):
            line = self.text[path].count("\n", 0, m.start()) + 1
            found.append((line, m[1], m[2], self.resolve(path, m[2])))
        return found

    def resolve(self, path, name):
        for base in (os.path.dirname(path),) + ROOTS:
            candidate = os.path.normpath(os.path.join(base, name))
            if candidate in self.text:
                return candidate
        return None

    def reached(self, path):
        """Every header of ours that `path` pulls in, with the way to it."""
        way = {path: []}
        todo = [path]
        while todo:
            at = todo.pop()
            for _, _, _, target in self.includes[at]:
                if target and target not in way:
                    way[target] = way[at] + [target]
                    todo.append(target)
        del way[path]
        return way


def room_of(path):
    """'include/sluice', 'dataplane/spool', 'control/cli', 'bench'"""
    parts = path.split("/")
    if parts[0] == "bench" or len(parts) < 3:
        return parts[0]
    if path.startswith("dataplane/shaper/core/"):
        return "dataplane/shaper/core"
    return "/".join(parts[:2])


def offence_of(path, target):
    """Why `path` may not include `target`, or None."""
    mine, theirs = room_of(path), room_of(target)
    if mine == theirs or mine == "bench":
        return None
    if theirs == "include/sluice":
        return None
    if mine == "include/sluice":
        return "a contract includes only contracts"
    if mine.split("/")[0] != theirs.split("/")[0]:
        return "%s/ and %s/ meet only in include/sluice" % (
            mine.split("/")[0], theirs.split("/")[0])
    if mine == "dataplane/base":
        return "the base includes no room"
    if theirs in PROGRAMS:
        return "nothing includes a program's room"
    if theirs == "dataplane/base":
        return "what the base offers is in include/sluice"
    if target.endswith("_priv.h"):
        return "private to %s" % theirs
    return None


def check_pure(tree, path):
    for line, _, name, target in tree.includes[path]:
        if target is None and name in IO_HEADERS:
            yield line, "a PURE room includes <%s>" % name
    for target, way in tree.reached(path).items():
        if target.startswith("dataplane/io/"):
            yield 1, "a PURE room reaches %s by way of %s" % (
                target, " -> ".join(way))
    # blanks of the same length, so that line numbers stay
    bare = COMMENT.sub(lambda m: re.sub(r"[^\n]", " ", m[0]), tree.text[path])
    for m in CLOCK_CALL.finditer(bare):
        yield bare.count("\n", 0, m.start()) + 1, \
            "a PURE room asks the clock: %s()" % m[1]


def check(root):
    tree = Tree(root)
    offences = []
    for path in sorted(tree.text):
        for line, _, name, target in tree.includes[path]:
            why = target and offence_of(path, target)
            if why:
                offences.append("%s:%d: includes %s: %s" % (
                    path, line, name, why))
        if room_of(path) in PURE:
            offences += ["%s:%d: %s" % (path, line, why)
                         for line, why in check_pure(tree, path)]
    return len(tree.text), offences


GOOD = {
    "include/sluice/a.h": '#include "sluice/b.h"\n#include <stdint.h>\n',
    "include/sluice/b.h": "",
    "dataplane/base/a.c": '#include "sluice/a.h"\n#include "a_priv.h"\n',
    "dataplane/base/a_priv.h": "",
    "dataplane/io/io.h": "#include <liburing.h>\n",
    "dataplane/io/io_priv.h": "",
    "dataplane/spool/spool.h": '#include "sluice/a.h"\n',
    "dataplane/spool/spool.c": '#include "io/io.h"\n#include "spool.h"\n',
    "dataplane/queue/queue.h": '#include "spool/spool.h"\n',
    "dataplane/queue/queue.c":
        '#include "queue/queue.h"\n/* time( and clock_gettime( */\n',
    "dataplane/sluiced/main.c": '#include "queue/queue.h"\n',
    "dataplane/sluiced/main.h": "",
    "control/cli/main.c": '#include "sluice/a.h"\n',
    "control/cli/cli.h": "",
    "bench/bench.c": '#include "io/io_priv.h"\n#include "cli/cli.h"\n',
}
# what is added to the good tree, and a part of the line it must give
BAD = [
    ("include/sluice/c.h", '#include "io/io.h"\n', "only contracts"),
    ("dataplane/base/b.c", '#include "io/io.h"\n', "base includes no room"),
    ("dataplane/spool/x.c", '\n#include "io/io_priv.h"\n', "x.c:2: "),
    ("dataplane/spool/x.c", '#include "base/a_priv.h"\n', "include/sluice"),
    ("dataplane/spool/x.c", '#include "../base/a_priv.h"\n', "include/sluice"),
    ("dataplane/spool/x.c", '#include "sluiced/main.h"\n', "program's room"),
    ("dataplane/spool/x.c", '#include "cli/cli.h"\n', "meet only"),
    ("control/cli/x.c", '#include "spool/spool.h"\n', "meet only"),
    ("dataplane/queue/x.c", '#include "io/io.h"\n', "reaches dataplane/io"),
    ("dataplane/queue/x.c", "#include <sys/socket.h>\n", "<sys/socket.h>"),
    ("dataplane/queue/x.c", "int f(void)\n{\n\treturn (int)time(NULL);\n}\n",
     "x.c:3: "),
    ("dataplane/smtp/x.c", "a = clock_monotonic_ns();\n", "asks the clock"),
    ("dataplane/spool/spool.h", '#include "io/io.h"\n',
     "by way of dataplane/queue/queue.h -> dataplane/spool/spool.h"),
    ("control/controller/x.c", "#include <poll.h>\n", "<poll.h>"),
]


def write_tree(root, files):
    for path, text in files.items():
        full = os.path.join(root, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "w", encoding="utf-8") as f:
            f.write(text)


def self_test():
    failed = 0
    for extra, text, part in [(None, None, None)] + BAD:
        with tempfile.TemporaryDirectory() as root:
            files = dict(GOOD)
            if extra:
                files[extra] = text
            write_tree(root, files)
            _, offences = check(root)
            if part is None:
                ok = not offences
            else:
                ok = any(part in line for line in offences)
            if not ok:
                failed += 1
                print("self-test: %s %r: wanted %r, got %s" % (
                    extra, text, part, offences))
    print("self-test: %d trees, %d wrong" % (len(BAD) + 1, failed))
    return 1 if failed else 0


def main():
    if sys.argv[1:] == ["--self-test"]:
        return self_test()
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 64
    count, offences = check(sys.argv[1])
    for line in offences:
        print(line)
    print("layers: %d files, %d offences" % (count, len(offences)))
    # nothing to check is no success
    return 1 if offences or count == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
