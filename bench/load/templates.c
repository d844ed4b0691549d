/* SPDX-License-Identifier: BSD-2-Clause
 *
 * templates.c - messages of the load client, made before the clock starts.
 *
 * Called by load_run() and by the dialogue. Thread: the loop's.
 * Bound: 256 messages in memory; sending one copies it once.
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

static void template_fill(struct load_template *t, const struct message *m)
{
	const char *header = memmem(m->content.data, m->content.len,
				    MESSAGE_HEADER, strlen(MESSAGE_HEADER));
	const char *dash;

	sluice_assert(header != NULL);
	dash = strchr(header + strlen(MESSAGE_HEADER), '-');
	sluice_assert(dash != NULL);
	t->digits_at = (size_t)(dash + 1 - m->content.data);
	buffer_add(&t->content, m->content.data, m->content.len);
	t->content_bytes = m->content.len;
	buffer_add_text(&t->content, ".\r\n");
	/* Nothing to stuff: a plain message has no line with a dot. */
	sluice_assert(!memmem(m->content.data, m->content.len, "\n.", 2));
	buffer_add_format(&t->group, "MAIL FROM:<%s>\r\n", m->sender);
	t->mail_len = t->group.len;
	buffer_add_format(&t->group, "RCPT TO:<%s>\r\n", m->rcpts[0]);
	t->rcpt_len = t->group.len - t->mail_len;
	buffer_add_text(&t->group, "DATA\r\n");
	snprintf(t->sender, sizeof(t->sender), "%s", m->sender);
	snprintf(t->rcpt, sizeof(t->rcpt), "%s", m->rcpts[0]);
}

void load_templates_make(struct load *l)
{
	const struct load_options *o = l->options;
	const struct message_options mo = {
		.seed = o->seed,
		.size_bytes = o->size_bytes,
		.size_fixed = true,
		.plain = true,
		.now_s = o->now_s ? o->now_s : clock_realtime_s()};
	struct message_generator *g;
	struct profile *p = NULL;
	struct message m = {0};

	sluice_assert(profile_create("campus", &p, NULL) == 0);
	g = message_generator_create(&mo, p);
	l->template_count = o->canned ? 1 : LOAD_TEMPLATES;
	l->templates = bench_calloc(l->template_count, sizeof(*l->templates));
	for (uint32_t i = 0; i < l->template_count; i++) {
		message_make(g, i, &m);
		template_fill(&l->templates[i], &m);
	}
	message_fini(&m);
	message_generator_destroy(&g);
	profile_destroy(&p);
}

void load_templates_destroy(struct load *l)
{
	for (uint32_t i = 0; i < l->template_count; i++) {
		buffer_fini(&l->templates[i].group);
		buffer_fini(&l->templates[i].content);
	}
	free(l->templates);
}

const struct load_template *load_template_of(const struct load *l,
					     uint64_t index)
{
	return &l->templates[index % l->template_count];
}

static void digits_put(char *at, uint64_t index)
{
	for (int i = INDEX_DIGITS - 1; i >= 0; i--) {
		at[i] = (char)('0' + index % 10);
		index /= 10;
	}
}

void load_content_add(struct load *l, uint64_t index, struct buffer *out)
{
	const struct load_template *t = load_template_of(l, index);
	size_t from = out->len;
	struct digest d;
	char id[48];

	buffer_add(out, t->content.data, t->content.len);
	if (l->options->canned)
		return;
	digits_put(out->data + from + t->digits_at, index);
	if (!l->options->ledger)
		return;
	d = digest_content(out->data + from, t->content_bytes);
	ledger_writer_add(l->options->ledger,
			  message_id(l->options->seed, index, id), t->rcpt,
			  t->sender, &d, t->content_bytes);
}
