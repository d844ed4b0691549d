/* SPDX-License-Identifier: BSD-2-Clause
 *
 * config_mail.c - listeners and sources: where mail comes in and leaves from.
 *
 * Called while a config is read, sources before pools. What would be an open
 * relay is refused here. Errors: -EINVAL with the place, -ENOMEM.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "config_priv.h"
#include "sluice/clock.h"
#include "sluice/domain.h"

#define SIZE_DEFAULT_BYTES (50ULL << 20)
#define LISTEN_PORT        25
#define SESSIONS_DEFAULT   1000
#define RCPTS_DEFAULT      1000
#define ERRORS_DEFAULT     20
#define TIMEOUT_DEFAULT_NS (300 * NS_PER_S)
#define SESSION_DEFAULT_NS (14400 * NS_PER_S)
#define LIMIT_MAX          100000

/* Prefixes that are wide and still closed: nobody routes them from outside. */
static const char *const private_wide[] = {"fc00::/7", "fe80::/10"};

static bool prefix_open(const struct addr_prefix *p)
{
	bool v4 = p->base.sa.sa_family == AF_INET;
	if (p->bits >= (v4 ? 8 : 16))
		return false;
	for (size_t i = 0; i < 2; i++) {
		struct addr_prefix wide;
		if (!v4 && addr_prefix_parse(private_wide[i], &wide) == 0 &&
		    p->bits >= wide.bits && addr_prefix_has(&wide, &p->base))
			return false;
	}
	return true;
}

static bool addr_loopback(const struct addr *a)
{
	struct addr_prefix v4, v6;
	return addr_prefix_parse("127.0.0.0/8", &v4) == 0 &&
	       addr_prefix_parse("::1", &v6) == 0 &&
	       (addr_prefix_has(&v4, a) || addr_prefix_has(&v6, a));
}

static int read_prefix(struct config_reader *r, const struct config_node *n,
		       struct addr_prefix *out)
{
	int res = config_read_text(r, n, NULL);
	if (res != 0)
		return res;
	if (addr_prefix_parse(n->text, out) != 0)
		return config_fail(r, n,
				   "'%s' is no network; write an IP "
				   "address or a prefix like 10.1.0.0/16",
				   n->text);
	if (prefix_open(out))
		return config_fail(r, n,
				   "'%s' lets strangers send: this would "
				   "be an open relay; allow only your own "
				   "networks",
				   n->text);
	return 0;
}

static int read_prefixes(struct config_reader *r, const struct config_node *n,
			 struct addr_prefix **list, uint32_t *count)
{
	int res = config_want(r, n, NODE_LIST);
	if (res != 0)
		return res;
	*list = config_alloc(r->arena, n->count * sizeof(**list));
	if (*list == NULL)
		return config_out_of_memory(r);
	for (const struct config_node *it = n->first; it; it = it->next) {
		res = read_prefix(r, it, &(*list)[(*count)++]);
		if (res != 0)
			return res;
	}
	return 0;
}

static int read_allow(struct config_reader *r, const struct config_node *n,
		      void *to)
{
	struct config_listen *l = to;
	if (config_node_empty(n))
		return config_fail(r, n,
				   "'allow' is empty, so nobody could "
				   "send; name your networks");
	return read_prefixes(r, n, &l->allow, &l->allow_count);
}

static int read_trust(struct config_reader *r, const struct config_node *n,
		      void *to)
{
	struct config_listen *l = to;
	if (config_node_empty(n))
		return 0;
	return read_prefixes(r, n, &l->trust, &l->trust_count);
}

static int read_limit(struct config_reader *r, const struct config_node *n,
		      void *to)
{
	return config_read_number(r, n, 1, LIMIT_MAX, to);
}

static int read_limit_or_none(struct config_reader *r,
			      const struct config_node *n, void *to)
{
	return config_read_number(r, n, 0, 1000000, to);
}

static int read_bare_newline(struct config_reader *r,
			     const struct config_node *n, void *to)
{
	static const char *const words[] = {"reject", "normalise", NULL};
	uint32_t i;
	int res = config_read_word(r, n, words, &i);
	if (res == 0)
		*(uint8_t *)to = (uint8_t)i;
	return res;
}

