/* SPDX-License-Identifier: BSD-2-Clause
 *
 * buffer.c - bytes that grow, and allocation that cannot fail quietly.
 *
 * Called by every command, on its own thread.
 * Bound: what the caller puts in. Errors: out of memory ends the program.
 */
#include "common/buffer.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "bench.h"
#include "sluice/assert.h"

static _Noreturn void out_of_memory(size_t bytes)
{
	fprintf(stderr, "%s: no memory for %zu more bytes\n", BENCH_PROGRAM,
		bytes);
	/* The end anyway. NOLINTNEXTLINE(concurrency-mt-unsafe) */
	exit(EX_OSERR);
}

void *bench_realloc(void *p, size_t count, size_t bytes)
{
	void *out = reallocarray(p, count ? count : 1, bytes);

	if (!out)
		out_of_memory(count * bytes);
	return out;
}

void *bench_calloc(size_t count, size_t bytes)
{
	void *out = calloc(count ? count : 1, bytes);

	if (!out)
		out_of_memory(count * bytes);
	return out;
}

void buffer_reserve(struct buffer *b, size_t more)
{
	size_t room = b->room ? b->room : 256;

	if (more <= b->room - b->len)
		return;
	sluice_assert(more < SIZE_MAX / 4 && b->len < SIZE_MAX / 4);
	while (room - b->len < more)
		room *= 2;
	b->data = bench_realloc(b->data, room, 1);
	b->room = room;
}

void buffer_add(struct buffer *b, const void *data, size_t len)
{
	if (len == 0)
		return;
	buffer_reserve(b, len);
	memcpy(b->data + b->len, data, len);
	b->len += len;
}

void buffer_add_text(struct buffer *b, const char *text)
{
	buffer_add(b, text, strlen(text));
}

void buffer_add_format(struct buffer *b, const char *fmt, ...)
{
	va_list ap;
	int n;

	buffer_reserve(b, 512);
	va_start(ap, fmt);
	n = vsnprintf(b->data + b->len, b->room - b->len, fmt, ap);
	va_end(ap);
	sluice_assert(n >= 0);
	if ((size_t)n >= b->room - b->len) {
		buffer_reserve(b, (size_t)n + 1);
		va_start(ap, fmt);
		vsnprintf(b->data + b->len, b->room - b->len, fmt, ap);
		va_end(ap);
	}
	b->len += (size_t)n;
}

void buffer_fini(struct buffer *b)
{
	free(b->data);
	*b = (struct buffer){0};
}
