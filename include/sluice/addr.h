/* SPDX-License-Identifier: BSD-2-Clause
 *
 * addr.h - IP addresses with port, and CIDR prefixes.
 *
 * Plain values, any thread. Text forms: "192.0.2.1", "192.0.2.1:25",
 * "2001:db8::1", "[2001:db8::1]:25".
 */
#ifndef SLUICE_ADDR_H
#define SLUICE_ADDR_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#define ADDR_TEXT_BYTES 64

struct addr {
	union {
		struct sockaddr sa;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	};
};

struct addr_prefix {
	struct addr base;
	uint8_t bits;
};

/* -EINVAL when `text` is no literal address. `port_default` is in host order
 * and used when the text names none. */
int addr_parse(const char *text, uint16_t port_default, struct addr *out);
/* "192.0.2.0/24", "::1", a bare address is a full-length prefix. */
int addr_prefix_parse(const char *text, struct addr_prefix *out);
bool addr_prefix_has(const struct addr_prefix *p, const struct addr *a);
socklen_t addr_len_bytes(const struct addr *a);
uint16_t addr_port(const struct addr *a);
void addr_port_set(struct addr *a, uint16_t port);
bool addr_equal(const struct addr *a, const struct addr *b); /* with port */
bool addr_equal_host(const struct addr *a, const struct addr *b);
bool addr_is_loopback(const struct addr *a);
/* Whether a connection to it makes sense: not 0.0.0.0/8, ::, multicast,
 * broadcast, IPv4 written as IPv6, or link-local without a scope. */
bool addr_is_host(const struct addr *a);
/* What a receiver takes for one sender: an IPv4 address, an IPv6 /64. Sources
 * in the same group count once wherever sources are counted. */
struct addr_prefix addr_sender_group(const struct addr *a);
bool addr_same_sender(const struct addr *a, const struct addr *b);
/* With port if `with_port` and the port is not 0; returns `buf`. */
const char *addr_format(const struct addr *a, bool with_port,
			char buf[ADDR_TEXT_BYTES]);

#endif
