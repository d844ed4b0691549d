/* SPDX-License-Identifier: BSD-2-Clause
 *
 * test_postfix_real.c - our reader agrees with postcat about real queue files.
 *
 * A private Postfix writes the files: over SMTP with and without a milter that
 * edits, from sendmail, held, redirected, partly delivered, requeued. Each is
 * read by us and by postcat; sender, recipients, done recipients and content
 * must be the same. Skipped (77) without root or without Postfix.
 */
#include "queue_writer.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "postfix_instance.h"
#include "spool/spool.h"

#define HEAD  "From: a@src.test\r\nTo: b@dst.test\r\nSubject: "
#define HELLO "EHLO client.test\r\n"
#define PLAIN                                                                  \
	HELLO "MAIL FROM:<a@src.test>\r\nRCPT TO:<r1@dst.test>\r\n"            \
	      "RCPT TO:<r2@dst.test>\r\nDATA\r\n"

static struct postfix_instance pf;

struct sent {
	const char *commands;
	const char *message;
};

static const struct sent messages[] = {
	{PLAIN, HEAD "plain\r\n\r\nhello\r\n.\r\n"},
	{HELLO "MAIL FROM:<> BODY=8BITMIME\r\nRCPT TO:<\"a b\"@q.test>\r\n"
	       "RCPT TO:<\"x@y\"@q.test>\r\nRCPT TO:<\"q\\\"z\"@q.test>\r\n"
	       "RCPT TO:<UPPER@MiXed.TEST>\r\nDATA\r\n",
	 HEAD "quoted\r\n\r\n..dot\r\n...\r\n\xe4\xf6\r\n.\r\n"},
	{HELLO "MAIL FROM:<j\xc3\xb6rg@b\xc3\xbc.test> SMTPUTF8\r\n"
	       "RCPT TO:<\xc3\xbcrs@b\xc3\xbc.test>\r\nDATA\r\n",
	 HEAD "\xc3\xbc\r\n\r\n\xc3\x9f\r\n.\r\n"},
	{HELLO "MAIL FROM:<a@src.test> RET=HDRS ENVID=ab+2Bcd+3D\r\n"
	       "RCPT TO:<r1@dst.test> NOTIFY=SUCCESS,DELAY "
	       "ORCPT=rfc822;Foo+2Bbar@x.test\r\n"
	       "RCPT TO:<r2@dst.test> NOTIFY=NEVER\r\nDATA\r\n",
	 HEAD "dsn\r\n\r\nhello\r\n.\r\n"},
	{PLAIN, HEAD "cr\r\n\r\na\rb\r\nc\r\r\n.\r\n"},
	{PLAIN, HEAD "x\r\nX-Prepend: 1\r\n\r\nhello\r\n.\r\n"},
	{PLAIN, HEAD "x\r\nX-Replace: 1\r\n\r\nhello\r\n.\r\n"},
	{PLAIN, HEAD "x\r\nX-Hold: 1\r\n\r\nhello\r\n.\r\n"},
	{PLAIN, HEAD "x\r\nX-Redirect: 1\r\n\r\nhello\r\n.\r\n"},
	{PLAIN, HEAD "x\r\nX-Bcc: 1\r\n\r\nhello\r\n.\r\n"},
	{PLAIN, HEAD "x\r\nX-Ignore: 1\r\n\r\nhello\r\n.\r\n"},
	{PLAIN, HEAD "x\r\nX-Filter: 1\r\n\r\nhello\r\n.\r\n"},
	{HELLO "XCLIENT NAME=evil.test ADDR=192.0.2.77 "
	       "LOGIN=hijacked@uni.test\r\n" HELLO
	       "MAIL FROM:<a@src.test>\r\nRCPT TO:<r1@dst.test>\r\n"
	       "DATA\r\n",
	 HEAD "xclient\r\n\r\nhello\r\n.\r\n"},
	{HELLO "MAIL FROM:<a@src.test>\r\nRCPT TO:<list@dst.test>\r\nDATA\r\n",
	 HEAD "alias\r\n\r\nhello\r\n.\r\n"},
	{HELLO "MAIL FROM:<a@src.test>\r\nRCPT TO:<one@ok.test>\r\n"
	       "RCPT TO:<two@dst.test>\r\nRCPT TO:<three@ok.test>\r\n"
	       "RCPT TO:<four@dst.test>\r\nDATA\r\n",
	 HEAD "partial\r\n\r\nhello\r\n.\r\n"},
};

