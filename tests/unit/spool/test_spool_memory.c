/* SPDX-License-Identifier: BSD-2-Clause
 *
 * test_spool_memory.c - the message path allocates nothing.
 *
 * Linked with --wrap: every allocation of the spool, of io and of base is
 * counted. On a real directory, because the simulated disk lives on the heap.
 */
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

#include "io/io.h"
#include "sluice/clock.h"
#include "spool/spool.h"

#define ROUNDS    50u
#define PER_ROUND 40u

static uint64_t allocations;

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);

void *__wrap_malloc(size_t n)
{
	allocations++;
	return __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
	allocations++;
	return __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t n)
{
	allocations++;
	return __real_realloc(p, n);
}

static int remove_one(const char *path, const struct stat *st, int type,
		      struct FTW *where)
{
	return remove(path);
}

static uint32_t acked;

static void stored(void *user, int res, const struct spool_stored *m)
{
	assert_int_equal(res, 0);
	acked++;
	assert_int_equal(spool_attempt(user, m->id, 0, 1, 1, NULL, NULL), 0);
}

static void round_of_mail(struct io *io, struct spool *sp)
{
	static const char content[] = "Subject: x\r\n\r\nhello\r\n";
	struct envelope_rcpt to = {.address = {"someone@example.net", 19}};
	struct envelope env = {.sender = {"list@example.org", 16},
			       .rcpt_count = 1,
			       .rcpts = &to};
	struct spool_outcome o = {.id = 1,
				  .state = RCPT_DEFERRED,
				  .reply = {content, sizeof(content)}};
	struct spool_message *m;
	uint32_t i;

	for (i = 0; i < PER_ROUND; i++) {
		assert_int_equal(spool_message_begin(sp, &env, 0, &m), 0);
		assert_int_equal(
			spool_message_write(m, content, sizeof(content) - 1),
			0);
		assert_int_equal(spool_message_finish(&m, 0, stored, sp), 0);
		assert_int_equal(spool_outcome(sp, &o, NULL, NULL), 0);
	}
	do {
		assert_int_equal(spool_step(sp), 0);
		assert_int_equal(io_step(io, NS_PER_S), 0);
	} while (!spool_idle(sp));
}

/* Catches: a malloc per message, per commit or per record. */
static void storing_a_message_allocates_nothing(void **state)
{
	char base[] = "/tmp/sluice-memory-XXXXXX";
	struct io_options io_o = {.entries = 64};
	struct storage st;
	struct spool *sp;
	struct io *io;
	struct err e;
	uint64_t before;
	uint32_t i;

	assert_non_null(mkdtemp(base));
	assert_int_equal(io_open(&io, &io_o, &e), 0);
	assert_int_equal(storage_uring_create(io, base, &st, &e), 0);
	assert_int_equal(spool_open(&sp, &st, NULL, NULL, NULL, &e), 0);
	round_of_mail(io, sp); /* the two names are learned here */
	before = allocations;
	assert_true(before > 0);
	for (i = 0; i < ROUNDS; i++)
		round_of_mail(io, sp);
	assert_int_equal(allocations - before, 0);
	assert_int_equal(acked, (ROUNDS + 1) * PER_ROUND);
	spool_close(&sp);
	st.ops->destroy(&st.state);
	io_close(&io);
	nftw(base, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(storing_a_message_allocates_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
