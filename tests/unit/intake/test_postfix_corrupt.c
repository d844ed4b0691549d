/* SPDX-License-Identifier: BSD-2-Clause
 *
 * test_postfix_corrupt.c - torn, edited and damaged queue files.
 *
 * The rule: never a crash, never a message that is not whole.
 */
#include "queue_writer.h"

#include <errno.h>

static void make_plain(struct queue_file *f)
{
	queue_begin(f);
	queue_text(f, 'S', "sender@src.test");
	queue_text(f, 'A', "dsn_orig_rcpt=rfc822;one@dst.test");
	queue_text(f, 'R', "one@dst.test");
	queue_text(f, 'D', "two@dst.test");
	queue_text(f, 'R', "three@dst.test");
	queue_message(f);
	queue_text(f, 'N', "Subject: x");
	queue_text(f, 'N', "");
	queue_text(f, 'L', "a long ");
	queue_text(f, 'N', "line");
	queue_extracted(f);
	queue_text(f, 'R', "four@dst.test");
	queue_end(f);
}

/* What a milter leaves: sender, header and body replaced, a header and a
 * recipient added. Pointers lead behind the end record and back. */
static void make_edited(struct queue_file *f)
{
	size_t from, rcpt, header, body, content_end;
	size_t from_back, rcpt_back, header_back;

	queue_begin(f);
	from = queue_pointer(f, 0);
	from_back = f->len;
	queue_text(f, 'R', "one@dst.test");
	queue_text(f, '/', "cancelled@dst.test");
	rcpt = queue_pointer(f, 0);
	rcpt_back = f->len;
	queue_message(f);
	queue_text(f, 'N', "To: c@d.test");
	queue_text(f, 'w', " 0");
	header = queue_pointer(f, 0);
	header_back = f->len;
	queue_text(f, 'N', "");
	body = queue_pointer(f, 0);
	queue_text(f, 'N', "old body");
	content_end = queue_pointer(f, 0);
	queue_extracted(f);
	queue_pointer(f, 0);
	queue_text(f, 'E', "");
	queue_pointer_set(f, from, f->len);
	queue_text(f, 'S', "changed@src.test");
	queue_pointer(f, from_back);
	queue_pointer_set(f, rcpt, f->len);
	queue_text(f, 'R', "added@dst.test");
	queue_pointer(f, rcpt_back);
	queue_pointer_set(f, header, f->len);
	queue_text(f, 'N', "X-Added: y");
	queue_pointer(f, header_back);
	queue_pointer_set(f, body, f->len);
	queue_text(f, 'N', "new body");
	queue_pointer(f, content_end);
	queue_size_set(f, 1, 0);
}

/* Catches edits that are not followed, or followed twice. */
static void milter_edits_are_followed(void **state)
{
	struct queue_file f;
	struct queue_got g;

	make_edited(&f);
	queue_read(&f, &g);
	if (g.rc)
		fail_msg("%d: %s", g.rc, g.e.text);
	assert_string_equal(g.envelope,
			    "changed@src.test||3F00A1|||0 0 0 1700000000\n"
			    "one@dst.test  0\nadded@dst.test  0\n");
	assert_string_equal(g.content, "To: c@d.test\r\nX-Added: y\r\n\r\n"
				       "new body\r\n");
	got_free(&g);
	queue_free(&f);
}

/* Catches a torn file that is taken as if it were whole. */
static void cut_anywhere(void (*make)(struct queue_file *f))
{
	struct queue_file f;
	struct queue_got g;

	make(&f);
	for (size_t n = 0; n < f.len; n++) {
		queue_read_bytes(f.data, n, &g);
		if (!g.rc)
			fail_msg("taken although cut at %zu of %zu", n, f.len);
		if (g.rc != -EBADMSG && g.rc != -EPROTO)
			fail_msg("cut at %zu: %d %s", n, g.rc, g.e.text);
		assert_true(strlen(g.e.text) > 0);
		got_free(&g);
	}
	queue_free(&f);
}

