/* SPDX-License-Identifier: BSD-2-Clause
 *
 * test_config.c - what a config gives.
 */
#include <errno.h>
#include <unistd.h>

#include "config_unit.h"
#include "sluice/clock.h"

/* Catches: a default that is not the documented one. */
static void an_empty_file_gives_safe_defaults(void **state)
{
	struct config *c = parse("");
	assert_string_equal(c->spool.dir, "/var/lib/sluice/spool");
	assert_int_equal(c->spool.min_free_bytes, 1ULL << 30);
	assert_int_equal(c->spool.segment_bytes, 64ULL << 20);
	assert_false(c->spool.outcome_sync_message);
	assert_string_equal(c->run.socket, "/run/sluice/sluiced.sock");
	assert_null(c->run.user);
	assert_int_equal(c->workers, 1);
	assert_int_equal(c->retry.first_ns, 300 * NS_PER_S);
	assert_int_equal(c->retry.max_ns, 4ULL * 3600 * NS_PER_S);
	assert_int_equal(c->retry.lifetime_ns, 5ULL * 86400 * NS_PER_S);
	assert_int_equal(c->retry.block_max_age_ns, 14ULL * 86400 * NS_PER_S);
	assert_int_equal(c->delivery.port, 25);
	assert_int_equal(c->listen_count, 0);
	assert_int_equal(c->source_count, 0);
	assert_int_equal(c->pool_count, 1);
	assert_string_equal(c->pools[0].name, "default");
	assert_int_equal(c->provider_count, 1);
	const struct config_provider *p = &c->providers[0];
	assert_string_equal(p->name, "default");
	assert_true(pace_equal(p->pace_start, (struct pace){1, NS_PER_S}));
	assert_true(pace_equal(p->pace_max, (struct pace){20, NS_PER_S}));
	assert_true(pace_equal(p->pace_per_source, (struct pace){5, NS_PER_S}));
	assert_int_equal(p->batch_interval_ns, 10 * NS_PER_S);
	assert_int_equal(p->batch_first, 5);
	assert_int_equal(p->batch_max, 500);
	assert_int_equal(p->connections_max, 5);
	assert_int_equal(p->connection_messages, 50);
	assert_int_equal(p->recipients_per_message, 100);
	assert_int_equal(p->live_share, 50);
	assert_int_equal(p->order, ORDER_OLDEST);
	assert_int_equal(p->count, COUNT_MESSAGES);
	config_destroy(&c);
	assert_null(c);
}

static const char everything[] =
	"spool: {dir: /s, min_free: 5GiB, min_free_inodes: 7,\n"
	"        segment_size: 2MiB, outcome_sync: message}\n"
	"run: {dir: /r, socket: /r/x.sock, user: sluice}\n"
	"workers: 3\n"
	"resolver: {servers: [127.0.0.1, \"[::1]:5353\"], timeout: 9s,\n"
	"  zones: {Corp.example: [10.0.0.53, \"10.0.0.54:54\"]}}\n"
	"retry: {first: 1m, max: 1h, lifetime: 1w, block_max_age: 3d}\n"
	"delivery: {connect: 1s, greeting: 2s, command: 3s, data: 4s,\n"
	"           ehlo: 6s, mail: 7s, rcpt: 8s, data_command: 9s,\n"
	"           quit: 10s, eom: 5s, idle: 500ms, connections: 9,\n"
	"           port: 2526, chunking: offered}\n"
	"log: {level: debug, format: text}\n"
	"classify: {rules: /etc/sluice/replies.yaml}\n"
	"listen:\n"
	"  - {address: \"127.0.0.1:2525\", allow: [127.0.0.0/8, \"::1\"],\n"
	"     max_size: 50MiB, trust: [127.0.0.2], sessions: 7,\n"
	"     sessions_per_client: 6, messages: 5, recipients: 4, errors: 3,\n"
	"     timeout: 2s, session_time: 1m, bare_newline: normalise}\n"
	"  - {address: \"[::1]:2525\"}\n"
	"sources:\n"
	"  out1: {address: 192.0.2.11, helo: OUT1.example.edu}\n"
	"  out2: {address: 10.0.0.12, public_address: 192.0.2.12,\n"
	"         helo: out2.example.edu, warm_up: {start: 2026-11-01,\n"
	"         first_day: 200, growth: 1.6}}\n"
	"pools: {campus: [out2], default: [out2, out1]}\n"
	"providers:\n"
	"  campus: {domains: [Example.edu], route: \"mx.example.edu:26\",\n"
	"           pace: {max: 500/s}, pool: campus, count: recipients}\n"
	"  default: {pace: {start: 2/s, max: 30/s, per_source: 6/s},\n"
	"            batch: {interval: 20s, first: 4, max: 300},\n"
	"            connections: {max: 7, messages: 0}, live_share: 10,\n"
	"            recipients_per_message: 20, order: newest, by: domain}\n"
	"  other: {mx: [\"*.Mx.example.net\"], pace: {max: 1/m}}\n"
	"domains: {slow.example.org: {pace: 6/m}}\n"
	"reputation: {lists: [zen.example.org], every: 10m}\n"
	"control: {http: \"127.0.0.1:8025\", token_file: /etc/sluice/token}\n"
	"shaper: {inside: \"tap:sluice0\", outside: \"pci:0000:03:00.0\",\n"
	"  source_default: {rate: 50Mbit/s, connections: 20/s}}\n";

