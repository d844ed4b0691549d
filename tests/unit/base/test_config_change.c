/* SPDX-License-Identifier: BSD-2-Clause
 *
 * test_config_change.c - what a reload says it changes, and what keeps its
 * number.
 */
#include <unistd.h>

#include "config_unit.h"
#include "sluice/config_change.h"

#define SOURCES_AB                                                             \
	"sources: {a: {address: 192.0.2.1, helo: a.test}, "                    \
	"b: {address: 192.0.2.2, helo: b.test}}\n"

struct said {
	char text[4096];
};

static void note(void *user, const struct config_change *c)
{
	struct said *s = user;
	size_t len = strlen(s->text);

	(void)snprintf(s->text + len, sizeof(s->text) - len, "%s: %s -> %s%s\n",
		       c->key, c->before ? c->before : "-",
		       c->after ? c->after : "-",
		       c->restart ? " (restart)" : "");
}

static void differs(const char *before, const char *after, const char *wanted)
{
	struct config *a = parse(before), *b = parse(after);
	struct said s = {""};

	config_diff(a, b, note, &s);
	assert_string_equal(s.text, wanted);
	config_destroy(&a);
	config_destroy(&b);
}

static void the_same_text_differs_in_nothing(void **state)
{
	static const char text[] =
		SOURCES_AB "pools: {default: [a, b]}\n"
			   "listen: [{address: \"127.0.0.1:25\"}]\n";

	differs(text, text, "");
	differs("", "", "");
	differs("providers:\n", "", "");
	/* another order of keys, other quotes */
	differs("retry: {first: 1m, max: 1h}\n",
		"retry: {max: \"1h\", first: '1m'}\n", "");
}

static void values_are_named_with_before_and_after(void **state)
{
	differs("providers: {x: {pace: {max: 5/s}}}\n",
		"providers: {x: {pace: {max: 2/s}}}\n",
		"providers.x.pace.max: 5/s -> 2/s\n");
	differs("", "retry: {first: 1m, max: 1h}\n",
		"retry.first: - -> 1m\nretry.max: - -> 1h\n");
	differs("delivery: {idle: 5s}\n", "", "delivery.idle: 5s -> -\n");
}

static void added_and_removed_things_are_one_line_each(void **state)
{
	differs(SOURCES_AB,
		"sources: {b: {address: 192.0.2.2, helo: b.test}, "
		"c: {address: 192.0.2.3}}\n",
		"sources.a: {address: 192.0.2.1, helo: a.test} -> -\n"
		"sources.c: - -> {address: 192.0.2.3}\n");
	differs("providers: {x: {domains: [a.test, b.test]}}\n",
		"providers: {x: {domains: [b.test, c.test]}}\n",
		"providers.x.domains: a.test -> -\n"
		"providers.x.domains: - -> c.test\n");
}

static void listeners_are_known_by_their_address(void **state)
{
	differs("listen: [{address: \"127.0.0.1:25\"}, "
		"{address: \"127.0.0.1:26\"}]\n",
		"listen: [{address: \"127.0.0.1:26\", max_size: 1MiB}, "
		"{address: \"127.0.0.1:27\"}]\n",
		"listen: {address: 127.0.0.1:25} -> -\n"
		"listen[127.0.0.1:26].max_size: - -> 1MiB\n"
		"listen: - -> {address: 127.0.0.1:27}\n");
}

static void an_order_that_means_something_is_a_change(void **state)
{
	differs("resolver: {servers: [192.0.2.1, 192.0.2.2]}\n",
		"resolver: {servers: [192.0.2.2, 192.0.2.1]}\n",
		"resolver.servers: [192.0.2.1, 192.0.2.2] -> "
		"[192.0.2.2, 192.0.2.1]\n");
}

/* Catches "needs a restart" for a value that is only written differently. */
static void only_another_value_needs_a_restart(void **state)
{
	differs("spool: {dir: /a}\n", "spool: {dir: /b}\n",
		"spool.dir: /a -> /b (restart)\n");
	differs("", "workers: 1\n", "workers: - -> 1\n");
	differs("", "workers: 2\n", "workers: - -> 2 (restart)\n");
	differs("spool: {min_free: 1GiB}\n", "spool: {min_free: 1024MiB}\n",
		"spool.min_free: 1GiB -> 1024MiB\n");
	differs("spool: {outcome_sync: batch}\n",
		"spool: {outcome_sync: message}\n",
		"spool.outcome_sync: batch -> message\n");
}

