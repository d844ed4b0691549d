/* SPDX-License-Identifier: BSD-2-Clause
 *
 * test_import.c - files become messages in the spool, once, or are refused.
 *
 * Against the real spool on a real directory.
 */
#include "intake/import.h"

#include "queue_writer.h"
#include "spool_room.h"

#define TAGS_MAX 2048

struct told {
	uint32_t count;
	uint8_t verdict;
	uint64_t id, digest;
	uint32_t flags;
	uint64_t content_bytes;
	struct spool_place place;
	int code;
	char error[ERR_TEXT_BYTES];
};

struct fixture {
	struct room room;
	struct import *im;
	uint32_t told_count, files;
	struct told told[TAGS_MAX];
};

static bool known(void *user, uint64_t digest, uint64_t *id)
{
	struct fixture *f = user;

	for (int i = 0; i < TAGS_MAX; i++) {
		struct told *t = &f->told[i];

		if (t->count && t->verdict == IMPORT_TAKEN &&
		    t->digest == digest) {
			*id = t->id;
			return true;
		}
	}
	return false;
}

static void done(void *user, const struct import_result *r)
{
	struct fixture *f = user;
	struct told *t = &f->told[r->tag];

	f->told_count++;
	t->count++;
	t->verdict = r->verdict;
	t->id = r->id;
	t->code = r->code;
	if (r->error)
		snprintf(t->error, sizeof(t->error), "%s", r->error);
	if (r->verdict == IMPORT_TAKEN) {
		t->digest = r->stored->digest;
		t->flags = r->stored->flags;
		t->place = r->stored->place;
		t->content_bytes = r->stored->content_bytes;
	}
}

static const struct import_ops ops = {known, done};

static void step(void *user)
{
	struct fixture *f = user;

	import_step(f->im);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct import_options o = {.window = 64, .desks = 4};

	room_open(&f->room, NULL);
	assert_int_equal(
		import_create(&f->im, f->room.io, f->room.sp, &o, &ops, f), 0);
	f->room.step = step;
	f->room.user = f;
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	assert_true(import_idle(f->im));
	import_destroy(&f->im);
	f->room.step = NULL;
	room_close(&f->room);
	free(f);
	return 0;
}

static int file_of(struct fixture *f, const void *data, size_t len)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/f%u", f->room.dir, f->files++);
	fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, len), (ssize_t)len);
	unlink(path);
	return fd;
}

static void submit(struct fixture *f, uint64_t tag, int fd, uint8_t kind,
		   const struct envelope *env, bool normalise, bool copy)
{
	struct import_file in = {.fd = fd,
				 .name = "3F00A1",
				 .tag = tag,
				 .kind = kind,
				 .copy = copy,
				 .normalise = normalise,
				 .env = env};
	int rc;

	while ((rc = import_submit(f->im, &in)) == -EAGAIN)
		room_turn(&f->room);
	assert_int_equal(rc, 0);
}

static void wait_for(struct fixture *f, uint32_t count)
{
	uint64_t until = clock_monotonic_ns() + ROOM_WAIT_NS;

	while (f->told_count < count) {
		assert_true(clock_monotonic_ns() < until);
		room_turn(&f->room);
	}
	assert_int_equal(f->told_count, count);
}

static void make_queue(struct queue_file *q, const char *line, uint32_t lines)
{
	queue_begin(q);
	queue_text(q, 'S', "a@src.test");
	queue_text(q, 'A', "sasl_username=joe");
	queue_text(q, 'R', "b@dst.test");
	queue_text(q, 'R', "c@dst.test");
	queue_message(q);
	queue_text(q, 'N', "Subject: x");
	queue_text(q, 'N', "");
	for (uint32_t i = 0; i < lines; i++)
		queue_text(q, 'N', line);
	queue_extracted(q);
	queue_end(q);
}

static void submit_queue(struct fixture *f, uint64_t tag, const char *line,
			 uint32_t lines)
{
	struct queue_file q;

	make_queue(&q, line, lines);
	submit(f, tag, file_of(f, q.data, q.len), IMPORT_POSTFIX, NULL, false,
	       false);
	queue_free(&q);
}

/* Catches a message that is not what the file held, is not held, or that the
 * spool knows under another digest than it was asked for. */
static void postfix_file_is_taken(void **state)
{
	struct fixture *f = *state;
	struct room_record r;

	submit_queue(f, 1, ".body", 1);
	wait_for(f, 1);
	assert_int_equal(f->told[1].verdict, IMPORT_TAKEN);
	assert_int_equal(f->told[1].flags, SPOOL_TAKEN | SPOOL_NEEDS_STUFFING);
	room_read(&f->room, &f->told[1].place, &r);
	assert_int_equal(r.rec.id, f->told[1].id);
	assert_int_equal(r.rec.env.rcpt_count, 2);
	assert_memory_equal(r.rec.env.account.data, "joe", 3);
	assert_memory_equal(r.rec.env.origin.data, "3F00A1", 6);
	assert_int_equal(r.rec.env.arrival_s, 1700000000);
	assert_memory_equal(r.content, "Subject: x\r\n\r\n.body\r\n", 21);
	free(r.bytes);
}

