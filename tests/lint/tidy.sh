#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# tidy.sh ROOT BUILD [FILE...] - clang-tidy by ROOT/.clang-tidy over what the
# compile database of BUILD builds from ROOT, or over the files named.
# `tidy.sh --self-test` proves that a finding fails it.
# Exit: 0, 1 with the findings, 77 = clang-tidy is not installed.
set -euo pipefail

# Sources of ours in the compile database, once each.
sources() {
	python3 - "$1" "$2" <<'PY'
import json, os, sys
root, build = sys.argv[1:]
with open(os.path.join(build, "compile_commands.json")) as f:
    entries = json.load(f)
paths = {os.path.realpath(os.path.join(e["directory"], e["file"]))
         for e in entries}
inside = os.path.realpath(root) + os.sep
away = os.path.realpath(build) + os.sep
for p in sorted(paths):
    # Not the tests: that cmocka's assertions do not return is more than the
    # analyzer knows.
    if p.startswith(inside + "tests" + os.sep):
        continue
    if p.startswith(inside) and not p.startswith(away) and p.endswith(".c"):
        print(p)
PY
}

check() {
	local root=$1 build=$2 list
	shift 2
	if [ $# -gt 0 ]; then
		list=$(printf '%s\n' "$@")
	else
		list=$(sources "$root" "$build") || return 1
	fi
	if [ -z "$list" ]; then
		echo "tidy: nothing to check in $build" >&2
		return 1
	fi
	# One file a run: its analyzer mixes up va_lists of several. Flags that
	# only the other compiler knows are no finding.
	printf '%s\n' "$list" | xargs -d '\n' -n 1 -P 2 \
		clang-tidy --quiet -p "$build" --config-file="$root/.clang-tidy" \
		--extra-arg=-Wno-unknown-warning-option || return 1
	echo "tidy: $(printf '%s\n' "$list" | wc -l) files, no findings"
}

self_test() {
	local tree here kind wrong=0
	here=$(cd "$(dirname "$0")/../.." && pwd)
	for kind in good bad; do
		tree=$(mktemp -d)
		cp "$here/.clang-tidy" "$tree/"
		mkdir "$tree/build"
		if [ $kind = good ]; then
			printf 'int f(int x);\nint f(int x)\n{\n\treturn x;\n}\n'
		else
			printf 'int f(void);\nint f(void)\n{\n'
			printf '\tint *p = 0;\n\treturn *p;\n}\n'
		fi >"$tree/a.c"
		printf '[{"directory":"%s","file":"a.c","command":"cc -c a.c"}]\n' \
			"$tree" >"$tree/build/compile_commands.json"
		if check "$tree" "$tree/build" >/dev/null 2>&1; then
			[ $kind = good ] || wrong=$((wrong + 1))
		else
			[ $kind = bad ] || wrong=$((wrong + 1))
		fi
		rm -r "$tree"
	done
	echo "self-test: 2 trees, $wrong wrong"
	[ "$wrong" -eq 0 ]
}

command -v clang-tidy >/dev/null || exit 77
if [ "${1-}" = --self-test ]; then
	self_test
elif [ $# -ge 2 ]; then
	check "$@"
else
	echo "usage: $0 ROOT BUILD [FILE...] | --self-test" >&2
	exit 64
fi
