/* SPDX-License-Identifier: BSD-2-Clause
 *
 * intern.h - a string becomes a small number, once.
 *
 * Append-only table: numbers run from 0 and are never reused, text stays where
 * it is until destroy. One owner thread. Allocates when a NEW string comes in,
 * so it grows with the number of distinct names, not with messages.
 */
#ifndef SLUICE_INTERN_H
#define SLUICE_INTERN_H

#include <stddef.h>
#include <stdint.h>

#define INTERN_NONE UINT32_MAX

struct intern;

struct intern *intern_create(void); /* NULL: out of memory */
void intern_destroy(struct intern **in);
/* Number of `text`, added if new. INTERN_NONE only when out of memory. */
uint32_t intern_add(struct intern *in, const char *text, size_t len);
/* INTERN_NONE if it is not there. */
uint32_t intern_find(const struct intern *in, const char *text, size_t len);
const char *intern_text(const struct intern *in, uint32_t number);
uint32_t intern_count(const struct intern *in);
size_t intern_memory_bytes(const struct intern *in);

#endif
