/* SPDX-License-Identifier: BSD-2-Clause
 *
 * queue_writer.h - makes Postfix queue files from a table of records.
 *
 * For tests only. Independent of the reader: knows the record framing and the
 * size record, nothing else. Also a sink that keeps what a reader hands out.
 */
#ifndef QUEUE_WRITER_H
#define QUEUE_WRITER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "intake/postfix_queue.h"

struct queue_file {
	uint8_t *data;
	size_t len, cap;
	size_t size_at;    /* of the size record's payload */
	size_t content_at; /* behind the message record */
	size_t extracted_at;
	uint32_t rcpts;
};

static inline void queue_bytes(struct queue_file *f, const void *data,
			       size_t len)
{
	if (f->len + len > f->cap) {
		f->cap = (f->len + len) * 2 + 4096;
		f->data = realloc(f->data, f->cap);
		assert_non_null(f->data);
	}
	if (len)
		memcpy(f->data + f->len, data, len);
	f->len += len;
}

static inline void queue_record(struct queue_file *f, char type,
				const void *data, size_t len)
{
	uint8_t head[6] = {(uint8_t)type};
	size_t n = 1, rest = len;

	do {
		head[n] = rest & 0x7f;
		rest >>= 7;
		if (rest)
			head[n] |= 0x80;
		n++;
	} while (rest);
	if (type == 'R')
		f->rcpts++;
	queue_bytes(f, head, n);
	queue_bytes(f, data, len);
}

static inline void queue_text(struct queue_file *f, char type, const char *s)
{
	queue_record(f, type, s, strlen(s));
}

static inline size_t queue_pointer(struct queue_file *f, size_t to)
{
	char text[32];
	size_t at = f->len;

	snprintf(text, sizeof(text), "%15zu", to);
	queue_text(f, 'p', text);
	return at;
}

/* Points the pointer record at `at` elsewhere. */
static inline void queue_pointer_set(struct queue_file *f, size_t at, size_t to)
{
	char text[32];

	snprintf(text, sizeof(text), "%15zu", to);
	memcpy(f->data + at + 2, text, 15);
}

static inline void queue_size_set(struct queue_file *f, unsigned flags,
				  unsigned utf8)
{
	char text[128];
	size_t n = f->extracted_at - f->content_at;

	snprintf(text, sizeof(text), "%15zu %15zu %15u %15u %15zu %15u", n,
		 f->content_at, f->rcpts, flags, n, utf8);
	memcpy(f->data + f->size_at, text, 95);
}

/* Size record (filled in by queue_end) and arrival time. */
static inline void queue_begin(struct queue_file *f)
{
	char blank[95];

	*f = (struct queue_file){0};
	memset(blank, ' ', sizeof(blank));
	f->size_at = 2;
	queue_record(f, 'C', blank, sizeof(blank));
	queue_text(f, 'T', "1700000000 123456");
}

static inline void queue_message(struct queue_file *f)
{
	queue_text(f, 'M', "");
	f->content_at = f->len;
}

static inline void queue_extracted(struct queue_file *f)
{
	f->extracted_at = f->len;
	queue_text(f, 'X', "");
}

static inline void queue_end(struct queue_file *f)
{
	queue_text(f, 'E', "");
	queue_size_set(f, 0, 0);
}

static inline void queue_free(struct queue_file *f)
{
	free(f->data);
	*f = (struct queue_file){0};
}

/* What a reading gave. */
struct queue_got {
	int rc;
	uint32_t envelopes;
	char envelope[16384]; /* sender|envid|client|account|body ret utf8\n...
			       */
	char *content;
	size_t content_len;
	struct postfix_queue_info info;
	struct err e;
	uint32_t at_max; /* the source gives at most this much at a time */
	uint32_t rcpts;
};

static inline int got_envelope(void *user, const struct envelope *env)
{
	struct queue_got *g = user;
	size_t n;

	g->envelopes++;
	g->rcpts = env->rcpt_count;
	n = (size_t)snprintf(
		g->envelope, sizeof(g->envelope),
		"%.*s|%.*s|%.*s|%.*s|%.*s|%u %u %u %u\n", (int)env->sender.len,
		env->sender.data, (int)env->envid.len, env->envid.data,
		(int)env->origin.len, env->origin.data, (int)env->client.len,
		env->client.data, (int)env->account.len, env->account.data,
		env->body, env->ret, env->smtputf8, env->arrival_s);
	for (uint32_t i = 0; i < env->rcpt_count; i++) {
		const struct envelope_rcpt *r = &env->rcpts[i];

		if (n + 2048 > sizeof(g->envelope))
			break;
		n += (size_t)snprintf(g->envelope + n, sizeof(g->envelope) - n,
				      "%.*s %.*s %u\n", (int)r->address.len,
				      r->address.data, (int)r->orcpt.len,
				      r->orcpt.data, r->notify);
	}
	return 0;
}

static inline int got_content(void *user, const void *data, uint32_t len)
{
	struct queue_got *g = user;

	assert_int_equal(g->envelopes, 1);
	g->content = realloc(g->content, g->content_len + len + 1);
	memcpy(g->content + g->content_len, data, len);
	g->content_len += len;
	g->content[g->content_len] = '\0';
	return 0;
}

static const struct postfix_queue_ops got_ops = {got_envelope, got_content};

/* Hands out copies of exact size, so that a sanitizer sees every overrun. */
struct queue_exact {
	const uint8_t *data;
	size_t len;
	uint8_t *piece;
};

static inline int queue_exact_at(void *user, uint64_t offset, uint32_t len,
				 const void **data, uint32_t *got)
{
	struct queue_exact *x = user;
	size_t n = x->len - offset < len ? x->len - offset : len;

	assert_true(offset <= x->len);
	free(x->piece);
	x->piece = malloc(n ? n : 1);
	memcpy(x->piece, x->data + offset, n);
	*data = x->piece;
	*got = (uint32_t)n;
	return 0;
}

static inline void queue_read_bytes(const uint8_t *data, size_t len,
				    struct queue_got *g)
{
	struct queue_exact x = {data, len, NULL};
	struct postfix_queue_source src = {queue_exact_at, &x, len};

	memset(g, 0, sizeof(*g));
	g->rc = postfix_queue_read(&src, "3F00A1", &got_ops, g, &g->info,
				   &g->e);
	free(x.piece);
}

static inline void queue_read(const struct queue_file *f, struct queue_got *g)
{
	queue_read_bytes(f->data, f->len, g);
}

static inline void got_free(struct queue_got *g)
{
	free(g->content);
	g->content = NULL;
}

#endif
