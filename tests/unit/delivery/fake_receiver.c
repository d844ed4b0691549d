/* SPDX-License-Identifier: BSD-2-Clause
 *
 * fake_receiver.c - the misbehaving receiver.
 */
#include "fake_receiver.h"

#include <assert.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sluice/addr.h"

#define SESSIONS_MAX 512
#define INPUT_BYTES  (1u << 17)

struct session {
	struct fake_receiver *r;
	pthread_t thread;
	int fd;
	size_t len;
	uint32_t burst;
	uint32_t drip_us; /* between single bytes */
	char input[INPUT_BYTES];
};

struct fake_receiver {
	struct fake_options o;
	int fd;
	uint16_t port;
	pthread_t thread;
	pthread_mutex_t lock; /* all below */
	bool stopping;
	struct session *sessions[SESSIONS_MAX];
	uint32_t session_count, open, most, burst;
	uint32_t counts[AT_COUNT];
	char *commands;
	size_t commands_len;
	char *content;
	size_t content_len;
};

static const char *const usual[AT_COUNT] = {
	[AT_GREETING] = "220 fake ESMTP\r\n",
	[AT_HELO] = "250 fake\r\n",
	[AT_MAIL] = "250 2.1.0 sender ok\r\n",
	[AT_RCPT] = "250 2.1.5 recipient ok\r\n",
	[AT_DATA] = "354 go ahead\r\n",
	[AT_EOM] = "250 2.0.0 taken\r\n",
	[AT_RSET] = "250 2.0.0 reset\r\n",
	[AT_QUIT] = "221 2.0.0 bye\r\n",
};

static bool say(struct session *s, const char *text, size_t step)
{
	size_t len = strlen(text);

	for (size_t at = 0; at < len; at += step) {
		size_t n = len - at < step ? len - at : step;

		if (send(s->fd, text + at, n, MSG_NOSIGNAL) != (ssize_t)n)
			return false;
		if (step == 1)
			usleep(s->drip_us);
	}
	return true;
}

/* Waits for the client's end. */
static void stall(struct session *s)
{
	char buf[4096];

	while (recv(s->fd, buf, sizeof(buf), 0) > 0)
		;
}

/* Until the client hangs up. */
static void repeat(struct session *s, const char *text, size_t step)
{
	char buf[4096];
	ssize_t n = 0;

	while (say(s, text, step)) {
		n = recv(s->fd, buf, sizeof(buf), MSG_DONTWAIT);
		if (n == 0)
			break;
	}
}

/* True if the client keeps silent for a while. */
static bool silence(struct session *s)
{
	char c;

	usleep(100000);
	return recv(s->fd, &c, 1, MSG_DONTWAIT | MSG_PEEK) < 0;
}

