/* SPDX-License-Identifier: BSD-2-Clause
 *
 * postfix_round.h - out through the writer, back through intake's reader.
 *
 * Shared by the unit test and the fuzz target. The file lies in memory.
 */
#ifndef TEST_POSTFIX_ROUND_H
#define TEST_POSTFIX_ROUND_H

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/postfix_write.h"
#include "intake/postfix_queue.h"
#include "sluice/assert.h"

struct bytes {
	uint8_t *data;
	size_t len, room;
};

static inline int bytes_add(void *user, const void *data, size_t len)
{
	struct bytes *b = user;

	if (b->len + len > b->room) {
		b->room = (b->len + len) * 2 + 4096;
		b->data = realloc(b->data, b->room);
		sluice_assert(b->data != NULL);
	}
	memcpy(b->data + b->len, data, len);
	b->len += len;
	return 0;
}

/* The content goes in in pieces of `step` bytes. */
static inline int round_write(const struct envelope *env,
			      const struct bytes *content, size_t step,
			      struct bytes *file)
{
	struct postfix_write *w = malloc(sizeof(*w));
	uint8_t size[POSTFIX_SIZE_BYTES];
	size_t n;
	int rc;

	sluice_assert(w != NULL);
	file->len = 0;
	rc = postfix_write_begin(w, env, 1700000001, bytes_add, file);
	for (size_t at = 0; at < content->len && rc == 0; at += n) {
		n = content->len - at < step ? content->len - at : step;
		rc = postfix_write_content(w, content->data + at, n);
	}
	if (rc == 0)
		rc = postfix_write_end(w, size);
	if (rc == 0)
		memcpy(file->data, size, sizeof(size));
	free(w);
	return rc;
}

struct reading {
	const struct bytes *file;
	struct bytes content;
	struct postfix_queue *queue;
	struct postfix_queue_info info;
	struct err e;
};

static inline int reading_at(void *user, uint64_t offset, uint32_t len,
			     const void **data, uint32_t *got)
{
	struct reading *r = user;

	sluice_assert(offset < r->file->len);
	*data = r->file->data + offset;
	*got = r->file->len - offset < len ? (uint32_t)(r->file->len - offset)
					   : len;
	return 0;
}

static inline int reading_envelope(void *user, const struct envelope *env)
{
	(void)user;
	(void)env;
	return 0;
}

static inline int reading_content(void *user, const void *data, uint32_t len)
{
	struct reading *r = user;

	return bytes_add(&r->content, data, len);
}

/* 0 or what the reader says. postfix_queue_envelope(r->queue) until
 * round_end(). */
static inline int round_read(struct reading *r, const struct bytes *file)
{
	static const struct postfix_queue_ops ops = {reading_envelope,
						     reading_content};
	struct postfix_queue_source src = {reading_at, r, file->len};
	int rc;

	*r = (struct reading){.file = file, .queue = postfix_queue_create()};
	sluice_assert(r->queue != NULL);
	rc = postfix_queue_begin(r->queue, &src, "3F00A1", false, &ops, r,
				 &r->e);
	if (rc == 0)
		do
			rc = postfix_queue_step(r->queue, &r->info);
		while (rc == 1);
	return rc;
}

static inline void round_end(struct reading *r)
{
	postfix_queue_destroy(&r->queue);
	free(r->content.data);
}

static inline bool round_text_equal(struct text a, struct text b)
{
	return a.len == b.len &&
	       (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

/* All but the origin, which is the file's name. */
static inline bool round_envelope_equal(const struct envelope *a,
					const struct envelope *b)
{
	if (!round_text_equal(a->sender, b->sender) ||
	    !round_text_equal(a->envid, b->envid) ||
	    !round_text_equal(a->client, b->client) ||
	    !round_text_equal(a->account, b->account) || a->body != b->body ||
	    a->ret != b->ret || a->smtputf8 != b->smtputf8 ||
	    a->arrival_s != b->arrival_s || a->rcpt_count != b->rcpt_count)
		return false;
	for (uint32_t i = 0; i < a->rcpt_count; i++)
		if (!round_text_equal(a->rcpts[i].address,
				      b->rcpts[i].address) ||
		    !round_text_equal(a->rcpts[i].orcpt, b->rcpts[i].orcpt) ||
		    a->rcpts[i].notify != b->rcpts[i].notify)
			return false;
	return true;
}

#endif
