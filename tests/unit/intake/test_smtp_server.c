/* SPDX-License-Identifier: BSD-2-Clause
 *
 * test_smtp_server.c - what the server answers, and what lies in the spool.
 *
 * Against the real spool on a real directory.
 */
#include "intake/smtp_priv.h"
#include "io/io_priv.h"
#include "smtp_room.h"

/* Catches a 250 that does not mean stored, content that was changed, a missing
 * or second Received: line. */
static void message_is_stored_as_it_came(void **state)
{
	static const struct script script[] = {
		GREET,
		{"MAIL FROM:<a@src.test> SIZE=100 BODY=8BITMIME RET=HDRS "
		 "ENVID=q1\r\n",
		 "250 2.1.0"},
		{"RCPT TO:<\"b c\"@DST.Test> NOTIFY=NEVER "
		 "ORCPT=rfc822;b@c\r\n",
		 "250 2.1.5"},
		{"DATA\r\n", "354 "},
		{"Subject: x\r\n\r\n..dot\r\n\xfc\r\n.\r\n",
		 "250 2.0.0 stored as 00000000000"},
		BYE,
		{0}};
	static const char head[] =
		"Received: from client.test ([127.0.0.1])\r\n\tby "
		"mx.sluice.test with ESMTP id ";
	static const char rcpt[] = "\r\n\tfor <\"b c\"@dst.test>;\r\n\t";
	static const char tail[] = " +0000\r\nSubject: x\r\n\r\n.dot\r\n"
				   "\xfc\r\n";
	struct fixture *f = *state;
	struct room_record r;
	size_t n;

	play(f, script);
	assert_int_equal(f->stored, 1);
	assert_int_equal(f->flags[0], SPOOL_LIVE | SPOOL_NEEDS_STUFFING |
					      SPOOL_HAS_8BIT |
					      SPOOL_BODY_8BITMIME);
	room_read(&f->room, &f->place[0], &r);
	n = r.rec.content_bytes;
	assert_memory_equal(r.content, head, strlen(head));
	assert_memory_equal(r.content + n - strlen(tail), tail, strlen(tail));
	assert_memory_equal(r.content + strlen(head) + 16, rcpt, strlen(rcpt));
	assert_int_equal(n,
			 strlen(head) + 16 + strlen(rcpt) + 25 + strlen(tail));
	assert_memory_equal(r.rec.env.sender.data, "a@src.test", 10);
	assert_memory_equal(r.rec.env.client.data, "127.0.0.1", 9);
	assert_memory_equal(r.rec.env.envid.data, "q1", 2);
	assert_int_equal(r.rec.env.ret, RET_HDRS);
	assert_int_equal(r.rec.env.rcpt_count, 1);
	assert_memory_equal(r.rcpts[0].address.data, "\"b c\"@dst.test", 14);
	assert_int_equal(r.rcpts[0].notify, NOTIFY_NEVER);
	assert_memory_equal(r.rcpts[0].orcpt.data, "rfc822;b@c", 10);
	free(r.bytes);
}

/* Catches commands, dots and line ends that are only seen when they come in
 * one piece. */
static void pieces_of_one_byte_are_understood(void **state)
{
	static const struct script script[] = {
		{"", "220 "},
		{"EHLO c.test\r\n",
		 "250-\n250-\n250-\n250-\n250-\n250-\n250-\n250 "},
		{"MAIL FROM:<>\r\nRCPT TO:<b@d.test>\r\nDATA\r\n",
		 "250 2.1.0\n250 2.1.5\n354 "},
		{"A: b\r\n\r\n..\r\n...x\r\n.\r\n", "250 2.0.0 stored"},
		BYE,
		{0}};
	struct fixture *f = *state;
	struct room_record r;

	play_on(f, 0, 1, script);
	room_read(&f->room, &f->place[0], &r);
	assert_memory_equal(r.content + r.rec.content_bytes - 16,
			    "A: b\r\n\r\n.\r\n..x\r\n", 16);
	free(r.bytes);
}

