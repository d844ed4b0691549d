/* SPDX-License-Identifier: BSD-2-Clause
 *
 * postfix_instance.c - starts, feeds and stops a private Postfix.
 *
 * For test_postfix_real.c only.
 */
#include "postfix_instance.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

static const char services[] = "127.0.0.1:%u inet n - n - - smtpd\n"
			       "127.0.0.1:%u inet n - n - - smtpd\n"
			       "  -o smtpd_milters=inet:127.0.0.1:%u\n"
			       "pickup unix n - n 1 1 pickup\n"
			       "cleanup unix n - n - 0 cleanup\n"
			       "qmgr unix n - n 300 1 qmgr\n"
			       "rewrite unix - - n - - trivial-rewrite\n"
			       "bounce unix - - n - 0 discard\n"
			       "defer unix - - n - 0 bounce\n"
			       "trace unix - - n - 0 bounce\n"
			       "verify unix - - n - 1 verify\n"
			       "flush unix n - n 1000? 0 flush\n"
			       "proxymap unix - - n - - proxymap\n"
			       "smtp unix - - n - - smtp\n"
			       "showq unix n - n - - showq\n"
			       "error unix - - n - - error\n"
			       "retry unix - - n - - error\n"
			       "discard unix - - n - - discard\n"
			       "anvil unix - - n - 1 anvil\n"
			       "postlog unix-dgram n - n - 1 postlogd\n";

static const char settings[] =
	"compatibility_level = 3.7\n"
	"queue_directory = %s\ndata_directory = %s/data\n"
	"command_directory = /usr/sbin\n"
	"daemon_directory = /usr/lib/postfix/sbin\n"
	"mail_owner = postfix\nsetgid_group = postdrop\n"
	"inet_interfaces = 127.0.0.1\ninet_protocols = ipv4\n"
	"myhostname = pf.test\nmydestination =\nalias_maps =\n"
	"mynetworks = 127.0.0.0/8, 192.0.2.0/24\nrelay_domains =\n"
	"default_transport = smtp\ndefer_transports = smtp\n"
	"transport_maps = regexp:%s/transport\n"
	"header_checks = regexp:%s/headers\n"
	"maillog_file = %s/log\nmaillog_file_prefixes = /tmp\n"
	"smtpd_recipient_limit = 5000\nsmtputf8_enable = yes\n"
	"smtpd_authorized_xclient_hosts = 127.0.0.0/8\n"
	"smtpd_client_connection_count_limit = 0\n"
	"cleanup_replace_stray_cr_lf = no\n"
	"milter_default_action = tempfail\n"
	"virtual_alias_maps = regexp:%s/aliases\n"
	"enable_long_queue_ids = %s\n";

static const char headers[] =
	"/^X-Prepend:/ PREPEND X-Prepended: yes\n"
	"/^X-Replace:/ REPLACE X-Replaced: by something a good deal longer "
	"than what was there\n"
	"/^X-Hold:/ HOLD\n"
	"/^X-Filter:/ FILTER smtp:[127.0.0.1]:9\n"
	"/^X-Redirect:/ REDIRECT redirected@redir.test\n"
	"/^X-Bcc:/ BCC added@bcc.test\n"
	"/^X-Ignore:/ IGNORE\n";

static void put(const char *dir, const char *name, const char *text)
{
	char path[200];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static int port_bind(uint16_t *port)
{
	struct sockaddr_in in = {.sin_family = AF_INET};
	socklen_t len = sizeof(in);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(fd, (struct sockaddr *)&in, sizeof(in)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&in, &len), 0);
	*port = ntohs(in.sin_port);
	return fd;
}

static void command_fill(const struct postfix_instance *p, const char *command,
			 char *out, size_t size)
{
	const char *at = strstr(command, "%s");

	assert_non_null(at);
	snprintf(out, size, "%.*s%s%s", (int)(at - command), command, p->etc,
		 at + 2);
}