static void long_values_are_cut(void **state)
{
	char text[600], wanted[600];
	struct config *a = parse(""), *b;
	struct said s = {""};

	(void)snprintf(text, sizeof(text), "%s", "providers: {x: {domains: [");
	for (int i = 0; i < 30; i++)
		(void)snprintf(text + strlen(text), 32, "%sa%02d.example.org",
			       i > 0 ? ", " : "", i);
	strcat(text, "]}}\n");
	b = parse(text);
	config_diff(a, b, note, &s);
	(void)snprintf(wanted, sizeof(wanted), "providers.x: - -> %.156s...\n",
		       strstr(text, "{domains"));
	assert_string_equal(s.text, wanted);
	config_destroy(&a);
	config_destroy(&b);
}

/* ---- numbers */

static struct config *adopted(const char *text, const struct config *before)
{
	struct config *c = parse(text);
	struct err e = {""};

	if (config_adopt(c, before, &e) != 0)
		fail_msg("%s", e.text);
	return c;
}

static void is_source(const struct config *c, uint32_t number, const char *name,
		      bool gone)
{
	assert_true(number < c->source_count);
	assert_string_equal(c->sources[number].name, name);
	assert_int_equal(c->sources[number].gone, gone);
}

static void a_new_source_goes_behind_wherever_it_stands(void **state)
{
	struct config *a = parse(SOURCES_AB);
	struct config *b =
		adopted("sources: {c: {address: 192.0.2.3}, "
			"b: {address: 192.0.2.2}, a: {address: 192.0.2.1}}\n"
			"pools: {default: [c, a], p: [b]}\n",
			a);

	assert_int_equal(b->source_count, 3);
	is_source(b, 0, "a", false);
	is_source(b, 1, "b", false);
	is_source(b, 2, "c", false);
	assert_int_equal(b->pools[0].sources[0], 2);
	assert_int_equal(b->pools[0].sources[1], 0);
	assert_int_equal(b->pools[1].sources[0], 1);
	config_destroy(&a);
	config_destroy(&b);
}

/* Catches a number that goes to another address, and a removed source whose
 * name is taken for one that is there. */
static void a_removed_source_keeps_its_place_and_can_come_back(void **state)
{
	struct config *a = parse(SOURCES_AB);
	struct config *b = adopted("sources: {b: {address: 192.0.2.2}}\n", a);
	struct config *c = adopted(SOURCES_AB, b);

	assert_int_equal(b->source_count, 2);
	is_source(b, 0, "a (removed)", true);
	is_source(b, 1, "b", false);
	assert_int_equal(b->pools[0].source_count, 1);
	assert_int_equal(b->pools[0].sources[0], 1);
	is_source(c, 0, "a", false);
	is_source(c, 1, "b", false);
	config_destroy(&a);
	config_destroy(&b);
	config_destroy(&c);
}

/* A receiver knows addresses, not our names. */
static void the_address_counts_before_the_name(void **state)
{
	struct config *a = parse(SOURCES_AB);
	struct config *b = adopted("sources: {a: {address: 192.0.2.2}, "
				   "z: {address: 192.0.2.1}}\n",
				   a);
	struct config *c = adopted("sources: {a: {address: 192.0.2.9}, "
				   "b: {address: 192.0.2.2}}\n",
				   a);

	is_source(b, 0, "z", false);
	is_source(b, 1, "a", false);
	is_source(c, 0, "a", false); /* another address, the same name */
	is_source(c, 1, "b", false);
	config_destroy(&a);
	config_destroy(&b);
	config_destroy(&c);
}

static void keep_key(void *user, const char *key)
{
	strcat(user, key);
	strcat(user, " ");
}

static void what_cannot_change_stays_as_it_is(void **state)
{
	char keys[256] = "";
	struct config *a = parse("spool: {dir: /a}\nworkers: 1\n");
	struct config *b = parse("spool: {dir: /b, min_free: 2GiB}\n"
				 "run: {user: x}\nworkers: 3\n");
	struct err e;

	config_restart_keys(a, b, keep_key, keys);
	assert_string_equal(keys, "spool.dir spool.min_free run.user workers ");
	assert_int_equal(config_adopt(b, a, &e), 0);
	config_destroy(&a); /* nothing of it may be needed any more */
	assert_string_equal(b->spool.dir, "/a");
	assert_int_equal(b->spool.min_free_bytes, 1ULL << 30);
	assert_null(b->run.user);
	assert_int_equal(b->workers, 1);
	config_destroy(&b);
}

