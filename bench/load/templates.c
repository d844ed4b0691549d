/* SPDX-License-Identifier: BSD-2-Clause
 *
 * templates.c - the load client's messages, as they go over the wire.
 *
 * Plain ones are made before the clock starts: 256 of them, each sent many
 * times with its own number. Mixed mail is made message by message.
 * Called by load_run() and by the dialogue. Thread: the loop's.
 * Bound: 256 messages in memory, two per session of mixed mail.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backlog/profile.h"
#include "ledger/ledger.h"
#include "load/load_priv.h"
#include "sluice/assert.h"
#include "sluice/clock.h"

#define INDEX_DIGITS 10

static void group_make(struct load_template *t, const struct message *m,
		       uint32_t offers)
{
	t->group.len = 0;
	buffer_add_format(&t->group, "MAIL FROM:<%s>", m->sender);
	if (offers & LOAD_OFFERS_SIZE)
		buffer_add_format(&t->group, " SIZE=%zu", t->content_bytes);
	if ((offers & LOAD_OFFERS_8BITMIME) && (m->traits & MESSAGE_8BIT))
		buffer_add_text(&t->group, " BODY=8BITMIME");
	buffer_add_text(&t->group, "\r\n");
	t->ends[0] = t->group.len;
	t->rcpt_count = m->rcpt_count;
	for (uint32_t i = 0; i < m->rcpt_count; i++) {
		buffer_add_format(&t->group, "RCPT TO:<%s>\r\n", m->rcpts[i]);
		t->ends[i + 1] = t->group.len;
		snprintf(t->rcpts[i], sizeof(t->rcpts[i]), "%s", m->rcpts[i]);
	}
	buffer_add_text(&t->group, "DATA\r\n");
	snprintf(t->sender, sizeof(t->sender), "%s", m->sender);
}

/* Lines that start with a dot get another one; a last line without an end
 * gets one, as every submission does. */
static void content_make(struct load_template *t, struct message *m)
{
	const char *at = m->content.data, *end;

	if (m->content.len < 2 || at[m->content.len - 1] != '\n')
		buffer_add_text(&m->content, "\r\n");
	at = m->content.data;
	end = at + m->content.len;
	t->content_bytes = m->content.len;
	t->content.len = 0;
	while (at < end) {
		const char *lf = memchr(at, '\n', (size_t)(end - at));

		sluice_assert(lf != NULL);
		if (*at == '.')
			buffer_add(&t->content, ".", 1);
		buffer_add(&t->content, at, (size_t)(lf + 1 - at));
		at = lf + 1;
	}
	buffer_add_text(&t->content, ".\r\n");
}

static void template_fill(struct load_template *t, struct message *m,
			  uint32_t offers, bool below_trace)
{
	const char *header = memmem(m->content.data, m->content.len,
				    MESSAGE_HEADER, strlen(MESSAGE_HEADER));
	const char *dash;
	size_t from;

	sluice_assert(header != NULL);
	dash = strchr(header + strlen(MESSAGE_HEADER), '-');
	sluice_assert(dash != NULL);
	t->header_at = (size_t)(header - m->content.data);
	t->digits_at = (size_t)(dash + 1 - m->content.data);
	content_make(t, m);
	from = below_trace ? t->header_at : 0;
	t->digest =
		digest_content(m->content.data + from, m->content.len - from);
	group_make(t, m, offers);
}

int load_templates_make(struct load *l, struct err *e)
{
	const struct load_options *o = l->options;
	const struct message_options mo = {
		.seed = o->seed,
		.size_bytes = o->size_bytes,
		.size_fixed = !o->mixed,
		.plain = !o->mixed,
		.with_body = o->below_trace,
		.now_s = o->now_s ? o->now_s : clock_realtime_s()};
	int err = o->domains_path
			  ? profile_load(o->domains_path, &l->profile, e)
			  : profile_create("campus", &l->profile, e);

	if (err)
		return err;
	l->generator = message_generator_create(&mo, l->profile);
	if (o->mixed)
		return 0;
	l->template_count = o->canned ? 1 : LOAD_TEMPLATES;
	l->templates = bench_calloc(l->template_count, sizeof(*l->templates));
	for (uint32_t i = 0; i < l->template_count; i++) {
		message_make(l->generator, i, &l->scratch);
		template_fill(&l->templates[i], &l->scratch, 0, o->below_trace);
	}
	return 0;
}

void load_template_fini(struct load_template *t)
{
	buffer_fini(&t->group);
	buffer_fini(&t->content);
}

void load_templates_destroy(struct load *l)
{
	for (uint32_t i = 0; i < l->template_count; i++)
		load_template_fini(&l->templates[i]);
	free(l->templates);
	message_fini(&l->scratch);
	message_generator_destroy(&l->generator);
	profile_destroy(&l->profile);
}

void load_message_set(struct load *l, struct load_turn *turn, uint32_t offers)
{
	if (!l->options->mixed) {
		turn->message = &l->templates[turn->index % l->template_count];
		return;
	}
	message_make(l->generator, turn->index, &l->scratch);
	template_fill(&turn->own, &l->scratch, offers, l->options->below_trace);
	turn->message = &turn->own;
}

static void digits_put(char *at, uint64_t index)
{
	for (int i = INDEX_DIGITS - 1; i >= 0; i--) {
		at[i] = (char)('0' + index % 10);
		index /= 10;
	}
}

static void ledger_note(struct load *l, const struct load_turn *turn,
			const char *content)
{
	const struct load_template *t = turn->message;
	size_t from = l->options->below_trace ? t->header_at : 0;
	struct digest d = t->digest;
	char id[48];

	/* A plain message has no line to stuff: it is what it was. */
	if (!l->options->mixed)
		d = digest_content(content + from, t->content_bytes - from);
	for (uint32_t i = 0; i < t->rcpt_count; i++)
		ledger_writer_add(l->options->ledger,
				  message_id(l->options->seed, turn->index, id),
				  t->rcpts[i], t->sender, &d,
				  t->content_bytes - from);
}

void load_content_add(struct load *l, const struct load_turn *turn,
		      struct buffer *out)
{
	const struct load_template *t = turn->message;
	size_t from = out->len;

	buffer_add(out, t->content.data, t->content.len);
	if (l->options->canned)
		return;
	if (!l->options->mixed)
		digits_put(out->data + from + t->digits_at, turn->index);
	if (l->options->ledger)
		ledger_note(l, turn, out->data + from);
}
