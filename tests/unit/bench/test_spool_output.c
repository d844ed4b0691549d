/* SPDX-License-Identifier: BSD-2-Clause
 *
 * test_spool_output.c - a generated spool, opened again by the spool's own
 * recovery: everything is there, held, and with the right content.
 */
#include <errno.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "backlog/output.h"
#include "common/digest.h"
#include "io/io.h"
#include "spool/spool.h"

#define MESSAGES 600

static char dir[] = "/tmp/sluice-spool-XXXXXX";

struct seen {
	uint64_t messages, recipients, bytes, held, stuffed;
	struct spool_place places[MESSAGES];
	uint64_t content_bytes[MESSAGES];
};

static int stored(void *user, const struct spool_stored *m)
{
	struct seen *s = user;

	assert_true(s->messages < MESSAGES);
	s->places[s->messages] = m->place;
	s->content_bytes[s->messages++] = m->content_bytes;
	s->recipients += m->rcpt_count;
	s->bytes += m->content_bytes;
	s->held += (m->flags & SPOOL_TAKEN) != 0;
	s->stuffed += (m->flags & SPOOL_NEEDS_STUFFING) != 0;
	return 0;
}

static void damaged(void *user, const char *where, uint64_t id)
{
	fail_msg("damaged: %s", where);
}

static struct message_generator *generator(struct profile **p)
{
	const struct message_options o = {
		.seed = 8, .size_bytes = 3000, .now_s = 1700000000};

	assert_int_equal(profile_create("campus", p, NULL), 0);
	return message_generator_create(&o, *p);
}

/* Fills `want` with what is written. */
static void spool_make(struct seen *want)
{
	const struct output_options oo = {.dir = dir};
	struct message_generator *g;
	struct message m = {0};
	struct output out;
	struct profile *p;
	struct err e = {{0}};

	g = generator(&p);
	if (output_spool_open(&oo, &out, &e) != 0)
		fail_msg("%s", e.text);
	for (uint64_t i = 0; i < MESSAGES; i++) {
		message_make(g, i, &m);
		assert_int_equal(out.put(out.state, &m, &e), 0);
		want->messages++;
		want->recipients += m.rcpt_count;
		want->bytes += m.content.len;
		want->bytes += m.traits & MESSAGE_NO_NEWLINE ? 2 : 0;
		want->stuffed +=
			memmem(m.content.data, m.content.len, "\n.", 2) != NULL;
	}
	assert_int_equal(out.finish(out.state, &e), 0);
	message_fini(&m);
	message_generator_destroy(&g);
	profile_destroy(&p);
}

static void read_done(struct spool_read *r, int res)
{
	*(int *)r->user = res;
}

static uint32_t record_read(struct io *io, struct spool *sp,
			    const struct spool_place *p, char *buf)
{
	uint32_t len = p->record_bytes_div8 * 8;
	int res = -EAGAIN;
	struct spool_read r = {.done = read_done, .user = &res};

	assert_int_equal(spool_read(sp, &r, p, 0, buf, len), 0);
	while (res == -EAGAIN)
		assert_int_equal(io_step(io, 1000000000), 0);
	assert_int_equal(res, len);
	return len;
}

/* Each record against the generator, byte for byte. */
static void contents_compare(struct io *io, struct spool *sp,
			     const struct seen *got)
{
	static char buf[1 << 20];
	struct message_generator *g;
	struct message m = {0};
	struct profile *p;

	g = generator(&p);
	for (uint64_t i = 0; i < MESSAGES; i++) {
		struct envelope_rcpt rcpts[MESSAGE_RCPTS_MAX];
		struct spool_record rec;
		struct digest a, b;
		uint32_t len = record_read(io, sp, &got->places[i], buf);

		message_make(g, i, &m);
		assert_int_equal(spool_record_decode(buf, len, &rec, rcpts,
						     MESSAGE_RCPTS_MAX),
				 0);
		a = digest_content(buf + rec.content_offset, rec.content_bytes);
		b = digest_content(m.content.data, m.content.len);
		assert_true(digest_equal(&a, &b));
		assert_int_equal(rec.env.rcpt_count, m.rcpt_count);
		assert_int_equal(rec.env.sender.len, strlen(m.sender));
		assert_memory_equal(rec.env.rcpts[0].address.data, m.rcpts[0],
				    rec.env.rcpts[0].address.len);
	}
	message_fini(&m);
	message_generator_destroy(&g);
	profile_destroy(&p);
}

static void generated_spool_recovers_whole(void **state)
{
	static struct seen want, got;
	const struct io_options io_options = {.entries = 64};
	const struct spool_visitor v = {.stored = stored, .damaged = damaged};
	const struct spool_options so = {0};
	struct storage st;
	struct spool *sp;
	struct err e = {{0}};
	struct io *io;

	spool_make(&want);
	assert_int_equal(io_open(&io, &io_options, &e), 0);
	assert_int_equal(storage_uring_create(io, dir, &st, &e), 0);
	if (spool_open(&sp, &st, &so, &v, &got, &e) != 0)
		fail_msg("%s", e.text);
	assert_int_equal(got.messages, want.messages);
	assert_int_equal(got.recipients, want.recipients);
	assert_int_equal(got.bytes, want.bytes);
	assert_int_equal(got.stuffed, want.stuffed);
	assert_int_equal(got.held, MESSAGES);
	contents_compare(io, sp, &got);
	spool_close(&sp);
	st.ops->destroy(&st.state);
	io_close(&io);
}

static int entry_remove(const char *path, const struct stat *st, int kind,
			struct FTW *where)
{
	return remove(path);
}

static int group_setup(void **state)
{
	return mkdtemp(dir) ? 0 : -1;
}

static int group_teardown(void **state)
{
	return nftw(dir, entry_remove, 16, FTW_DEPTH | FTW_PHYS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(generated_spool_recovers_whole),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
