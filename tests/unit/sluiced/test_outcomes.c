/* SPDX-License-Identifier: BSD-2-Clause
 *
 * test_outcomes.c - spool.outcome_sync: when a connection may go on.
 *
 * outcomes.c alone; the spool, delivery and results.c are fakes that note what
 * they were asked.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "sluiced/engine_priv.h"

static struct {
	int outcome_res, barrier_res;
	uint32_t journaled, barriers, settled;
	uint64_t kept, last_settled;
	spool_done_fn *done;
	void *user;
} fake;
static struct config config;
static struct engine engine;

int spool_outcome(struct spool *sp, const struct spool_outcome *o,
		  spool_done_fn *done, void *user)
{
	if (fake.outcome_res == 0)
		fake.journaled++;
	return fake.outcome_res;
}

int spool_barrier(struct spool *sp, spool_done_fn *done, void *user)
{
	if (fake.barrier_res != 0)
		return fake.barrier_res;
	fake.barriers++;
	fake.done = done;
	fake.user = user;
	return 0;
}

uint64_t delivery_keep(struct delivery *d)
{
	return ++fake.kept;
}

void delivery_settle(struct delivery *d, uint64_t token)
{
	fake.settled++;
	fake.last_settled = token;
}

uint32_t queue_provider_of(const struct queue *q, uint64_t id, uint32_t rcpt)
{
	return QUEUE_NONE; /* no reply is remembered here */
}

void queue_tag_set(struct queue *q, uint64_t id, uint32_t rcpt, uint32_t tag)
{
	fail_msg("a tag without a provider");
}

bool event_wanted(const struct engine *en)
{
	return false;
}

void event_emit(struct engine *en, json_t *event)
{
	json_decref(event);
}

void engine_broken(struct engine *en, int rc, const char *what)
{
	fail_msg("%s: %d", what, rc);
}

void result_done(void *user, uint32_t provider, uint32_t source, uint64_t id,
		 uint32_t batch, const struct delivery_result *results,
		 uint32_t count)
{
	struct spool_outcome o = {.id = id, .reply = {"ok", 2}};

	role_assert(&role_spool);
	outcome_journal(user, &o);
}

static struct engine *engine_new(bool message)
{
	memset(&fake, 0, sizeof(fake));
	config = (struct config){.spool.outcome_sync_message = message};
	engine = (struct engine){.config = &config,
				 .delivery = (struct delivery *)&fake};
	return &engine;
}

static void engine_end(struct engine *en)
{
	role_assert(&role_spool);
	outcomes_destroy(en);
}

/* Catches a commit per message that nobody asked for. */
static void batch_waits_for_nothing(void **state)
{
	struct engine *en = engine_new(false);

	outcomes_done(en, 0, 0, 1, 0, NULL, 1);
	assert_int_equal(fake.journaled, 1);
	assert_int_equal(fake.kept + fake.barriers, 0);
	engine_end(en);
}

/* Catches a connection that goes on before its outcome is durable. */
static void message_settles_after_the_commit(void **state)
{
	struct engine *en = engine_new(true);

	outcomes_done(en, 0, 0, 1, 0, NULL, 1);
	assert_int_equal(fake.barriers, 1);
	assert_int_equal(fake.settled, 0);
	fake.done(fake.user, 0);
	assert_int_equal(fake.last_settled, 1);
	/* what is given back is used again */
	outcomes_done(en, 0, 0, 2, 0, NULL, 1);
	fake.done(fake.user, 0);
	assert_int_equal(fake.last_settled, 2);
	engine_end(en);
}

/* Catches a connection that goes on although the disk has failed. */
static void a_failed_commit_settles_nothing(void **state)
{
	struct engine *en = engine_new(true);

	outcomes_done(en, 0, 0, 1, 0, NULL, 1);
	fake.done(fake.user, -EIO);
	assert_int_equal(fake.settled, 0);
	engine_end(en);
}

/* Catches a barrier that is asked for before its outcome is in the journal. */
static void late_outcomes_come_before_their_barrier(void **state)
{
	struct engine *en = engine_new(true);

	role_assert(&role_spool);
	fake.outcome_res = -EAGAIN;
	outcomes_done(en, 0, 0, 1, 0, NULL, 1);
	assert_false(outcomes_step(en));
	assert_int_equal(fake.journaled + fake.barriers, 0);
	fake.outcome_res = 0;
	fake.barrier_res = -EAGAIN;
	assert_true(outcomes_step(en));
	assert_int_equal(fake.journaled, 1);
	fake.barrier_res = 0;
	assert_true(outcomes_step(en));
	assert_int_equal(fake.barriers, 1);
	/* durable already: there is no commit to wait for */
	fake.barrier_res = -EALREADY;
	outcomes_done(en, 0, 0, 2, 0, NULL, 1);
	assert_int_equal(fake.last_settled, 2);
	fake.done(fake.user, 0);
	assert_int_equal(fake.last_settled, 1);
	engine_end(en);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(batch_waits_for_nothing),
		cmocka_unit_test(message_settles_after_the_commit),
		cmocka_unit_test(a_failed_commit_settles_nothing),
		cmocka_unit_test(late_outcomes_come_before_their_barrier),
	};

	int failed;

	role_enter(&role_spool);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	role_leave(&role_spool);
	return failed;
}
