/* SPDX-License-Identifier: BSD-2-Clause
 *
 * head_read.h - header and envelope of one stored message.
 *
 * Role: command; may allocate (commands are not the message path). One read
 * of 8 KiB mostly, a second one when the envelope is larger, a third when a
 * wanted header is.
 */
#ifndef SLUICED_HEAD_READ_H
#define SLUICED_HEAD_READ_H

#include <stdbool.h>

#include "spool/spool.h"

struct head_read {
	struct spool_read read;
	struct spool *spool;
	struct spool_place place;
	void (*done)(struct head_read *h); /* see `res` */
	void *user;
	char *buf;
	size_t room;
	size_t have; /* bytes read: may hold some content too */
	struct envelope_rcpt *rcpts;
	struct spool_record record;
	int res; /* 0: `record` is valid */
	bool pending;
	bool header; /* wants the header too */
};

/* `want_bytes`: read at least that much of the record, if it has it. */
int head_read_start(struct head_read *h, struct spool *sp,
		    const struct spool_place *p, size_t want_bytes,
		    void (*done)(struct head_read *h), void *user);
/* Until the whole header is there, or HEAD_HEADER_BYTES_MAX of the record. */
#define HEAD_HEADER_BYTES_MAX 262144u
int head_read_header_start(struct head_read *h, struct spool *sp,
			   const struct spool_place *p,
			   void (*done)(struct head_read *h), void *user);
/* What was read of the header, with the line end of its last field. */
struct text head_read_header(const struct head_read *h);
/* Not while pending. */
void head_read_fini(struct head_read *h);

#endif
