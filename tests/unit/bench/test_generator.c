/* SPDX-License-Identifier: BSD-2-Clause
 *
 * test_generator.c - the backlog: the same seed gives the same mail, and the
 * profile is the one that was promised.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backlog/message.h"
#include "backlog/postfix_file.h"
#include "common/digest.h"

#define NOW 1700000000u

static const struct message_options options = {
	.seed = 42, .size_bytes = 4096, .now_s = NOW, .spread_s = 3600};

static struct message_generator *generator(const struct message_options *o,
					   struct profile **p)
{
	assert_int_equal(profile_create("campus", p, NULL), 0);
	return message_generator_create(o, *p);
}

/* Everything of messages first .. first + 499, in one digest. */
static struct digest digest_of_all(const struct message_options *o,
				   uint64_t first)
{
	struct profile *p;
	struct message_generator *g = generator(o, &p);
	struct message m = {0};
	struct buffer all = {0};
	struct digest d;

	for (uint64_t i = first; i < first + 500; i++) {
		message_make(g, i, &m);
		buffer_add_format(&all, "%s|%s|%u|%u|", m.sender, m.account,
				  m.arrival_s, m.arrival_us);
		for (uint32_t r = 0; r < m.rcpt_count; r++)
			buffer_add_text(&all, m.rcpts[r]);
		buffer_add(&all, m.content.data, m.content.len);
	}
	d = digest_content(all.data, all.len);
	buffer_fini(&all);
	message_fini(&m);
	message_generator_destroy(&g);
	profile_destroy(&p);
	return d;
}

/* Catches hidden state, clocks and addresses in the generator. */
static void same_seed_gives_the_same_mail(void **state)
{
	struct digest a = digest_of_all(&options, 0);
	struct digest b = digest_of_all(&options, 0);

	assert_true(digest_equal(&a, &b));
}

static void other_seed_gives_other_mail(void **state)
{
	struct message_options other = options;
	struct digest a = digest_of_all(&options, 0), b;

	other.seed = 43;
	b = digest_of_all(&other, 0);
	assert_false(digest_equal(&a, &b));
}

/* Two backlogs with --first-index must fit together. */
static void message_depends_on_its_number_only(void **state)
{
	struct profile *p;
	struct message_generator *g = generator(&options, &p);
	struct message a = {0}, b = {0};

	message_make(g, 1000, &a);
	for (uint64_t i = 0; i <= 1000; i++)
		message_make(g, i, &b);
	assert_int_equal(a.content.len, b.content.len);
	assert_memory_equal(a.content.data, b.content.data, a.content.len);
	assert_string_equal(a.rcpts[0], b.rcpts[0]);
	message_fini(&a);
	message_fini(&b);
	message_generator_destroy(&g);
	profile_destroy(&p);
}

static bool is_big(const char *rcpt)
{
	static const char *const big[] = {
		"hotmail.test", "live.test",       "msn.test",   "outlook.test",
		"gmail.test",   "googlemail.test", "yahoo.test", "aol.test",
		"icloud.test",  "me.test"};
	const char *domain = strchr(rcpt, '@') + 1;

	for (size_t i = 0; i < sizeof(big) / sizeof(*big); i++)
		if (strcmp(domain, big[i]) == 0)
			return true;
	return false;
}

struct tally {
	uint32_t big, multi, null_sender, traits[8], several_domains;
	uint64_t bytes;
};

static void tally_add(struct tally *t, const struct message *m)
{
	const char *first = strchr(m->rcpts[0], '@');

	t->big += is_big(m->rcpts[0]);
	t->multi += m->rcpt_count > 1;
	t->null_sender += m->sender[0] == 0;
	t->bytes += m->content.len;
	for (int i = 0; i < 8; i++)
		t->traits[i] += m->traits >> i & 1;
	for (uint32_t r = 1; r < m->rcpt_count; r++) {
		if (strcmp(strchr(m->rcpts[r], '@'), first) != 0) {
			t->several_domains++;
			break;
		}
	}
}