/* Letters: see postfix_instance.c. */
static const char *const edits[] = {
	"h", "i",  "c", "cC", "d", "s",        "b",    "f",        "fF",
	"a", "aA", "r", "p",  "q", "hicdbfap", "isaA", "hcCbfFarp"};

static const char *const commands[] = {
	"printf 'Subject: x\\n\\nno final newline' | sendmail -C %s -f "
	"x@src.test r9@dst.test",
	"printf 'Subject: x\\n\\n.\\n..two\\n' | sendmail -C %s -i -f "
	"x@src.test r9@dst.test",
	"printf 'To: t1@dst.test, T <t2@dst.test>\\nCc: t3@dst.test\\nBcc: "
	"t4@dst.test\\nSubject: x\\n\\nbody\\n' | sendmail -C %s -t -i -F "
	"'Full Name' -f x@src.test",
	"printf 'Subject: x\\r\\n\\r\\na\\r\\nb\\rc\\r\\n' | sendmail -C %s "
	"-f x@src.test r9@dst.test",
	"printf 'Subject: x\\n\\nx\\n' | sendmail -C %s -v -f x@src.test "
	"r9@dst.test",
	"printf 'Subject: x\\n\\nx\\n' | sendmail -C %s -N success,failure -R "
	"hdrs -f x@src.test r9@dst.test",
	"printf 'Subject: x\\n\\nx\\n' | sendmail -C %s -XV -f x@src.test "
	"r9@dst.test",
};
#define REFUSED_ALWAYS 2 /* content filter, VERP */

static void long_lines_submit(void)
{
	size_t n = 0, cap = 400000;
	char *m = malloc(cap);

	n += (size_t)sprintf(m, HEAD "long\r\n\r\n");
	for (int i = 0; i < 20; i++) {
		size_t len = (size_t)(2044 + i);

		memset(m + n, 'a' + i, len);
		n += len;
		n += (size_t)sprintf(m + n, "\r\n");
	}
	memset(m + n, 'z', 300000);
	n += 300000;
	memcpy(m + n, "\r\nnul\0byte\r\n.\r\n", 15);
	n += 15;
	postfix_submit(pf.port, PLAIN, m, n);
	free(m);
}

static void many_recipients_submit(void)
{
	char *c = malloc(200000);
	size_t n = (size_t)sprintf(c, HELLO "MAIL FROM:<a@src.test>\r\n");
	static const char m[] = HEAD "many\r\n\r\nhello\r\n.\r\n";

	for (int i = 0; i < 700; i++)
		n += (size_t)sprintf(c + n, "RCPT TO:<user%d@d%d.test>\r\n", i,
				     i % 7);
	sprintf(c + n, "DATA\r\n");
	postfix_submit(pf.port, c, m, strlen(m));
	free(c);
}

static uint32_t submit_all(void)
{
	uint32_t n = 2;
	char m[512];

	for (size_t i = 0; i < sizeof(messages) / sizeof(*messages); i++, n++)
		postfix_submit(pf.port, messages[i].commands,
			       messages[i].message,
			       strlen(messages[i].message));
	for (size_t i = 0; i < sizeof(edits) / sizeof(*edits); i++, n++) {
		snprintf(m, sizeof(m),
			 HEAD "edit %s\r\nX-Delete: this\r\n\r\nhello\r\n.\r\n",
			 edits[i]);
		postfix_submit(pf.milter_port, PLAIN, m, strlen(m));
	}
	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++, n++)
		assert_int_equal(postfix_run(&pf, commands[i]), 0);
	long_lines_submit();
	many_recipients_submit();
	postfix_settle(&pf);
	return n;
}

/* The address as Postfix keeps it: without the quotes of its local part. */
static void unquote(const struct text *t, char out[2048])
{
	const char *at = memrchr(t->data ? t->data : "", '@', t->len);
	size_t n = 0, local = at ? (size_t)(at - t->data) : 0;
	bool quoted = local > 1 && t->data[0] == '"';

	for (size_t i = 0; i < t->len && n < 2047; i++) {
		if (quoted && i < local && t->data[i] == '"')
			continue;
		if (quoted && i < local && t->data[i] == '\\')
			i++;
		out[n++] = t->data[i];
	}
	out[n] = '\0';
}

/* What was seen in all files. */
static uint32_t refused, dones, accounts, bares;