static int read_listen_address(struct config_reader *r,
			       const struct config_node *n, void *to)
{
	int res = config_read_text(r, n, NULL);
	if (res != 0)
		return res;
	if (addr_parse(n->text, LISTEN_PORT, to) != 0)
		return config_fail(r, n,
				   "'%s' is no address to listen on; "
				   "write IP:PORT, like 127.0.0.1:2525",
				   n->text);
	return 0;
}

static const struct config_key keys_listen[] = {
	{"address", read_listen_address,
	 offsetof(struct config_listen, address), NULL},
	{"allow", read_allow, 0, NULL},
	{"trust", read_trust, 0, NULL},
	{"max_size", config_read_size,
	 offsetof(struct config_listen, size_max_bytes), NULL},
	{"bare_newline", read_bare_newline,
	 offsetof(struct config_listen, bare_newline), NULL},
	{"sessions", read_limit, offsetof(struct config_listen, sessions_max),
	 NULL},
	{"sessions_per_client", read_limit,
	 offsetof(struct config_listen, sessions_per_client), NULL},
	{"messages", read_limit_or_none,
	 offsetof(struct config_listen, messages_max), NULL},
	{"recipients", read_limit, offsetof(struct config_listen, rcpts_max),
	 NULL},
	{"errors", read_limit, offsetof(struct config_listen, errors_max),
	 NULL},
	{"timeout", config_read_duration,
	 offsetof(struct config_listen, timeout_ns), NULL},
	{"session_time", config_read_duration,
	 offsetof(struct config_listen, session_ns), NULL},
	{NULL, NULL, 0, NULL},
};

static int allow_loopback(struct config_reader *r, struct config_listen *l)
{
	static const char *const own[] = {"127.0.0.0/8", "::1"};
	l->allow = config_alloc(r->arena, 2 * sizeof(*l->allow));
	if (l->allow == NULL)
		return config_out_of_memory(r);
	for (size_t i = 0; i < 2; i++)
		(void)addr_prefix_parse(own[i], &l->allow[i]);
	l->allow_count = 2;
	return 0;
}

static int read_listen(struct config_reader *r, const struct config_node *n,
		       struct config_listen *l)
{
	int res = config_want(r, n, NODE_MAP);
	if (res != 0)
		return res;
	l->size_max_bytes = SIZE_DEFAULT_BYTES;
	l->sessions_max = SESSIONS_DEFAULT;
	l->rcpts_max = RCPTS_DEFAULT;
	l->errors_max = ERRORS_DEFAULT;
	l->timeout_ns = TIMEOUT_DEFAULT_NS;
	l->session_ns = SESSION_DEFAULT_NS;
	res = config_read_map(r, n, keys_listen, l, "listen");
	if (res != 0)
		return res;
	const struct config_node *address = config_node_find(n, "address");
	if (address == NULL)
		return config_fail(r, n,
				   "listen without an address; write "
				   "'address: \"127.0.0.1:2525\"'");
	if (l->allow_count > 0)
		return 0;
	if (!addr_loopback(&l->address))
		return config_fail(r, address,
				   "'%s' can be reached from outside "
				   "and 'allow' is missing; write "
				   "allow: with your own networks",
				   address->text);
	return allow_loopback(r, l);
}

int config_read_listens(struct config_reader *r, const struct config_node *n,
			void *to)
{
	struct config *c = to;
	if (config_node_empty(n))
		return 0;
	int res = config_want(r, n, NODE_LIST);
	if (res != 0)
		return res;
	c->listens = config_alloc(r->arena, n->count * sizeof(*c->listens));
	if (c->listens == NULL)
		return config_out_of_memory(r);
	for (const struct config_node *it = n->first; it; it = it->next) {
		res = read_listen(r, it, &c->listens[c->listen_count]);
		if (res != 0)
			return res;
		for (uint32_t i = 0; i < c->listen_count; i++) {
			const struct addr *a = &c->listens[i].address;
			if (addr_port(a) != 0 &&
			    addr_equal(a, &c->listens[c->listen_count].address))
				return config_fail(r, it,
						   "this address is "
						   "listened on already; "
						   "remove one");
		}
		c->listen_count++;
	}
	return 0;
}

