/* SPDX-License-Identifier: BSD-2-Clause
 *
 * question.c - who may ask when, and how long an answer holds.
 *
 * Called by query.c and by libunbound's answers. Thread: the loop's. Questions
 * wait in line, first come, first served. Only those that were asked a moment
 * ago count against the narrow limit; one that is not answered soon is put
 * aside and counts against a wide one, so that thousands of domains pass by a
 * few hundred whose name servers are silent.
 * Bound: QUESTIONS_YOUNG_MAX and flight_max with libunbound; the line is as
 * long as there are domains. Errors: -EINVAL, -ENOMEM.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "delivery/packet.h"
#include "delivery/resolver_priv.h"
#include "sluice/assert.h"
#include "sluice/clock.h"

#define TICK_NS      (100 * NS_PER_MS)
#define LABEL_BYTES  63u
#define AGAIN_NS     (10 * NS_PER_MS) /* after the second is over */
#define RCODE_FAILED 2
#define RCODE_REFUSE 5

static uint64_t question_key(const struct question *q)
{
	return XXH3_64bits_withSeed(q->name, strlen(q->name), q->type);
}

static struct expiry *expiry_of(struct resolver *r, uint64_t key)
{
	return &r->expiries[(key ^ key >> 32) & (EXPIRIES - 1)];
}

static void expiry_note(struct resolver *r, const struct question *q,
			uint32_t ttl_s)
{
	uint64_t key = question_key(q);

	*expiry_of(r, key) =
		(struct expiry){key, q->asked_real_ns / NS_PER_S + ttl_s};
}

/* Whether libunbound has handed out its own copy in the last second of it. */
static bool copy_is_over(struct resolver *r, const struct question *q)
{
	uint64_t key = question_key(q);
	const struct expiry *e = expiry_of(r, key);
	uint64_t asked_s = q->asked_real_ns / NS_PER_S;

	return e->key == key && asked_s + 1 >= e->at_s && asked_s <= e->at_s;
}

static uint8_t answer_status(int err, const struct ub_result *ub)
{
	if (err || !ub)
		return RESOLVER_FAILED;
	if (ub->havedata)
		return RESOLVER_OK;
	if (ub->nxdomain)
		return RESOLVER_NO_NAME;
	return ub->rcode ? RESOLVER_FAILED : RESOLVER_NO_DATA;
}

static const char *answer_why(int err, const struct ub_result *ub)
{
	if (err || !ub)
		return "the resolver gave no answer";
	switch (ub->rcode) {
	case RCODE_FAILED:
		return "server failure";
	case RCODE_REFUSE:
		return "the name server refuses";
	default:
		return "the name server gave an error";
	}
}

static uint32_t answer_ttl(const struct ub_result *ub, uint8_t status)
{
	uint32_t ttl = 0;

	if (status == RESOLVER_FAILED || ub->answer_len <= 0 ||
	    packet_ttl(ub->answer_packet, (size_t)ub->answer_len,
		       status != RESOLVER_OK, &ttl))
		return 0;
	return ttl;
}

/* The TTL runs from the beginning of the second in which the question was
 * asked, as libunbound counts: what comes out is never too late. */
static uint64_t answer_expires_ns(const struct question *q, uint32_t ttl_s)
{
	return q->asked_ns - q->asked_real_ns % NS_PER_S + ttl_s * NS_PER_S;
}

static void question_tell(struct question *q, const struct resolver_answer *a)
{
	resolver_fn *fn = q->fn;

	q->fn = NULL;
	if (fn)
		fn(q->user, a);
}

/* The earliest of what the timer has to do. */
static void timer_arm(struct resolver *r)
{
	bool busy = !link_empty(&r->young) || !link_empty(&r->slow) ||
		    !link_empty(&r->off);

	if (busy && !r->closing && !wheel_entry_pending(&r->timer.entry))
		io_timer_set(r->io, &r->timer, io_now_ns(r->io) + TICK_NS);
}

/* A real TTL of 0, or the last second of a copy? Asked again when that second
 * is over, it is known. */
static void put_off(struct resolver *r, struct question *q)
{
	uint64_t left_ns = NS_PER_S - clock_realtime_ns() % NS_PER_S;

	q->again = true;
	q->due_ns = clock_monotonic_ns() + left_ns + AGAIN_NS;
	q->place = QUESTION_OFF;
	link_append(&r->off, &q->link);
	timer_arm(r);
}

/* Takes `q` from those that libunbound has. */
static void flight_leave(struct resolver *r, struct question *q)
{
	link_remove(&q->link);
	r->flight_count--;
	if (q->place != QUESTION_YOUNG)
		return;
	r->young_count--;
	r->suspects_young -= q->suspect;
}

static void question_answered(void *user, int err, struct ub_result *ub)
{
	struct question *q = user;
	struct resolver *r = q->resolver;
	struct resolver_answer a = {.status = answer_status(err, ub),
				    .why = answer_why(err, ub)};
	uint32_t ttl_s = answer_ttl(ub, a.status);

	flight_leave(r, q);
	if (ttl_s)
		expiry_note(r, q, ttl_s);
	if (q->fn && a.status != RESOLVER_FAILED && !ttl_s && !q->again &&
	    copy_is_over(r, q)) {
		put_off(r, q);
	} else {
		a.expires_ns = answer_expires_ns(q, ttl_s);
		a.data = ub ? ub->data : NULL;
		a.len = ub ? ub->len : NULL;
		while (a.status == RESOLVER_OK && ub->data[a.count])
			a.count++;
		question_tell(q, &a);
		free(q);
	}
	if (ub)
		ub_resolve_free(ub);
}

