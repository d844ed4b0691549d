# SPDX-License-Identifier: BSD-2-Clause
"""doc_tables.py - tables in docs/ that tests make, and keep true.

A table stands between `<!-- NAME: made by PROGRAM -->` and `<!-- end of NAME
-->`. A test compares it with what it found; run with --write-docs the test
writes it.
"""

import pathlib
import re
import sys

DOCS = pathlib.Path(__file__).resolve().parents[2] / "docs"


def markdown(header, rows):
    cells = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(str(c).replace("|", "\\|") for c in row)
                     + " |" for row in cells)


def keep(document, name, header, rows):
    """Writes the table when asked to, else fails if the document differs."""
    path = DOCS / document
    text = path.read_text()
    pattern = re.compile(rf"(<!-- {re.escape(name)}: made by [^>]*-->\n)"
                         rf"(.*?)(\n<!-- end of {re.escape(name)} -->)", re.S)
    found = pattern.search(text)
    if not found:
        raise AssertionError(f"{path.name} has no table '{name}'")
    table = markdown(header, rows)
    if found.group(2) == table:
        return
    if "--write-docs" in sys.argv:
        path.write_text(pattern.sub(
            lambda m: m.group(1) + table + m.group(3), text))
        return
    was = found.group(2).splitlines()
    now = table.splitlines()
    new = [line for line in now if line not in was]
    raise AssertionError(
        f"{path.name}: table '{name}' is not what was found; {len(was)} lines "
        f"there, {len(now)} now; run this test with --write-docs and read the "
        f"difference. New: {new[:5]}")
