/* SPDX-License-Identifier: BSD-2-Clause
 *
 * export_smtp_results.c - messages that wait, and what became of recipients.
 *
 * Called by export_smtp.c and, as callbacks, by its connections. A recipient
 * that a broken connection left unsent is tried again, by itself, TRIES_MAX
 * times in all. Bound: the window.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "export_smtp.h"

#define TRIES_MAX          3
#define REFUSALS_SHOWN     50
#define RESULTS_PER_PACKET 1000

void smtp_message_ready(struct smtp_export *x, struct export_message *m)
{
	m->next = NULL;
	if (x->ready == NULL)
		x->ready_end = &x->ready;
	*x->ready_end = m;
	x->ready_end = &m->next;
}

struct export_message *smtp_message_next(struct smtp_export *x)
{
	struct export_message *m = x->ready;

	if (m != NULL)
		x->ready = m->next;
	return m;
}

void smtp_message_drop(struct smtp_export *x, struct export_message *m)
{
	x->told[m->tag] = NULL;
	close(m->fd);
	export_message_free(&m);
}

static void result_add(struct smtp_export *x, const struct export_message *m,
		       uint32_t rcpt, const char *what)
{
	json_array_append_new(
		x->results,
		json_pack("[i,i,s]", (int)m->tag, (int)m->numbers[rcpt], what));
}

static void refusal_json(const struct export_message *m, const struct text *a,
			 const char *what, const char *reply)
{
	json_t *j = json_pack("{s:s,s:s,s:o?,s:o?}", "id", m->id, "result",
			      what, "recipient", json_stringn(a->data, a->len),
			      "reply", json_string(reply));

	if (j != NULL)
		print_json("sluice.exported.1", j);
	json_decref(j);
}

static void refusal_say(struct smtp_export *x, const struct export_message *m,
			uint32_t rcpt, const char *what, const char *reply)
{
	const struct text *a = &m->rcpts[rcpt].address;
	char text[SMTP_OUT_REPLY_BYTES + 512];

	if (x->cli->json)
		refusal_json(m, a, what, reply);
	snprintf(text, sizeof(text), "%.*s: %s%s",
		 a->len < 400 ? (int)a->len : 400, a->data,
		 strcmp(what, "doubt") == 0
			 ? "may have been taken, no answer to the last byte: "
			 : "",
		 reply);
	if (x->shown < REFUSALS_SHOWN)
		export_refuse(x->cli, m->id, text);
	else if (x->shown == REFUSALS_SHOWN)
		fputs("sluice: further ones are not shown (--json names them "
		      "all)\n",
		      stderr);
	x->shown++;
}

void smtp_on_result(void *user, struct export_message *m, uint32_t rcpt,
		    enum smtp_out_result r, const char *reply)
{
	static const char *const names[] = {"accepted", "refused", "unsent",
					    "doubt"};
	struct smtp_export *x = user;

	if (r == SMTP_OUT_UNSENT && m->unsent == NULL)
		m->unsent = calloc(m->rcpt_room, sizeof(*m->unsent));
	if (r == SMTP_OUT_UNSENT && m->unsent != NULL) {
		m->unsent[rcpt] = true;
		return;
	}
	if (r == SMTP_OUT_ACCEPTED)
		x->failures = 0;
	else
		refusal_say(x, m, rcpt, names[r], reply);
	result_add(x, m, rcpt, names[r]);
}

/* Only the unsent recipients are left in it. */
static void message_reduce(struct export_message *m)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < m->rcpt_count && m->unsent != NULL; i++) {
		if (!m->unsent[i])
			continue;
		m->rcpts[kept] = m->rcpts[i];
		m->numbers[kept++] = m->numbers[i];
	}
	m->rcpt_count = kept;
	free(m->unsent);
	m->unsent = NULL;
}

void smtp_message_unsent(struct smtp_export *x, struct export_message *m)
{
	for (uint32_t i = 0; i < m->rcpt_count; i++) {
		refusal_say(x, m, i, "unsent",
			    x->why[0] ? x->why : "could not be sent");
		result_add(x, m, i, "unsent");
	}
	smtp_message_drop(x, m);
}

void smtp_on_done(void *user, struct export_message *m)
{
	struct smtp_export *x = user;

	message_reduce(m);
	if (m->rcpt_count == 0)
		smtp_message_drop(x, m);
	else if (++m->tries < TRIES_MAX && !x->giving_up)
		smtp_message_ready(x, m);
	else
		smtp_message_unsent(x, m);
}

int smtp_results_send(struct smtp_export *x)
{
	json_t *all = x->results, *part;
	size_t count = json_array_size(all), at = 0;
	int rc = 0;

	while (at < count && rc == 0) {
		part = json_array();
		while (at < count && json_array_size(part) < RESULTS_PER_PACKET)
			json_array_append(part, json_array_get(all, at++));
		rc = connection_send(x->connection,
				     json_pack("{s:o}", "results", part), NULL,
				     0);
	}
	json_array_clear(all);
	return rc;
}