/* Catches a pipelined session whose replies are lost or out of order. */
static void pipelining_keeps_the_order(void **state)
{
	static const struct script script[] = {
		GREET,
		{"MAIL FROM:<a@s.test>\r\nRCPT TO:<b@d.test>\r\nRCPT "
		 "TO:<bad>\r\nDATA\r\n",
		 "250 2.1.0\n250 2.1.5\n5\n354 "},
		{"x\r\n.\r\nMAIL FROM:<a2@s.test>\r\nRCPT TO:<b2@d.test>\r\n"
		 "DATA\r\n",
		 "250 2.0.0 stored\n250 2.1.0\n250 2.1.5\n354 "},
		{"y\r\n.\r\nRSET\r\nRSET\r\nVRFY x\r\n",
		 "250 2.0.0 stored\n250 2.0.0 ok\n250 2.0.0 ok\n252 "},
		{"RSET\r\nQUIT\r\n", "250 \n221 "},
		{"", ""},
		{0}};
	struct fixture *f = *state;

	play(f, script);
	assert_int_equal(f->stored, 2);
}

/* Catches an open relay. */
static void strangers_may_not_relay(void **state)
{
	static const struct script script[] = {
		GREET,
		{"MAIL FROM:<a@s.test>\r\n", "250 "},
		{"RCPT TO:<b@d.test>\r\n", "550 5.7.1"},
		{"DATA\r\n", "554 5.5.1"},
		BYE,
		{0}};
	struct fixture *f = *state;
	struct config_listen all = f->open;
	struct addr_prefix world;
	struct err e;

	play_on(f, 1, 0, script);
	assert_int_equal(f->stored, 0);
	assert_int_equal(addr_prefix_parse("0.0.0.0/0", &world), 0);
	all.allow = &world;
	assert_int_equal(smtp_server_listen(f->server, &all, &e), -EINVAL);
	assert_non_null(strstr(e.text, "open relay"));
}

/* Catches commands accepted where they make no sense. */
static void order_of_commands_is_kept(void **state)
{
	static const struct script script[] = {
		{"", "220 "},
		{"MAIL FROM:<a@s.test>\r\n", "503 5.5.1"},
		{"HELO c.test\r\n", "250 mx.sluice.test"},
		{"RCPT TO:<b@d.test>\r\n", "503 5.5.1"},
		{"MAIL FROM:<a@s.test>\r\n", "250"},
		{"MAIL FROM:<a@s.test>\r\n", "503 5.5.1"},
		{"DATA\r\n", "554 5.5.1"},
		{"RSET\r\n", "250"},
		BYE,
		{0}};

	play(*state, script);
}

/* Catches smuggling: a line end that some receivers take for one, and ours
 * would pass on. */
static void bare_cr_and_lf_in_content_are_refused(void **state)
{
	static const char *const contents[] = {
		"x\n.\nMAIL FROM:<evil@s.test>\r\n.\r\n",
		"x\r.\ry\r\n.\r\n",
		"x\r\n.\ny\r\n.\r\n",
		"x\ry\r\n.\r\n",
		"\n\r\n.\r\n",
		"x\r\r\n.\r\n",
		"x\n.\r\ny\r\n.\r\n",
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(contents) / sizeof(*contents); i++) {
		const struct script script[] = {
			GREET,
			{"MAIL FROM:<a@s.test>\r\n", "250"},
			{"RCPT TO:<b@d.test>\r\n", "250"},
			{"DATA\r\n", "354"},
			{contents[i], "550 5.6.11"},
			{"NOOP\r\n", "250 2.0.0"},
			BYE,
			{0}};

		play(f, script);
		play_on(f, 0, 1, script);
	}
	assert_int_equal(f->stored, 0);
}

/* Catches a command line that ends with a bare LF: it ends nothing. */
static void command_lines_end_with_crlf(void **state)
{
	static const struct script lf[] = {
		{"", "220 "}, {"EHLO c.test\n", "550 5.5.2"}, {"", ""}, {0}};
	char line[4200];
	const struct script longer[] = {{"", "220 "},
					{line, "500 5.5.2 line is too long"},
					{"NOOP\r\n", "250 2.0.0"},
					BYE,
					{0}};

	play(*state, lf);
	memset(line, 'x', sizeof(line));
	strcpy(line + sizeof(line) - 3, "\r\n");
	play(*state, longer);
	play_on(*state, 0, 1, longer);
}

