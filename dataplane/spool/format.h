/* SPDX-License-Identifier: BSD-2-Clause
 *
 * format.h - the bytes on disk: constants, offsets, little-endian access.
 *
 * Private to the spool. The description for readers is docs/spool-format.md;
 * the two change together, and with them SPOOL_FORMAT_VERSION.
 */
#ifndef SPOOL_FORMAT_H
#define SPOOL_FORMAT_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

#define SPOOL_FORMAT_VERSION 1u

/* Every file begins with two copies of its header, a sector each. */
#define FILE_HEADER_BYTES      1024u
#define FILE_HEADER_COPY_BYTES 64u
#define FILE_HEADER_SECOND     512u
#define SEGMENT_MAGIC          0x0a31474553554c53ULL /* "SLUSEG1\n" */
#define JOURNAL_MAGIC          0x0a314c4e4a554c53ULL /* "SLUJNL1\n" */

/* A message: header | envelope | content | zeros to 8 | trailer. */
#define RECORD_MAGIC                   0x4d524c53u /* "SLRM" */
#define RECORD_END_MAGIC               0x45524c53u /* "SLRE" */
#define RECORD_HEADER_BYTES            64u
#define RECORD_TRAILER_BYTES           16u
#define RECORD_CONTENT_BYTES_MAX       (1ULL << 34)
#define ENVELOPE_BYTES_MAX             (16u << 20)
#define ENVELOPE_FIXED_BYTES           20u
#define ENVELOPE_FORWARDED_FIXED_BYTES 2u
#define ENVELOPE_RCPT_FIXED_BYTES      5u
#define ENVELOPE_TAIL_BYTES            2u
#define SPOOL_NAME_BYTES_MAX           255u

/* A journal record: header | body | zeros to 8. */
#define JOURNAL_RECORD_MAGIC   0x4a53u
#define JOURNAL_HEADER_BYTES   16u
#define JOURNAL_BODY_BYTES_MAX (512u << 10)
#define JOURNAL_FLAG_LAZY      1u /* nobody waited for it */

enum journal_type {
	JOURNAL_NAME = 1,
	JOURNAL_STORED = 2,
	JOURNAL_STORED_REF = 3, /* its recipients are in the segment only */
	JOURNAL_ATTEMPT = 4,
	JOURNAL_OUTCOME = 5,
	JOURNAL_SET = 6,
	JOURNAL_NOTE = 7,
	JOURNAL_COMMIT = 8, /* opens the bytes of one commit */
	JOURNAL_RESERVE = 9,
	JOURNAL_SEALED = 10,
	JOURNAL_CLOSED = 11
};

#define STORED_FIXED_BYTES      64u
#define STORED_RCPT_BYTES       8u
#define STORED_RCPTS_MAX        1000u /* more: JOURNAL_STORED_REF */
#define STORED_REF_BYTES        24u
#define ATTEMPT_BYTES           24u
#define OUTCOME_FIXED_BYTES     28u
#define OUTCOME_REPLY_BYTES_MAX 512u
#define SET_FIXED_BYTES         16u
#define SET_ITEM_BYTES          16u
#define SET_ITEMS_MAX           8192u /* per record */
#define NOTE_FIXED_BYTES        8u
#define NOTE_KEY_BYTES_MAX      1023u
#define NAME_FIXED_BYTES        8u
#define NAMES_PER_COMMIT_MAX    (1u << 20)

static inline uint64_t align8(uint64_t n)
{
	return (n + 7) & ~7ULL;
}

static inline uint16_t get_le16(const void *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return le16toh(v);
}

static inline uint32_t get_le32(const void *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return le32toh(v);
}

static inline uint64_t get_le64(const void *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return le64toh(v);
}

static inline void put_le16(void *p, uint16_t v)
{
	v = htole16(v);
	memcpy(p, &v, sizeof(v));
}

static inline void put_le32(void *p, uint32_t v)
{
	v = htole32(v);
	memcpy(p, &v, sizeof(v));
}

static inline void put_le64(void *p, uint64_t v)
{
	v = htole64(v);
	memcpy(p, &v, sizeof(v));
}

/* All of a record of a message, trailer included. */
static inline uint64_t record_bytes(uint32_t envelope_bytes,
				    uint64_t content_bytes)
{
	return align8(RECORD_HEADER_BYTES + (uint64_t)envelope_bytes +
		      content_bytes) +
	       RECORD_TRAILER_BYTES;
}

/* All of a journal record. */
static inline uint64_t journal_record_bytes(uint64_t body_bytes)
{
	return JOURNAL_HEADER_BYTES + align8(body_bytes);
}

#endif
