/* SPDX-License-Identifier: BSD-2-Clause
 *
 * arena.h - memory that lives and dies with one rule set.
 *
 * Only while loading, one thread. All memory is zeroed and freed at once.
 */
#ifndef SLUICE_CLASSIFY_ARENA_H
#define SLUICE_CLASSIFY_ARENA_H

#include <stddef.h>

struct arena;

struct arena *arena_create(void); /* NULL: no memory */
void arena_destroy(struct arena **a);
void *arena_alloc(struct arena *a, size_t size_bytes); /* NULL: no memory */
char *arena_copy(struct arena *a, const char *text, size_t len);

#endif