/* Catches limits that are announced but not kept. */
static void limits_are_kept(void **state)
{
	static char big[1100000];
	const struct script script[] = {
		GREET,
		{"MAIL FROM:<a@s.test> SIZE=2000000\r\n", "552 5.3.4"},
		{"MAIL FROM:<a@s.test>\r\n", "250"},
		{"RCPT TO:<1@d.test>\r\nRCPT TO:<2@d.test>\r\nRCPT "
		 "TO:<3@d.test>\r\nRCPT TO:<4@d.test>\r\n",
		 "250 \n250 \n250 \n452 4.5.3"},
		{"DATA\r\n", "354"},
		{big, "552 5.3.4"},
		{"MAIL FROM:<a@s.test>\r\n", "250"},
		{"RCPT TO:<5@d.test>\r\n", "250"},
		{"DATA\r\n", "354 "},
		{"x\r\n.\r\n", "250 2.0.0"},
		BYE,
		{0}};
	struct fixture *f = *state;

	memset(big, 'x', sizeof(big));
	strcpy(big + sizeof(big) - 6, "\r\n.\r\n");
	play(f, script);
	assert_int_equal(f->stored, 1);
}

/* Catches a client that may guess for ever. */
static void too_many_errors_end_the_session(void **state)
{
	static const struct script script[] = {
		{"", "220 "},
		{"A\r\nB\r\nC\r\nD\r\nE\r\nF\r\n",
		 "500 \n500 \n500 \n500 \n500 \n421 4.7.0"},
		{0}};

	play(*state, script);
}

/* Catches mail that needs SMTPUTF8 and would be sent without. */
static void smtputf8_must_be_asked_for(void **state)
{
	static const struct script script[] = {
		GREET,
		{"MAIL FROM:<\xc3\xbc@s.test>\r\n", "553 5.6.7"},
		{"MAIL FROM:<a@s.test>\r\n", "250"},
		{"RCPT TO:<\xc3\xbc@d.test>\r\n", "553 5.6.7"},
		{"RSET\r\n", "250"},
		{"MAIL FROM:<\xc3\xbc@s.test> SMTPUTF8\r\n", "250"},
		{"RCPT TO:<\xc3\xb6@b\xc3\xbc.test>\r\n", "250"},
		{"DATA\r\n", "354 "},
		{"x\r\n.\r\n", "250 2.0.0"},
		BYE,
		{0}};
	struct fixture *f = *state;
	struct room_record r;

	play(f, script);
	room_read(&f->room, &f->place[0], &r);
	assert_int_equal(r.rec.env.smtputf8, 1);
	assert_non_null(strstr(r.content, "with UTF8SMTP"));
	assert_memory_equal(r.rcpts[0].address.data, "\xc3\xb6@xn--b-eha.test",
			    17);
	free(r.bytes);
}

/* Catches a message larger than any buffer that is not whole. */
static void large_message_is_whole(void **state)
{
	static char big[900001 + 6];
	const struct script script[] = {GREET,
					{"MAIL FROM:<a@s.test>\r\n", "250"},
					{"RCPT TO:<1@d.test>\r\n", "250"},
					{"DATA\r\n", "354"},
					{big, "250 2.0.0"},
					BYE,
					{0}};
	struct fixture *f = *state;
	struct room_record r;

	for (size_t i = 0; i < 900000; i += 100) {
		memset(big + i, 'a' + (int)(i / 100 % 26), 98);
		memcpy(big + i + 98, "\r\n", 2);
	}
	strcpy(big + 900000, ".\r\n");
	play(f, script);
	room_read(&f->room, &f->place[0], &r);
	assert_memory_equal(r.content + r.rec.content_bytes - 900000, big,
			    900000);
	free(r.bytes);
}

/* Catches a full disk that is not told before 250, or with a 5xx. */
static void full_disk_is_a_452(void **state)
{
	static const struct script script[] = {
		{"", "220 "},
		{"HELO c.test\r\n", "250 "},
		{"MAIL FROM:<a@s.test>\r\n", "250"},
		{"RCPT TO:<1@d.test>\r\n", "250"},
		{"DATA\r\n", "452 4.3.1"},
		BYE,
		{0}};
	struct fixture *f = *state;

	play(f, script);
	assert_int_equal(f->stored, 0);
}