static void torn_files_are_refused_at_every_byte(void **state)
{
	cut_anywhere(make_plain);
	cut_anywhere(make_edited);
}

/* A flip may hit text, which no reader can notice: but then the message must
 * still have all its recipients and lines, with that one byte changed. */
static bool differs_by_one_byte(const char *a, const char *b)
{
	size_t n = strlen(a), differ = 0;

	if (strlen(b) != n)
		return false;
	for (size_t i = 0; i < n; i++)
		differ += a[i] != b[i];
	return differ <= 1;
}

static bool flip_is_harmless(const struct queue_got *whole,
			     const struct queue_got *g)
{
	if (g->envelopes != 1 || !g->content)
		return false;
	return !strcmp(whole->envelope, g->envelope) ||
	       !strcmp(whole->content, g->content) ||
	       differs_by_one_byte(whole->content, g->content);
}

static void flip_everywhere(void (*make)(struct queue_file *f))
{
	struct queue_got whole, g;
	struct queue_file f;

	make(&f);
	queue_read(&f, &whole);
	assert_int_equal(whole.rc, 0);
	for (size_t bit = 0; bit < f.len * 8; bit++) {
		f.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
		queue_read(&f, &g);
		if (!g.rc && !flip_is_harmless(&whole, &g))
			fail_msg("bit %zu at %zu: taken as\n%s%s", bit % 8,
				 bit / 8, g.envelope, g.content);
		if (g.rc)
			assert_true(strlen(g.e.text) > 0);
		got_free(&g);
		f.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	got_free(&whole);
	queue_free(&f);
}

/* Catches crashes and wild reads (each piece has its exact size, so that a
 * sanitizer sees them), and structure that is damaged but taken. */
static void flipped_bits_never_crash(void **state)
{
	flip_everywhere(make_plain);
	flip_everywhere(make_edited);
}

/* Catches pointers that would keep the reader busy for ever. */
static void pointer_circles_are_refused(void **state)
{
	struct queue_file f;
	struct queue_got g;
	size_t a, b;

	queue_begin(&f);
	queue_text(&f, 'S', "a@s.test");
	a = queue_pointer(&f, 0);
	queue_text(&f, 'R', "b@d.test");
	b = queue_pointer(&f, 0);
	queue_message(&f);
	queue_text(&f, 'N', "x");
	queue_extracted(&f);
	queue_end(&f);
	queue_pointer_set(&f, b, a);
	queue_read(&f, &g);
	assert_int_equal(g.rc, -EBADMSG);
	assert_non_null(strstr(g.e.text, "circle"));
	queue_pointer_set(&f, b, b);
	queue_read(&f, &g);
	assert_int_equal(g.rc, -EBADMSG);
	queue_pointer_set(&f, b, f.len);
	queue_read(&f, &g);
	assert_int_equal(g.rc, -EBADMSG);
	assert_non_null(strstr(g.e.text, "past the end of the file"));
	queue_free(&f);
}

/* The same inside content, after some of it was handed out. */
static void pointer_circle_in_content_is_refused(void **state)
{
	struct queue_file f;
	struct queue_got g;
	size_t p;

	queue_begin(&f);
	queue_text(&f, 'S', "a@s.test");
	queue_text(&f, 'R', "b@d.test");
	queue_message(&f);
	queue_text(&f, 'N', "x");
	p = queue_pointer(&f, 0);
	queue_pointer_set(&f, p, f.content_at);
	queue_extracted(&f);
	queue_end(&f);
	queue_read(&f, &g);
	assert_int_equal(g.rc, -EBADMSG);
	assert_non_null(strstr(g.e.text, "circle"));
	got_free(&g);
	queue_free(&f);
}

/* Catches a content pointer that leads to an extracted record of its own: the
 * rest of the message would be lost without a word. */
static void content_must_end_where_the_size_record_says(void **state)
{
	struct queue_file f;
	struct queue_got g;
	size_t p, q;

	queue_begin(&f);
	queue_text(&f, 'S', "a@s.test");
	queue_text(&f, 'R', "b@d.test");
	queue_message(&f);
	p = queue_pointer(&f, 0);
	queue_text(&f, 'N', "the rest");
	queue_extracted(&f);
	queue_text(&f, 'E', "");
	q = f.len;
	queue_text(&f, 'N', "short");
	queue_text(&f, 'X', "");
	queue_pointer_set(&f, p, q);
	queue_size_set(&f, 0, 0);
	queue_read(&f, &g);
	assert_int_equal(g.rc, -EBADMSG);
	assert_non_null(strstr(g.e.text, "content ends here"));
	got_free(&g);
	queue_free(&f);
}

/* Catches two files in one, and garbage after a whole one. */
static void bytes_after_the_end_need_a_pointer(void **state)
{
	struct queue_file f;
	struct queue_got g;

	make_plain(&f);
	queue_text(&f, 'R', "five@dst.test");
	queue_read(&f, &g);
	assert_int_equal(g.rc, -EBADMSG);
	assert_non_null(strstr(g.e.text, "nothing points to"));
	got_free(&g);
	queue_free(&f);
}

/* Catches lengths that overflow, and more bytes of length than Postfix reads.
 */
static void malformed_lengths_are_refused(void **state)
{
	static const char *const tails[] = {
		"S\xff\xff\xff\xff\x7f",
		"S\x80\x80\x80\x80\x01",
		"S\x81\x80",
		"S\xff\xff\xff\x7f",
		"S\x85",
	};
	struct queue_file f;
	struct queue_got g;

	for (size_t i = 0; i < sizeof(tails) / sizeof(*tails); i++) {
		make_plain(&f);
		memcpy(f.data + 97, tails[i], strlen(tails[i]));
		queue_read(&f, &g);
		assert_int_equal(g.rc, -EBADMSG);
		assert_non_null(strstr(g.e.text, "offset 97"));
		got_free(&g);
		queue_free(&f);
	}
}

/* Catches a file that Postfix was still writing, and places beyond it. */
static void size_record_is_checked(void **state)
{
	static const struct {
		const char *text;
		int code;
	} sizes[] = {
		{"              0               0               0",
		 -EBADMSG},                    /* unfinished */
		{"            100", -EBADMSG}, /* before 2001 */
		{"-5 100 1", -EBADMSG},
		{"999999999999 100 1", -EBADMSG}, /* past the end */
		{"100 999999999999999999 1", -EBADMSG},
		{"9999999999999999999 1 1", -EBADMSG}, /* no number */
		{"20 116 1 4096", -EBADMSG},           /* unknown flag */
		{"20 116 1 0 20 32", -EBADMSG},        /* REQUIRETLS */
		{"20 116 1 0 20 0 7", -EBADMSG},       /* a field too many */
	};
	struct queue_file f;
	struct queue_got g;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		make_plain(&f);
		memset(f.data + 2, ' ', 95);
		memcpy(f.data + 2 + 95 - strlen(sizes[i].text), sizes[i].text,
		       strlen(sizes[i].text));
		queue_read(&f, &g);
		if (g.rc != sizes[i].code)
			fail_msg("\"%s\": %d %s", sizes[i].text, g.rc,
				 g.e.text);
		got_free(&g);
		queue_free(&f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(milter_edits_are_followed),
		cmocka_unit_test(torn_files_are_refused_at_every_byte),
		cmocka_unit_test(flipped_bits_never_crash),
		cmocka_unit_test(pointer_circles_are_refused),
		cmocka_unit_test(pointer_circle_in_content_is_refused),
		cmocka_unit_test(content_must_end_where_the_size_record_says),
		cmocka_unit_test(bytes_after_the_end_need_a_pointer),
		cmocka_unit_test(malformed_lengths_are_refused),
		cmocka_unit_test(size_record_is_checked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
