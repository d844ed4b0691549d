/* SPDX-License-Identifier: BSD-2-Clause
 *
 * spool_oracle_check.c - a recovered spool against the books.
 *
 * Every acknowledged message must be there once and byte for byte, every
 * acknowledged record once and in order, nothing that was never handed in.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "sluice/assert.h"
#include "spool_oracle_priv.h"

#define HEAD_RCPTS_MAX 64u

/* Messages in the order the visitor told them; read after open. */
static int on_stored(void *user, const struct spool_stored *s)
{
	struct oracle *o = user;
	/* arrival tells the serial; all else is compared later */
	uint32_t serial = s->arrival_s - 1700000000u;
	struct oracle_message *m;

	if (serial >= o->message_count) {
		oracle_violation(o, "a message that nobody handed in");
		return 0;
	}
	m = &o->messages[serial];
	m->found++;
	m->found_id = s->id;
	m->found_digest = s->digest;
	m->place = s->place;
	m->found_bytes = s->content_bytes;
	if (s->id > o->id_max)
		o->id_max = s->id;
	return 0;
}

static bool id_was_told(const struct oracle *o, uint64_t id)
{
	uint32_t i;

	for (i = 0; i < o->message_count; i++)
		if (o->messages[i].found && o->messages[i].found_id == id)
			return true;
	return false;
}

static void event_found(struct oracle *o, enum oracle_kind kind,
			uint32_t serial, uint64_t id, bool same)
{
	struct oracle_event *ev;

	if (serial >= o->event_count || o->events[serial].kind != kind ||
	    !same) {
		oracle_violation(o, "record %u (kind %d) is not as handed in",
				 serial, (int)kind);
		return;
	}
	ev = &o->events[serial];
	ev->found++;
	if (ev->id != id)
		oracle_violation(o, "record %u is about another message",
				 serial);
	if (serial + 1 <= o->last_event)
		oracle_violation(o, "record %u came after record %u", serial,
				 o->last_event - 1);
	o->last_event = serial + 1;
	if (!id_was_told(o, id))
		oracle_violation(o, "record %u came before its message",
				 serial);
}

static int on_attempt(void *user, uint64_t id, uint32_t rcpt_first,
		      uint32_t rcpt_count, uint32_t when_s, uint16_t source)
{
	event_found(user, ORACLE_ATTEMPT, rcpt_first, id,
		    rcpt_count == 3 && source == (uint16_t)rcpt_first &&
			    when_s > 0);
	return 0;
}

static int on_outcome(void *user, const struct spool_outcome *f)
{
	struct made_record r;
	const struct spool_outcome *w = &r.outcome;

	oracle_made_record(f->rcpt, f->id, &r);
	event_found(user, ORACLE_OUTCOME, f->rcpt, f->id,
		    f->state == w->state && f->reply_class == w->reply_class &&
			    f->attempts == w->attempts &&
			    f->in_doubt == w->in_doubt &&
			    f->source == w->source && f->when_s == w->when_s &&
			    f->due_s == w->due_s &&
			    f->reply.len == w->reply.len &&
			    memcmp(f->reply.data, w->reply.data,
				   w->reply.len) == 0);
	return 0;
}

static int on_set(void *user, enum spool_set_kind kind, uint32_t when_s,
		  const struct spool_set_item *items, uint32_t count)
{
	event_found(user, ORACLE_SET, items[0].rcpt, items[0].id,
		    kind == SPOOL_SET_RELEASED && count == 2 && when_s > 0 &&
			    items[0].count == 1 && items[1].count == 0 &&
			    items[1].rcpt == items[0].rcpt);
	return 0;
}

static int on_note(void *user, const char *key, struct text value)
{
	struct oracle *o = user;
	uint32_t serial = (uint32_t)strtoul(key + 5, NULL, 10);
	struct made_record r;

	oracle_made_record(serial, 0, &r);
	event_found(o, ORACLE_NOTE, serial,
		    serial < o->event_count ? o->events[serial].id : 0,
		    strcmp(key, r.key) == 0 && value.len == r.value.len &&
			    memcmp(value.data, r.value.data, value.len) == 0);
	return 0;
}

static void on_damaged(void *user, const char *where, uint64_t id)
{
	struct oracle *o = user;

	o->damaged++;
	if (!o->quiet)
		oracle_violation(o, "damaged: %s id %llu", where,
				 (unsigned long long)id);
}

static const struct spool_visitor visitor = {on_stored, on_attempt, on_outcome,
					     on_set,    on_note,    on_damaged};

static void found_forget(struct oracle *o)
{
	uint32_t i;

	for (i = 0; i < o->message_count; i++)
		o->messages[i].found = 0;
	for (i = 0; i < o->event_count; i++)
		o->events[i].found = 0;
	o->last_event = 0;
}

int oracle_open(struct oracle *o, struct storage_sim *sim,
		const struct spool_options *opt, struct spool **out)
{
	struct storage st = storage_sim_storage(sim);
	int res;

	found_forget(o);
	res = spool_open(out, &st, opt, &visitor, o, &o->err);
	o->id_floor = o->id_max;
	return res;
}

struct reading {
	struct spool_read r;
	bool done;
	int res;
};

static void on_read(struct spool_read *r, int res)
{
	struct reading *rd = r->user;

	rd->done = true;
	rd->res = res;
}