/* Catches silent clients that keep their place for ever, and a server that
 * takes more sessions than it was given memory for. */
static void silence_and_crowds_get_421(void **state)
{
	static const struct script script[] = {
		{"", "220 "}, {"", "421 4.4.2"}, {"", ""}, {0}};
	static const struct script crowd[] = {{"", "421 4.3.2"}, {"", ""}, {0}};
	struct fixture *f = *state;
	int fd = client_connect(smtp_server_port(f->server, 0));
	struct smtp_server_stats s;

	do {
		room_turn(&f->room);
		smtp_server_stats(f->server, &s);
	} while (!s.sessions_now);
	play(f, crowd);
	close(fd);
	do {
		room_turn(&f->room);
		smtp_server_stats(f->server, &s);
	} while (s.sessions_now);
	play(f, script);
}

static void await(struct fixture *f, int fd, const char *reply)
{
	char got[4096] = "";
	size_t n = 0;

	while (!strstr(got, reply)) {
		ssize_t res =
			recv(fd, got + n, sizeof(got) - 1 - n, MSG_DONTWAIT);

		assert_true(res != 0);
		n += res > 0 ? (size_t)res : 0;
		got[n] = '\0';
		room_turn(&f->room);
	}
}

/* Catches a client that hangs up in the middle: no message, no leak, and the
 * session can be used again. */
static void hangup_leaves_nothing(void **state)
{
	struct fixture *f = *state;
	struct smtp_server_stats s;
	int fd;

	for (int i = 0; i < 60; i++) {
		fd = client_connect(smtp_server_port(f->server, 0));
		assert_true(fd >= 0);
		await(f, fd, "220 ");
		client_send(fd, "EHLO c.test\r\n", 0);
		await(f, fd, "250 CHUNKING");
		client_send(fd,
			    "MAIL FROM:<a@s.test>\r\nRCPT TO:<b@d.test>"
			    "\r\n",
			    0);
		client_send(fd, i % 2 ? "DATA\r\n" : "BDAT 99\r\n", 0);
		await(f, fd, i % 2 ? "354 " : "250 2.1.5");
		client_send(fd, "Subject: half\r\n\r\nhalf of it\r\n.\r", 0);
		room_turn(&f->room);
		close(fd);
		room_turn(&f->room);
	}
	do {
		room_turn(&f->room);
		smtp_server_stats(f->server, &s);
	} while (s.sessions_now);
	assert_int_equal(f->stored, 0);
	assert_int_equal(s.messages, 0);
}

enum { CLIENTS = 20 };

/* The descriptor of the only session, once it goes by slot. */
static int session_with_slot(struct fixture *f)
{
	uint64_t until = clock_monotonic_ns() + ROOM_WAIT_NS;
	const struct io_files *files = &f->room.io->files;
	int fd = -1;

	while (fd < 0 || !(files->slots[fd] & IO_SLOT_USABLE)) {
		assert_true(clock_monotonic_ns() < until);
		room_turn(&f->room);
		if (f->server->session_count)
			fd = f->server->sessions[0]->fd;
	}
	return fd;
}

/* A session's socket has a slot as long as the session lasts: one that stayed
 * in the table would never be closed, and its client would wait for ever. */
static void sessions_have_slots_and_give_them_back(void **state)
{
	struct fixture *f = *state;
	struct sockaddr_in sa = {.sin_family = AF_INET,
				 .sin_port =
					 htons(smtp_server_port(f->server, 0)),
				 .sin_addr = {htonl(INADDR_LOOPBACK)}};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char got[256];
	uint64_t until;
	int served;
	ssize_t n = -1;

	if (!f->room.io->files.may_wait) {
		close(fd);
		skip(); /* a kernel before 6.13 */
	}
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	served = session_with_slot(f);
	assert_int_equal(write(fd, "QUIT\r\n", 6), 6);
	for (until = clock_monotonic_ns() + ROOM_WAIT_NS; n != 0;) {
		assert_true(clock_monotonic_ns() < until);
		room_turn(&f->room);
		n = recv(fd, got, sizeof(got), MSG_DONTWAIT);
	}
	/* Half closed, it waits for the client's own end. */
	close(fd);
	while (f->room.io->files.slots[served]) {
		assert_true(clock_monotonic_ns() < until);
		room_turn(&f->room);
	}
}

