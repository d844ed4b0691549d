/* SPDX-License-Identifier: BSD-2-Clause
 *
 * nearest.h - "did you mean": the known word nearest to an unknown one.
 *
 * Any thread; pure. Words above 40 characters get no suggestion.
 */
#ifndef SLUICE_NEAREST_H
#define SLUICE_NEAREST_H

#include <stdbool.h>

/* Edits from `a` to `b`: insert, delete, replace, swap of neighbours. */
unsigned text_distance(const char *a, const char *b);
/* One name after the other: true if it is nearer than all before. `*least`
 * begins with 0. More than a third of it wrong is another word. */
bool text_nearer(const char *text, const char *name, unsigned *least);
/* The nearest of `names` (NULL-terminated) to `text`, or NULL. */
const char *text_nearest(const char *text, const char *const *names);

#endif
