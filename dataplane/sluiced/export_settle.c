/* SPDX-License-Identifier: BSD-2-Clause
 *
 * export_settle.c - what the client says becomes of messages, journaled.
 *
 * Role: command, queue, spool. The client's word is gathered as work; each
 * turn journals as much of it as the spool takes; the callback of a message's
 * last record moves it on. Bound: the window.
 * A word that does not fit the stage of its message is answered with an error:
 * the client is confused, nothing of its session is believed any more.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sluice/assert.h"
#include "sluice/clock.h"
#include "sluice/log.h"
#include "sluiced/export.h"

#define REPLY_BYTES_MAX 500u

void export_work(struct export_entry *e, uint8_t state)
{
	struct export_task *t = e->task;

	sluice_assert(e->stage != EXPORT_FREE && e->to_journal == 0);
	e->to_journal = state;
	e->journaled = 0;
	t->work[t->work_count++] = (uint32_t)(e - t->entries);
}

/* What stays ours goes back to its place; marks decide whether that is held. */
static struct spool_outcome outcome_back(const struct export_entry *e,
					 const struct export_rcpt *r)
{
	return (struct spool_outcome){
		.id = e->id,
		.rcpt = r->rcpt,
		.state = r->prior.state == RCPT_HELD ? RCPT_WAITING
						     : r->prior.state,
		.reply_class = r->prior.last_class,
		.attempts = r->prior.attempts,
		.source = r->prior.pinned,
		.when_s = clock_realtime_s(),
		.due_s = r->prior.due_s,
	};
}

static struct spool_outcome outcome_of(const struct export_entry *e,
				       const struct export_rcpt *r,
				       uint8_t state)
{
	struct spool_outcome o = outcome_back(e, r);

	if (state == RCPT_EXPORTED && e->task->smtp &&
	    r->result != EXPORT_ACCEPTED)
		o.in_doubt = r->result == EXPORT_DOUBT ? 2 : 0;
	else
		o.state = state;
	return o;
}

static void rcpt_apply(struct export_entry *e, const struct export_rcpt *r,
		       uint8_t state) RUNS_ON(role_queue)
{
	struct spool_outcome o = outcome_of(e, r, state);
	int rc = queue_apply_outcome(e->task->en->queue, &o);

	if (rc != 0)
		log_error("export", "an outcome cannot be applied: %s",
			  err_name(rc));
}

void export_undo(struct export_entry *e)
{
	for (uint32_t i = 0; i < e->rcpt_count; i++)
		queue_export_undo(e->task->en->queue, e->id, e->rcpts[i].rcpt,
				  &e->rcpts[i].prior);
	export_entry_free(e);
}

static void result_count(struct export_task *t, const struct export_rcpt *r)
{
	if (!t->smtp || r->result == EXPORT_ACCEPTED)
		t->recipients++;
	else if (r->result == EXPORT_DOUBT)
		t->in_doubt++;
	else
		t->refused++;
}

/* `exported`, or what became of it by SMTP, is durable. */
static void entry_over(struct export_entry *e, uint8_t state)
	RUNS_ON(role_queue)
{
	struct export_task *t = e->task;
	uint64_t before = t->recipients;

	for (uint32_t i = 0; i < e->rcpt_count; i++) {
		rcpt_apply(e, &e->rcpts[i], state);
		result_count(t, &e->rcpts[i]);
	}
	t->messages += t->recipients > before;
	export_entry_free(e);
}

/* Nothing of it may be in the journal as it is in memory: `back` records say
 * that it stays ours. */
static void entry_back(struct export_entry *e, uint32_t journaled)
	RUNS_ON(role_queue, role_spool)
{
	for (uint32_t i = 0; i < journaled; i++) {
		struct spool_outcome o = outcome_back(e, &e->rcpts[i]);

		outcome_journal(e->task->en, &o);
	}
	export_undo(e);
}

static void handed_add(struct export_entry *e)
{
	struct export_task *t = e->task;

	if (t->handed == NULL)
		t->handed = json_array();
	json_array_append_new(t->handed, json_integer(e - t->entries));
}

