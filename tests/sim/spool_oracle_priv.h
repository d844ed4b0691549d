/* SPDX-License-Identifier: BSD-2-Clause
 *
 * spool_oracle_priv.h - what a serial number stands for.
 */
#ifndef SPOOL_ORACLE_PRIV_H
#define SPOOL_ORACLE_PRIV_H

#include "spool_oracle.h"

#define MADE_RCPTS_MAX  40u
#define MADE_TEXT_BYTES 48u

struct made_envelope {
	struct envelope env;
	struct envelope_rcpt rcpts[MADE_RCPTS_MAX];
	char texts[6 + 2 * MADE_RCPTS_MAX][MADE_TEXT_BYTES];
};

struct made_record {
	struct spool_outcome outcome;
	struct text value;
	char key[24];
	char text[160];
};

void oracle_envelope(uint32_t serial, struct made_envelope *e);
void oracle_content(uint32_t serial, uint64_t at, uint8_t *out, uint64_t len);
void oracle_made_record(uint32_t serial, uint64_t id, struct made_record *r);
void oracle_violation(struct oracle *o, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

#endif
