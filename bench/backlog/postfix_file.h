/* SPDX-License-Identifier: BSD-2-Clause
 *
 * postfix_file.h - writes what Postfix 3.7 writes: queue files and their names.
 *
 * PURE. Sources: Postfix src/global/rec_type.h, record(3), mail_queue.h and
 * queue files of a private Postfix 3.7.11.
 */
#ifndef SLUICE_BENCH_POSTFIX_FILE_H
#define SLUICE_BENCH_POSTFIX_FILE_H

#include <stdint.h>

#include "backlog/message.h"

#define POSTFIX_ID_BYTES 32

enum postfix_ids { POSTFIX_IDS_SHORT, POSTFIX_IDS_LONG, POSTFIX_IDS_MIXED };

/* A queue id that no other index of the seed has: arrival in microseconds and,
 * where Postfix has the inode, a number made from the index. */
void postfix_id_make(enum postfix_ids kind, uint64_t seed,
		     const struct message *m, char id[POSTFIX_ID_BYTES]);
/* The directory of that id below deferred/ with hash_queue_depth = 1: the
 * first hex digit of the microseconds. */
char postfix_id_hash(const char *id);
/* The whole queue file, appended to `out`. */
void postfix_file_make(const struct message *m, const char *id,
		       struct buffer *out);

#endif
