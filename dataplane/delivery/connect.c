/* SPDX-License-Identifier: BSD-2-Clause
 *
 * connect.c - opening connections: which address, from which source.
 *
 * Called by path.c. Role: worker. One attempt goes through the addresses of a
 * hop, best first, equally good ones in turn, leaving out those in back-off
 * and those of a family that the source does not have. It ends with a ready
 * connection or with ONE connect_failed(). A refusal with 5xx ends it at once:
 * a receiver that has said no is not asked again through its other hosts. When
 * the TTL ends in mid-attempt it ends without a word: the owner offers anew,
 * and what failed is still in back-off.
 * Bound: HOP_ADDRESSES_MAX connects per attempt, connect timeout each.
 * Errors: back-off per address, for all who would use it (failure.c).
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

static uint64_t address_until_ns(const struct lane *l, uint32_t i,
				 uint64_t now_ns)
{
	return failure_until_ns(l->d->failures, &l->hop->addresses[i].addr,
				&l->path->from->address, now_ns);
}

uint64_t lane_retry_ns(const struct lane *l, uint64_t now_ns)
{
	uint64_t due_ns = CLOCK_NEVER_NS;

	for (uint32_t i = 0; i < l->hop->address_count; i++) {
		uint64_t until_ns = family_fits(l, i)
					    ? address_until_ns(l, i, now_ns)
					    : CLOCK_NEVER_NS;

		if (until_ns < due_ns)
			due_ns = until_ns;
	}
	return due_ns < now_ns ? now_ns : due_ns;
}

/* Never past the TTL, but for the turn in which DNS has just answered. */
static bool hop_is_stale(const struct lane *l, uint64_t now_ns)
{
	return now_ns >= l->hop->expires_ns && now_ns != l->granted_ns;
}

/* Addresses from `first` on that are as good as it. */
static uint32_t group_len(const struct hop *h, uint32_t first)
{
	uint32_t n = 1;

	while (first + n < h->address_count &&
	       h->addresses[first + n].rank == h->addresses[first].rank)
		n++;
	return n;
}

/* Index of the address to try next, -1 = none. */
static int address_choose(const struct lane *l, uint32_t tried, uint64_t now_ns)
{
	uint32_t n;

	for (uint32_t first = 0; first < l->hop->address_count; first += n) {
		n = group_len(l->hop, first);
		for (uint32_t k = 0; k < n; k++) {
			uint32_t i = first + (l->rotor + k) % n;

			if (!(tried >> i & 1) && family_fits(l, i) &&
			    address_until_ns(l, i, now_ns) <= now_ns)
				return (int)i;
		}
	}
	return -1;
}

static void describe(struct connection *c, const char *what, int error)
{
	char text[ADDR_TEXT_BYTES];

	(void)snprintf(c->detail, sizeof(c->detail), "%s %s: %s", what,
		       addr_format(&c->to, true, text), err_name(error));
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
	struct delivery *d = c->d;
	int res = open_socket(c, &c->to);

	c->our_fault = res != 0;
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
	res = io_connect(d->io, &c->connect, c->fd, &c->to.sa,
			 addr_len_bytes(&c->to));
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
	const struct hop *h = c->lane->hop;
	const struct hop_address *a = &h->addresses[address];

	sluice_assert(a->host < h->host_count);
	c->to = a->addr;
	(void)snprintf(c->remote, sizeof(c->remote), "%s", h->hosts[a->host]);
	c->tried |= 1u << address;
	c->began_ns = io_now_ns(c->d->io);
	c->d->stats.connections_tried++;
	c->path->stats.connections_tried++;
	failure_trying(c->d->failures, &c->to, &c->path->from->address,
		       c->began_ns + c->d->config->delivery.connect_ns);
	c->state = CONNECTION_CONNECTING;
	c->todo = TODO_NOTHING;
	c->again = false;
	c->served = false;
	c->messages = 0;
	c->broken = false;
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

	if (hop_is_stale(l, io_now_ns(d->io)))
		return -ESTALE;
	address = address_choose(l, 0, io_now_ns(d->io));
	if (address < 0)
		return -EAGAIN;
	c = pool_take(d);
	if (!c)
		return -EAGAIN;
	l->rotor++;
	c->lane = l;
	c->path = l->path;
	c->epoch = l->path->epoch;
	c->tried = 0;
	c->hop_version = l->hop->version;
	connect_to(c, (uint32_t)address);
	return 0;
}

/* What remains of this attempt: an index, -1 = nothing. */
static int attempt_next(const struct connection *c)
{
	if (c->hop_version != c->lane->hop->version)
		return -1;
	return address_choose(c->lane, c->tried, io_now_ns(c->d->io));
}

static bool attempt_is_stale(const struct connection *c)
{
	return c->hop_version != c->lane->hop->version ||
	       hop_is_stale(c->lane, io_now_ns(c->d->io));
}

static void attempt_failed(struct connection *c, uint8_t phase,
			   const struct smtp_reply *reply)
{
	struct delivery *d = c->d;
	struct lane *l = c->lane;
	struct domain *dom = domain_find(d, l->domain);

	if (dom)
		domain_failure_told(d, dom);
	l->wanted = false;
	lane_unwait(l);
	d->stats.connections_failed++;
	c->path->stats.connections_failed++;
	d->ops->connect_failed(d->user, c->path->provider, c->path->source,
			       l->domain, phase, reply, c->remote, c->detail);
}

/* The connection has closed and the attempt goes on with the next address. */
void connect_again(struct connection *c)
{
	int address = attempt_next(c);

	c->again = false;
	if (address >= 0 && !c->d->stopping && !attempt_is_stale(c)) {
		connect_to(c, (uint32_t)address);
		return;
	}
	/* Gone in the meantime: it ends as the last failure did. */
	attempt_failed(c, PHASE_CONNECT, NULL);
	connection_close(c);
}

/* A refusal in words, or a socket that we could not make, says nothing of the
 * host. */
static void address_failed(struct connection *c, const struct smtp_reply *reply)
{
	failure_note(c->d->failures, &c->to, &c->path->from->address,
		     reply != NULL || c->our_fault, c->began_ns,
		     io_now_ns(c->d->io));
}

/* This address did not work. The attempt is over when it has said a final no
 * or when there is nothing left to try. */
void connect_failed(struct connection *c, uint8_t phase,
		    const struct smtp_reply *reply)
{
	bool final = reply && reply->code >= 500;
	bool more;

	address_failed(c, reply);
	more = !final && !c->d->stopping && attempt_next(c) >= 0;
	c->again = more && !attempt_is_stale(c);
	/* Other addresses, but their TTL is over: lane_want() asks DNS when
	 * the connection has closed. */
	if (more && !c->again)
		c->lane->wanted = true;
	if (!more)
		attempt_failed(c, phase, reply);
	connection_close(c);
}

void connect_succeeded(struct connection *c)
{
	failure_clear(c->d->failures, &c->to, &c->path->from->address);
}
