/* SPDX-License-Identifier: BSD-2-Clause
 *
 * fake_dns.c - just enough of a name server.
 */
#include "fake_dns.h"

#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define TTL_S 300

struct fake_dns {
	const struct fake_record *records;
	uint32_t count;
	int fd;
	uint16_t port;
	pthread_t thread;
};

struct packet {
	uint8_t data[4096];
	size_t len;
};

static void put16(struct packet *p, unsigned v)
{
	p->data[p->len++] = (uint8_t)(v >> 8);
	p->data[p->len++] = (uint8_t)v;
}

static void put_name(struct packet *p, const char *name)
{
	while (*name) {
		size_t n = strcspn(name, ".");

		p->data[p->len++] = (uint8_t)n;
		memcpy(p->data + p->len, name, n);
		p->len += n;
		name += n + (name[n] == '.');
	}
	p->data[p->len++] = 0;
}

/* Name of the question as text; length in the packet. */
static size_t get_name(const uint8_t *p, size_t len, char *out)
{
	size_t at = 0, n = 0;

	while (at < len && p[at]) {
		size_t label = p[at++];

		if (n)
			out[n++] = '.';
		memcpy(out + n, p + at, label);
		n += label;
		at += label;
	}
	out[n] = '\0';
	return at + 1;
}

static void put_record(struct packet *p, const struct fake_record *r)
{
	size_t length_at;

	put_name(p, r->name);
	put16(p, r->type);
	put16(p, 1);
	put16(p, 0);
	put16(p, TTL_S);
	length_at = p->len;
	put16(p, 0);
	if (r->type == FAKE_A) {
		(void)inet_pton(AF_INET, r->value, p->data + p->len);
		p->len += 4;
	} else {
		if (r->type == FAKE_MX)
			put16(p, r->preference);
		put_name(p, r->value);
	}
	p->data[length_at + 1] = (uint8_t)(p->len - length_at - 2);
}

/* Answers, following CNAMEs; returns whether the name exists. */
static bool put_answers(const struct fake_dns *d, struct packet *p,
			const char *name, unsigned type, unsigned *answers,
			bool *fail)
{
	bool exists = false;

	for (uint32_t i = 0; i < d->count; i++) {
		const struct fake_record *r = &d->records[i];

		if (strcasecmp(r->name, name) != 0)
			continue;
		exists = true;
		if (r->type == FAKE_SERVFAIL) {
			*fail = true;
		} else if (r->type == type) {
			put_record(p, r);
			++*answers;
		} else if (r->type == FAKE_CNAME) {
			put_record(p, r);
			++*answers;
			return put_answers(d, p, r->value, type, answers, fail);
		}
	}
	return exists;
}

static void respond(const struct fake_dns *d, const uint8_t *q, size_t len,
		    struct packet *p)
{
	char name[512];
	unsigned answers = 0, type;
	bool fail = false, exists;
	size_t n = get_name(q + 12, len - 12, name);

	type = (unsigned)(q[12 + n] << 8 | q[13 + n]);
	memset(p, 0, sizeof(*p));
	memcpy(p->data, q, 12 + n + 4);
	p->len = 12 + n + 4;
	exists = put_answers(d, p, name, type, &answers, &fail);
	p->data[2] = 0x85; /* answer, authoritative, recursion desired */
	p->data[3] = (uint8_t)(0x80 | (fail ? 2 : exists ? 0 : 3));
	p->data[7] = (uint8_t)answers;
	memset(p->data + 8, 0, 4);
}

static void *dns_run(void *arg)
{
	struct fake_dns *d = arg;
	uint8_t q[1500];
	struct sockaddr_in from;
	socklen_t from_len = sizeof(from);
	ssize_t n;

	while ((n = recvfrom(d->fd, q, sizeof(q), 0, (struct sockaddr *)&from,
			     &from_len)) > 0) {
		struct packet p;

		if (n < 17)
			continue;
		respond(d, q, (size_t)n, &p);
		(void)sendto(d->fd, p.data, p.len, 0, (struct sockaddr *)&from,
			     from_len);
		from_len = sizeof(from);
	}
	return NULL;
}

struct fake_dns *fake_dns_start(const struct fake_record *records,
				uint32_t count)
{
	struct fake_dns *d = calloc(1, sizeof(*d));
	struct sockaddr_in a = {.sin_family = AF_INET,
				.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(a);

	assert(d);
	d->records = records;
	d->count = count;
	d->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (bind(d->fd, (struct sockaddr *)&a, sizeof(a)) ||
	    getsockname(d->fd, (struct sockaddr *)&a, &len))
		abort();
	d->port = ntohs(a.sin_port);
	if (pthread_create(&d->thread, NULL, dns_run, d))
		abort();
	return d;
}

void fake_dns_stop(struct fake_dns **dp)
{
	struct fake_dns *d = *dp;

	(void)shutdown(d->fd, SHUT_RDWR); /* wakes recvfrom() */
	pthread_join(d->thread, NULL);
	(void)close(d->fd);
	free(d);
	*dp = NULL;
}

uint16_t fake_dns_port(const struct fake_dns *d)
{
	return d->port;
}
