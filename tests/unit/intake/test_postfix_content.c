/* SPDX-License-Identifier: BSD-2-Clause
 *
 * test_postfix_content.c - what becomes of the lines of a queue file.
 */
#include <errno.h>

#include "queue_table.h"
#include "spool/spool.h"

/* Catches lines cut or joined at Postfix's line length limit. */
static void long_lines_are_joined(void **state)
{
	static const struct record content[] = {
		{'L', "abc"}, {'L', ""}, {'N', "def"}, {'N', "ghi"}, {0}};
	static const struct record open_end[] = {
		{'N', "abc"}, {'L', "no line end"}, {0}};

	check(plain_envelope, content, NULL,
	      "a@src.test||3F00A1|||0 0 0 1700000000\nb@dst.test  0\n",
	      "abcdef\r\nghi\r\n", 0);
	check(plain_envelope, open_end, NULL,
	      "a@src.test||3F00A1|||0 0 0 1700000000\nb@dst.test  0\n",
	      "abc\r\nno line end\r\n", 0);
}

/* Catches a dot at a line start that is not noticed (the message would end
 * there), and one inside a joined line that is. */
static void stuffing_is_noticed_at_line_starts_only(void **state)
{
	static const char env[] =
		"a@src.test||3F00A1|||0 0 0 1700000000\nb@dst.test  0\n";
	static const struct record dot[] = {{'N', "x"}, {'N', "."}, {0}};
	static const struct record inner[] = {{'L', "x"}, {'N', ".y"}, {0}};
	static const struct record late[] = {{'L', ""}, {'N', ".y"}, {0}};

	check(plain_envelope, dot, NULL, env, "x\r\n.\r\n",
	      SPOOL_NEEDS_STUFFING);
	check(plain_envelope, inner, NULL, env, "x.y\r\n", 0);
	check(plain_envelope, late, NULL, env, ".y\r\n", SPOOL_NEEDS_STUFFING);
}

/* Catches bare CR and LF that would smuggle a second message past a receiver.
 */
static void bare_cr_and_lf_are_flagged(void **state)
{
	static const char env[] =
		"a@src.test||3F00A1|||0 0 0 1700000000\nb@dst.test  0\n";
	static const struct record cr[] = {{'N', "x\ry"}, {0}};
	static const struct record end[] = {{'N', "x\r"}, {0}};
	static const struct record lf[] = {{'N', "x\n.\ny"}, {0}};

	check(plain_envelope, cr, NULL, env, "x\ry\r\n", SPOOL_BARE_CR_LF);
	check(plain_envelope, end, NULL, env, "x\r\r\n", SPOOL_BARE_CR_LF);
	check(plain_envelope, lf, NULL, env, "x\n.\ny\r\n", SPOOL_BARE_CR_LF);
}

static void read_normalised(const char *line, const char *expect,
			    uint32_t flags)
{
	const struct record content[] = {{'N', line}, {'N', "z"}, {0}};
	struct postfix_queue *q = postfix_queue_create();
	struct queue_exact x;
	struct postfix_queue_source src = {queue_exact_at, &x, 0};
	struct queue_got g = {0};
	struct queue_file f;

	make(&f, plain_envelope, content, NULL);
	x = (struct queue_exact){f.data, f.len, NULL};
	src.size_bytes = f.len;
	assert_int_equal(postfix_queue_begin(q, &src, "3F00A1", true, &got_ops,
					     &g, &g.e),
			 0);
	while ((g.rc = postfix_queue_step(q, &g.info)) == 1)
		;
	assert_int_equal(g.rc, 0);
	assert_string_equal(g.content, expect);
	assert_int_equal(g.info.flags, flags);
	assert_int_equal(g.info.content_bytes, strlen(expect));
	free(x.piece);
	got_free(&g);
	queue_free(&f);
	postfix_queue_destroy(&q);
}

/* Catches a repair that leaves a bare one, drops text, or makes a lone dot
 * that nobody stuffs. */
static void normalise_repairs_bare_cr_and_lf(void **state)
{
	read_normalised("x\ry", "x\r\ny\r\nz\r\n", 0);
	read_normalised("x\r", "x\r\nz\r\n", 0);
	read_normalised("x\r\r\r", "x\r\nz\r\n", 0);
	read_normalised("x\ny", "x\r\ny\r\nz\r\n", 0);
	read_normalised("x\r\ny", "x\r\ny\r\nz\r\n", 0);
	read_normalised("x\n.", "x\r\n.\r\nz\r\n", SPOOL_NEEDS_STUFFING);
	read_normalised("\r", "\r\nz\r\n", 0);
}

