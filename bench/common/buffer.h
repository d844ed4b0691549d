/* SPDX-License-Identifier: BSD-2-Clause
 *
 * buffer.h - bytes that grow.
 *
 * One owner. Running out of memory ends the program with a sentence: a
 * benchmark that cannot hold its input has no result to give.
 */
#ifndef SLUICE_BENCH_BUFFER_H
#define SLUICE_BENCH_BUFFER_H

#include <stddef.h>

struct buffer {
	char *data;
	size_t len;
	size_t room;
};

void buffer_reserve(struct buffer *b, size_t more);
void buffer_add(struct buffer *b, const void *data, size_t len);
void buffer_add_text(struct buffer *b, const char *text);
void buffer_add_format(struct buffer *b, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
void buffer_fini(struct buffer *b);

/* realloc(), calloc() that end the program instead of returning NULL. */
void *bench_realloc(void *p, size_t count, size_t bytes);
void *bench_calloc(size_t count, size_t bytes);

#endif
