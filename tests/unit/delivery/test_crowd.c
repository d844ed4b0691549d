/* SPDX-License-Identifier: BSD-2-Clause
 *
 * test_crowd.c - thousands of connections from one source.
 */
#include "delivery_room.h"

#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "fake_crowd.h"

#define CROWD 2000u
#define PORTS 100u /* of a source, when they are made few */

static const char *const rcpt[] = {"a@example.net"};
static const char small[] = "Subject: x\r\n\r\nhello\r\n";

/* Both ends of each connection are in this process. */
static bool descriptors_ready(void)
{
	struct rlimit rl;

	if (getrlimit(RLIMIT_NOFILE, &rl))
		return false;
	rl.rlim_cur = rl.rlim_max;
	return setrlimit(RLIMIT_NOFILE, &rl) == 0 &&
	       rl.rlim_cur >= 2 * CROWD + 256;
}

static void room_for_many(struct room *r, struct fake_crowd *c)
{
	room_open(r, fake_crowd_port(c));
	room_patience(r, 20 * NS_PER_S);
	r->config.delivery.connect_ns = 20 * NS_PER_S;
	r->config.delivery.connections_total = CROWD;
	for (int i = 0; i < 2; i++) {
		r->providers[i].connections_max = CROWD;
		r->providers[i].pace_max = (struct pace){1, 0}; /* unlimited */
	}
}

static void store_many(struct room *r, uint32_t count, uint32_t provider)
{
	for (uint32_t i = 0; i < count; i++) {
		struct room_message *m =
			room_store(r, rcpt, 1, small, sizeof(small) - 1, 0);

		m->provider = provider;
		m->domain = provider;
	}
}

/* No answer to a final dot before all 2,000 are out: so that many are open. */
static void one_source_holds_2000_connections(void **state)
{
	struct delivery_stats stats;
	struct fake_crowd *c;
	struct room r;

	if (!descriptors_ready())
		skip();
	c = fake_crowd_start(CROWD);
	room_for_many(&r, c);
	store_many(&r, CROWD, 0);
	room_start(&r);
	room_run(&r, &r.done, CROWD);
	assert_int_equal(fake_crowd_most(c), CROWD);
	delivery_stats(r.d, &stats);
	assert_int_equal(stats.accepted, CROWD);
	assert_int_equal(stats.connections_failed, 0);
	assert_null(strstr(r.results, "lost"));
	room_close(&r);
	fake_crowd_stop(&c);
}

static bool loopback_up(void)
{
	struct ifreq ifr = {.ifr_name = "lo"};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool ok;

	ifr.ifr_flags = IFF_UP | IFF_RUNNING;
	ok = fd >= 0 && ioctl(fd, SIOCSIFFLAGS, &ifr) == 0;
	(void)close(fd);
	return ok;
}

static bool ports_set(const char *range)
{
	int fd = open("/proc/sys/net/ipv4/ip_local_port_range",
		      O_WRONLY | O_CLOEXEC);
	bool ok = fd >= 0 &&
		  write(fd, range, strlen(range)) == (ssize_t)strlen(range);

	(void)close(fd);
	return ok;
}

/* A network of our own, so that the machine's ports are left alone. */
static bool own_network(void)
{
	return (unshare(CLONE_NEWNET) == 0 ||
		unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0) &&
	       loopback_up();
}

/* A port is chosen by the whole 4-tuple (IP_BIND_ADDRESS_NO_PORT): 100 ports
 * make 160 connections to two receivers. Chosen at bind, 100 would be all. */
static void source_has_more_connections_than_ports(void **state)
{
	enum { EACH = PORTS * 8 / 10 };
	struct fake_crowd *one, *two;
	char route[64];
	struct room r;

	if (!descriptors_ready() || !own_network())
		skip();
	one = fake_crowd_start(EACH);
	two = fake_crowd_start(EACH);
	if (ports_set("40000 40099")) {
		room_for_many(&r, one);
		(void)snprintf(route, sizeof(route), "127.0.0.1:%u",
			       fake_crowd_port(two));
		r.providers[1].route = route;
		store_many(&r, EACH, 0);
		store_many(&r, EACH, 1);
		room_start(&r);
		assert_int_equal(delivery_domain_set(r.d, 1, "example.com", 1),
				 0);
		room_run(&r, &r.done, 2 * EACH);
		assert_in_range(fake_crowd_most(one), EACH, PORTS);
		assert_in_range(fake_crowd_most(two), EACH, PORTS);
		assert_int_equal(r.failed, 0);
		room_close(&r);
		assert_true(ports_set("32768 60999"));
	}
	fake_crowd_stop(&one);
	fake_crowd_stop(&two);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(source_has_more_connections_than_ports),
		cmocka_unit_test(one_source_holds_2000_connections),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
