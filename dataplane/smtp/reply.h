/* SPDX-License-Identifier: BSD-2-Clause
 *
 * reply.h - reads SMTP replies from a byte stream.
 *
 * PURE. Fed with whatever recv() gave, split anywhere; gives whole replies,
 * also several from one segment. Keeps the first 1 KiB and the last 512 bytes
 * of the text (some receivers put the code at the end) and only counts what
 * lies between. Never allocates. Accepts what real receivers send: bare LF,
 * lower-case, code-only lines, differing codes inside one multi-line reply
 * (the last line's code counts).
 */
#ifndef SLUICE_SMTP_REPLY_H
#define SLUICE_SMTP_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SMTP_REPLY_HEAD_BYTES 1024
#define SMTP_REPLY_TAIL_BYTES 512
#define SMTP_REPLY_TEXT_BYTES                                                  \
	(SMTP_REPLY_HEAD_BYTES + SMTP_REPLY_TAIL_BYTES + 8)
#define SMTP_REPLY_LINES_MAX 1000       /* more is -EPROTO */
#define SMTP_REPLY_BYTES_MAX (2u << 20) /* more is -EPROTO */

struct smtp_reply {
	uint16_t code;
	uint16_t enhanced[3]; /* {0,0,0} = none */
	uint32_t text_len;
	uint32_t lines;
	uint32_t bytes; /* as received, all lines */
	/* codes removed, lines joined by '\n', 0-terminated; " ... " marks the
	 * cut of a long one */
	char text[SMTP_REPLY_TEXT_BYTES];
};

struct smtp_reply_parser {
	struct smtp_reply reply;
	/* private */
	uint32_t line_pos;
	uint8_t state;
	bool last_line;
	uint16_t line_code;
	char prefix[4];
	char tail[SMTP_REPLY_TAIL_BYTES];
	uint32_t tail_pos, tail_len;
	bool cr; /* a CR whose LF has not come yet */
	uint8_t enhanced_part, enhanced_digits, enhanced_len;
	uint16_t enhanced_value[3];
	char enhanced_raw[12];
};

void smtp_reply_parser_init(struct smtp_reply_parser *p);
/* Consumes up to the end of one reply. Returns 1 = a reply is in p->reply
 * (init happens on the next call), 0 = more bytes wanted, -EPROTO = no SMTP.
 * `used` = bytes consumed, also on error. */
int smtp_reply_parse(struct smtp_reply_parser *p, const char *data, size_t len,
		     size_t *used);

/* Its enhanced code is about an address (x.1.x): no answer to content. */
bool smtp_reply_is_of_address(const struct smtp_reply *r);
/* p->reply is the last reply and nothing of another one has come. */
bool smtp_reply_is_whole(const struct smtp_reply_parser *p);

/* What a greeting to EHLO offers. */
struct smtp_extensions {
	bool pipelining, size, eightbitmime, smtputf8, dsn, chunking, starttls,
		enhancedstatuscodes;
	uint64_t size_max_bytes; /* 0 = none told */
};
/* Lines of an EHLO reply, with text as above. */
void smtp_extensions_parse(const char *text, size_t len,
			   struct smtp_extensions *out);

#endif
