/* SPDX-License-Identifier: BSD-2-Clause
 *
 * fake_dns.h - a name server with a handful of records, on 127.0.0.1.
 *
 * A thread answers over UDP. Names that have no record do not exist.
 */
#ifndef FAKE_DNS_H
#define FAKE_DNS_H

#include <stdint.h>

enum fake_type { FAKE_A = 1, FAKE_CNAME = 5, FAKE_MX = 15, FAKE_SERVFAIL = 0 };

struct fake_record {
	const char *name;
	uint16_t type;       /* enum fake_type */
	uint16_t preference; /* MX */
	const char *value;   /* address, or name; "" = root */
};

struct fake_dns;

struct fake_dns *fake_dns_start(const struct fake_record *records,
				uint32_t count);
void fake_dns_stop(struct fake_dns **d);
uint16_t fake_dns_port(const struct fake_dns *d);

#endif
