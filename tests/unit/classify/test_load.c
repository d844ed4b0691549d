/* SPDX-License-Identifier: BSD-2-Clause
 *
 * test_load.c - rule files of operators: what is wrong is said with its place,
 * nothing an operator writes may abort or be silently ignored.
 */
#include "unit.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define GOOD_RULE                                                              \
	"- id: one\n  text: 'foo bar'\n  class: rate_limited\n"                \
	"  example: 'rcpt 450 foo bar'\n"

struct file {
	char path[64];
};

static void file_write(struct file *f, const void *data, size_t len)
{
	int fd;

	snprintf(f->path, sizeof(f->path), "/tmp/sluice-rules-XXXXXX");
	fd = mkstemp(f->path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, len), (ssize_t)len);
	close(fd);
}

static int load(const char *text, struct classify **out, struct err *e)
{
	struct file f;
	int rc;

	file_write(&f, text, strlen(text));
	rc = classify_load(f.path, out, e);
	unlink(f.path);
	return rc;
}

static void refused(const char *text, const char *place, const char *words)
{
	struct classify *c = NULL;
	struct err e = {.text = ""};
	int rc = load(text, &c, &e);

	if (rc == 0)
		classify_destroy(&c);
	if (rc != -EINVAL || strstr(e.text, place) == NULL ||
	    strstr(e.text, words) == NULL)
		fail_msg("%d '%s' for:\n%s", rc, e.text, text);
	assert_null(c);
}

static void a_good_file_loads(void **state)
{
	struct classify *c = NULL;
	struct err e = {.text = ""};
	struct classify_scratch *s;
	struct verdict v;
	struct reply r = {.code = 450,
			  .phase = PHASE_RCPT,
			  .text = "FOO\n bar",
			  .text_len = 8,
			  .provider = "",
			  .remote = ""};

	(void)state;
	assert_int_equal(load("version: 1\nrules:\n" GOOD_RULE, &c, &e), 0);
	assert_int_equal(classify_rule_count(c), 1);
	s = classify_scratch_create(c);
	classify_reply(c, s, &r, &v);
	assert_string_equal(v.rule, "one");
	assert_int_equal(v.reply_class, CLASS_RATE_LIMITED);
	classify_scratch_destroy(&s);
	classify_destroy(&c);
}

static void mistakes_are_placed(void **state)
{
	(void)state;
	refused("version: 2\nrules:\n" GOOD_RULE, ":1:10:", "version");
	refused("rules:\n- id: a\n  txt: x\n", ":3:3:", "'text'");
	refused("rules:\n- id: a\n  class: rate_limit\n",
		":3:10:", "did you mean 'rate_limited'");
	refused("rules:\n- id: a\n  phase: [rcpt, eon]\n", ":3:17:", "'eom'");
	refused("rules:\n- id: a\n  scope: paths\n", ":3:10:", "'path'");
	refused("rules:\n- id: a\n  code: 600\n", ":3:9:", "no code");
	refused("rules:\n- id: a\n  code: 4x1\n", ":3:9:", "no code");
	refused("rules:\n- id: a\n  enhanced: 5.7\n", ":3:13:", "enhanced");
	refused("rules:\n- id: a\n  enhanced: 5.7.9-1\n", ":3:13:", "enhanced");
	refused("rules:\n- id: a\n  text: 'foo(bar'\n",
		":3:10:", "bad pattern at its character");
	refused("rules:\n- id: a\n  text: 'x*'\n", ":3:10:", "empty text");
	refused("rules:\n- id: a\n  wait: soon\n", ":3:9:", "no duration");
	refused("rules:\n- id: a\n  wait: told, 5m\n", ":3:9:", "told or");
	refused("rules:\n- id: a\n  from_last: maybe\n", ":3:14:", "true");
	refused("rules:\n- id: codes\n", ":2:7:", "fallback");
	refused("providers: {gmail: ['*.google.com']}\n"
		"rules:\n- id: a\n  provider: gmial\n",
		":4:13:", "'gmail'");
	refused("rules:\n" GOOD_RULE GOOD_RULE, ":6:3:", "second rule");
	refused("rules:\n- id: a\n  text: foo\n  class: unknown\n",
		":2:3:", "example");
	refused("rules:\n- id: a\n  class: unknown\n  example: 'rcpt 450 x'\n",
		":2:3:", "matches every reply");
	refused("rules:\n- id: a\n  example: 'rcpd 450 x'\n",
		":3:13:", "phase");
	refused("rules:\n- id: a\n  example: 'rcpt 250 x'\n", ":3:13:", "code");
	refused("rules:\n- id: a\n  class: accepted\n", ":3:10:", "accepted");
}

