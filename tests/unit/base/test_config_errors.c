/* SPDX-License-Identifier: BSD-2-Clause
 *
 * test_config_errors.c - where and in which words a config is refused.
 */
#include "config_unit.h"

static void unknown_keys_are_refused_with_a_suggestion(void **state)
{
	refused("workers: 1\nlissten: []\n",
		"t.yaml:2:1: unknown key 'lissten' in the file; did you mean "
		"'listen'?");
	refused("providers:\n  x: {pace: {mxa: 1/s}}\n",
		"t.yaml:2:14: unknown key 'mxa' in pace; did you mean 'max'?");
	refused("sources:\n  a:\n    adress: 192.0.2.1\n",
		"t.yaml:3:5: unknown key 'adress' in source 'a'; did you mean "
		"'address'?");
	refused("log: {colour: red}\n",
		"t.yaml:1:7: unknown key 'colour' in log; known are: level, "
		"format");
	refused("shaper: {insid: \"tap:a\"}\n",
		"t.yaml:1:10: unknown key 'insid' in shaper; did you mean "
		"'inside'?");
	refused("reputation: {evry: 1m}\n",
		"t.yaml:1:14: unknown key 'evry' in reputation; did you mean "
		"'every'?");
}

static void wrong_types_are_refused(void **state)
{
	refused("spool: [a]\n",
		"t.yaml:1:8: 'spool' is a list and has to be a map of keys; "
		"write 'spool: {name: value}'");
	refused("listen: {address: \"127.0.0.1:25\"}\n",
		"t.yaml:1:9: 'listen' is a map of keys and has to be a list; "
		"write 'listen: [one, two]'");
	refused("spool:\n  dir: [/a]\n",
		"t.yaml:2:8: 'dir' is a list and has to be a single value; "
		"write 'dir: value'");
	refused("just a text\n",
		"t.yaml:1:1: this is a single value and has to be a map of "
		"keys; write '{name: value}'");
	refused("workers: two\n",
		"t.yaml:1:10: 'two' is no number; write digits only");
	refused("workers: 0\n",
		"t.yaml:1:10: 0 is out of range; write 1 to 256");
	refused("delivery: {port: 65536}\n",
		"t.yaml:1:18: 65536 is out of range; write 1 to 65535");
	refused("run: {user: }\n",
		"t.yaml:1:7: 'user' has no value; write a text or remove the "
		"key");
	refused("log: {level: wran}\n",
		"t.yaml:1:14: 'wran' is not known here; did you mean 'warn'?");
	refused("providers: {default: {order: biggest}}\n",
		"t.yaml:1:30: 'biggest' is not known here; write one of "
		"oldest, newest, smallest");
	refused("listen: [{address: \"127.0.0.1:25\", bare_newline: keep}]\n",
		"t.yaml:1:50: 'keep' is not known here; write one of reject, "
		"normalise");
	refused("listen: [{address: \"127.0.0.1:25\", sessions: 0}]\n",
		"t.yaml:1:46: 0 is out of range; write 1 to 100000");
	refused("listen: [{address: \"127.0.0.1:25\", trust: [0.0.0.0/0]}]\n",
		"t.yaml:1:44: '0.0.0.0/0' lets strangers send: this would be "
		"an open relay; allow only your own networks");
	refused("providers: {default: {live_share: 101}}\n",
		"t.yaml:1:35: 101 is out of range; write 0 to 100");
}

static void by_is_for_the_default_provider(void **state)
{
	refused("providers: {x: {by: mx}}\n",
		"t.yaml:1:17: 'by' is for provider 'default' only; move it "
		"there");
	refused("providers: {default: {by: site}}\n",
		"t.yaml:1:27: 'site' is not known here; write one of mx, "
		"domain");
}

static void wrong_resolvers_are_refused(void **state)
{
	refused("resolver: {servers: [ns.example.org]}\n",
		"t.yaml:1:22: 'ns.example.org' is no address; write an IP "
		"address, if need be with a port, like 127.0.0.1:53");
	refused("resolver: {timeout: 1h}\n",
		"t.yaml:1:21: '1h' is no time to wait for DNS; write 1s to 2m");
	refused("resolver: {zones: {corp.example: []}}\n",
		"t.yaml:1:20: zone 'corp.example' has no name server; name "
		"one, like [10.0.0.53]");
	refused("resolver: {zones: {\"a..b\": [10.0.0.53]}}\n",
		"t.yaml:1:20: 'a..b' is no zone; write a name like "
		"corp.example");
}