static void too_many_sources_over_time_are_refused(void **state)
{
	static char text[64 * CONFIG_SOURCES_MAX];
	struct config *a, *b;
	struct err e = {""};

	strcpy(text, "sources:\n");
	for (unsigned i = 0; i < CONFIG_SOURCES_MAX; i++)
		(void)snprintf(text + strlen(text), 64,
			       "  s%u: {address: 198.18.%u.%u}\n", i, i / 256,
			       i % 256);
	a = parse(text);
	b = parse(SOURCES_AB);
	assert_int_equal(config_adopt(b, a, &e), -E2BIG);
	assert_non_null(strstr(e.text, "restart"));
	assert_int_equal(b->source_count, 2);
	config_destroy(&a);
	config_destroy(&b);
}

/* ---- keys without a use */

static void keep_sentence(void *user, const char *sentence)
{
	strcat(user, sentence);
	strcat(user, "\n");
}

static void unused(const char *text, const char *wanted)
{
	char said[2048] = "";
	struct config *c = parse(text);

	config_unused(c, keep_sentence, said);
	assert_string_equal(said, wanted);
	config_destroy(&c);
}

static void keys_without_a_use_are_named_with_their_place(void **state)
{
	unused("", "");
	unused("workers: 1\nproviders: {x: {pace: {max: 1/s}}}\n", "");
	unused("workers: 2\n",
	       "t.yaml:1:1: 'workers' is read, but this build does not use it: "
	       "all work is done by one thread\n");
	unused("shaper: {inside: \"tap:a\"}\nsources:\n"
	       "  a: {address: 192.0.2.1, warm_up: {first_day: 5}}\n",
	       "t.yaml:3:27: 'sources.a.warm_up' is read, but this build does "
	       "not use it: set the paces by hand\n"
	       "t.yaml:1:1: 'shaper' is read, but this build does not use it: "
	       "the program that reads it is not part of it\n");
}

/* ---- the socket, from a file with mistakes */

static void socket_of(const char *text, size_t len, int wanted_res,
		      const char *wanted)
{
	char path[] = "/tmp/sluice-config-XXXXXX", socket[108] = "";
	struct err e = {""};
	int fd = mkstemp(path);
	int res;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, len), len);
	close(fd);
	res = config_socket(path, socket, sizeof(socket), &e);
	unlink(path);
	assert_int_equal(res, wanted_res);
	assert_string_equal(socket, wanted);
	assert_true(res == 0 || e.text[0] != '\0');
}

static void socket_is(const char *text, const char *wanted)
{
	socket_of(text, strlen(text), 0, wanted);
}

/* Catches an operator who cannot reach the daemon because of a typo. */
static void the_socket_is_found_in_a_broken_file(void **state)
{
	socket_is("provders: 1\n", "/run/sluice/sluiced.sock");
	socket_is("run: {dir: /x}\nprovders: 1\n", "/x/sluiced.sock");
	socket_is("run: {dir: /x, socket: /y/z}\nspool: 1\n", "/y/z");
	socket_is("run: 7\n", "/run/sluice/sluiced.sock");
	socket_of("run: {dir: /x\n", 14, -EINVAL, "");
	socket_of("run: {\0}\n", 9, -EILSEQ, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_same_text_differs_in_nothing),
		cmocka_unit_test(values_are_named_with_before_and_after),
		cmocka_unit_test(added_and_removed_things_are_one_line_each),
		cmocka_unit_test(listeners_are_known_by_their_address),
		cmocka_unit_test(an_order_that_means_something_is_a_change),
		cmocka_unit_test(only_another_value_needs_a_restart),
		cmocka_unit_test(long_values_are_cut),
		cmocka_unit_test(a_new_source_goes_behind_wherever_it_stands),
		cmocka_unit_test(
			a_removed_source_keeps_its_place_and_can_come_back),
		cmocka_unit_test(the_address_counts_before_the_name),
		cmocka_unit_test(what_cannot_change_stays_as_it_is),
		cmocka_unit_test(too_many_sources_over_time_are_refused),
		cmocka_unit_test(keys_without_a_use_are_named_with_their_place),
		cmocka_unit_test(the_socket_is_found_in_a_broken_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
