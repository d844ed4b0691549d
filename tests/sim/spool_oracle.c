/* SPDX-License-Identifier: BSD-2-Clause
 *
 * spool_oracle.c - the books: what was handed in and what was acknowledged.
 *
 * Content and envelope follow from a serial number, so that they can be made
 * again for comparison.
 */
#include "spool_oracle.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "sluice/assert.h"
#include "spool_oracle_priv.h"

static uint64_t clock_ns = 1;

uint64_t oracle_now_ns(void)
{
	return clock_ns;
}

void oracle_tick(uint64_t ns)
{
	clock_ns += ns;
}

void oracle_violation(struct oracle *o, const char *fmt, ...)
{
	va_list ap;

	o->violations++;
	if (o->quiet)
		return;
	printf("VIOLATION %s: ", o->run ? o->run : "");
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
}

void oracle_init(struct oracle *o)
{
	memset(o, 0, sizeof(*o));
}

static struct text text_of(char *buf, size_t size, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
static struct text text_of(char *buf, size_t size, const char *fmt, ...)
{
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = vsnprintf(buf, size, fmt, ap);
	va_end(ap);
	return (struct text){buf, (uint32_t)len};
}

void oracle_envelope(uint32_t serial, struct made_envelope *e)
{
	uint32_t i, count = serial % 7 == 0 ? MADE_RCPTS_MAX : 1 + serial % 3;

	memset(e, 0, sizeof(*e));
	e->env.sender = serial % 5 == 0 ? (struct text){NULL, 0}
					: text_of(e->texts[0], MADE_TEXT_BYTES,
						  "s%u@from%u.test", serial,
						  serial % 11);
	e->env.envid = text_of(e->texts[1], MADE_TEXT_BYTES, "E%u", serial);
	e->env.origin = text_of(e->texts[2], MADE_TEXT_BYTES, "4Q%06X", serial);
	e->env.client = text_of(e->texts[3], MADE_TEXT_BYTES, "192.0.2.%u",
				serial % 250);
	e->env.account =
		text_of(e->texts[4], MADE_TEXT_BYTES, "user%u", serial % 3);
	if (serial % 4 == 0)
		e->env.forwarded = text_of(e->texts[5 + 2 * MADE_RCPTS_MAX],
					   MADE_TEXT_BYTES,
					   "NAME=c%u PROTO=ESMTP", serial);
	e->env.body = serial % 3;
	e->env.ret = serial % 2;
	e->env.smtputf8 = serial % 2;
	e->env.arrival_s = 1700000000u + serial;
	e->env.rcpt_count = count;
	e->env.rcpts = e->rcpts;
	for (i = 0; i < count; i++) {
		e->rcpts[i].address = text_of(
			e->texts[5 + 2 * i], MADE_TEXT_BYTES,
			"r%u.%u@to%u.test", i, serial, (serial + i) % 13);
		e->rcpts[i].orcpt = text_of(e->texts[6 + 2 * i],
					    MADE_TEXT_BYTES, "rfc822;x%u", i);
		e->rcpts[i].notify = (uint8_t)(serial % 8);
	}
}

/* Begins with the serial, so that a found message can be told. */
static uint64_t content_word(uint32_t serial, uint64_t number)
{
	uint64_t x = (number + 1) * 0x9e3779b97f4a7c15ULL ^
		     (serial + 1) * 0xc2b2ae3d27d4eb4fULL;

	return number == 0 ? x << 32 | serial : x ^ x >> 29;
}

void oracle_content(uint32_t serial, uint64_t at, uint8_t *out, uint64_t len)
{
	while (len > 0) {
		uint64_t word = content_word(serial, at / 8);
		uint64_t skip = at % 8;
		uint64_t part = 8 - skip < len ? 8 - skip : len;

		memcpy(out, (uint8_t *)&word + skip, part);
		out += part;
		at += part;
		len -= part;
	}
}

int oracle_begin(struct oracle *o, struct spool *sp, uint32_t content_bytes,
		 struct oracle_message **out)
{
	struct oracle_message *m = &o->messages[o->message_count];
	struct made_envelope e;
	int res;

	sluice_assert(o->message_count < ORACLE_MESSAGES_MAX);
	memset(m, 0, sizeof(*m));
	m->oracle = o;
	m->serial = o->message_count;
	m->content_bytes = content_bytes < 4 ? 4 : content_bytes;
	oracle_envelope(m->serial, &e);
	res = spool_message_begin(sp, &e.env, SPOOL_LIVE, &m->m);
	/* The spool has copied what it needs. */
	memset(&e, 0xee, sizeof(e));
	if (res)
		return res;
	o->message_count++;
	*out = m;
	return 0;
}

int oracle_write(struct oracle_message *m, uint32_t bytes)
{
	static uint8_t piece[1u << 17];
	int res;

	if (bytes > sizeof(piece))
		bytes = sizeof(piece);
	if (bytes > m->content_bytes - m->written)
		bytes = m->content_bytes - m->written;
	oracle_content(m->serial, m->written, piece, bytes);
	res = spool_message_write(m->m, piece, bytes);
	memset(piece, 0xdd, bytes);
	if (!res)
		m->written += bytes;
	return res;
}

static bool id_is_taken(const struct oracle *o, uint64_t id)
{
	uint32_t i;

	for (i = 0; i < o->message_count; i++)
		if (o->messages[i].id == id)
			return true;
	return false;
}

static void message_done(void *user, int res, const struct spool_stored *s)
{
	struct oracle_message *m = user;
	struct oracle *o = m->oracle;

	sluice_assert(m->state == ORACLE_FINISHED);
	m->state = res ? ORACLE_FAILED : ORACLE_ACKED;
	if (res)
		return;
	if (s->id <= o->id_floor || id_is_taken(o, s->id))
		oracle_violation(o, "id %llu given again",
				 (unsigned long long)s->id);
	if (s->id > o->id_max)
		o->id_max = s->id;
	m->id = s->id;
	m->digest = s->digest;
}

int oracle_finish(struct oracle_message *m)
{
	int res;

	sluice_assert(m->written == m->content_bytes);
	m->state = ORACLE_FINISHED;
	res = spool_message_finish(&m->m, SPOOL_HAS_8BIT, message_done, m);
	if (res)
		m->state = ORACLE_WRITING;
	return res;
}

void oracle_abort(struct oracle_message *m)
{
	spool_message_abort(&m->m);
	m->state = ORACLE_ABORTED;
}

static void record_done(void *user, int res)
{
	struct oracle_event *ev = user;

	ev->acked = res == 0;
}

static int record_set(struct spool *sp, const struct oracle_event *ev,
		      uint32_t serial, spool_done_fn *done, void *user)
{
	struct spool_set_item items[2] = {{ev->id, 1, serial},
					  {ev->id, 0, serial}};

	return spool_set(sp, SPOOL_SET_RELEASED, items, 2, done, user);
}

int oracle_record(struct oracle *o, struct spool *sp, enum oracle_kind kind,
		  const struct oracle_message *m, bool lazy)
{
	uint32_t serial = o->event_count;
	struct oracle_event *ev = &o->events[serial];
	spool_done_fn *done = lazy ? NULL : record_done;
	struct made_record r;
	int res = 0;

	sluice_assert(o->event_count < ORACLE_EVENTS_MAX);
	*ev = (struct oracle_event){o, kind, m->id, false, 0};
	oracle_made_record(serial, m->id, &r);
	switch (kind) {
	case ORACLE_ATTEMPT:
		res = spool_attempt(sp, m->id, serial, 3, (uint16_t)serial,
				    done, ev);
		break;
	case ORACLE_OUTCOME:
		res = spool_outcome(sp, &r.outcome, done, ev);
		break;
	case ORACLE_SET:
		res = record_set(sp, ev, serial, done, ev);
		break;
	case ORACLE_NOTE:
		res = spool_note(sp, r.key, r.value, done, ev);
		break;
	}
	if (!res)
		o->event_count++;
	return res;
}

void oracle_made_record(uint32_t serial, uint64_t id, struct made_record *r)
{
	memset(r, 0, sizeof(*r));
	snprintf(r->key, sizeof(r->key), "note-%u", serial);
	r->value = text_of(r->text, sizeof(r->text),
			   "250 2.0.0 ok, taken as number %u%*s", serial,
			   (int)(serial * 7 % 90), "");
	r->outcome = (struct spool_outcome){.id = id,
					    .rcpt = serial,
					    .state = (uint8_t)(serial % 20),
					    .reply_class = serial % 16,
					    .attempts = serial % 9,
					    .in_doubt = serial % 2,
					    .source = (uint16_t)(serial * 3),
					    .when_s = serial + 100000,
					    .due_s = serial + 200000,
					    .reply = r->value};
}

struct oracle_message *oracle_pick(struct oracle *o, uint32_t dice)
{
	uint32_t i;

	for (i = 0; i < o->message_count; i++) {
		struct oracle_message *m =
			&o->messages[(dice + i) % o->message_count];

		if (m->state == ORACLE_ACKED)
			return m;
	}
	return NULL;
}

void oracle_power_lost(struct oracle *o)
{
	uint32_t i;

	for (i = 0; i < o->message_count; i++)
		o->messages[i].m = NULL;
}

void oracle_drain(struct storage_sim *sim, struct spool *sp)
{
	uint32_t turns = 0;

	do {
		(void)spool_step(sp);
		(void)storage_sim_poll(sim);
		sluice_assert(++turns < 100000);
	} while (!spool_idle(sp));
}
