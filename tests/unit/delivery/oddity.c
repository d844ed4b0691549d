/* SPDX-License-Identifier: BSD-2-Clause
 *
 * oddity.c - plays a table of oddities.
 */
#include "oddity.h"

#include <string.h>

static const char *const five[] = {"a@example.net", "b@example.net",
				   "c@example.net", "d@example.net",
				   "e@example.net"};
static const char small[] = "Subject: x\r\n\r\nhello\r\n";

static uint32_t rule_count(const struct oddity *o)
{
	uint32_t n = 0;

	while (n < ODDITY_RULES && o->rules[n].at)
		n++;
	return n;
}

static void check(const struct oddity *o, struct room *r)
{
	if (o->results && strcmp(r->results, o->results) != 0)
		fail_msg("%s: results %s, not %s (%s)", o->name, r->results,
			 o->results, r->detail);
	if (!o->results && r->done)
		fail_msg("%s: results %s, none wanted", o->name, r->results);
	if (strcmp(r->failure, o->failure ? o->failure : "") != 0)
		fail_msg("%s: failure \"%s\", not \"%s\" (%s)", o->name,
			 r->failure, o->failure ? o->failure : "", r->detail);
}

/* Catches replies, slots and states that are left over. */
static void check_next_message(const struct oddity *o, struct room *r,
			       struct fake_receiver *f)
{
	uint32_t done = r->done;

	if (!o->results)
		return;
	r->results[0] = '\0';
	(void)room_store(r, five, 1, small, sizeof(small) - 1, 0);
	room_run(r, &r->done, done + 1);
	if (!o->connections)
		return;
	if (strcmp(r->results, "0:accepted/eom/250") != 0)
		fail_msg("%s: the next message: %s (%s)", o->name, r->results,
			 r->detail);
	if (fake_receiver_connections(f) != o->connections)
		fail_msg("%s: %u connections for two messages, not %u", o->name,
			 fake_receiver_connections(f), o->connections);
}

static void run_oddity(const struct oddity *o, enum room_go go,
		       void (*change)(struct room *r))
{
	struct fake_options fo = {.offers = o->offers,
				  .rules = o->rules,
				  .rule_count = rule_count(o)};
	struct fake_receiver *f = fake_receiver_start(&fo);
	struct delivery_stats s;
	struct room r;

	room_open(&r, fake_receiver_port(f));
	r.go = go;
	if (change)
		change(&r);
	room_start(&r);
	(void)room_store(&r, five, o->rcpts, small, sizeof(small) - 1, 0);
	room_run(&r, o->results ? &r.done : &r.failed, 1);
	check(o, &r);
	delivery_stats(r.d, &s);
	assert_int_equal(s.in_flight, 0);
	check_next_message(o, &r, f);
	room_close(&r);
	fake_receiver_stop(&f);
}

void oddities_run_with(const struct oddity *list, size_t count,
		       void (*change)(struct room *r))
{
	for (size_t i = 0; i < count; i++)
		run_oddity(&list[i], i % 2 ? GO_LATER : GO_NOW, change);
}

void oddities_run(const struct oddity *list, size_t count)
{
	oddities_run_with(list, count, NULL);
}