/* The whole record as it lies; NULL when it cannot be read. */
static uint8_t *record_read(struct storage_sim *sim, struct spool *sp,
			    const struct spool_place *p, size_t *bytes)
{
	struct reading rd = {.r = {.done = on_read, .user = &rd}};
	uint8_t *buf;

	*bytes = (size_t)p->record_bytes_div8 * 8;
	buf = malloc(*bytes + 1);
	sluice_assert(buf != NULL);
	if (spool_read(sp, &rd.r, p, 0, buf, *bytes) == 0)
		while (!rd.done)
			(void)storage_sim_poll(sim);
	if (rd.done && rd.res == (int)*bytes)
		return buf;
	free(buf);
	return NULL;
}

static bool same_text(const struct text *a, const struct text *b)
{
	return a->len == b->len &&
	       (a->len == 0 || memcmp(a->data, b->data, a->len) == 0);
}

static bool same_envelope(const struct envelope *a, const struct envelope *b)
{
	uint32_t i;

	if (!same_text(&a->sender, &b->sender) ||
	    !same_text(&a->envid, &b->envid) ||
	    !same_text(&a->origin, &b->origin) ||
	    !same_text(&a->client, &b->client) ||
	    !same_text(&a->account, &b->account) ||
	    !same_text(&a->forwarded, &b->forwarded) || a->body != b->body ||
	    a->ret != b->ret || a->smtputf8 != b->smtputf8 ||
	    a->arrival_s != b->arrival_s || a->rcpt_count != b->rcpt_count)
		return false;
	for (i = 0; i < a->rcpt_count; i++)
		if (!same_text(&a->rcpts[i].address, &b->rcpts[i].address) ||
		    !same_text(&a->rcpts[i].orcpt, &b->rcpts[i].orcpt) ||
		    a->rcpts[i].notify != b->rcpts[i].notify)
			return false;
	return true;
}

static bool same_content(uint32_t serial, const uint8_t *content, uint64_t len)
{
	uint8_t made[4096];
	uint64_t at, part;

	for (at = 0; at < len; at += part) {
		part = len - at < sizeof(made) ? len - at : sizeof(made);
		oracle_content(serial, at, made, part);
		if (memcmp(made, content + at, part) != 0)
			return false;
	}
	return true;
}

static const char *record_wrong(const struct oracle_message *m,
				const uint8_t *buf, size_t bytes)
{
	struct envelope_rcpt rcpts[HEAD_RCPTS_MAX];
	struct made_envelope made;
	struct spool_record r;

	if (spool_record_decode(buf, bytes, &r, rcpts, HEAD_RCPTS_MAX))
		return "does not decode";
	oracle_envelope(m->serial, &made);
	if (r.id != m->found_id)
		return "has another id";
	if (r.flags != (SPOOL_LIVE | SPOOL_HAS_8BIT))
		return "has other flags";
	if (!same_envelope(&r.env, &made.env))
		return "has another envelope";
	if (r.content_bytes != m->content_bytes ||
	    m->found_bytes != m->content_bytes ||
	    r.content_offset + r.content_bytes > bytes)
		return "has another length";
	if (!same_content(m->serial, buf + r.content_offset, r.content_bytes))
		return "has other content";
	if (XXH3_64bits(buf + r.content_offset, r.content_bytes) !=
	    r.content_xxh3)
		return "has a wrong content hash";
	return NULL;
}

static void check_found(struct oracle *o, struct storage_sim *sim,
			struct spool *sp, struct oracle_message *m)
{
	const char *wrong = "cannot be read";
	size_t bytes;
	uint8_t *buf = record_read(sim, sp, &m->place, &bytes);

	if (buf)
		wrong = record_wrong(m, buf, bytes);
	free(buf);
	if (wrong)
		oracle_violation(o, "message %u %s", m->serial, wrong);
	if (m->state == ORACLE_WRITING || m->state == ORACLE_ABORTED)
		oracle_violation(o, "message %u was never finished", m->serial);
	/* From now on the spool has taken it, whoever knows. */
	if (m->state != ORACLE_ACKED) {
		m->state = ORACLE_ACKED;
		m->id = m->found_id;
		m->digest = m->found_digest;
	}
	if (m->id != m->found_id || m->digest != m->found_digest)
		oracle_violation(o, "message %u changed id or digest",
				 m->serial);
}

void oracle_check(struct oracle *o, struct storage_sim *sim, struct spool *sp)
{
	uint32_t i;

	for (i = 0; i < o->message_count; i++) {
		struct oracle_message *m = &o->messages[i];

		if (m->found > 1)
			oracle_violation(o, "message %u is there %u times", i,
					 m->found);
		if (m->state == ORACLE_ACKED && m->found == 0)
			oracle_violation(o, "acknowledged message %u is lost",
					 i);
		if (m->found)
			check_found(o, sim, sp, m);
	}
	for (i = 0; i < o->event_count; i++) {
		struct oracle_event *ev = &o->events[i];

		if (ev->found > 1)
			oracle_violation(o, "record %u is there %u times", i,
					 ev->found);
		if (ev->acked && ev->found == 0)
			oracle_violation(o,
					 "acknowledged record %u (kind %d) "
					 "is lost",
					 i, (int)ev->kind);
		if (ev->found)
			ev->acked = true;
	}
}