struct ours {
	struct queue_got got;
	char *list; /* "sender: x\nrecipient: y\n", domains in lower case */
	size_t list_len;
};

static void list_add(struct ours *o, const char *what, const char *address)
{
	size_t len = strlen(what) + strlen(address) + 3;

	o->list = realloc(o->list, o->list_len + len + 1);
	o->list_len += (size_t)sprintf(o->list + o->list_len, "%s: %s\n", what,
				       address);
}

static int ours_envelope(void *user, const struct envelope *env)
{
	struct ours *o = user;
	char address[2048];

	o->got.envelopes++;
	accounts += env->account.len == 17 &&
		    !memcmp(env->account.data, "hijacked@uni.test", 17) &&
		    env->client.len == 10 &&
		    !memcmp(env->client.data, "192.0.2.77", 10);
	unquote(&env->sender, address);
	list_add(o, "sender", address);
	for (uint32_t i = 0; i < env->rcpt_count; i++) {
		unquote(&env->rcpts[i].address, address);
		list_add(o, "recipient", address);
	}
	return 0;
}

static int ours_content(void *user, const void *data, uint32_t len)
{
	return got_content(&((struct ours *)user)->got, data, len);
}

struct mapped {
	const uint8_t *data;
	size_t len;
};

static int mapped_at(void *user, uint64_t offset, uint32_t len,
		     const void **data, uint32_t *got)
{
	struct mapped *m = user;

	*data = m->data + offset;
	*got = m->len - offset < len ? (uint32_t)(m->len - offset) : len;
	return 0;
}

static void ours_read(const char *path, struct ours *o)
{
	static const struct postfix_queue_ops ops = {ours_envelope,
						     ours_content};
	int fd = open(path, O_RDONLY);
	struct postfix_queue_source src = {.at = mapped_at};
	struct mapped m;
	struct stat st;

	memset(o, 0, sizeof(*o));
	assert_true(fd >= 0 && !fstat(fd, &st));
	m.len = (size_t)st.st_size;
	m.data = mmap(NULL, m.len, PROT_READ, MAP_PRIVATE, fd, 0);
	src.user = &m;
	src.size_bytes = m.len;
	o->got.rc = postfix_queue_read(&src, strrchr(path, '/') + 1, &ops, o,
				       &o->got.info, &o->got.e);
	munmap((void *)m.data, m.len);
	close(fd);
}