/* A literal unicast address without port. */
static int read_host(struct config_reader *r, const struct config_node *n,
		     void *to)
{
	static const char *const never[] = {"0.0.0.0/8", "224.0.0.0/3",
					    "::", "ff00::/8"};
	struct addr_prefix p;
	int res = config_read_text(r, n, NULL);
	if (res != 0)
		return res;
	if (strchr(n->text, '/') != NULL || addr_prefix_parse(n->text, &p) != 0)
		return config_fail(r, n,
				   "'%s' is no IP address; write the "
				   "literal address, without a port",
				   n->text);
	for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++) {
		struct addr_prefix none;
		if (addr_prefix_parse(never[i], &none) == 0 &&
		    addr_prefix_has(&none, &p.base))
			return config_fail(r, n,
					   "mail cannot leave from '%s'; "
					   "write an address of this "
					   "machine",
					   n->text);
	}
	*(struct addr *)to = p.base;
	return 0;
}

static int read_helo(struct config_reader *r, const struct config_node *n,
		     void *to)
{
	char name[DOMAIN_BYTES];
	int res = config_read_text(r, n, NULL);
	if (res != 0)
		return res;
	if (domain_normalise(n->text, strlen(n->text), name) != 0)
		return config_fail(r, n,
				   "'%s' is no host name; write the name "
				   "that the public address resolves to",
				   n->text);
	char *copy = config_strdup(r->arena, name);
	if (copy == NULL)
		return config_out_of_memory(r);
	*(char **)to = copy;
	return 0;
}

static const struct config_key keys_source[] = {
	{"address", read_host, offsetof(struct config_source, address), NULL},
	{"public_address", read_host,
	 offsetof(struct config_source, public_address), NULL},
	{"helo", read_helo, offsetof(struct config_source, helo), NULL},
	{"warm_up", config_read_warm_up, 0, NULL},
	{NULL, NULL, 0, NULL},
};

/* The host's name if it is a full one, else the public address in brackets. */
static int default_helo(struct config_reader *r, struct config_source *s)
{
	char text[DOMAIN_BYTES];
	char host[DOMAIN_BYTES] = "";
	if (gethostname(host, sizeof(host) - 1) != 0 ||
	    strchr(host, '.') == NULL ||
	    domain_normalise(host, strlen(host), text) != 0) {
		char ip[ADDR_TEXT_BYTES];
		bool v6 = s->public_address.sa.sa_family == AF_INET6;
		(void)snprintf(text, sizeof(text), v6 ? "[IPv6:%s]" : "[%s]",
			       addr_format(&s->public_address, false, ip));
	}
	s->helo = config_strdup(r->arena, text);
	return s->helo != NULL ? 0 : config_out_of_memory(r);
}

static int read_source(struct config_reader *r, const struct config_node *n,
		       struct config_source *s)
{
	char what[96];
	(void)snprintf(what, sizeof(what), "source '%s'", n->key);
	int res = config_want(r, n, NODE_MAP);
	if (res == 0)
		res = config_read_map(r, n, keys_source, s, what);
	if (res != 0)
		return res;
	if (s->address.sa.sa_family == AF_UNSPEC)
		return config_fail_key(r, n,
				       "%s has no address; write "
				       "'address: IP' of this machine",
				       what);
	if (s->public_address.sa.sa_family == AF_UNSPEC)
		s->public_address = s->address;
	s->name = config_strdup(r->arena, n->key);
	if (s->name == NULL)
		return config_out_of_memory(r);
	return s->helo != NULL ? 0 : default_helo(r, s);
}

int config_read_sources(struct config_reader *r, const struct config_node *n,
			void *to)
{
	struct config *c = to;
	if (config_node_empty(n))
		return 0;
	int res = config_want(r, n, NODE_MAP);
	if (res != 0)
		return res;
	c->sources = config_alloc(r->arena, n->count * sizeof(*c->sources));
	if (c->sources == NULL)
		return config_out_of_memory(r);
	for (const struct config_node *it = n->first; it; it = it->next) {
		struct config_source *s = &c->sources[c->source_count];
		res = config_check_name(r, it, "source");
		if (res == 0)
			res = read_source(r, it, s);
		if (res != 0)
			return res;
		for (uint32_t i = 0; i < c->source_count; i++) {
			if (addr_equal_host(&s->address,
					    &c->sources[i].address))
				return config_fail_key(
					r, it,
					"source '%s' has the address of source "
					"'%s', and paces count by source; "
					"remove "
					"one",
					it->key, c->sources[i].name);
		}
		c->source_count++;
	}
	return 0;
}
