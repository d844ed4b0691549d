/* SPDX-License-Identifier: BSD-2-Clause
 *
 * connect.c - opening connections: which address, from which source.
 *
 * Called by path.c. Role: worker. One attempt goes through the addresses of a
 * hop, best first, equally good ones in turn, leaving out those in back-off
 * and those of a family that the source does not have. It ends with a ready
 * connection or with ONE connect_failed(). A refusal with 5xx ends it at once:
 * a receiver that has said no is not asked again through its other hosts.
 * Bound: HOP_ADDRESSES_MAX connects per attempt, connect timeout each.
 * Errors: back-off per address and path, 1 s doubling to 5 min.
 */
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "delivery/delivery_priv.h"

static bool family_fits(const struct lane *l, uint32_t i)
{
	return l->hop->addresses[i].addr.sa.sa_family ==
	       l->path->from->address.sa.sa_family;
}

bool lane_has_family(const struct lane *l)
{
	for (uint32_t i = 0; i < l->hop->address_count; i++)
		if (family_fits(l, i))
			return true;
	return false;
}

/* New addresses have done nothing wrong yet. */
static void lane_sync(struct lane *l)
{
	if (l->hop_version == l->hop->version)
		return;
	memset(l->backoff, 0, sizeof(l->backoff));
	l->hop_version = l->hop->version;
}

uint64_t lane_retry_ns(struct lane *l, uint64_t now_ns)
{
	uint64_t due_ns = CLOCK_NEVER_NS;

	lane_sync(l);
	for (uint32_t i = 0; i < l->hop->address_count; i++)
		if (family_fits(l, i) && l->backoff[i].until_ns < due_ns)
			due_ns = l->backoff[i].until_ns;
	return due_ns < now_ns ? now_ns : due_ns;
}

/* Addresses from `first` on that are as good as it. */
static uint32_t group_len(const struct hop *h, uint32_t first)
{
	uint32_t n = 1;

	while (first + n < h->address_count &&
	       h->addresses[first + n].preference ==
		       h->addresses[first].preference)
		n++;
	return n;
}

/* Index of the address to try next, -1 = none. */
static int address_choose(struct lane *l, uint32_t tried, uint64_t now_ns)
{
	uint32_t n;

	for (uint32_t first = 0; first < l->hop->address_count; first += n) {
		n = group_len(l->hop, first);
		for (uint32_t k = 0; k < n; k++) {
			uint32_t i = first + (l->rotor + k) % n;

			if (!(tried >> i & 1) && family_fits(l, i) &&
			    l->backoff[i].until_ns <= now_ns)
				return (int)i;
		}
	}
	return -1;
}

static void address_failed(struct lane *l, uint32_t i, uint64_t now_ns)
{
	struct backoff *b = &l->backoff[i];
	uint32_t doublings = b->failures < 16 ? b->failures : 16;
	uint64_t wait_ns = BACKOFF_FIRST_NS << doublings;

	/* begun beside the one that failed first: one failure, not many */
	if (b->until_ns > now_ns)
		return;
	b->failures++;
	b->until_ns =
		now_ns + (wait_ns < BACKOFF_MAX_NS ? wait_ns : BACKOFF_MAX_NS);
}

static void set_remote(struct connection *c)
{
	const struct hop *h = c->lane->hop;
	const struct hop_address *a = &h->addresses[c->address];

	sluice_assert(a->host < h->host_count);
	(void)snprintf(c->remote, sizeof(c->remote), "%s", h->hosts[a->host]);
}

static void describe(struct connection *c, const char *what, int error)
{
	char text[ADDR_TEXT_BYTES];

	(void)snprintf(c->detail, sizeof(c->detail), "%s %s: %s", what,
		       addr_format(&c->lane->hop->addresses[c->address].addr,
				   true, text),
		       err_name(error));
}

static int open_socket(struct connection *c, const struct addr *to)
{
	const struct addr *from = &c->path->from->address;
	int one = 1, fd = socket(to->sa.sa_family,
				 SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	/* The port is chosen at connect, by the whole 4-tuple: a source can
	 * have more connections than there are ports. */
	(void)setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one,
			 sizeof(one));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (bind(fd, &from->sa, addr_len_bytes(from))) {
		int res = -errno;

		(void)close(fd);
		return res;
	}
	c->fd = fd;
	return 0;
}

