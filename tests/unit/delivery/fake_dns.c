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
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define TTL_S      300
#define ASKED_MAX  8192
#define NAME_BYTES 512

struct asked {
	char name[80];
	uint16_t type;
};

struct fake_dns {
	pthread_mutex_t lock; /* of all below */
	const struct fake_record *records;
	uint32_t count;
	uint32_t minimum_s;
	struct asked asked[ASKED_MAX];
	uint32_t asked_count;
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

static void put32(struct packet *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p, v & 0xffff);
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
	put32(p, r->ttl_s == FAKE_TTL_ZERO ? 0 : r->ttl_s ? r->ttl_s : TTL_S);
	length_at = p->len;
	put16(p, 0);
	if (r->type == FAKE_A || r->type == FAKE_AAAA) {
		bool v4 = r->type == FAKE_A;

		(void)inet_pton(v4 ? AF_INET : AF_INET6, r->value,
				p->data + p->len);
		p->len += v4 ? 4 : 16;
	} else {
		if (r->type == FAKE_MX)
			put16(p, r->preference);
		put_name(p, r->value);
	}
	p->data[length_at + 1] = (uint8_t)(p->len - length_at - 2);
}

/* SOA of the root: it is above every name. */
static void put_soa(struct packet *p, uint32_t minimum_s)
{
	put_name(p, "");
	put16(p, 6);
	put16(p, 1);
	put32(p, minimum_s + 10);
	put16(p, 22);
	put_name(p, "");
	put_name(p, "");
	put32(p, 1);
	put32(p, 60);
	put32(p, 60);
	put32(p, 600);
	put32(p, minimum_s);
}

struct outcome {
	unsigned answers;
	bool exists, data, fail, silent;
	unsigned aliases;
};

/* Answers, following CNAMEs; a loop is followed for a while. */
static void put_answers(const struct fake_dns *d, struct packet *p,
			const char *name, unsigned type, struct outcome *o)
{
	o->exists = false;
	for (uint32_t i = 0; i < d->count; i++) {
		const struct fake_record *r = &d->records[i];

		if (strcasecmp(r->name, name) != 0)
			continue;
		o->exists = true;
		o->fail |= r->type == FAKE_SERVFAIL;
		o->silent |= r->type == FAKE_SILENT;
		if (r->type == type || r->type == FAKE_CNAME) {
			put_record(p, r);
			o->answers++;
			o->data |= r->type == type;
		}
		if (r->type == FAKE_CNAME && type != FAKE_CNAME) {
			if (o->aliases++ < 8)
				put_answers(d, p, r->value, type, o);
			return;
		}
	}
}

static void note_asked(struct fake_dns *d, const char *name, unsigned type)
{
	struct asked *a = &d->asked[d->asked_count % ASKED_MAX];

	d->asked_count++;
	(void)snprintf(a->name, sizeof(a->name), "%.79s", name);
	a->type = (uint16_t)type;
}

/* False: no answer. */
static bool respond(struct fake_dns *d, const uint8_t *q, size_t len,
		    struct packet *p)
{
	char name[NAME_BYTES];
	struct outcome o = {0};
	size_t n = get_name(q + 12, len - 12, name);
	unsigned type = (unsigned)(q[12 + n] << 8 | q[13 + n]);
	unsigned soa;

	note_asked(d, name, type);
	memset(p, 0, sizeof(*p));
	memcpy(p->data, q, 12 + n + 4);
	p->len = 12 + n + 4;
	put_answers(d, p, name, type, &o);
	soa = !o.data && !o.fail && d->minimum_s != FAKE_TTL_ZERO;
	if (soa)
		put_soa(p, d->minimum_s);
	p->data[2] = 0x85; /* answer, authoritative, recursion desired */
	p->data[3] = (uint8_t)(0x80 | (o.fail ? 2 : o.exists ? 0 : 3));
	p->data[6] = 0;
	p->data[7] = (uint8_t)o.answers;
	memset(p->data + 8, 0, 4);
	p->data[9] = (uint8_t)soa;
	return !o.silent;
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
		bool answer;

		if (n < 17)
			continue;
		pthread_mutex_lock(&d->lock);
		answer = respond(d, q, (size_t)n, &p);
		pthread_mutex_unlock(&d->lock);
		if (answer)
			(void)sendto(d->fd, p.data, p.len, 0,
				     (struct sockaddr *)&from, from_len);
		from_len = sizeof(from);
	}
	return NULL;
}

void fake_dns_set(struct fake_dns *d, const struct fake_record *records,
		  uint32_t count)
{
	pthread_mutex_lock(&d->lock);
	d->records = records;
	d->count = count;
	pthread_mutex_unlock(&d->lock);
}

void fake_dns_negative(struct fake_dns *d, uint32_t minimum_s)
{
	pthread_mutex_lock(&d->lock);
	d->minimum_s = minimum_s;
	pthread_mutex_unlock(&d->lock);
}

uint32_t fake_dns_asked(struct fake_dns *d, const char *name, uint16_t type)
{
	uint32_t n = 0;

	pthread_mutex_lock(&d->lock);
	for (uint32_t i = 0; i < d->asked_count && i < ASKED_MAX; i++)
		n += d->asked[i].type == type &&
		     strcasecmp(d->asked[i].name, name) == 0;
	pthread_mutex_unlock(&d->lock);
	return n;
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
	d->minimum_s = 60;
	if (pthread_mutex_init(&d->lock, NULL))
		abort();
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