/* postcat's envelope, brought to the form of ours. */
static void theirs(const char *path, struct ours *o, uint32_t *done)
{
	char command[700], *line, *save, *redirect = NULL;
	size_t len;
	char *text;

	memset(o, 0, sizeof(*o));
	*done = 0;
	snprintf(command, sizeof(command), "postcat -c %%s -e %s 2>/dev/null",
		 path);
	text = postfix_output(&pf, command, &len);
	for (line = strtok_r(text, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		if (!strncmp(line, "sender: ", 8))
			list_add(o, "sender", line + 8);
		else if (!strncmp(line, "recipient: ", 11))
			list_add(o, "recipient", line + 11);
		else if (!strncmp(line, "redirect_to: ", 13))
			redirect = line + 13;
		else if (!strncmp(line, "done_recipient: ", 16) ||
			 !strncmp(line, "canceled_recipient: ", 20))
			++*done;
	}
	if (redirect) {
		*strstr(o->list, "recipient: ") = '\0';
		o->list_len = strlen(o->list);
		list_add(o, "recipient", redirect);
	}
	free(text);
	snprintf(command, sizeof(command), "postcat -c %%s -bh %s 2>/dev/null",
		 path);
	o->got.content = postfix_output(&pf, command, &o->got.content_len);
}

/* CRLF to LF, in place: no line of ours has a CR elsewhere unless the file
 * has it too. */
static void crlf_drop(struct ours *o)
{
	char *from = o->got.content, *to = from, *end = from;

	if (!from)
		return;
	end += o->got.content_len;
	for (; from < end; from++)
		if (from[0] != '\r' || from + 1 == end || from[1] != '\n')
			*to++ = *from;
	o->got.content_len = (size_t)(to - o->got.content);
}

/* U-labels: ours are A-labels. The only two such names of this test. */
static void names_equal(char *a, const char *b, const char *path)
{
	static const char *const pairs[][2] = {
		{"xn--b-eha.test", "b\xc3\xbc.test"},
		{"@mixed.test", "@MiXed.TEST"}};

	for (size_t i = 0; i < 2; i++) {
		char *p = strstr(a, pairs[i][0]);

		if (!p)
			continue;
		size_t n = strlen(pairs[i][1]);
		memcpy(p, pairs[i][1], n);
		memmove(p + n, p + strlen(pairs[i][0]),
			strlen(p + strlen(pairs[i][0])) + 1);
	}
	if (strcmp(a, b))
		fail_msg("%s: ours\n%s, theirs\n%s", path, a, b);
}

static void compare(const char *path)
{
	struct ours a, b;
	uint32_t done;

	ours_read(path, &a);
	if (a.got.rc) {
		assert_int_equal(a.got.rc, -EOPNOTSUPP);
		refused++;
		free(a.got.content);
		free(a.list);
		return;
	}
	theirs(path, &b, &done);
	crlf_drop(&a);
	names_equal(a.list, b.list, path);
	assert_int_equal(a.got.info.rcpts_done, done);
	dones += done;
	bares += !!(a.got.info.flags & SPOOL_BARE_CR_LF);
	if (a.got.content_len != b.got.content_len ||
	    memcmp(a.got.content, b.got.content, a.got.content_len))
		fail_msg("%s: content differs (%zu, %zu bytes)", path,
			 a.got.content_len, b.got.content_len);
	free(a.got.content);
	free(a.list);
	free(b.got.content);
	free(b.list);
}

static uint32_t compare_below(const char *dir)
{
	uint32_t n = 0;
	char path[600];
	DIR *d = opendir(dir);
	struct dirent *e;

	while (d && (e = readdir(d))) {
		if (e->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		if (e->d_type == DT_DIR) {
			n += compare_below(path);
		} else {
			compare(path);
			n++;
		}
	}
	if (d)
		closedir(d);
	return n;
}

static uint32_t compare_all(void)
{
	char dir[160];
	uint32_t n;

	refused = dones = accounts = bares = 0;
	snprintf(dir, sizeof(dir), "%s/deferred", pf.queue);
	n = compare_below(dir);
	snprintf(dir, sizeof(dir), "%s/hold", pf.queue);
	return n + compare_below(dir);
}

/* Reports to senders (sendmail -v) come on top. */
static void compare_at_least(uint32_t sent)
{
	uint32_t n = compare_all();

	assert_in_range(n, sent, sent + 10);
	assert_int_equal(refused, REFUSED_ALWAYS);
	assert_int_equal(accounts, 1);
	assert_int_equal(bares, 2); /* by SMTP and by sendmail */
}

/* Catches everything that the documents do not say and Postfix does. */
static void real_files_are_read_as_postcat_reads_them(void **state)
{
	uint32_t sent = submit_all();

	compare_at_least(sent);
	assert_in_range(dones, 6, 20);
	/* Cleaned up a second time: other attributes, other order. */
	assert_int_equal(postfix_run(&pf, "postsuper -c %s -r ALL 2>/dev/null"),
			 0);
	assert_int_equal(postfix_run(&pf, "postqueue -c %s -f"), 0);
	sleep(2);
	postfix_settle(&pf);
	compare_at_least(sent);
	assert_int_equal(postfix_run(&pf, "postsuper -c %s -h ALL 2>/dev/null"),
			 0);
	compare_at_least(sent);
}

/* Catches a maildrop file taken for a message that Postfix has accepted. */
static void real_maildrop_files_are_refused(void **state)
{
	char dir[160], path[600] = "";
	struct dirent *e;
	struct ours o;
	DIR *d;

	postfix_run(&pf, "MAIL_CONFIG=%s postfix stop >/dev/null 2>&1");
	assert_int_equal(postfix_run(&pf, commands[0]), 0);
	snprintf(dir, sizeof(dir), "%s/maildrop", pf.queue);
	d = opendir(dir);
	while ((e = readdir(d)))
		if (e->d_type == DT_REG)
			snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
	closedir(d);
	assert_true(path[0] != '\0');
	ours_read(path, &o);
	assert_int_equal(o.got.rc, -EPROTO);
	assert_non_null(strstr(o.got.e.text, "maildrop"));
}

static int stop(void **state)
{
	(void)state;
	postfix_instance_stop(&pf);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(real_files_are_read_as_postcat_reads_them),
		cmocka_unit_test(real_maildrop_files_are_refused),
	};

	if (!postfix_instance_start(&pf))
		return 77;
	return cmocka_run_group_tests(tests, NULL, stop);
}