/* Catches content that stops at a NUL byte. */
static void nul_bytes_pass(void **state)
{
	struct queue_file f;
	struct queue_got g;

	queue_begin(&f);
	queue_text(&f, 'S', "a@s.test");
	queue_text(&f, 'R', "b@d.test");
	queue_message(&f);
	queue_record(&f, 'N', "a\0b", 3);
	queue_extracted(&f);
	queue_end(&f);
	queue_read(&f, &g);
	assert_int_equal(g.rc, 0);
	assert_int_equal(g.content_len, 5);
	assert_memory_equal(g.content, "a\0b\r\n", 5);
	got_free(&g);
	queue_free(&f);
}

/* Catches a window too small for a line: 300 kB in one record. */
static void line_longer_than_the_window_is_read(void **state)
{
	size_t n = 300000;
	char *line = malloc(n);
	struct queue_file f;
	struct queue_got g;

	memset(line, 'x', n);
	line[0] = '.';
	line[n - 1] = 'y';
	queue_begin(&f);
	queue_text(&f, 'S', "a@s.test");
	queue_text(&f, 'R', "b@d.test");
	queue_message(&f);
	queue_record(&f, 'N', line, n);
	queue_text(&f, 'N', "end");
	queue_extracted(&f);
	queue_end(&f);
	queue_read(&f, &g);
	assert_int_equal(g.rc, 0);
	assert_int_equal(g.content_len, n + 2 + 5);
	assert_memory_equal(g.content, line, n);
	assert_string_equal(g.content + n, "\r\nend\r\n");
	assert_int_equal(g.info.flags, SPOOL_NEEDS_STUFFING);
	free(line);
	got_free(&g);
	queue_free(&f);
}

/* Says -EAGAIN before each new piece, and spoils the last one then. */
struct slow {
	struct queue_exact x;
	uint64_t ready_at;
	bool ready;
	uint32_t waits, last;
};

static int slow_at(void *user, uint64_t offset, uint32_t len, const void **data,
		   uint32_t *got)
{
	struct slow *s = user;

	if (!s->ready || s->ready_at != offset) {
		if (s->x.piece)
			memset(s->x.piece, 'Z', s->last);
		s->ready = true;
		s->ready_at = offset;
		s->waits++;
		return -EAGAIN;
	}
	s->ready = false;
	queue_exact_at(&s->x, offset, len, data, got);
	s->last = *got;
	return 0;
}

/* Catches a reader that, after waiting for the disk, goes on in the bytes it
 * had before, reads a record twice or leaves one out. */
static void reading_goes_on_after_waiting(void **state)
{
	struct postfix_queue *q = postfix_queue_create();
	struct queue_got g = {0}, whole;
	struct slow s = {0};
	struct postfix_queue_source src = {slow_at, &s, 0};
	struct queue_file f;
	char line[120];

	queue_begin(&f);
	queue_text(&f, 'S', "a@s.test");
	for (int i = 0; i < 4000; i++) {
		snprintf(line, sizeof(line), "user%d@d.test", i);
		queue_text(&f, 'R', line);
	}
	queue_message(&f);
	for (int i = 0; i < 4000; i++) {
		snprintf(line, sizeof(line), "%080d", i);
		queue_text(&f, i % 3 ? 'N' : 'L', line);
	}
	queue_extracted(&f);
	queue_text(&f, 'R', "last@d.test");
	queue_end(&f);
	queue_read(&f, &whole);
	assert_int_equal(whole.rc, 0);
	s.x = (struct queue_exact){f.data, f.len, NULL};
	src.size_bytes = f.len;
	assert_int_equal(postfix_queue_begin(q, &src, "3F00A1", false, &got_ops,
					     &g, &g.e),
			 0);
	while ((g.rc = postfix_queue_step(q, &g.info)) == 1 || g.rc == -EAGAIN)
		;
	if (g.rc)
		fail_msg("%s", g.e.text);
	assert_true(s.waits > 5);
	assert_int_equal(g.rcpts, 4001);
	assert_string_equal(g.envelope, whole.envelope);
	assert_int_equal(g.content_len, whole.content_len);
	assert_memory_equal(g.content, whole.content, g.content_len);
	free(s.x.piece);
	got_free(&g);
	got_free(&whole);
	queue_free(&f);
	postfix_queue_destroy(&q);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(long_lines_are_joined),
		cmocka_unit_test(stuffing_is_noticed_at_line_starts_only),
		cmocka_unit_test(bare_cr_and_lf_are_flagged),
		cmocka_unit_test(normalise_repairs_bare_cr_and_lf),
		cmocka_unit_test(nul_bytes_pass),
		cmocka_unit_test(line_longer_than_the_window_is_read),
		cmocka_unit_test(reading_goes_on_after_waiting),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