static void reset(struct session *s)
{
	struct linger now = {1, 0};

	(void)setsockopt(s->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
}

static const struct fake_rule *find_rule(struct fake_receiver *r,
					 enum fake_at at)
{
	uint32_t n;

	pthread_mutex_lock(&r->lock);
	n = ++r->counts[at];
	pthread_mutex_unlock(&r->lock);
	for (uint32_t i = 0; i < r->o.rule_count; i++)
		if (r->o.rules[i].at == at &&
		    (!r->o.rules[i].nth || r->o.rules[i].nth == n))
			return &r->o.rules[i];
	return NULL;
}

static bool follow(struct session *s, const struct fake_rule *rule,
		   const char *normal)
{
	const char *text = rule->text ? rule->text : normal;

	switch ((enum fake_do)rule->what) {
	case DO_SAY:
		return say(s, text, 1u << 20);
	case DO_BYTES:
		return say(s, text, 1);
	case DO_CLOSE:
		if (rule->text)
			(void)say(s, rule->text, 1u << 20);
		return false;
	case DO_RESET:
		reset(s);
		return false;
	case DO_STALL:
		stall(s);
		return false;
	case DO_DRIP:
		s->drip_us = 50000;
		repeat(s, text, 1);
		return false;
	case DO_FLOOD:
		repeat(s, text, 1u << 20);
		return false;
	case DO_LATE:
		if (silence(s))
			return say(s, text, 1u << 20);
		reset(s);
		return false;
	}
	return false;
}

/* False: the session is over. */
static bool answer(struct session *s, enum fake_at at)
{
	const struct fake_rule *rule = find_rule(s->r, at);
	char ehlo[1024];
	const char *normal = usual[at];

	if (at == AT_EHLO) {
		(void)snprintf(ehlo, sizeof(ehlo), "250-fake\r\n%s250 OK\r\n",
			       s->r->o.offers ? s->r->o.offers
					      : "250-PIPELINING\r\n"
						"250-8BITMIME\r\n"
						"250-SIZE 10000000\r\n");
		normal = ehlo;
	}
	if (rule)
		return follow(s, rule, normal);
	return !normal || say(s, normal, 1u << 20);
}

static void remember(char **buf, size_t *len, const char *data, size_t n)
{
	*buf = realloc(*buf, *len + n + 1);
	assert(*buf);
	memcpy(*buf + *len, data, n);
	*len += n;
	(*buf)[*len] = '\0';
}

static bool more_input(struct session *s)
{
	ssize_t n;

	if (s->len == INPUT_BYTES)
		return false;
	n = recv(s->fd, s->input + s->len, INPUT_BYTES - s->len, 0);
	s->burst = 0;
	if (n <= 0)
		return false;
	s->len += (size_t)n;
	return true;
}

static void take_input(struct session *s, size_t n)
{
	s->len -= n;
	memmove(s->input, s->input + n, s->len);
}

static void keep_content(struct session *s, size_t n)
{
	struct fake_receiver *r = s->r;

	pthread_mutex_lock(&r->lock);
	remember(&r->content, &r->content_len, s->input, n);
	pthread_mutex_unlock(&r->lock);
}

/* Up to CRLF.CRLF; keeps the CRLF before the dot. */
static bool take_content(struct session *s)
{
	bool start = true;

	pthread_mutex_lock(&s->r->lock);
	s->r->content_len = 0;
	pthread_mutex_unlock(&s->r->lock);
	for (;;) {
		char *end;

		if (start && s->len >= 3 && memcmp(s->input, ".\r\n", 3) == 0) {
			take_input(s, 3);
			return true;
		}
		end = memmem(s->input, s->len, "\r\n.\r\n", 5);
		if (end) {
			size_t n = (size_t)(end - s->input) + 2;

			keep_content(s, n);
			take_input(s, n + 3);
			return true;
		}
		if (s->len > 4) {
			size_t n = s->len - 4;

			keep_content(s, n);
			take_input(s, n);
			start = false;
		}
		if (!more_input(s))
			return false;
	}
}

static enum fake_at event_of(const char *line)
{
	static const struct {
		const char *verb;
		enum fake_at at;
	} verbs[] = {{"EHLO", AT_EHLO}, {"HELO", AT_HELO}, {"MAIL", AT_MAIL},
		     {"RCPT", AT_RCPT}, {"DATA", AT_DATA}, {"RSET", AT_RSET},
		     {"QUIT", AT_QUIT}};

	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (strncasecmp(line, verbs[i].verb, 4) == 0)
			return verbs[i].at;
	return 0;
}

static bool data_phase(struct session *s)
{
	const struct fake_rule *rule;

	if (!s->len && !more_input(s))
		return false;
	rule = find_rule(s->r, AT_CONTENT);
	if (rule && !follow(s, rule, ""))
		return false;
	if (!take_content(s) || !answer(s, AT_EOM))
		return false;
	return answer(s, AT_IDLE);
}

/* 354 was said if no rule says otherwise, or says so itself. */
static bool content_follows(struct session *s)
{
	for (uint32_t i = 0; i < s->r->o.rule_count; i++) {
		const struct fake_rule *k = &s->r->o.rules[i];
		uint32_t n;

		pthread_mutex_lock(&s->r->lock);
		n = s->r->counts[AT_DATA];
		pthread_mutex_unlock(&s->r->lock);
		if (k->at == AT_DATA && (!k->nth || k->nth == n))
			return !k->text || strncmp(k->text, "354", 3) == 0;
	}
	return true;
}

static void note_command(struct session *s, size_t len)
{
	struct fake_receiver *r = s->r;

	pthread_mutex_lock(&r->lock);
	remember(&r->commands, &r->commands_len, s->input, len);
	if (++s->burst > r->burst)
		r->burst = s->burst;
	pthread_mutex_unlock(&r->lock);
}

/* BDAT with all of it. What was there before is forgotten. */
static bool chunk(struct session *s, const char *line)
{
	const struct fake_rule *rule;
	size_t left = strtoul(line + 5, NULL, 10);

	if (left && !s->len && !more_input(s))
		return false;
	rule = find_rule(s->r, AT_CONTENT);
	if (rule && !follow(s, rule, ""))
		return false;
	pthread_mutex_lock(&s->r->lock);
	s->r->content_len = 0;
	pthread_mutex_unlock(&s->r->lock);
	while (left) {
		size_t n = left < s->len ? left : s->len;

		keep_content(s, n);
		take_input(s, n);
		left -= n;
		if (left && !more_input(s))
			return false;
	}
	return answer(s, AT_EOM) && answer(s, AT_IDLE);
}

static bool command(struct session *s)
{
	char *lf, line[64] = "";
	enum fake_at at;

	while (!(lf = memchr(s->input, '\n', s->len)))
		if (!more_input(s))
			return false;
	at = event_of(s->input);
	(void)snprintf(line, sizeof(line), "%.*s", (int)(lf - s->input),
		       s->input);
	note_command(s, (size_t)(lf + 1 - s->input));
	take_input(s, (size_t)(lf + 1 - s->input));
	if (strncasecmp(line, "BDAT ", 5) == 0)
		return chunk(s, line);
	if (!at)
		return say(s, "500 5.5.2 what\r\n", 100);
	if (!answer(s, at) || at == AT_QUIT)
		return false;
	return at != AT_DATA || !content_follows(s) || data_phase(s);
}

static void *session_run(void *arg)
{
	struct session *s = arg;
	int one = 1;

	(void)setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (answer(s, AT_GREETING))
		while (command(s))
			;
	pthread_mutex_lock(&s->r->lock);
	(void)close(s->fd);
	s->fd = -1;
	s->r->open--;
	pthread_mutex_unlock(&s->r->lock);
	return NULL;
}

static void *accept_run(void *arg)
{
	struct fake_receiver *r = arg;
	int fd;

	while ((fd = accept(r->fd, NULL, NULL)) >= 0) {
		struct session *s = malloc(sizeof(*s));

		assert(s);
		s->r = r;
		s->fd = fd;
		s->len = 0;
		s->burst = 0;
		s->drip_us = 200;
		pthread_mutex_lock(&r->lock);
		assert(r->session_count < SESSIONS_MAX);
		r->sessions[r->session_count++] = s;
		if (++r->open > r->most)
			r->most = r->open;
		pthread_mutex_unlock(&r->lock);
		if (pthread_create(&s->thread, NULL, session_run, s))
			abort();
	}
	return NULL;
}

struct fake_receiver *fake_receiver_start(const struct fake_options *o)
{
	struct fake_receiver *r = calloc(1, sizeof(*r));
	struct addr a;
	socklen_t len = sizeof(a);
	int one = 1;

	assert(r);
	r->o = *o;
	if (addr_parse(o->address ? o->address : "127.0.0.1", o->port, &a))
		abort();
	pthread_mutex_init(&r->lock, NULL);
	r->fd = socket(a.sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	(void)setsockopt(r->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(r->fd, &a.sa, addr_len_bytes(&a)) || listen(r->fd, 512) ||
	    getsockname(r->fd, &a.sa, &len))
		abort();
	r->port = addr_port(&a);
	if (pthread_create(&r->thread, NULL, accept_run, r))
		abort();
	return r;
}

void fake_receiver_stop(struct fake_receiver **rp)
{
	struct fake_receiver *r = *rp;

	(void)shutdown(r->fd, SHUT_RDWR);
	pthread_join(r->thread, NULL);
	(void)close(r->fd);
	pthread_mutex_lock(&r->lock);
	for (uint32_t i = 0; i < r->session_count; i++)
		if (r->sessions[i]->fd >= 0)
			(void)shutdown(r->sessions[i]->fd, SHUT_RDWR);
	pthread_mutex_unlock(&r->lock);
	for (uint32_t i = 0; i < r->session_count; i++) {
		pthread_join(r->sessions[i]->thread, NULL);
		free(r->sessions[i]);
	}
	free(r->commands);
	free(r->content);
	free(r);
	*rp = NULL;
}

uint16_t fake_receiver_port(const struct fake_receiver *r)
{
	return r->port;
}

static uint32_t locked(struct fake_receiver *r, const uint32_t *v)
{
	uint32_t n;

	pthread_mutex_lock(&r->lock);
	n = *v;
	pthread_mutex_unlock(&r->lock);
	return n;
}

uint32_t fake_receiver_count(struct fake_receiver *r, enum fake_at at)
{
	return locked(r, &r->counts[at]);
}

uint32_t fake_receiver_connections(struct fake_receiver *r)
{
	return locked(r, &r->session_count);
}

uint32_t fake_receiver_burst(struct fake_receiver *r)
{
	return locked(r, &r->burst);
}

uint32_t fake_receiver_most(struct fake_receiver *r)
{
	return locked(r, &r->most);
}

const char *fake_receiver_commands(struct fake_receiver *r)
{
	const char *s;

	pthread_mutex_lock(&r->lock);
	s = r->commands ? r->commands : "";
	pthread_mutex_unlock(&r->lock);
	return s;
}

const char *fake_receiver_content(struct fake_receiver *r, size_t *len)
{
	const char *s;

	pthread_mutex_lock(&r->lock);
	s = r->content ? r->content : "";
	*len = r->content_len;
	pthread_mutex_unlock(&r->lock);
	return s;
}
