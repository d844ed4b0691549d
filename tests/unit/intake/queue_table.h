/* SPDX-License-Identifier: BSD-2-Clause
 *
 * queue_table.h - a queue file from tables of records, and what it must give.
 *
 * For test_postfix_queue.c and test_postfix_content.c.
 */
#ifndef QUEUE_TABLE_H
#define QUEUE_TABLE_H

#include "queue_writer.h"

struct record {
	char type;
	const char *data;
};

/* Builds a file: `envelope` up to the content, then lines, then `extracted`. */
static inline void make(struct queue_file *f, const struct record *envelope,
			const struct record *content,
			const struct record *extracted)
{
	queue_begin(f);
	for (; envelope && envelope->type; envelope++)
		queue_text(f, envelope->type, envelope->data);
	queue_message(f);
	for (; content && content->type; content++)
		queue_text(f, content->type, content->data);
	queue_extracted(f);
	for (; extracted && extracted->type; extracted++)
		queue_text(f, extracted->type, extracted->data);
	queue_end(f);
}

static const struct record plain_envelope[] = {
	{'S', "a@src.test"}, {'R', "b@dst.test"}, {0}};
static const struct record plain_content[] = {
	{'N', "Subject: x"}, {'N', ""}, {'N', "body"}, {0}};

static inline void check(const struct record *envelope,
			 const struct record *content,
			 const struct record *extracted,
			 const char *expect_envelope,
			 const char *expect_content, uint32_t expect_flags)
{
	struct queue_file f;
	struct queue_got g;

	make(&f, envelope, content, extracted);
	queue_read(&f, &g);
	if (g.rc)
		fail_msg("%d: %s", g.rc, g.e.text);
	assert_string_equal(g.envelope, expect_envelope);
	assert_int_equal(g.content_len, g.info.content_bytes);
	if (expect_content)
		assert_string_equal(g.content ? g.content : "", expect_content);
	assert_int_equal(g.info.flags, expect_flags);
	got_free(&g);
	queue_free(&f);
}

static inline void refuse(const struct record *envelope,
			  const struct record *content,
			  const struct record *extracted, int code,
			  const char *says)
{
	struct queue_file f;
	struct queue_got g;

	make(&f, envelope, content, extracted);
	queue_read(&f, &g);
	if (g.rc != code)
		fail_msg("%d instead of %d: %s", g.rc, code, g.e.text);
	if (!strstr(g.e.text, says))
		fail_msg("\"%s\" does not say \"%s\"", g.e.text, says);
	assert_non_null(strstr(g.e.text, "3F00A1: "));
	got_free(&g);
	queue_free(&f);
}

#endif
