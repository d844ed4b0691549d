/* SPDX-License-Identifier: BSD-2-Clause
 *
 * postfix_file.c - one Postfix 3.7 queue file, byte by byte as cleanup(8) does.
 *
 * Called by the Postfix output and the tests. PURE.
 * Bound: the message. Records: type, length in base 128 (least significant
 * digit first), data. The C record comes first and has fixed-width fields, so
 * that it can be filled in last.
 */
#include "backlog/postfix_file.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "sluice/assert.h"

#define LINE_LIMIT        2048 /* main.cf line_length_limit */
#define SIZE_RECORD_BYTES 95
#define FROM_OUTSIDE      8 /* queue manager flag of mail by SMTP */

static void record_add(struct buffer *b, char type, const char *data,
		       size_t len)
{
	size_t rest = len;

	buffer_add(b, &type, 1);
	do {
		char digit = (char)(rest & 127);

		rest >>= 7;
		if (rest)
			digit = (char)(digit | 128);
		buffer_add(b, &digit, 1);
	} while (rest);
	buffer_add(b, data, len);
}

static void record_format(struct buffer *b, char type, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static void record_format(struct buffer *b, char type, const char *fmt, ...)
{
	char text[MESSAGE_ADDRESS_BYTES + 64];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	sluice_assert(n >= 0 && (size_t)n < sizeof(text));
	record_add(b, type, text, (size_t)n);
}

static void client_add(const struct message *m, struct buffer *b)
{
	unsigned client = m->client, third = client / 250 % 250,
		 fourth = client % 250 + 1;

	record_format(b, 'A', "log_client_name=host%u.campus.test", client);
	record_format(b, 'A', "log_client_address=10.0.%u.%u", third, fourth);
	record_format(b, 'A', "log_client_port=%u", 1024 + client);
	record_format(b, 'A',
		      "log_message_origin=host%u.campus.test[10.0.%u.%u]",
		      client, third, fourth);
	record_format(b, 'A', "log_helo_name=host%u.campus.test", client);
	record_format(b, 'A', "log_protocol_name=ESMTP");
	if (m->account[0]) {
		record_format(b, 'A', "sasl_method=PLAIN");
		record_format(b, 'A', "sasl_username=%s", m->account);
	}
	record_format(b, 'A', "client_name=host%u.campus.test", client);
	record_format(b, 'A', "reverse_client_name=host%u.campus.test", client);
	record_format(b, 'A', "client_address=10.0.%u.%u", third, fourth);
	record_format(b, 'A', "client_port=%u", 1024 + client);
	record_format(b, 'A', "server_address=10.0.0.25");
	record_format(b, 'A', "server_port=587");
	record_format(b, 'A', "helo_name=host%u.campus.test", client);
	record_format(b, 'A', "protocol_name=ESMTP");
	record_format(b, 'A', "client_address_type=2");
}

static void rcpt_add(struct buffer *b, char type, const char *address)
{
	record_format(b, 'A', "dsn_orig_rcpt=rfc822;%s", address);
	record_format(b, 'O', "%s", address);
	record_format(b, type, "%s", address);
}

/* Recipients that were delivered before have their R overwritten with D. */
static void rcpts_add(const struct message *m, struct buffer *b)
{
	for (uint32_t i = 0; i < m->done_count; i++)
		rcpt_add(b, 'D', m->done[i]);
	for (uint32_t i = 0; i < m->rcpt_count; i++)
		rcpt_add(b, 'R', m->rcpts[i]);
}

static void line_add(struct buffer *b, const char *line, size_t len, bool ended)
{
	while (len >= LINE_LIMIT) {
		record_add(b, 'L', line, LINE_LIMIT);
		line += LINE_LIMIT;
		len -= LINE_LIMIT;
	}
	record_add(b, ended ? 'N' : 'L', line, len);
}

static void content_add(const struct message *m, struct buffer *b)
{
	const char *p = m->content.data;
	size_t left = m->content.len;

	while (left) {
		const char *end = memmem(p, left, "\r\n", 2);
		size_t len = end ? (size_t)(end - p) : left;

		line_add(b, p, len, end != NULL);
		if (end)
			len += 2;
		p += len;
		left -= len;
	}
	/* pickup(8) ends an open last line; older versions leave it open. */
	if ((m->traits & MESSAGE_NO_NEWLINE) && m->index % 2)
		record_add(b, 'N', "", 0);
}

static void envelope_add(const struct message *m, const char *id,
			 struct buffer *b)
{
	bool local = m->traits & MESSAGE_LOCAL;

	record_format(b, 'T', "%u %u", m->arrival_s, m->arrival_us);
	record_format(b, 'A', "create_time=%u", m->arrival_s);
	if (!local)
		record_format(b, 'A', "log_ident=%s", id);
	record_format(b, 'A', "rewrite_context=%s", local ? "local" : "remote");
	if (local)
		record_format(b, 'F', "user %u", m->client);
	record_format(b, 'S', "%s", m->sender);
	if (m->traits & MESSAGE_8BIT)
		record_format(b, 'A', "encoding=8bit");
	if (!local)
		client_add(m, b);
	if (!(m->traits & MESSAGE_RCPTS_LAST))
		rcpts_add(m, b);
}

void postfix_file_make(const struct message *m, const char *id,
		       struct buffer *out)
{
	size_t start = out->len, data_offset, data_size;
	char size[SIZE_RECORD_BYTES + 1];
	bool local = m->traits & MESSAGE_LOCAL;

	memset(size, ' ', sizeof(size));
	record_add(out, 'C', size, SIZE_RECORD_BYTES);
	envelope_add(m, id, out);
	record_add(out, 'M', "", 0);
	data_offset = out->len - start;
	content_add(m, out);
	data_size = out->len - start - data_offset;
	record_add(out, 'X', "", 0);
	if (m->traits & MESSAGE_RCPTS_LAST)
		rcpts_add(m, out);
	record_add(out, 'E', "", 0);
	snprintf(size, sizeof(size), "%15ld %15ld %15ld %15ld %15ld %15ld",
		 (long)data_size, (long)data_offset,
		 (long)m->rcpt_count + (long)m->done_count,
		 local ? 0L : (long)FROM_OUTSIDE, (long)data_size, 0L);
	memcpy(out->data + start + 2, size, SIZE_RECORD_BYTES);
}
