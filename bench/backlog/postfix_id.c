/* SPDX-License-Identifier: BSD-2-Clause
 *
 * postfix_id.c - queue ids, short (hexadecimal) and long (base 52).
 *
 * Called by the Postfix output. PURE.
 * Source: Postfix src/global/mail_queue.h: short = %05X of the microseconds
 * and %lX of the inode; long = 6 digits of seconds and 4 of microseconds in
 * base 52, the letter z, the inode in base 51.
 */
#include <stdio.h>
#include <string.h>

#include "backlog/postfix_file.h"
#include "common/random.h"
#include "sluice/assert.h"

#define SECONDS_DIGITS 6
#define MICROS_DIGITS  4
#define LONG_Z_AT      (SECONDS_DIGITS + MICROS_DIGITS)
/* Looks like the inodes of a queue's file system: six to seven hex digits,
 * the first of which differs from seed to seed. */
#define INODE_BASE(seed) (0x100000ULL + (random_mix(seed) % 15) * 0x1000000ULL)

static const char digits[] =
	"0123456789BCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz";

static void base_format(uint64_t v, uint32_t base, uint32_t width, char *out)
{
	char reversed[16];
	uint32_t n = 0;

	do {
		reversed[n++] = digits[v % base];
		v /= base;
	} while (v || n < width);
	while (n)
		*out++ = reversed[--n];
	*out = 0;
}

void postfix_id_make(enum postfix_ids kind, uint64_t seed,
		     const struct message *m, char id[POSTFIX_ID_BYTES])
{
	uint64_t inode = INODE_BASE(seed) + m->index;

	if (kind == POSTFIX_IDS_MIXED)
		kind = m->index % 2 ? POSTFIX_IDS_LONG : POSTFIX_IDS_SHORT;
	if (kind == POSTFIX_IDS_SHORT) {
		snprintf(id, POSTFIX_ID_BYTES, "%05X%llX", m->arrival_us,
			 (unsigned long long)inode);
		return;
	}
	base_format(m->arrival_s, 52, SECONDS_DIGITS, id);
	base_format(m->arrival_us, 52, MICROS_DIGITS, id + SECONDS_DIGITS);
	id[LONG_Z_AT] = 'z';
	base_format(inode, 51, 0, id + LONG_Z_AT + 1);
	sluice_assert(strlen(id) < POSTFIX_ID_BYTES);
}

char postfix_id_hash(const char *id)
{
	char hex[16];
	unsigned micros = 0;

	/* A short id has only hexadecimal digits: no z at all. */
	if (strlen(id) <= LONG_Z_AT || id[LONG_Z_AT] != 'z')
		return id[0];
	for (int i = SECONDS_DIGITS; i < LONG_Z_AT; i++) {
		const char *at = strchr(digits, id[i]);

		sluice_assert(at != NULL);
		micros = micros * 52 + (unsigned)(at - digits);
	}
	snprintf(hex, sizeof(hex), "%05X", micros);
	return hex[0];
}
