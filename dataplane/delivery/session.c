/* SPDX-License-Identifier: BSD-2-Clause
 *
 * session.c - what follows from each reply, and what is sent next.
 *
 * Called by connection.c for every reply and whenever something may be sent.
 * Role: worker. The meaning of replies is in smtp/dialogue.c; here it becomes
 * results, commands and the fate of the connection. Bound: O(1) per reply.
 */
#include <stdio.h>
#include <string.h>

#include "delivery/delivery_priv.h"

/* The end of "timed out ...". */
const char *session_doing(const struct connection *c)
{
	static const char *const doing[DIALOGUE_STATES] = {
		[DIALOGUE_GREETING] = "before the greeting",
		[DIALOGUE_EHLO] = "after EHLO",
		[DIALOGUE_HELO] = "after HELO",
		[DIALOGUE_IDLE] = "before MAIL",
		[DIALOGUE_MAIL] = "after MAIL",
		[DIALOGUE_RCPT] = "after RCPT",
		[DIALOGUE_DATA] = "after DATA",
		[DIALOGUE_CONTENT] = "while content was being sent",
		[DIALOGUE_EOM] = "after the final dot",
		[DIALOGUE_LONE_DOT] = "after a lone dot",
		[DIALOGUE_RSET] = "after RSET",
		[DIALOGUE_QUIT] = "after QUIT",
		[DIALOGUE_CLOSED] = "at the end",
	};

	sluice_assert(c->dialogue.state < DIALOGUE_STATES);
	return doing[c->dialogue.state];
}

/* How long the answer that is awaited now may take. Set when its command goes
 * out and when the answer before it is whole; bytes that trickle in change
 * nothing (RFC 5321 4.5.3.2). */
uint64_t session_wait_ns(const struct connection *c)
{
	const struct config *config = c->d->config;

	switch ((enum dialogue_state)c->dialogue.state) {
	case DIALOGUE_GREETING:
		return config->delivery.greeting_ns;
	case DIALOGUE_EHLO:
	case DIALOGUE_HELO:
		return config->delivery.ehlo_ns;
	case DIALOGUE_RCPT:
		return config->delivery.rcpt_ns;
	case DIALOGUE_DATA:
		return config->delivery.data_command_ns;
	case DIALOGUE_CONTENT:
		return config->delivery.data_ns;
	case DIALOGUE_EOM:
	case DIALOGUE_LONE_DOT:
		return config->delivery.eom_ns;
	case DIALOGUE_QUIT:
		return config->delivery.quit_ns;
	default:
		return config->delivery.mail_ns;
	}
}

/* What came was no reply, or one too many: nothing said after it could be
 * matched with a command. */
static void out_of_step(struct connection *c, uint8_t phase)
{
	bool early = !c->served || connection_is_early(c);

	if (c->message.active)
		message_lost(c, phase, false);
	if (early)
		connect_failed(c, c->served ? PHASE_EHLO : phase, NULL);
	else
		connection_close(c);
}

void session_garbage(struct connection *c)
{
	(void)snprintf(c->detail, sizeof(c->detail), "not an SMTP reply %s",
		       session_doing(c));
	out_of_step(c, dialogue_phase(&c->dialogue));
}

static void not_served(struct connection *c, uint8_t phase)
{
	(void)snprintf(c->detail, sizeof(c->detail),
		       phase == PHASE_CONNECT ? "refused in the greeting"
					      : "refused at EHLO");
	connect_failed(c, phase, &c->parser.reply);
}

/* EHLO or HELO was accepted: the connection counts, the address is good. */
static void served(struct connection *c, bool ehlo)
{
	struct delivery *d = c->d;

	if (ehlo)
		smtp_extensions_parse(c->parser.reply.text,
				      c->parser.reply.text_len, &c->offered);
	c->served = true;
	connect_succeeded(c);
	if (c->counted_connecting) {
		c->counted_connecting = false;
		c->path->connecting--;
		c->lane->connecting--;
		d->stats.connections_connecting--;
	}
	path_serve(d, c->path);
}

/* The reply to the last command of a message that left nothing open. */
static void finish_if_active(struct connection *c, uint8_t phase)
{
	if (c->message.active)
		result_finish(c, DELIVERY_REFUSED, phase, &c->parser.reply,
			      NULL);
}

static void act(struct connection *c, const struct dialogue_step *step,
		uint8_t before)
{
	const struct smtp_reply *r = &c->parser.reply;

	switch ((enum dialogue_action)step->action) {
	case DIALOGUE_SEND_EHLO:
		c->todo = TODO_EHLO;
		connection_deadline(c, session_wait_ns(c));
		break;
	case DIALOGUE_SEND_HELO:
		c->todo = TODO_HELO;
		connection_deadline(c, session_wait_ns(c));
		break;
	case DIALOGUE_READY:
		if (before != DIALOGUE_RSET)
			served(c, before == DIALOGUE_EHLO);
		c->settle = true;
		break;
	case DIALOGUE_RCPT_REFUSED:
		result_rcpt_refused(c, step->rcpt, step->phase, r);
		break;
	case DIALOGUE_SEND_CONTENT:
		message_ask(c);
		break;
	case DIALOGUE_SEND_LONE_DOT:
		finish_if_active(c, step->phase);
		c->todo = TODO_LONE_DOT;
		connection_deadline(c, session_wait_ns(c));
		break;
	case DIALOGUE_REFUSED:
		result_finish(c, DELIVERY_REFUSED, step->phase, r, NULL);
		break;
	case DIALOGUE_ACCEPTED:
		result_finish(c, DELIVERY_ACCEPTED, step->phase, r, NULL);
		break;
	default:
		break;
	}
	if (step->content)
		message_ask(c);
}