/* Catches a message that is taken twice: after a crash of the command, under
 * another queue id, and when both copies are under way at once. */
static void same_message_is_known(void **state)
{
	struct fixture *f = *state;
	uint64_t id;

	submit_queue(f, 1, "body", 1);
	submit_queue(f, 2, "body", 1);
	submit_queue(f, 3, "other", 1);
	wait_for(f, 3);
	assert_int_equal(f->told[1].verdict, IMPORT_TAKEN);
	assert_int_equal(f->told[2].verdict, IMPORT_KNOWN);
	assert_int_equal(f->told[2].id, f->told[1].id);
	assert_int_equal(f->told[3].verdict, IMPORT_TAKEN);
	id = f->told[1].id;
	submit_queue(f, 4, "body", 1);
	wait_for(f, 4);
	assert_int_equal(f->told[4].verdict, IMPORT_KNOWN);
	assert_int_equal(f->told[4].id, id);
}

/* Catches a file of which a part is taken. */
static void bad_files_are_refused_with_a_sentence(void **state)
{
	struct fixture *f = *state;
	struct queue_file q;

	make_queue(&q, "body", 10);
	submit(f, 1, file_of(f, q.data, q.len - 1), IMPORT_POSTFIX, NULL, false,
	       false);
	submit(f, 2, file_of(f, "hello", 5), IMPORT_POSTFIX, NULL, false,
	       false);
	submit(f, 3, file_of(f, "", 0), IMPORT_POSTFIX, NULL, false, false);
	wait_for(f, 3);
	for (int i = 1; i <= 3; i++) {
		assert_int_equal(f->told[i].verdict, IMPORT_REFUSED);
		assert_true(f->told[i].code < 0);
		assert_non_null(strstr(f->told[i].error, "3F00A1: offset"));
	}
	queue_free(&q);
}

static const struct envelope_rcpt eml_rcpts[] = {
	{.address = {"b@dst.test", 10}}};
static const struct envelope eml_env = {.sender = {"a@src.test", 10},
					.arrival_s = 1700000001,
					.rcpt_count = 1,
					.rcpts = eml_rcpts};

static void submit_eml(struct fixture *f, uint64_t tag, const char *text,
		       bool normalise)
{
	submit(f, tag, file_of(f, text, strlen(text)), IMPORT_EML, &eml_env,
	       normalise, false);
}

static void expect_content(struct fixture *f, uint64_t tag, uint32_t flags,
			   const char *content)
{
	struct told *t = &f->told[tag];
	struct room_record r;

	if (t->verdict != IMPORT_TAKEN)
		fail_msg("%lu: %s", (unsigned long)tag, t->error);
	assert_int_equal(t->flags, SPOOL_TAKEN | flags);
	room_read(&f->room, &t->place, &r);
	assert_int_equal(r.rec.content_bytes, strlen(content));
	assert_memory_equal(r.content, content, strlen(content));
	free(r.bytes);
}

/* Catches line ends that come out as anything but CRLF. */
static void eml_files_are_taken_with_any_line_ends(void **state)
{
	struct fixture *f = *state;

	submit_eml(f, 1, "Subject: lf\n\n.x\nlast", false);
	submit_eml(f, 2, "Subject: crlf\r\n\r\nx\r\n", false);
	submit_eml(f, 3, "Subject: cr\n\nx\ry\n\r\r\n", false);
	submit_eml(f, 4, "Subject: cr2\n\nx\ry\n\r\r\n", true);
	submit_eml(f, 5, "Subject: 8\n\n\xfc\n", false);
	submit_eml(f, 6, "From a@b Mon Jan  1 00:00:00 2024\nSubject: x\n\n",
		   false);
	submit_eml(f, 7,
		   "\x7f"
		   "ELF\x02\x01",
		   false);
	wait_for(f, 7);
	expect_content(f, 1, SPOOL_NEEDS_STUFFING,
		       "Subject: lf\r\n\r\n.x\r\nlast\r\n");
	expect_content(f, 2, 0, "Subject: crlf\r\n\r\nx\r\n");
	expect_content(f, 3, SPOOL_BARE_CR_LF,
		       "Subject: cr\r\n\r\nx\ry\r\n\r\r\n");
	expect_content(f, 4, 0, "Subject: cr2\r\n\r\nx\r\ny\r\n\r\n");
	expect_content(f, 5, SPOOL_HAS_8BIT, "Subject: 8\r\n\r\n\xfc\r\n");
	assert_int_equal(f->told[6].verdict, IMPORT_REFUSED);
	assert_non_null(strstr(f->told[6].error, "mbox"));
	assert_int_equal(f->told[7].verdict, IMPORT_REFUSED);
}

/* Catches a --copy import that could be released while Postfix still has it.
 */
