/* SPDX-License-Identifier: BSD-2-Clause
 *
 * smtp_time.c - ends sessions that take too long.
 *
 * Called by the io loop and by the other files of the server, role worker.
 * A client has `timeout` for each command line as a whole, and for content
 * that much plus what it earns with SMTP_RATE_MIN_BPS bytes a second, never
 * more than `timeout` ahead: a byte now and then keeps no session open. A
 * session as a whole has `session_time`.
 * Bound: one timer per session. No errors.
 */
#include "intake/smtp_priv.h"
#include "sluice/clock.h"

static bool waits_for_us(const struct smtp_session *s)
{
	return s->committing || s->state == SMTP_STATE_OPEN || s->content.held;
}

static uint64_t due_ns(const struct smtp_session *s)
{
	return s->deadline_ns < s->end_ns ? s->deadline_ns : s->end_ns;
}

static void timer_set(struct smtp_session *s, uint64_t at_ns)
{
	io_timer_set(s->server->io, &s->timer, at_ns);
}

static void expired(struct smtp_session *s, uint64_t now_ns)
{
	if (s->state >= SMTP_STATE_CLOSING || s->out.sending ||
	    !smtp_out_room(s)) {
		smtp_session_end(s); /* it does not even read */
		return;
	}
	smtp_goodbye(s, now_ns >= s->end_ns
				? "421 4.4.2 the session has lasted too long, "
				  "come back in a new one"
				: "421 4.4.2 timeout");
	smtp_session_run(s);
}

static void timer_fired(struct io_timer *t, uint64_t now_ns)
{
	struct smtp_session *s = t->user;

	if (waits_for_us(s)) {
		timer_set(s, now_ns + NS_PER_S);
		smtp_time_renew(s);
	} else if (now_ns < due_ns(s)) {
		timer_set(s, due_ns(s));
	} else {
		expired(s, now_ns);
	}
}

void smtp_time_start(struct smtp_session *s)
{
	uint64_t now_ns = io_now_ns(s->server->io);

	io_timer_init(&s->timer, timer_fired, s);
	s->deadline_ns = now_ns + smtp_limits(s)->timeout_ns;
	s->end_ns = now_ns + smtp_limits(s)->session_ns;
	timer_set(s, due_ns(s));
}

/* The timer is not moved: when it fires too early it is set anew. */
void smtp_time_renew(struct smtp_session *s)
{
	s->deadline_ns = io_now_ns(s->server->io) + smtp_limits(s)->timeout_ns;
}

void smtp_time_earned(struct smtp_session *s, uint32_t bytes)
{
	uint64_t most_ns =
		io_now_ns(s->server->io) + smtp_limits(s)->timeout_ns;

	s->deadline_ns += bytes * (NS_PER_S / SMTP_RATE_MIN_BPS);
	if (s->deadline_ns > most_ns)
		s->deadline_ns = most_ns;
}

void smtp_time_last(struct smtp_session *s, uint64_t ns)
{
	s->deadline_ns = s->end_ns = io_now_ns(s->server->io) + ns;
	timer_set(s, s->end_ns);
}

void smtp_time_limit(struct smtp_session *s, uint64_t ns)
{
	uint64_t now_ns = io_now_ns(s->server->io);

	if (s->end_ns <= now_ns + ns)
		return;
	s->end_ns = now_ns + ns;
	timer_set(s, due_ns(s));
}