static void flight_enter(struct resolver *r, struct question *q)
{
	q->asked_ns = clock_monotonic_ns();
	q->asked_real_ns = clock_realtime_ns();
	q->place = QUESTION_YOUNG;
	link_append(&r->young, &q->link);
	r->young_count++;
	r->suspects_young += q->suspect;
	r->flight_count++;
}

static void question_start(struct resolver *r, struct question *q)
{
	static const struct resolver_answer no = {.status = RESOLVER_FAILED,
						  .why = "cannot ask"};

	link_remove(&q->link);
	flight_enter(r, q);
	if (ub_resolve_async(r->ctx, q->name, q->type, DNS_CLASS_IN, q,
			     question_answered, NULL) == 0)
		return;
	flight_leave(r, q);
	question_tell(q, &no);
	free(q);
}

static struct question *first_of(struct link *list)
{
	return link_empty(list) ? NULL
				: LINK_OWNER(list->next, struct question, link);
}

/* Suspects come when nobody else waits, or when few of them are young. */
static struct question *question_next(struct resolver *r)
{
	struct question *q = first_of(&r->waiting[1]);

	if (q && r->suspects_young < SUSPECTS_YOUNG_MAX &&
	    r->flight_count < r->flight_max / 2)
		return q;
	return first_of(&r->waiting[0]);
}

void questions_pump(struct resolver *r)
{
	struct question *q;

	while (r->young_count < QUESTIONS_YOUNG_MAX &&
	       r->flight_count < r->flight_max && (q = question_next(r)))
		question_start(r, q);
	timer_arm(r);
}

static void move_to_slow(struct resolver *r, uint64_t now_ns)
{
	struct question *q;

	while ((q = first_of(&r->young)) && now_ns - q->asked_ns >= YOUNG_NS) {
		flight_leave(r, q);
		r->flight_count++;
		q->place = QUESTION_SLOW;
		link_append(&r->slow, &q->link);
	}
}

/* libunbound goes on trying; what it finds out is in its cache then. */
static void give_up_slow(struct resolver *r, uint64_t now_ns)
{
	static const struct resolver_answer no = {
		.status = RESOLVER_FAILED, .why = "the name server is silent"};
	struct question *q;

	while ((q = first_of(&r->slow)) &&
	       now_ns - q->asked_ns >= r->timeout_ns) {
		link_remove(&q->link);
		q->place = QUESTION_TOLD;
		link_append(&r->told, &q->link);
		question_tell(q, &no);
	}
}

static void ask_put_off(struct resolver *r, uint64_t now_ns)
{
	struct question *q;

	while ((q = first_of(&r->off)) && now_ns >= q->due_ns) {
		link_remove(&q->link);
		q->place = QUESTION_LINE;
		link_append(&r->waiting[q->suspect], &q->link);
	}
}

static void ticked(struct io_timer *t, uint64_t now_ns)
{
	struct resolver *r = t->user;

	if (r->closing)
		return;
	now_ns = clock_monotonic_ns();
	move_to_slow(r, now_ns);
	give_up_slow(r, now_ns);
	ask_put_off(r, now_ns);
	questions_pump(r);
}

void questions_init(struct resolver *r)
{
	link_init(&r->waiting[0]);
	link_init(&r->waiting[1]);
	link_init(&r->off);
	link_init(&r->young);
	link_init(&r->slow);
	link_init(&r->told);
	io_timer_init(&r->timer, ticked, r);
}

static void list_free(struct link *list)
{
	while (!link_empty(list)) {
		struct question *q =
			LINK_OWNER(list->next, struct question, link);

		link_remove(&q->link);
		free(q);
	}
}

void questions_fini(struct resolver *r)
{
	io_timer_cancel(r->io, &r->timer);
	list_free(&r->waiting[0]);
	list_free(&r->waiting[1]);
	list_free(&r->off);
	list_free(&r->young);
	list_free(&r->slow);
	list_free(&r->told);
}

/* What cannot be written in a DNS message is no name; the rest is for DNS to
 * say. */
static bool name_is_valid(const char *name)
{
	size_t len = strlen(name), label = 0;

	if (!len || len >= DOMAIN_BYTES - 2)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (name[i] == '.') {
			if (!label)
				return false;
			label = 0;
		} else if (++label > LABEL_BYTES || name[i] == '\\') {
			return false;
		}
	}
	return true;
}

int resolver_ask(struct resolver *r, const char *name, enum resolver_type type,
		 bool suspect, resolver_fn *fn, void *user)
{
	struct question *q;

	if (!name_is_valid(name))
		return -EINVAL;
	q = calloc(1, sizeof(*q));
	if (!q)
		return -ENOMEM;
	q->resolver = r;
	q->fn = fn;
	q->user = user;
	q->type = (uint16_t)type;
	q->suspect = suspect;
	memcpy(q->name, name, strlen(name) + 1);
	link_append(&r->waiting[suspect], &q->link);
	/* Those asked in one turn go together, from the loop. */
	if (!r->closing)
		io_timer_set(r->io, &r->timer, io_now_ns(r->io));
	return 0;
}
