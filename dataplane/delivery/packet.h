/* SPDX-License-Identifier: BSD-2-Clause
 *
 * packet.h - how long a DNS answer may be believed.
 *
 * Private to delivery. PURE. Bytes come from the network.
 */
#ifndef DELIVERY_PACKET_H
#define DELIVERY_PACKET_H

#include <stddef.h>
#include <stdint.h>

/* Shortest TTL among all records of the answer section, CNAMEs included. An
 * answer without the data that was asked for (`negative`) lives as long as the
 * SOA record and its minimum say (RFC 2308 5), and not at all without one.
 * -EBADMSG: not a DNS message. */
int packet_ttl(const uint8_t *p, size_t len, int negative, uint32_t *ttl_s);

#endif