static void connect_done(struct io_op *op, int res, uint32_t flags,
			 const void *data)
{
	struct connection *c = op->user;

	MAGIC_CHECK(c, CONNECTION_MAGIC);
	if (c->state == CONNECTION_CLOSING) {
		connection_close(c);
	} else if (res < 0) {
		describe(c, "connect to", res);
		connect_failed(c, PHASE_CONNECT, NULL);
	} else {
		connection_begin(c);
	}
}

static int connect_address(struct connection *c)
{
	const struct addr *to = &c->lane->hop->addresses[c->address].addr;
	struct delivery *d = c->d;
	int res = open_socket(c, to);

	if (res) {
		char text[ADDR_TEXT_BYTES];

		(void)snprintf(
			c->detail, sizeof(c->detail),
			"socket with source address %s: %s",
			addr_format(&c->path->from->address, false, text),
			err_name(res));
		return res;
	}
	c->connect.done = connect_done;
	c->connect.user = c;
	res = io_connect(d->io, &c->connect, c->fd, &to->sa,
			 addr_len_bytes(to));
	if (res) {
		describe(c, "connect to", res);
		return res;
	}
	connection_deadline(c, d->config->delivery.connect_ns);
	return 0;
}

static void count_in(struct connection *c)
{
	c->counted = true;
	c->counted_connecting = true;
	c->path->open++;
	c->path->connecting++;
	c->lane->open++;
	c->lane->connecting++;
	c->d->stats.connections_open++;
	c->d->stats.connections_connecting++;
}

/* Opens `c` to the address chosen. */
static void connect_to(struct connection *c, uint32_t address)
{
	c->address = address;
	c->tried |= 1u << address;
	c->state = CONNECTION_CONNECTING;
	c->todo = TODO_NOTHING;
	c->again = false;
	c->served = false;
	c->messages = 0;
	c->broken = false;
	set_remote(c);
	if (!c->counted)
		count_in(c);
	if (connect_address(c)) {
		/* Told by the timer: we may be inside delivery_offer(). */
		c->broken = true;
		connection_deadline(c, 0);
	}
}

int connect_start(struct lane *l)
{
	struct delivery *d = l->d;
	struct connection *c;
	int address;

	lane_sync(l);
	address = address_choose(l, 0, io_now_ns(d->io));
	if (address < 0)
		return -EAGAIN;
	c = pool_take(d);
	if (!c)
		return -EAGAIN;
	l->rotor++;
	c->lane = l;
	c->path = l->path;
	c->tried = 0;
	connect_to(c, (uint32_t)address);
	return 0;
}

/* The connection has closed and the attempt goes on with the next address. */
void connect_again(struct connection *c)
{
	int address;

	lane_sync(c->lane);
	address = address_choose(c->lane, c->tried, io_now_ns(c->d->io));
	if (address < 0 || c->d->stopping) {
		/* Gone in the meantime: it ends as the last failure did. */
		c->tried = UINT32_MAX;
		connect_failed(c, PHASE_CONNECT, NULL);
		return;
	}
	connect_to(c, (uint32_t)address);
}

static void attempt_failed(struct connection *c, uint8_t phase,
			   const struct smtp_reply *reply)
{
	struct delivery *d = c->d;
	struct lane *l = c->lane;

	l->wanted = false;
	lane_unwait(l);
	d->stats.connections_failed++;
	c->path->stats.connections_failed++;
	d->ops->connect_failed(d->user, c->path->provider, c->path->source,
			       l->domain, phase, reply, c->remote, c->detail);
}

/* This address did not work. The attempt is over when it has said a final no
 * or when there is nothing left to try. */
void connect_failed(struct connection *c, uint8_t phase,
		    const struct smtp_reply *reply)
{
	uint64_t now_ns = io_now_ns(c->d->io);
	bool final = reply && reply->code >= 500;

	if (c->tried != UINT32_MAX)
		address_failed(c->lane, c->address, now_ns);
	c->again = !final && !c->d->stopping &&
		   address_choose(c->lane, c->tried, now_ns) >= 0;
	if (!c->again)
		attempt_failed(c, phase, reply);
	connection_close(c);
}