/* The records of `state` are durable. */
static void entry_durable(struct export_entry *e, uint8_t state)
	RUNS_ON(role_queue, role_spool)
{
	struct export_task *t = e->task;

	if (state == RCPT_EXPORTED || state == RCPT_HELD) {
		entry_over(e, state);
		return;
	}
	if (state == RCPT_IN_FLIGHT && t->gone) { /* never sent */
		entry_back(e, e->rcpt_count);
		return;
	}
	e->stage = EXPORT_HANDED;
	if (!t->gone)
		handed_add(e);
}

static void on_durable(void *user, int res)
{
	struct export_entry *e = user;
	struct export_task *t = e->task;
	uint8_t state = e->to_journal;

	role_assert(&role_queue);
	role_assert(&role_spool);
	sluice_assert(t->commits > 0);
	t->commits--;
	e->to_journal = 0;
	if (res == 0) {
		entry_durable(e, state);
	} else {
		t->res = res;
		/* What was handed over stays so: the next run finishes it. */
		if (state == RCPT_EXPORTING || state == RCPT_IN_FLIGHT)
			export_undo(e);
	}
	if (!t->gone)
		client_wake(t->task.client);
	else if (t->commits == 0)
		export_task_free(t);
}

static int rcpt_journal(struct export_entry *e, uint32_t i) RUNS_ON(role_spool)
{
	struct spool *sp = e->task->en->spool;
	const struct export_rcpt *r = &e->rcpts[i];
	spool_done_fn *done = i + 1 == e->rcpt_count ? on_durable : NULL;
	struct spool_outcome o;

	if (e->to_journal == RCPT_IN_FLIGHT)
		return spool_attempt(sp, e->id, r->rcpt, 1, 0, done, e);
	o = outcome_of(e, r, e->to_journal);
	return spool_outcome(sp, &o, done, e);
}

static int entry_journal(struct export_entry *e) RUNS_ON(role_spool)
{
	int rc = 0;

	while (rc == 0 && e->journaled < e->rcpt_count) {
		rc = rcpt_journal(e, e->journaled);
		if (rc == 0)
			e->journaled++;
	}
	if (rc == 0)
		e->task->commits++;
	return rc;
}

bool export_journal(struct export_task *t)
{
	uint32_t at = 0;
	int rc = 0;

	/* Behind what waits for room already, never before it. */
	if (t->en->outcomes_waiting > 0)
		return t->work_count == 0;
	while (at < t->work_count && rc == 0) {
		rc = entry_journal(&t->entries[t->work[at]]);
		at += rc == 0;
	}
	t->work_count -= at;
	memmove(t->work, t->work + at, t->work_count * sizeof(*t->work));
	if (rc == 0 || rc == -EAGAIN)
		return rc == 0;
	engine_broken(t->en, rc, "an export cannot be journaled");
	t->res = rc;
	return true;
}

/* Of a stage and not on its way to the journal; NULL: the client errs. */
static struct export_entry *entry_find(struct export_task *t, const json_t *j,
				       uint8_t stage)
{
	json_int_t tag = json_integer_value(j);
	struct export_entry *e;

	if (json_is_integer(j) && tag >= 0 && tag < t->window) {
		e = &t->entries[tag];
		if (e->stage == stage && e->to_journal == 0)
			return e;
	}
	t->failed = true;
	return NULL;
}

static void tags_work(struct export_task *t, const json_t *tags, uint8_t stage,
		      uint8_t state)
{
	struct export_entry *e;
	size_t i;
	json_t *j;

	json_array_foreach(tags, i, j)
	{
		e = entry_find(t, j, stage);
		if (e != NULL)
			export_work(e, state);
	}
}

static void failed_take(struct export_task *t, const json_t *list)
	RUNS_ON(role_queue, role_spool)
{
	struct export_entry *e;
	size_t i;
	json_t *j;

	json_array_foreach(list, i, j)
	{
		e = entry_find(t, j, EXPORT_OUT);
		if (e == NULL)
			continue;
		t->refused += e->rcpt_count;
		export_undo(e);
	}
}