/* Said without being asked, before or between messages. A receiver that takes
 * EHLO and goes on talking before any MAIL has refused us, or is no SMTP
 * server: a failed attempt, not a connection that served and may be opened
 * again at once. */
static void hung_up(struct connection *c, uint8_t phase)
{
	const struct smtp_reply *r = &c->parser.reply;
	bool early = connection_is_early(c);

	(void)snprintf(c->detail, sizeof(c->detail),
		       "the receiver said %u before MAIL", r->code);
	if (c->message.active)
		message_lost(c, phase, true);
	if (early)
		connect_failed(c, PHASE_EHLO, r->code >= 400 ? r : NULL);
	else
		connection_close(c);
}

/* Replies that end the session without being about a message. True = done. */
static bool ended(struct connection *c, const struct dialogue_step *step)
{
	uint8_t action = step->action;

	if (action == DIALOGUE_ACCEPTED && c->dialogue.chunked &&
	    smtp_reply_is_of_address(&c->parser.reply))
		action = DIALOGUE_GARBAGE;
	switch ((enum dialogue_action)action) {
	case DIALOGUE_NOT_SERVED:
		not_served(c, step->phase);
		return true;
	case DIALOGUE_GARBAGE:
		(void)snprintf(c->detail, sizeof(c->detail),
			       "reply %u out of step", c->parser.reply.code);
		out_of_step(c, step->phase);
		return true;
	case DIALOGUE_HANG_UP:
		hung_up(c, step->phase);
		return true;
	default:
		return false;
	}
}

void session_reply(struct connection *c)
{
	uint8_t before = c->dialogue.state;
	struct dialogue_step step;

	message_attempt(c);
	dialogue_reply(&c->dialogue, c->parser.reply.code, &step);
	c->message.heard = true;
	if (c->message.active)
		connection_deadline(c, session_wait_ns(c));
	if (ended(c, &step))
		return;
	act(c, &step, before);
	if (step.message_over || step.hang_up)
		finish_if_active(c, step.phase);
	if (step.hang_up) {
		connection_close(c);
	} else if (step.message_over) {
		c->settle = true;
		c->reset = step.reset;
	}
}

/* A connection that has done its share gives way to a next hop in line. */
static bool gives_way(const struct connection *c)
{
	return connection_is_wanted(c) &&
	       (c->messages >= SHARE_MESSAGES || c->lane->open > 1);
}

static bool has_had_enough(const struct connection *c)
{
	uint32_t max = c->path->config->connection_messages;

	return c->d->stopping || (max && c->messages >= max) ||
	       c->epoch != c->path->epoch ||
	       c->path->open > path_connections_max(c->path) || gives_way(c);
}

/* The connection is free for something new, once nothing of the old message is
 * in flight any more. */
void session_settle(struct connection *c)
{
	struct delivery *d = c->d;

	if (!c->settle || c->kept || c->state != CONNECTION_OPEN ||
	    c->message.active || c->message.reading)
		return;
	c->settle = false;
	if (c->reset) {
		c->reset = false;
		c->todo = TODO_RSET;
		connection_deadline(c, d->config->delivery.mail_ns);
		connection_pump(c);
		return;
	}
	lane_unwait(c->lane); /* its turn is now */
	if (has_had_enough(c)) {
		connection_quit(c);
		return;
	}
	c->lane->wanted = false;
	connection_idle(c);
	d->ops->ready(d->user, c->path->provider, c->path->source);
	if (c->idle && connection_is_wanted(c))
		connection_make_way(c);
}

/* An address literal stands in for a source without a usable name. */
static int write_hello(const struct connection *c, struct smtp_writer *w,
		       const char *verb)
{
	const struct config_source *from = c->path->from;
	char text[ADDR_TEXT_BYTES], literal[ADDR_TEXT_BYTES + 8];
	bool v6 = from->public_address.sa.sa_family == AF_INET6;

	if (from->helo && smtp_write_hello(w, verb, from->helo) == 0)
		return 0;
	(void)snprintf(literal, sizeof(literal), "[%s%s]", v6 ? "IPv6:" : "",
		       addr_format(&from->public_address, false, text));
	return smtp_write_hello(w, verb, literal);
}

static enum dialogue_state write_todo(struct connection *c,
				      struct smtp_writer *w)
{
	int res = 0;
	enum dialogue_state state = DIALOGUE_QUIT;

	switch ((enum todo)c->todo) {
	case TODO_EHLO:
		res = write_hello(c, w, "EHLO");
		state = DIALOGUE_EHLO;
		break;
	case TODO_HELO:
		res = write_hello(c, w, "HELO");
		state = DIALOGUE_HELO;
		break;
	case TODO_LONE_DOT:
		res = smtp_write_verb(w, ".");
		state = DIALOGUE_LONE_DOT;
		break;
	case TODO_RSET:
		res = smtp_write_verb(w, "RSET");
		state = DIALOGUE_RSET;
		break;
	default:
		res = smtp_write_verb(w, "QUIT");
		break;
	}
	sluice_assert(res == 0);
	return state;
}

void session_pump(struct connection *c)
{
	struct smtp_writer w = {c->command, COMMAND_BYTES, 0};

	if (c->todo != TODO_NOTHING) {
		enum dialogue_state state = write_todo(c, &w);

		c->todo = c->todo == TODO_QUIT ? TODO_QUIT : TODO_NOTHING;
		if (c->dialogue.state == DIALOGUE_QUIT)
			return; /* said already */
		dialogue_sent(&c->dialogue, state, 1);
		connection_send(c, w.data, w.len);
	} else if (c->message.ready) {
		if (c->dialogue.state == DIALOGUE_CONTENT)
			content_pump(c);
		else
			message_commands(c);
	}
}
