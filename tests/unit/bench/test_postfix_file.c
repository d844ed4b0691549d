/* SPDX-License-Identifier: BSD-2-Clause
 *
 * test_postfix_file.c - generated queue files, read by Postfix's own
 * postcat(1). Skipped where Postfix is not installed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "backlog/message.h"
#include "backlog/postfix_file.h"

#define POSTCAT "/usr/sbin/postcat"

static char path[] = "/tmp/sluice-queue-XXXXXX";

static void file_write(const struct message *m)
{
	struct buffer b = {0};
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	postfix_file_make(m, "0123456789", &b);
	assert_int_equal(fwrite(b.data, 1, b.len, f), b.len);
	assert_int_equal(fclose(f), 0);
	buffer_fini(&b);
}

static void postcat(const char *what, struct buffer *out)
{
	char command[128], part[4096];
	size_t n;
	FILE *f;

	snprintf(command, sizeof(command), "exec " POSTCAT " %s %s 2>&1", what,
		 path);
	out->len = 0;
	f = popen(command, "r");
	assert_non_null(f);
	while ((n = fread(part, 1, sizeof(part), f)) > 0)
		buffer_add(out, part, n);
	assert_int_equal(pclose(f), 0);
	buffer_add(out, "", 1);
	out->len--;
}

/* With LF line ends, and a last one. */
static void content_as_lines(const struct message *m, struct buffer *out)
{
	out->len = 0;
	for (size_t i = 0; i < m->content.len; i++)
		if (m->content.data[i] != '\r')
			buffer_add(out, m->content.data + i, 1);
	if (m->traits & MESSAGE_NO_NEWLINE && m->index % 2)
		buffer_add(out, "\n", 1);
}

static uint32_t lines_count(const struct buffer *b, const char *start)
{
	uint32_t n = 0;

	for (const char *p = b->data; (p = strstr(p, start)); p++)
		if (p == b->data || p[-1] == '\n')
			n++;
	return n;
}

static void envelope_check(const struct message *m, const struct buffer *b)
{
	char line[400];

	assert_int_equal(lines_count(b, "recipient: "), m->rcpt_count);
	assert_int_equal(lines_count(b, "done_recipient: "), m->done_count);
	snprintf(line, sizeof(line), "sender: %s\n", m->sender);
	assert_int_equal(lines_count(b, line), 1);
	for (uint32_t i = 0; i < m->rcpt_count; i++) {
		snprintf(line, sizeof(line), "recipient: %s\n", m->rcpts[i]);
		assert_int_equal(lines_count(b, line), 1);
	}
	assert_int_equal(lines_count(b, "postcat: "), 0);
}

/* Catches wrong lengths, types, sizes in the C record, lost line ends. */
static void postcat_reads_what_was_generated(void **state)
{
	const struct message_options o = {
		.seed = 3, .size_bytes = 3000, .now_s = 1700000000};
	struct buffer got = {0}, want = {0};
	struct message_generator *g;
	struct profile *p;
	struct message m = {0};
	uint32_t traits = 0, done = 0;

	assert_int_equal(profile_create("campus", &p, NULL), 0);
	g = message_generator_create(&o, p);
	for (uint64_t i = 0; i < 300; i++) {
		message_make(g, i, &m);
		file_write(&m);
		postcat("-bh", &got);
		content_as_lines(&m, &want);
		assert_int_equal(got.len, want.len);
		assert_memory_equal(got.data, want.data, want.len);
		postcat("-e", &got);
		envelope_check(&m, &got);
		traits |= m.traits;
		done += m.done_count;
	}
	/* The 300 messages have every trait: nothing was left unread. */
	assert_int_equal(traits, 127);
	assert_true(done > 0);
	buffer_fini(&got);
	buffer_fini(&want);
	message_fini(&m);
	message_generator_destroy(&g);
	profile_destroy(&p);
}

/* Type and length of the record at `at`; moves `at` behind it. */
static char record_next(const struct buffer *b, size_t *at, size_t *len)
{
	char type = b->data[(*at)++];
	unsigned shift = 0;
	uint8_t digit;

	*len = 0;
	do {
		digit = (uint8_t)b->data[(*at)++];
		*len |= (size_t)(digit & 127) << shift;
		shift += 7;
	} while (digit & 128);
	*at += *len;
	assert_true(*at <= b->len);
	return type;
}

/* Postfix never writes a content record over line_length_limit; readers that
 * rely on that would break on a queue that has one. Without Postfix, too. */
static void long_lines_are_cut_as_cleanup_does(void **state)
{
	static char line[5002 + 2050];
	struct message m = {.rcpt_count = 1,
			    .content = {line, sizeof(line), sizeof(line)}};
	const struct {
		char type;
		size_t len;
	} want[] = {{'L', 2048}, {'L', 2048}, {'N', 904}, {'L', 2048},
		    {'N', 0},    {'X', 0},    {'E', 0}};
	struct buffer b = {0};
	size_t at = 0, len;

	memset(line, 'x', sizeof(line));
	memcpy(line + 5000, "\r\n", 2);
	memcpy(line + 5002 + 2048, "\r\n", 2);
	strcpy(m.rcpts[0], "a@b.test");
	postfix_file_make(&m, "0123456789", &b);
	while (record_next(&b, &at, &len) != 'M')
		assert_true(at < b.len);
	for (size_t i = 0; i < sizeof(want) / sizeof(*want); i++) {
		assert_int_equal(record_next(&b, &at, &len), want[i].type);
		assert_int_equal(len, want[i].len);
	}
	assert_int_equal(at, b.len);
	buffer_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(long_lines_are_cut_as_cleanup_does),
	};
	const struct CMUnitTest with_postfix[] = {
		cmocka_unit_test(postcat_reads_what_was_generated),
	};
	int fd, failed = cmocka_run_group_tests(tests, NULL, NULL);

	if (failed || access(POSTCAT, X_OK) != 0)
		return failed ? failed : 77;
	fd = mkstemp(path);
	if (fd < 0)
		return 1;
	close(fd);
	failed = cmocka_run_group_tests(with_postfix, NULL, NULL);
	unlink(path);
	return failed;
}