static void copies_are_marked(void **state)
{
	struct fixture *f = *state;
	struct queue_file q;

	make_queue(&q, "body", 1);
	submit(f, 1, file_of(f, q.data, q.len), IMPORT_POSTFIX, NULL, false,
	       true);
	wait_for(f, 1);
	assert_int_equal(f->told[1].flags, SPOOL_TAKEN | SPOOL_COPY);
	queue_free(&q);
}

/* Catches files of all sizes around the buffers, and large ones that hold up
 * each other: content must be whole and right to the last byte. */
static void large_files_stream(void **state)
{
	static const uint32_t lines[] = {1000, 3900, 4400, 6000, 20000, 90000};
	struct fixture *f = *state;
	char line[65], big[80];
	struct room_record r;
	size_t n = sizeof(lines) / sizeof(*lines);

	for (size_t i = 0; i < n; i++) {
		snprintf(line, sizeof(line), "%064zu", i);
		submit_queue(f, i, line, lines[i]);
	}
	wait_for(f, (uint32_t)n);
	for (size_t i = 0; i < n; i++) {
		struct told *t = &f->told[i];

		if (t->verdict != IMPORT_TAKEN)
			fail_msg("%s", t->error);
		assert_int_equal(t->content_bytes, 14 + 66ULL * lines[i]);
		room_read(&f->room, &t->place, &r);
		snprintf(big, sizeof(big), "%062zu\r\n", i);
		for (uint32_t l = 0; l < lines[i]; l++)
			assert_memory_equal(r.content + 14 + 66 * l + 2, big,
					    64);
		free(r.bytes);
	}
}

/* Catches a window that loses files when it is full, and ids given twice. */
static void many_files_are_taken(void **state)
{
	struct fixture *f = *state;
	char line[32];

	for (uint64_t i = 0; i < 1000; i++) {
		snprintf(line, sizeof(line), "message %lu", (unsigned long)i);
		submit_queue(f, i, line, 3);
	}
	wait_for(f, 1000);
	for (int i = 0; i < 1000; i++) {
		assert_int_equal(f->told[i].count, 1);
		assert_int_equal(f->told[i].verdict, IMPORT_TAKEN);
		for (int j = 0; j < i; j += 97)
			assert_true(f->told[i].id != f->told[j].id);
	}
}

/* Catches answers to a client that is gone. */
static void forgotten_files_are_finished_in_silence(void **state)
{
	struct fixture *f = *state;
	struct import_stats s;
	uint64_t until = clock_monotonic_ns() + ROOM_WAIT_NS;

	submit_queue(f, 1, "body", 1);
	import_forget(f->im, NULL);
	while (!import_idle(f->im)) {
		assert_true(clock_monotonic_ns() < until);
		room_turn(&f->room);
	}
	assert_int_equal(f->told_count, 0);
	import_stats(f->im, &s);
	assert_int_equal(s.taken, 1);
}

/* Catches descriptors that are no files (a FIFO would block the loop). */
static void only_regular_files_are_accepted(void **state)
{
	struct fixture *f = *state;
	struct import_file in = {.name = "A", .kind = IMPORT_POSTFIX};
	int fds[2];

	assert_int_equal(pipe(fds), 0);
	in.fd = fds[0];
	assert_int_equal(import_submit(f->im, &in), -EINVAL);
	in.fd = -1;
	assert_int_equal(import_submit(f->im, &in), -EINVAL);
	in.kind = IMPORT_EML;
	in.fd = file_of(f, "x", 1);
	assert_int_equal(import_submit(f->im, &in), -EINVAL);
	close(in.fd);
	close(fds[0]);
	close(fds[1]);
}

/* Catches descriptors that stay open: a queue has a million files. */
static void descriptors_are_closed(void **state)
{
	struct fixture *f = *state;
	uint64_t until = clock_monotonic_ns() + ROOM_WAIT_NS;
	struct queue_file q;
	int fds[3];

	make_queue(&q, "body", 1);
	fds[0] = file_of(f, q.data, q.len);
	fds[1] = file_of(f, q.data, q.len);
	fds[2] = file_of(f, q.data, q.len - 3);
	for (uint64_t i = 0; i < 3; i++)
		submit(f, i, fds[i], IMPORT_POSTFIX, NULL, false, false);
	wait_for(f, 3);
	for (int i = 0; i < 3; i++)
		while (fcntl(fds[i], F_GETFD) >= 0) {
			assert_true(clock_monotonic_ns() < until);
			room_turn(&f->room);
		}
	queue_free(&q);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(postfix_file_is_taken),
		T(same_message_is_known),
		T(bad_files_are_refused_with_a_sentence),
		T(eml_files_are_taken_with_any_line_ends),
		T(copies_are_marked),
		T(large_files_stream),
		T(many_files_are_taken),
		T(forgotten_files_are_finished_in_silence),
		T(only_regular_files_are_accepted),
		T(descriptors_are_closed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