static uint8_t result_parse(const json_t *j)
{
	static const char *const names[] = {
		[EXPORT_ACCEPTED] = "accepted",
		[EXPORT_REFUSED] = "refused",
		[EXPORT_UNSENT] = "unsent",
		[EXPORT_DOUBT] = "doubt",
	};
	const char *s = json_string_value(j);

	for (uint8_t r = EXPORT_ACCEPTED; s != NULL && r <= EXPORT_DOUBT; r++)
		if (strcmp(names[r], s) == 0)
			return r;
	return EXPORT_NO_RESULT;
}

/* Number as in the message's list of recipients: ascending. */
static struct export_rcpt *rcpt_find(struct export_entry *e, json_int_t number)
{
	uint32_t low = 0, high = e->rcpt_count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (e->rcpts[middle].rcpt < number)
			low = middle + 1;
		else
			high = middle;
	}
	return low < e->rcpt_count && e->rcpts[low].rcpt == number
		       ? &e->rcpts[low]
		       : NULL;
}

/* [tag, recipient, "accepted"] */
static void result_take(struct export_task *t, const json_t *j)
{
	struct export_entry *e =
		entry_find(t, json_array_get(j, 0), EXPORT_HANDED);
	struct export_rcpt *r =
		e ? rcpt_find(e, json_integer_value(json_array_get(j, 1)))
		  : NULL;
	uint8_t result = result_parse(json_array_get(j, 2));

	if (r == NULL || result == EXPORT_NO_RESULT ||
	    r->result != EXPORT_NO_RESULT) {
		t->failed = true;
		return;
	}
	r->result = result;
	if (--e->rcpts_left == 0)
		export_work(e, RCPT_EXPORTED);
}

void export_answer(struct export_task *t, json_t *packet)
{
	size_t i;
	json_t *j;

	t->stop |= json_is_true(json_object_get(packet, "stop"));
	if (t->smtp) {
		json_array_foreach(json_object_get(packet, "results"), i, j)
			result_take(t, j);
	} else {
		tags_work(t, json_object_get(packet, "staged"), EXPORT_OUT,
			  RCPT_EXPORTING);
		tags_work(t, json_object_get(packet, "placed"), EXPORT_HANDED,
			  RCPT_EXPORTED);
	}
	failed_take(t, json_object_get(packet, "failed"));
}

/* By SMTP it may have been sent, but for what has a result. */
static void forsake_sent(struct export_entry *e) RUNS_ON(role_queue, role_spool)
{
	for (uint32_t i = 0; i < e->rcpt_count; i++) {
		struct spool_outcome o;

		if (e->rcpts[i].result == EXPORT_NO_RESULT)
			e->rcpts[i].result = EXPORT_DOUBT;
		o = outcome_of(e, &e->rcpts[i], RCPT_EXPORTED);
		outcome_journal(e->task->en, &o);
	}
	entry_over(e, RCPT_EXPORTED);
}

/* Said by the client, not all in the journal, no callback to come. */
static void forsake_work(struct export_entry *e) RUNS_ON(role_queue, role_spool)
{
	uint8_t state = e->to_journal;

	e->to_journal = 0;
	if (state == RCPT_EXPORTING || state == RCPT_IN_FLIGHT) {
		entry_back(e, e->journaled);
		return;
	}
	for (uint32_t i = e->journaled; i < e->rcpt_count; i++) {
		struct spool_outcome o = outcome_of(e, &e->rcpts[i], state);

		outcome_journal(e->task->en, &o);
	}
	entry_over(e, state);
}

void export_forsake(struct export_task *t)
{
	for (uint32_t i = 0; i < t->work_count; i++)
		forsake_work(&t->entries[t->work[i]]);
	t->work_count = 0;
	for (uint32_t i = 0; i < t->window; i++) {
		struct export_entry *e = &t->entries[i];

		if (e->stage == EXPORT_FREE || e->to_journal != 0)
			continue;
		if (e->stage == EXPORT_OUT)
			export_undo(e);
		else if (t->smtp)
			forsake_sent(e);
		else
			export_entry_free(e); /* the next run finishes it */
	}
}