static void wrong_units_are_refused(void **state)
{
	refused("spool: {min_free: 5GB}\n", "t.yaml:1:19: '5GB' is no size; "
					    "write a number with KiB, MiB or "
					    "GiB, like 50MiB");
	refused("retry: {first: 5}\n", "t.yaml:1:16: '5' is no time; write a "
				       "number with ms, s, m, h, d "
				       "or w, like 10s");
	refused("retry: {first: 0s}\n",
		"t.yaml:1:16: '0s' is no time to wait; write more than 0");
	refused("providers: {default: {pace: {max: 5s}}}\n",
		"t.yaml:1:35: '5s' is no pace; write messages per s, m, h or "
		"d, "
		"like 20/s, or 'unlimited'");
	refused("shaper: {source_default: {rate: 50Mb}}\n",
		"t.yaml:1:33: '50Mb' is no bit rate; write a number with "
		"kbit/s, Mbit/s or Gbit/s, like 50Mbit/s");
	refused("spool: {dir: spool}\n",
		"t.yaml:1:14: 'spool' is no absolute path; begin it with '/'");
	refused("sources: {a: {address: 192.0.2.1, warm_up: {start: "
		"2026-02-31}}}\n",
		"t.yaml:1:52: '2026-02-31' is no date; write YEAR-MONTH-DAY, "
		"like 2026-11-01");
}

/* Catches: the relay that everybody finds within the hour. */
static void an_open_relay_is_refused(void **state)
{
	refused("listen:\n  - {address: \"192.0.2.1:25\"}\n",
		"t.yaml:2:15: '192.0.2.1:25' can be reached from outside and "
		"'allow' is missing; write allow: with your own networks");
	refused("listen: [{address: \"[::]:25\"}]\n",
		"t.yaml:1:20: '[::]:25' can be reached from outside and "
		"'allow' "
		"is missing; write allow: with your own networks");
	static const char *const open[] = {"0.0.0.0/0", "::/0",
					   "0.0.0.0/1", "128.0.0.0/1",
					   "2000::/3",  "::ffff:0.0.0.0/96",
					   "64.0.0.0/7"};
	for (size_t i = 0; i < sizeof(open) / sizeof(open[0]); i++) {
		char text[200], want[200];
		(void)snprintf(text, sizeof(text),
			       "listen: [{address: \"127.0.0.1:25\", allow: "
			       "[10.0.0.0/8, \"%s\"]}]\n",
			       open[i]);
		(void)snprintf(
			want, sizeof(want),
			"t.yaml:1:56: '%s' lets strangers send: this would "
			"be an open relay; allow only your own networks",
			open[i]);
		refused(text, want);
	}
	refused("listen: [{address: \"127.0.0.1:25\", allow: []}]\n",
		"t.yaml:1:43: 'allow' is empty, so nobody could send; name "
		"your "
		"networks");
	struct config *c =
		parse("listen: [{address: \"0.0.0.0:25\", allow: "
		      "[10.0.0.0/8, \"fc00::/7\", 192.0.2.0/24]}]\n");
	assert_int_equal(c->listens[0].allow_count, 3);
	config_destroy(&c);
}