/* RFC 5321 4.5.3.2; `command` is for those that are not named themselves. */
static void timeouts_are_those_of_the_standard(void **state)
{
	struct config *c = parse("");
	assert_int_equal(c->delivery.greeting_ns, 300 * NS_PER_S);
	assert_int_equal(c->delivery.ehlo_ns, 300 * NS_PER_S);
	assert_int_equal(c->delivery.mail_ns, 300 * NS_PER_S);
	assert_int_equal(c->delivery.rcpt_ns, 300 * NS_PER_S);
	assert_int_equal(c->delivery.data_command_ns, 120 * NS_PER_S);
	assert_int_equal(c->delivery.data_ns, 180 * NS_PER_S);
	assert_int_equal(c->delivery.eom_ns, 600 * NS_PER_S);
	assert_false(c->delivery.chunking);
	config_destroy(&c);
	c = parse("delivery: {rcpt: 2s, command: 1s}\n");
	assert_int_equal(c->delivery.ehlo_ns, 1 * NS_PER_S);
	assert_int_equal(c->delivery.mail_ns, 1 * NS_PER_S);
	assert_int_equal(c->delivery.rcpt_ns, 2 * NS_PER_S);
	assert_int_equal(c->delivery.data_command_ns, 1 * NS_PER_S);
	assert_int_equal(c->delivery.data_ns, 180 * NS_PER_S);
	config_destroy(&c);
}

/* Catches: a key that is accepted and forgotten. */
static void every_key_arrives(void **state)
{
	struct config *c = parse(everything);
	char buf[ADDR_TEXT_BYTES];
	assert_string_equal(c->spool.dir, "/s");
	assert_int_equal(c->spool.min_free_bytes, 5ULL << 30);
	assert_int_equal(c->spool.min_free_inodes, 7);
	assert_int_equal(c->spool.segment_bytes, 2ULL << 20);
	assert_true(c->spool.outcome_sync_message);
	assert_string_equal(c->run.dir, "/r");
	assert_string_equal(c->run.socket, "/r/x.sock");
	assert_string_equal(c->run.user, "sluice");
	assert_int_equal(c->workers, 3);
	assert_int_equal(c->resolver.server_count, 2);
	assert_string_equal(c->resolver.servers[1], "[::1]:5353");
	assert_int_equal(c->resolver.timeout_ns, 9 * NS_PER_S);
	assert_int_equal(c->resolver.zone_count, 1);
	assert_string_equal(c->resolver.zones[0].name, "corp.example");
	assert_int_equal(c->resolver.zones[0].server_count, 2);
	assert_string_equal(c->resolver.zones[0].servers[1], "10.0.0.54:54");
	assert_int_equal(c->providers[0].by, BY_DOMAIN);
	assert_int_equal(c->retry.first_ns, 60 * NS_PER_S);
	assert_int_equal(c->retry.max_ns, 3600 * NS_PER_S);
	assert_int_equal(c->retry.lifetime_ns, 7ULL * 86400 * NS_PER_S);
	assert_int_equal(c->retry.block_max_age_ns, 3ULL * 86400 * NS_PER_S);
	assert_int_equal(c->delivery.connect_ns, 1 * NS_PER_S);
	assert_int_equal(c->delivery.greeting_ns, 2 * NS_PER_S);
	assert_int_equal(c->delivery.command_ns, 3 * NS_PER_S);
	assert_int_equal(c->delivery.data_ns, 4 * NS_PER_S);
	assert_int_equal(c->delivery.eom_ns, 5 * NS_PER_S);
	assert_int_equal(c->delivery.ehlo_ns, 6 * NS_PER_S);
	assert_int_equal(c->delivery.mail_ns, 7 * NS_PER_S);
	assert_int_equal(c->delivery.rcpt_ns, 8 * NS_PER_S);
	assert_int_equal(c->delivery.data_command_ns, 9 * NS_PER_S);
	assert_int_equal(c->delivery.quit_ns, 10 * NS_PER_S);
	assert_true(c->delivery.chunking);
	assert_int_equal(c->delivery.idle_ns, 500 * NS_PER_MS);
	assert_int_equal(c->delivery.connections_total, 9);
	assert_int_equal(c->delivery.port, 2526);
	assert_int_equal(c->log.level, LOG_DEBUG_);
	assert_int_equal(c->log.format, LOG_TEXT);
	assert_string_equal(c->rules, "/etc/sluice/replies.yaml");
	assert_string_equal(c->path, "t.yaml");
	assert_int_equal(c->listen_count, 2);
	assert_int_equal(c->listens[0].allow_count, 2);
	assert_int_equal(c->listens[0].size_max_bytes, 50ULL << 20);
	assert_int_equal(c->listens[0].trust_count, 1);
	assert_int_equal(c->listens[0].sessions_max, 7);
	assert_int_equal(c->listens[0].sessions_per_client, 6);
	assert_int_equal(c->listens[0].messages_max, 5);
	assert_int_equal(c->listens[0].rcpts_max, 4);
	assert_int_equal(c->listens[0].errors_max, 3);
	assert_int_equal(c->listens[0].timeout_ns, 2 * NS_PER_S);
	assert_int_equal(c->listens[0].session_ns, 60 * NS_PER_S);
	assert_int_equal(c->listens[0].bare_newline, BARE_NORMALISE);
	assert_int_equal(c->listens[1].trust_count, 0);
	assert_int_equal(c->listens[1].bare_newline, BARE_REJECT);
	assert_int_equal(c->listens[1].sessions_max, 1000);
	assert_int_equal(c->listens[1].timeout_ns, 300 * NS_PER_S);
	assert_string_equal(addr_format(&c->listens[0].address, true, buf),
			    "127.0.0.1:2525");
	assert_int_equal(c->listens[1].allow_count, 2); /* loopback */
	assert_int_equal(c->domain_count, 1);
	assert_string_equal(c->domains[0].name, "slow.example.org");
	assert_true(pace_equal(c->domains[0].pace,
			       (struct pace){6, 60 * NS_PER_S}));
	config_destroy(&c);
}