int postfix_run(const struct postfix_instance *p, const char *command)
{
	char line[1024];
	int status;

	command_fill(p, command, line, sizeof(line));
	status = system(line);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

char *postfix_output(const struct postfix_instance *p, const char *command,
		     size_t *len)
{
	size_t cap = 1 << 20, n = 0, got;
	char *out = malloc(cap), line[1024];
	FILE *f;

	command_fill(p, command, line, sizeof(line));
	f = popen(line, "r");
	assert_non_null(f);
	while ((got = fread(out + n, 1, cap - n - 1, f)) > 0) {
		n += got;
		if (cap - n < 2)
			out = realloc(out, cap *= 2);
	}
	pclose(f);
	out[n] = '\0';
	*len = n;
	return out;
}

/* The milter protocol, as far as Postfix needs it to apply edits. */

static bool bytes_read(int fd, void *to, size_t len)
{
	char *p = to;

	while (len) {
		ssize_t n = recv(fd, p, len, 0);

		if (n <= 0)
			return false;
		p += n;
		len -= (size_t)n;
	}
	return true;
}

static void packet(int fd, char type, const void *data, size_t len)
{
	uint8_t head[5] = {0, 0, (uint8_t)((len + 1) >> 8), (uint8_t)(len + 1),
			   (uint8_t)type};

	(void)!send(fd, head, 5, MSG_NOSIGNAL);
	if (len)
		(void)!send(fd, data, len, MSG_NOSIGNAL);
}

/* With the final 0, which is part of the packet. */
#define DATA(text) text, sizeof(text)

/* The letter in "Subject: edit ..." asks for the edit. */
static const struct edit {
	char type;
	const char *data;
	size_t len;
	char letter;
} edits[] = {
	{'h', DATA("X-Added\0value"), 'h'},
	{'h', DATA("X-Added-Too\0another"), 'h'},
	{'i', DATA("\0\0\0\0X-First\0inserted"), 'i'},
	{'i', DATA("\0\0\0\1X-Second\0a\tmuch longer value"), 'i'},
	{'m', DATA("\0\0\0\1Subject\0changed to a longer subject"), 'c'},
	{'m', DATA("\0\0\0\1Subject\0changed again\n\tand folded"), 'C'},
	{'m', DATA("\0\0\0\1X-Delete\0"), 'd'},
	{'b', "short\r\n", 7, 's'},
	{'b', "a new body\r\n.of two lines, more than before\r\n", 46, 'b'},
	{'e', DATA("<changed-to-a-long-address@new.test>"), 'f'},
	{'e', DATA("<s@n.test>"), 'F'},
	{'+', DATA("<added1@add.test>"), 'a'},
	{'+', DATA("<added2@add.test>"), 'a'},
	{'-', DATA("<added1@add.test>"), 'A'},
	{'-', DATA("<r1@dst.test>"), 'r'},
	{'2', DATA("<par@add.test>\0NOTIFY=SUCCESS ORCPT=rfc822;o+2Bx@o.test"),
	 'p'},
	{'q', DATA("held by the milter"), 'q'},
};

static void edits_send(int fd, const char *letters)
{
	for (size_t i = 0; i < sizeof(edits) / sizeof(*edits); i++)
		if (strchr(letters, edits[i].letter))
			packet(fd, edits[i].type, edits[i].data, edits[i].len);
}

static void milter_packet(int fd, char type, const char *data, char letters[32])
{
	static const uint8_t options[12] = {0, 0, 0, 6, 0, 0, 1, 0xff};

	switch (type) {
	case 'O':
		packet(fd, 'O', options, 12);
		return;
	case 'D':
	case 'A':
	case 'Q':
		return;
	case 'L':
		if (!strcmp(data, "Subject") && !strncmp(data + 8, "edit ", 5))
			snprintf(letters, 32, "%.31s", data + 13);
		break;
	case 'E':
		edits_send(fd, letters);
		letters[0] = '\0';
		break;
	default:
		break;
	}
	packet(fd, 'c', NULL, 0);
}

static void *milter_session(void *arg)
{
	int fd = (int)(intptr_t)arg;
	char letters[32] = "", *data = malloc(1 << 20);
	uint8_t head[5];
	size_t len;

	while (bytes_read(fd, head, 5)) {
		len = ((size_t)head[1] << 16 | (size_t)head[2] << 8 | head[3]) -
		      1;
		if (len >= 1 << 20 || !bytes_read(fd, data, len))
			break;
		data[len] = '\0';
		milter_packet(fd, (char)head[4], data, letters);
	}
	free(data);
	close(fd);
	return NULL;
}

static void *milter_listen(void *arg)
{
	int listener = (int)(intptr_t)arg, fd;
	pthread_t t;

	while ((fd = accept(listener, NULL, NULL)) >= 0)
		if (!pthread_create(&t, NULL, milter_session,
				    (void *)(intptr_t)fd))
			pthread_detach(t);
	return NULL;
}

static void milter_start(struct postfix_instance *p)
{
	pthread_t t;

	p->milter_fd = port_bind(&p->milter_listen);
	assert_int_equal(listen(p->milter_fd, 50), 0);
	assert_int_equal(pthread_create(&t, NULL, milter_listen,
					(void *)(intptr_t)p->milter_fd),
			 0);
	pthread_detach(t);
}

static void config_write(struct postfix_instance *p)
{
	char text[4096], data[160];
	int a = port_bind(&p->port), b = port_bind(&p->milter_port);

	close(a);
	close(b);
	snprintf(text, sizeof(text), services, p->port, p->milter_port,
		 p->milter_listen);
	put(p->etc, "master.cf", text);
	snprintf(text, sizeof(text), settings, p->queue, p->dir, p->etc, p->etc,
		 p->dir, p->etc, "no");
	put(p->etc, "main.cf", text);
	put(p->etc, "headers", headers);
	put(p->etc, "transport", "/@ok\\.test$/ discard:\n");
	put(p->etc, "aliases",
	    "/^list@dst\\.test$/ m1@dst.test, m2@dst.test\n");
	snprintf(data, sizeof(data), "%s/data", p->dir);
	assert_int_equal(mkdir(data, 0700), 0);
	snprintf(text, sizeof(text), "chown postfix %s", data);
	assert_int_equal(system(text), 0);
}

bool postfix_instance_start(struct postfix_instance *p)
{
	if (geteuid() != 0 || access("/usr/sbin/postcat", X_OK) ||
	    access("/usr/lib/postfix/sbin/master", X_OK))
		return false;
	*p = (struct postfix_instance){.dir = "/tmp/sluice-postfix-XXXXXX"};
	assert_non_null(mkdtemp(p->dir));
	assert_int_equal(chmod(p->dir, 0755), 0);
	snprintf(p->etc, sizeof(p->etc), "%s/etc", p->dir);
	snprintf(p->queue, sizeof(p->queue), "%s/queue", p->dir);
	assert_int_equal(mkdir(p->etc, 0755), 0);
	assert_int_equal(mkdir(p->queue, 0755), 0);
	milter_start(p);
	config_write(p);
	assert_int_equal(postfix_run(p, "MAIL_CONFIG=%s postfix start "
					">/dev/null 2>&1"),
			 0);
	return true;
}

static int remove_path(const char *path, const struct stat *st, int type,
		       struct FTW *f)
{
	(void)st;
	(void)type;
	(void)f;
	return remove(path);
}

void postfix_instance_stop(struct postfix_instance *p)
{
	postfix_run(p, "MAIL_CONFIG=%s postfix stop >/dev/null 2>&1");
	shutdown(p->milter_fd, SHUT_RDWR);
	close(p->milter_fd);
	nftw(p->dir, remove_path, 16, FTW_DEPTH | FTW_PHYS);
}

/* Reads one reply; its first digit. */
static char reply(FILE *f)
{
	char line[2048];

	do
		if (!fgets(line, sizeof(line), f))
			return 0;
	while (line[3] == '-');
	if (line[0] != '2' && line[0] != '3')
		fprintf(stderr, "postfix: %s", line);
	return line[0];
}

static int smtp_connect(uint16_t port)
{
	struct sockaddr_in in = {.sin_family = AF_INET,
				 .sin_port = htons(port)};
	struct timeval wait = {.tv_sec = 30};
	int fd = -1;

	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	for (int i = 0; i < 100; i++) {
		fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
		if (!connect(fd, (struct sockaddr *)&in, sizeof(in)))
			return fd;
		close(fd);
		usleep(50000);
	}
	fail_msg("no smtpd");
	return -1;
}

void postfix_submit(uint16_t port, const char *commands, const char *message,
		    size_t len)
{
	int fd = smtp_connect(port);
	FILE *f = fdopen(fd, "r+");

	assert_int_equal(reply(f), '2');
	while (*commands) {
		size_t n = strcspn(commands, "\n") + 1;

		assert_int_equal(send(fd, commands, n, 0), (ssize_t)n);
		if (!strchr("23", reply(f)))
			fail_msg("refused: %.*s", (int)n, commands);
		commands += n;
	}
	assert_int_equal(send(fd, message, len, 0), (ssize_t)len);
	assert_int_equal(reply(f), '2');
	fclose(f);
}

static uint32_t files_below(const char *dir)
{
	uint32_t n = 0;
	DIR *d = opendir(dir);
	struct dirent *e;

	while (d && (e = readdir(d)))
		n += e->d_name[0] != '.' && e->d_type == DT_REG;
	if (d)
		closedir(d);
	return n;
}

void postfix_settle(const struct postfix_instance *p)
{
	static const char *const dirs[] = {"maildrop", "incoming", "active"};
	char path[160];
	uint32_t n = 1;

	for (int i = 0; n && i < 600; i++) {
		usleep(100000);
		n = 0;
		for (size_t d = 0; d < sizeof(dirs) / sizeof(*dirs); d++) {
			snprintf(path, sizeof(path), "%s/%s", p->queue,
				 dirs[d]);
			n += files_below(path);
		}
	}
	assert_int_equal(n, 0);
}