/* The same script by many at once, half of them in small pieces. */
static void crowd_play(struct fixture *f, const struct script *script)
{
	static struct client c[CLIENTS];
	bool over = false;

	memset(c, 0, sizeof(c));
	for (int i = 0; i < CLIENTS; i++) {
		c[i].script = script;
		c[i].port = smtp_server_port(f->server, 0);
		c[i].split = i % 2 ? 0 : 20011;
		assert_int_equal(
			pthread_create(&c[i].thread, NULL, client_run, &c[i]),
			0);
	}
	while (!over) {
		room_turn(&f->room);
		over = true;
		for (int i = 0; i < CLIENTS; i++)
			over = over && atomic_load(&c[i].over);
	}
	for (int i = 0; i < CLIENTS; i++) {
		pthread_join(c[i].thread, NULL);
		if (c[i].failed[0])
			fail_msg("%s", c[i].failed);
	}
}

/* Catches sessions that disturb each other; all their messages are stored, each
 * with its own id. */
static void sessions_run_side_by_side(void **state)
{
	static const struct script script[] = {
		GREET,
		{"MAIL FROM:<a@s.test>\r\nRCPT TO:<b@d.test>\r\nDATA\r\n",
		 "250 \n250 \n354 "},
		{"1\r\n.\r\nMAIL FROM:<a@s.test>\r\nRCPT "
		 "TO:<b@d.test>\r\nDATA\r\n",
		 "250 \n250 \n250 \n354 "},
		{"2\r\n.\r\nMAIL FROM:<a@s.test>\r\nRCPT "
		 "TO:<b@d.test>\r\nDATA\r\n",
		 "250 \n250 \n250 \n354 "},
		{"3\r\n.\r\nQUIT\r\n", "250 \n221 "},
		{0}};
	struct fixture *f = *state;

	crowd_play(f, script);
	assert_int_equal(f->stored, 3 * CLIENTS);
	for (uint32_t i = 1; i < f->stored; i++)
		assert_true(f->id[i] > f->id[i - 1]);
}

/* Catches half-written messages that wait for each other for ever when the
 * spool has memory for few of them. */
static void little_memory_makes_it_slow_not_stuck(void **state)
{
	static char big[500001 + 6];
	const struct script script[] = {{"", "220 "},
					{"HELO c.test\r\n", "250 "},
					{"MAIL FROM:<a@s.test>\r\n", "250"},
					{"RCPT TO:<1@d.test>\r\n", "250"},
					{"DATA\r\n", "354"},
					{big, "250 2.0.0"},
					{"QUIT\r\n", "221"},
					{0}};
	struct fixture *f = *state;

	for (size_t i = 0; i < 500000; i += 100) {
		memset(big + i, 'a' + (int)(i / 100 % 26), 98);
		memcpy(big + i + 98, "\r\n", 2);
	}
	strcpy(big + 500000, ".\r\n");
	crowd_play(f, script);
	assert_int_equal(f->stored, CLIENTS);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(message_is_stored_as_it_came),
		T(pieces_of_one_byte_are_understood),
		T(pipelining_keeps_the_order),
		T(strangers_may_not_relay),
		T(order_of_commands_is_kept),
		T(bare_cr_and_lf_in_content_are_refused),
		T(command_lines_end_with_crlf),
		T(limits_are_kept),
		T(too_many_errors_end_the_session),
		T(smtputf8_must_be_asked_for),
		T(large_message_is_whole),
		T(hangup_leaves_nothing),
		T(sessions_have_slots_and_give_them_back),
		T(sessions_run_side_by_side),
		cmocka_unit_test_setup_teardown(
			little_memory_makes_it_slow_not_stuck, setup_small,
			teardown),
		cmocka_unit_test_setup_teardown(full_disk_is_a_452, setup_full,
						teardown),
		cmocka_unit_test_setup_teardown(silence_and_crowds_get_421,
						setup_impatient, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