static void sources_and_pools_arrive(void **state)
{
	struct config *c = parse(everything);
	char buf[ADDR_TEXT_BYTES];
	assert_int_equal(c->source_count, 2);
	assert_string_equal(c->sources[0].name, "out1");
	assert_string_equal(c->sources[0].helo, "out1.example.edu");
	assert_string_equal(
		addr_format(&c->sources[0].public_address, true, buf),
		"192.0.2.11");
	assert_string_equal(
		addr_format(&c->sources[1].public_address, true, buf),
		"192.0.2.12");
	assert_string_equal(addr_format(&c->sources[1].address, true, buf),
			    "10.0.0.12");
	assert_int_equal(c->pool_count, 2);
	assert_string_equal(c->pools[0].name, "default");
	assert_int_equal(c->pools[0].source_count, 2);
	assert_int_equal(c->pools[0].sources[0], 1);
	assert_string_equal(c->pools[1].name, "campus");
	assert_int_equal(c->pools[1].sources[0], 1);
	config_destroy(&c);
}

/* Catches: inheritance that depends on the order in the file, and inherited
 * values above a maximum that was given. */
static void providers_inherit_from_default(void **state)
{
	struct config *c = parse(everything);
	assert_int_equal(c->provider_count, 3);
	const struct config_provider *d = &c->providers[0];
	const struct config_provider *campus = &c->providers[1];
	const struct config_provider *other = &c->providers[2];
	assert_string_equal(d->name, "default");
	assert_int_equal(d->connection_messages, 0);
	assert_int_equal(d->order, ORDER_NEWEST);
	assert_string_equal(campus->name, "campus");
	assert_string_equal(campus->domains[0], "example.edu");
	assert_string_equal(campus->route, "mx.example.edu:26");
	assert_int_equal(campus->pool, 1);
	assert_int_equal(campus->count, COUNT_RECIPIENTS);
	assert_true(pace_equal(campus->pace_max, (struct pace){500, NS_PER_S}));
	assert_true(pace_equal(campus->pace_start, (struct pace){2, NS_PER_S}));
	assert_int_equal(campus->batch_interval_ns, 20 * NS_PER_S);
	assert_int_equal(campus->connections_max, 7);
	assert_int_equal(campus->live_share, 10);
	assert_int_equal(campus->recipients_per_message, 20);
	assert_string_equal(other->mx[0], "*.mx.example.net");
	assert_int_equal(other->count, COUNT_MESSAGES);
	assert_null(other->route);
	assert_true(pace_equal(other->pace_start, other->pace_max));
	config_destroy(&c);
	c = parse("providers: {default: {route: mx.test, batch: {max: 3}},\n"
		  "            a: {route: none}, b: }\n");
	assert_null(c->providers[1].route);
	assert_string_equal(c->providers[2].route, "mx.test");
	assert_int_equal(c->providers[2].batch_first, 3);
	config_destroy(&c);
}