static void what_contradicts_is_refused(void **state)
{
	refused("providers:\n  a: {domains: [x.test, y.test]}\n"
		"  b: {domains: [z.test, Y.Test]}\n",
		"t.yaml:3:25: 'y.test' belongs to provider 'a' already; remove "
		"one");
	refused("providers:\n  a: {domains: [x.test, x.test]}\n",
		"t.yaml:2:25: 'x.test' belongs to provider 'a' already; remove "
		"one");
	refused("providers:\n  a: {mx: [\"*.x.test\"]}\n"
		"  b: {mx: [\"*.x.test\"]}\n",
		"t.yaml:3:12: '*.x.test' belongs to provider 'a' already; "
		"remove one");
	refused("sources: {out1: {address: 192.0.2.1}}\n"
		"pools: {default: [out2]}\n",
		"t.yaml:2:19: unknown source 'out2'; did you mean 'out1'?");
	refused("pools: {default: [zzz]}\n",
		"t.yaml:1:19: unknown source 'zzz'; add it under 'sources'");
	refused("providers: {a: {pool: defualt}}\n",
		"t.yaml:1:23: 'defualt' is not known here; did you mean "
		"'default'?");
	refused("providers: {default: {domains: [a.test]}}\n",
		"t.yaml:1:23: provider 'default' is for all that no other "
		"names; remove 'domains'");
	refused("sources: {a: {address: 192.0.2.1}, b: {address: 192.0.2.1}}\n",
		"t.yaml:1:36: source 'b' has the address of source 'a', and "
		"paces count by source; remove one");
	refused("retry: {first: 5h}\n",
		"t.yaml:1:8: retry.first is longer than retry.max; swap them");
	refused("workers: 1\nworkers: 2\n",
		"t.yaml:2:1: key 'workers' was given before in line 1; remove "
		"one of them");
	refused("domains: {a.test: {pace: 1/s}, A.test: {pace: 2/s}}\n",
		"t.yaml:1:32: domain 'A.test' was given before; remove one");
}

static void sources_are_literal_addresses(void **state)
{
	static const char *const bad[] = {"out1.example.edu", "192.0.2.1:25",
					  "192.0.2.0/24", "[192.0.2.1]"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char text[200], want[200];
		(void)snprintf(text, sizeof(text),
			       "sources: {a: {address: \"%s\"}}\n", bad[i]);
		(void)snprintf(want, sizeof(want),
			       "t.yaml:1:24: '%s' is no IP address; write the "
			       "literal address, without a port",
			       bad[i]);
		refused(text, want);
	}
	refused("sources: {a: {address: 0.0.0.0}}\n",
		"t.yaml:1:24: mail cannot leave from '0.0.0.0'; write an "
		"address of this machine");
	refused("sources: {a: {helo: a.test}}\n",
		"t.yaml:1:11: source 'a' has no address; write 'address: IP' "
		"of "
		"this machine");
	refused("sources: {\"a b\": {address: 192.0.2.1}}\n",
		"t.yaml:1:11: 'a b' is no name for a source; use 1 to 63 "
		"letters, digits, '.', '_', '-'");
}

/* Catches: a syntax error without a place, or a crash on one. */
static void broken_yaml_has_a_place(void **state)
{
	static const char deep_map[] =
		"{a: {b: {c: {d: {e: {f: {g: {h: {i: {j: {k: {l: {m: {n: {o: "
		"{p: {q: {r: 1}}}}}}}}}}}}}}}}}}";
	static const char *const broken[] = {
		"spool: {dir: /x\nworkers: 2\n",
		"a: b: c\n",
		"\tworkers: 1\n",
		"workers: \"x\n",
		"x: *a\n",
		"? [a]\n: b\n",
		"a: [1, 2\n",
		"[[[[[[[[[[[[[[[[[[[[[[[[[[",
		deep_map,
		"log: {level: \xc3\x28}\n",
		"--- \n---\na: b\n",
	};
	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
		struct config *c = NULL;
		struct err e = {""};
		assert_int_equal(config_parse(broken[i], "t.yaml", &c, &e),
				 -EINVAL);
		assert_true(strncmp(e.text, "t.yaml:", 7) == 0);
		assert_true(strlen(e.text) > 12);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unknown_keys_are_refused_with_a_suggestion),
		cmocka_unit_test(wrong_types_are_refused),
		cmocka_unit_test(by_is_for_the_default_provider),
		cmocka_unit_test(wrong_resolvers_are_refused),
		cmocka_unit_test(wrong_units_are_refused),
		cmocka_unit_test(an_open_relay_is_refused),
		cmocka_unit_test(what_contradicts_is_refused),
		cmocka_unit_test(sources_are_literal_addresses),
		cmocka_unit_test(broken_yaml_has_a_place),
	};
	return cmocka_run_group_tests_name("base/config_errors", tests, NULL,
					   NULL);
}