/* The shares that docs/bench.md promises, within a quarter of each. */
static void profile_has_its_shares(void **state)
{
	struct profile *p;
	struct message_generator *g = generator(&options, &p);
	struct message m = {0};
	struct tally t = {0};

	for (uint64_t i = 0; i < 10000; i++) {
		message_make(g, i, &m);
		assert_in_range(m.rcpt_count, 1, MESSAGE_RCPTS_MAX);
		assert_in_range(m.arrival_s, NOW - 3600, NOW);
		tally_add(&t, &m);
	}
	assert_in_range(t.big, 6800, 7200);
	assert_in_range(t.multi, 400, 600);
	assert_in_range(t.several_domains, 100, 300);
	assert_in_range(t.null_sender, 400, 600);
	assert_in_range(t.bytes / 10000, 3600, 4600);
	assert_in_range(t.traits[0], 1300, 1700); /* 8-bit */
	assert_in_range(t.traits[1], 850, 1150);  /* dots */
	assert_in_range(t.traits[2], 200, 400);   /* long lines */
	assert_in_range(t.traits[3], 200, 400);   /* no newline */
	assert_in_range(t.traits[4], 50, 150);    /* headers only */
	message_fini(&m);
	message_generator_destroy(&g);
	profile_destroy(&p);
}

static bool has_long_line(const struct message *m)
{
	const char *p = m->content.data, *end = p + m->content.len;

	while (p < end) {
		const char *lf = memchr(p, '\n', (size_t)(end - p));

		if ((lf ? lf : end) - p > 997)
			return true;
		p = lf ? lf + 1 : end;
	}
	return false;
}

static bool has_8bit(const struct message *m)
{
	for (size_t i = 0; i < m->content.len; i++)
		if (m->content.data[i] & 128)
			return true;
	return false;
}

/* A trait that is claimed but not there would leave paths untested. */
static void traits_are_really_there(void **state)
{
	struct profile *p;
	struct message_generator *g = generator(&options, &p);
	struct message m = {0};

	for (uint64_t i = 0; i < 5000; i++) {
		const char *c;
		size_t len;

		message_make(g, i, &m);
		c = m.content.data;
		len = m.content.len;
		assert_true(!(m.traits & MESSAGE_NO_NEWLINE) ==
			    (memcmp(c + len - 2, "\r\n", 2) == 0));
		assert_true(!(m.traits & MESSAGE_HEADERS_ONLY) ==
			    (memmem(c, len, "\r\n\r\n", 4) != NULL));
		if (m.traits & MESSAGE_HEADERS_ONLY)
			continue;
		if (m.traits & MESSAGE_DOTS)
			assert_non_null(memmem(c, len, "\r\n.", 3));
		else
			assert_null(memmem(c, len, "\r\n.", 3));
		assert_true(!(m.traits & MESSAGE_LONG_LINES) ==
			    !has_long_line(&m));
		if (m.traits & MESSAGE_8BIT)
			assert_true(has_8bit(&m));
		else
			assert_false(has_8bit(&m));
	}
	message_fini(&m);
	message_generator_destroy(&g);
	profile_destroy(&p);
}

static void fixed_size_is_exact(void **state)
{
	struct message_options o = options;
	struct profile *p;
	struct message_generator *g;
	struct message m = {0};

	o.size_fixed = true;
	o.plain = true;
	o.size_bytes = 1500;
	g = generator(&o, &p);
	for (uint64_t i = 0; i < 1000; i++) {
		message_make(g, i, &m);
		assert_int_equal(m.content.len, 1500);
		assert_int_equal(m.rcpt_count, 1);
	}
	message_fini(&m);
	message_generator_destroy(&g);
	profile_destroy(&p);
}

static int id_compare(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* Two messages with one queue id would overwrite each other. */
static void queue_ids_are_unique_and_hash_as_postfix_does(void **state)
{
	static char ids[6000][POSTFIX_ID_BYTES];
	struct profile *p;
	struct message_generator *g = generator(&options, &p);
	struct message m = {0};

	for (uint64_t i = 0; i < 6000; i++) {
		message_make(g, i, &m);
		postfix_id_make(POSTFIX_IDS_MIXED, 42, &m, ids[i]);
		assert_non_null(
			strchr("0123456789ABCDEF", postfix_id_hash(ids[i])));
	}
	qsort(ids, 6000, sizeof(*ids), id_compare);
	for (int i = 1; i < 6000; i++)
		assert_string_not_equal(ids[i - 1], ids[i]);
	/* As Postfix 3.7 named and placed files of its own. */
	assert_int_equal(postfix_id_hash("6B61CA720AB"), '6');
	assert_int_equal(postfix_id_hash("4jX0yl0Ds2zDXHJB"), '0');
	message_fini(&m);
	message_generator_destroy(&g);
	profile_destroy(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(same_seed_gives_the_same_mail),
		cmocka_unit_test(other_seed_gives_other_mail),
		cmocka_unit_test(message_depends_on_its_number_only),
		cmocka_unit_test(profile_has_its_shares),
		cmocka_unit_test(traits_are_really_there),
		cmocka_unit_test(fixed_size_is_exact),
		cmocka_unit_test(queue_ids_are_unique_and_hash_as_postfix_does),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