static void what_is_no_rule_file_is_refused(void **state)
{
	(void)state;
	refused("", "", "rules");
	refused("rules: []\n", "", "rules");
	refused("rules: 5\n", ":1:8:", "list of rules");
	refused("- a\n- b\n", ":1:3:", "key: value");
	refused("rules:\n- id: [a\n", ":", "");
	refused("a: &x [1]\nrules: *x\n", "", "");
	refused("rules:\n- id: a\n  text:\n", ":", "value");
	refused("rules:\n- just text\n", ":2:3:", "key: value");
}

static void a_missing_file_is_named(void **state)
{
	struct classify *c = NULL;
	struct err e = {.text = ""};

	(void)state;
	assert_int_equal(classify_load("/nonexistent/rules.yaml", &c, &e),
			 -ENOENT);
	assert_non_null(strstr(e.text, "/nonexistent/rules.yaml"));
	assert_int_equal(classify_load("/nonexistent/rules.yaml", &c, NULL),
			 -ENOENT);
	assert_null(c);
}

/* Every prefix of a file, and the file with each byte spoiled in turn: the
 * result does not matter, returning does. */
static void damaged_files_never_crash(void **state)
{
	static const char good[] =
		"version: 1\nproviders: {a: ['*.x']}\nlists:\n"
		"- {zone: bl.x, names: [x], wait: 1h}\nrules:\n" GOOD_RULE;
	char text[sizeof(good)];
	struct classify *c;
	struct err e;
	size_t i;

	(void)state;
	for (i = 0; i < 2 * sizeof(good) - 2; i++) {
		struct file f;
		size_t len = i < sizeof(good) ? i : sizeof(good) - 1;

		memcpy(text, good, sizeof(good));
		if (i >= sizeof(good))
			text[i - sizeof(good)] = "\0\xff{[&*"[i % 6];
		file_write(&f, text, len);
		c = NULL;
		if (classify_load(f.path, &c, &e) == 0)
			classify_destroy(&c);
		assert_null(c);
		unlink(f.path);
	}
}

/* A provider's rule stands last and still comes first. */
static void providers_rules_come_first(void **state)
{
	static const char rules[] =
		"providers: {acme: ['*.acme.example']}\nrules:\n" GOOD_RULE
		"- id: two\n  text: 'foo bar'\n  class: greylisted\n"
		"  example: 'rcpt 450 foo bar'\n  provider: acme\n"
		"- id: three\n  text: 'foo bar'\n  class: protocol_tls\n"
		"  example: 'rcpt 450 foo bar'\n  remote: mx.one.example\n";
	struct classify *c = NULL;
	struct err e = {.text = ""};
	struct classify_scratch *s;
	struct reply r = {.code = 450,
			  .phase = PHASE_RCPT,
			  .text = "foo bar",
			  .text_len = 7,
			  .provider = "",
			  .remote = ""};
	struct verdict v;

	(void)state;
	assert_int_equal(load(rules, &c, &e), 0);
	s = classify_scratch_create(c);
	classify_reply(c, s, &r, &v);
	assert_string_equal(v.rule, "one");
	r.provider = "ACME";
	classify_reply(c, s, &r, &v);
	assert_string_equal(v.rule, "two");
	r.provider = "other";
	r.remote = "mx9.acme.example";
	classify_reply(c, s, &r, &v);
	assert_string_equal(v.rule, "two");
	r.remote = "mx.one.example";
	classify_reply(c, s, &r, &v);
	assert_string_equal(v.rule, "three");
	classify_scratch_destroy(&s);
	classify_destroy(&c);
}

static void note_failure(void *user, const char *rule, const char *example,
			 const char *got)
{
	(void)example;
	(void)got;
	snprintf(user, 32, "%s", rule);
}

/* The self test must be able to fail: an example that another rule takes. */
static void a_hidden_rule_fails_the_self_test(void **state)
{
	struct classify *c = NULL;
	char rule[32] = "";

	(void)state;
	assert_int_equal(load("rules:\n" GOOD_RULE
			      "- id: hidden\n  text: 'foo'\n"
			      "  class: greylisted\n"
			      "  example: 'rcpt 450 foo bar'\n",
			      &c, NULL),
			 0);
	assert_int_equal(classify_self_test(c, note_failure, rule), 1);
	assert_string_equal(rule, "hidden");
	classify_destroy(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_good_file_loads),
		cmocka_unit_test(mistakes_are_placed),
		cmocka_unit_test(what_is_no_rule_file_is_refused),
		cmocka_unit_test(a_missing_file_is_named),
		cmocka_unit_test(damaged_files_never_crash),
		cmocka_unit_test(providers_rules_come_first),
		cmocka_unit_test(a_hidden_rule_fails_the_self_test),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
