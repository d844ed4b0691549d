/* SPDX-License-Identifier: BSD-2-Clause
 *
 * postfix_queue.h - reads a Postfix queue file.
 *
 * PURE. Given the file by random access; hands out envelope and content. Knows
 * all record types of Postfix 3.7; unknown ones, torn, foreign and corrupted
 * files are refused by name, never guessed at. Content comes out with CRLF
 * line ends, unstuffed.
 * Source of the format: Postfix src/global/rec_type.h, record(3),
 * cleanup_out(3), and a private Postfix instance. docs/postfix-queue-format.md
 * says what each record becomes here.
 */
#ifndef SLUICE_POSTFIX_QUEUE_H
#define SLUICE_POSTFIX_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "sluice/envelope.h"
#include "sluice/err.h"

struct postfix_queue; /* everything one reading needs; reusable */

struct postfix_queue_ops {
	/* Once, before any content; recipients already done are left out.
	 * Recipients that follow the content are included: the whole envelope
	 * is read first. Texts are valid until the reading ends. */
	int (*envelope)(void *user, const struct envelope *env);
	int (*content)(void *user, const void *data, uint32_t len);
};

/* Two passes, because recipients may follow the content and pointer records
 * jump: the caller offers random access. */
struct postfix_queue_source {
	/* Up to `len` bytes at `offset`; sets *got; short only at the end.
	 * The bytes stay valid until the next call. `len` is at most
	 * POSTFIX_QUEUE_AT_MAX. */
	int (*at)(void *user, uint64_t offset, uint32_t len, const void **data,
		  uint32_t *got);
	void *user;
	uint64_t size_bytes;
};
#define POSTFIX_QUEUE_AT_MAX 65536u

struct postfix_queue_info {
	uint32_t flags;         /* enum spool_message_flag bits found */
	uint64_t content_bytes; /* as handed out */
	uint32_t rcpts_done;    /* already delivered or cancelled: left out */
	uint32_t arrival_s;
};

/* 0; -EBADMSG torn or corrupted, -EPROTO foreign or unknown record type,
 * -ENODATA nothing left to deliver, -EOPNOTSUPP understood, but asks for what
 * cannot be carried over (content filter, VERP, address probe), with a
 * sentence in `e` that names the offset; or what an op returned. `name` is the
 * queue id (file name). Needs no earlier create; allocates its own work space:
 * for many files use the steps below. */
int postfix_queue_read(const struct postfix_queue_source *src, const char *name,
		       const struct postfix_queue_ops *ops, void *user,
		       struct postfix_queue_info *info, struct err *e);

/* NULL: out of memory. */
struct postfix_queue *postfix_queue_create(void);
void postfix_queue_destroy(struct postfix_queue **q);
/* The same in steps, with kept work space; `normalise` repairs bare CR and LF.
 * `src`, `name`, `ops` and `e` must live until the last step. */
int postfix_queue_begin(struct postfix_queue *q,
			const struct postfix_queue_source *src,
			const char *name, bool normalise,
			const struct postfix_queue_ops *ops, void *user,
			struct err *e);
/* Hands out about 64 KiB. 1: call again; 0: that was all, `info` is set;
 * -EAGAIN: the source's at() said so, call again when it has the bytes;
 * errors as postfix_queue_read(). An op's error ends the reading. */
int postfix_queue_step(struct postfix_queue *q,
		       struct postfix_queue_info *info);
/* What step has read of the envelope; valid until the next begin. */
const struct envelope *postfix_queue_envelope(const struct postfix_queue *q);

#endif
