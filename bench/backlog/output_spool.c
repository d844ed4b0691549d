/* SPDX-License-Identifier: BSD-2-Clause
 *
 * output_spool.c - a spool as sluiced leaves it, without running sluiced.
 *
 * Called by backlog, on its thread; that thread plays the role spool.
 * Bound: a turn of the loop for every TURN_MESSAGES messages; the spool itself
 * bounds what is in flight. Durable at finish.
 * Errors: -errno with what the spool says.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backlog/output.h"
#include "io/io.h"
#include "sluice/clock.h"
#include "spool/spool.h"

#define TURN_MESSAGES 256
#define TURN_WAIT_NS  (100 * NS_PER_MS)

struct spool_output {
	struct io *io;
	struct storage storage;
	struct spool *spool;
	uint32_t flags;    /* of every message */
	uint32_t gathered; /* since the last turn */
	uint64_t under_way;
	int error; /* the first one */
};

static void message_stored(void *user, int res, const struct spool_stored *m)
{
	struct spool_output *o = user;

	o->under_way--;
	if (res < 0 && !o->error)
		o->error = res;
}

static int turn(struct spool_output *o, uint64_t wait_ns)
{
	int err = spool_step(o->spool);

	if (!err)
		err = io_step(o->io, wait_ns);
	o->gathered = 0;
	return err == -EINTR ? 0 : err;
}

static uint32_t content_flags(const struct message *m)
{
	const struct buffer *b = &m->content;
	uint32_t flags = 0;

	if (b->data[0] == '.' || memmem(b->data, b->len, "\n.", 2))
		flags |= SPOOL_NEEDS_STUFFING;
	if (m->traits & MESSAGE_8BIT)
		flags |= SPOOL_HAS_8BIT | SPOOL_BODY_8BITMIME;
	return flags;
}

static struct text text_of(const char *s)
{
	return (struct text){s, (uint32_t)strlen(s)};
}

static int message_begin(struct spool_output *o, const struct message *m,
			 struct spool_message **out)
{
	struct envelope_rcpt rcpts[MESSAGE_RCPTS_MAX] = {0};
	struct envelope env = {.sender = text_of(m->sender),
			       .account = text_of(m->account),
			       .arrival_s = m->arrival_s,
			       .rcpt_count = m->rcpt_count,
			       .rcpts = rcpts};
	char client[32];
	int err;

	snprintf(client, sizeof(client), "10.0.%u.%u", m->client / 250 % 250,
		 m->client % 250 + 1);
	env.client = text_of(client);
	env.body = m->traits & MESSAGE_8BIT ? BODY_8BITMIME : BODY_7BIT;
	for (uint32_t i = 0; i < m->rcpt_count; i++)
		rcpts[i].address = text_of(m->rcpts[i]);
	do {
		err = spool_message_begin(o->spool, &env, o->flags, out);
		if (err == -EAGAIN)
			err = turn(o, TURN_WAIT_NS) ? -EIO : -EAGAIN;
	} while (err == -EAGAIN);
	return err;
}

/* A piece is refused with -EAGAIN while a large message waits for the disk. */
static int piece_write(struct spool_output *o, struct spool_message *sm,
		       const char *data, size_t len)
{
	int err;

	while ((err = spool_message_write(sm, data, len)) == -EAGAIN)
		if (turn(o, TURN_WAIT_NS) != 0)
			return -EIO;
	return err;
}

static int spool_put(void *state, const struct message *m, struct err *e)
{
	struct spool_output *o = state;
	struct spool_message *sm = NULL;
	int err = message_begin(o, m, &sm);

	if (!err)
		err = piece_write(o, sm, m->content.data, m->content.len);
	if (!err && (m->traits & MESSAGE_NO_NEWLINE))
		err = piece_write(o, sm, "\r\n", 2);
	if (!err)
		err = spool_message_finish(&sm, content_flags(m),
					   message_stored, o);
	if (!err)
		o->under_way++;
	else if (sm)
		spool_message_abort(&sm);
	if (!err && ++o->gathered == TURN_MESSAGES)
		err = turn(o, 0);
	if (!err)
		err = o->error;
	return err ? err_set(e, err, "spool: %s", err_name(err)) : 0;
}

static void spool_output_close(struct spool_output *o)
{
	spool_close(&o->spool);
	if (o->storage.ops)
		o->storage.ops->destroy(&o->storage.state);
	io_close(&o->io);
	free(o);
}

static int spool_finish(void *state, struct err *e)
{
	struct spool_output *o = state;
	int err = 0;

	while (!err && (o->under_way || !spool_idle(o->spool)))
		err = turn(o, TURN_WAIT_NS);
	if (!err)
		err = o->error;
	spool_output_close(o);
	return err ? err_set(e, err, "spool: %s", err_name(err)) : 0;
}

int output_spool_open(const struct output_options *opt, struct output *out,
		      struct err *e)
{
	const struct io_options io = {.entries = 256};
	const struct spool_options so = {0};
	struct spool_output *o = bench_calloc(1, sizeof(*o));
	int err = io_open(&o->io, &io, e);

	o->flags = opt->released ? 0 : SPOOL_TAKEN;
	if (!err)
		err = storage_uring_create(o->io, opt->dir, &o->storage, e);
	if (!err)
		err = spool_open(&o->spool, &o->storage, &so, NULL, NULL, e);
	if (err) {
		spool_output_close(o);
		return err;
	}
	*out = (struct output){spool_put, spool_finish, o};
	return 0;
}