/* Catches: a reader that runs off the text. Every prefix, and every single
 * changed byte, of a full config ends in a config or in a sentence. */
static void cut_and_changed_files_never_crash(void **state)
{
	struct unit_random r = unit_random_start(__func__);
	static char text[sizeof(everything)];
	for (size_t i = 0; i < 2500; i++) {
		struct config *c = NULL;
		struct err e = {""};
		memcpy(text, everything, sizeof(text));
		if (i < sizeof(everything))
			text[i] = '\0';
		else
			text[unit_random_below(&r, sizeof(text) - 1)] =
				(char)(unit_random_below(&r, 255) + 1);
		int res = config_parse(text, "t", &c, &e);
		assert_true((res == 0) == (c != NULL));
		assert_true((res == 0) == (e.text[0] == '\0'));
		config_destroy(&c);
	}
}

static void files_are_loaded_or_named(void **state)
{
	char path[] = "/tmp/sluice-config-XXXXXX";
	struct config *c = NULL;
	struct err e = {""};
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, everything, sizeof(everything) - 1),
			 sizeof(everything) - 1);
	assert_int_equal(config_load(path, &c, &e), 0);
	assert_string_equal(c->path, path);
	config_destroy(&c);
	assert_int_equal(write(fd, "\0x", 2), 2);
	assert_int_equal(config_load(path, &c, &e), -EILSEQ);
	(void)close(fd);
	(void)unlink(path);
	assert_int_equal(config_load(path, &c, &e), -ENOENT);
	assert_non_null(strstr(e.text, path));
	assert_int_equal(config_load("/", &c, NULL), -EISDIR);
}

/* Catches: a manual whose example the program refuses, or that leaves out a
 * key. */
static void the_manual_is_true(void **state)
{
	static char text[65536], yaml[8192];
	FILE *f = fopen(SLUICE_SOURCE_ROOT "/docs/configuration.md", "r");
	assert_non_null(f);
	text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
	(void)fclose(f);
	const char *from = strstr(text, "```yaml\n");
	assert_non_null(from);
	from += strlen("```yaml\n");
	const char *to = strstr(from, "```");
	assert_true(to != NULL && (size_t)(to - from) < sizeof(yaml));
	memcpy(yaml, from, (size_t)(to - from));
	struct config *c = parse(yaml);
	assert_int_equal(c->provider_count, 3);
	config_destroy(&c);
	/* each key of the config that sets everything, up to its ':' */
	for (const char *s = everything; (s = strchr(s, ':')) != NULL; s++) {
		static const char word[] = "abcdefghijklmnopqrstuvwxyz_";
		const char *key = s;
		while (key > everything && strchr(word, key[-1]) != NULL)
			key--;
		char name[40];
		(void)snprintf(name, sizeof(name), "%.*s", (int)(s - key), key);
		if (s[1] == ' ' && name[0] != '\0' && !strstr(text, name))
			fail_msg("docs/configuration.md lacks '%s'", name);
	}
}

static void units_are_exact_and_bounded(void **state)
{
	uint64_t v = 42;
	assert_int_equal(config_size_parse("0", &v), 0);
	assert_int_equal(v, 0);
	assert_int_equal(config_size_parse("17B", &v), 0);
	assert_int_equal(v, 17);
	assert_int_equal(config_size_parse("3TiB", &v), 0);
	assert_int_equal(v, 3ULL << 40);
	assert_int_equal(config_duration_parse("250ms", &v), 0);
	assert_int_equal(v, 250 * NS_PER_MS);
	assert_int_equal(config_duration_parse("2w", &v), 0);
	assert_int_equal(v, 14ULL * 86400 * NS_PER_S);
	static const char *const bad[] = {"",
					  "B",
					  "-1KiB",
					  "1 KiB",
					  "1kib",
					  "1.5GiB",
					  "18446744073709551616",
					  "99999999TiB",
					  "1h30m"};
	v = 42;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(config_size_parse(bad[i], &v), -EINVAL);
		assert_int_equal(config_duration_parse(bad[i], &v), -EINVAL);
	}
	assert_int_equal(config_duration_parse("99999999999w", &v), -EINVAL);
	assert_int_equal(v, 42);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_file_gives_safe_defaults),
		cmocka_unit_test(timeouts_are_those_of_the_standard),
		cmocka_unit_test(every_key_arrives),
		cmocka_unit_test(sources_and_pools_arrive),
		cmocka_unit_test(providers_inherit_from_default),
		cmocka_unit_test(cut_and_changed_files_never_crash),
		cmocka_unit_test(files_are_loaded_or_named),
		cmocka_unit_test(the_manual_is_true),
		cmocka_unit_test(units_are_exact_and_bounded),
	};
	return cmocka_run_group_tests_name("base/config", tests, NULL, NULL);
}
