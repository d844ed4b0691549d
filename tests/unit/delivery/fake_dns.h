/* SPDX-License-Identifier: BSD-2-Clause
 *
 * fake_dns.h - a name server with a handful of records, on 127.0.0.1.
 *
 * A thread answers over UDP. Names that have no record do not exist. Records
 * can be exchanged while it runs.
 */
#ifndef FAKE_DNS_H
#define FAKE_DNS_H

#include <stdint.h>

enum fake_type {
	FAKE_SERVFAIL = 0,
	FAKE_A = 1,
	FAKE_CNAME = 5,
	FAKE_MX = 15,
	FAKE_AAAA = 28,
	FAKE_SILENT = 1000 /* no answer at all */
};

#define FAKE_TTL_ZERO UINT32_MAX

struct fake_record {
	const char *name;
	uint16_t type;       /* enum fake_type */
	uint16_t preference; /* MX */
	const char *value;   /* address, or name; "" = root */
	uint32_t ttl_s;      /* 0 = 300 */
};

struct fake_dns;

struct fake_dns *fake_dns_start(const struct fake_record *records,
				uint32_t count);
void fake_dns_stop(struct fake_dns **d);
void fake_dns_set(struct fake_dns *d, const struct fake_record *records,
		  uint32_t count);
/* What negative answers may be cached for; FAKE_TTL_ZERO: no SOA record. */
void fake_dns_negative(struct fake_dns *d, uint32_t minimum_s);
/* Questions of that type for `name` so far. */
uint32_t fake_dns_asked(struct fake_dns *d, const char *name, uint16_t type);
uint16_t fake_dns_port(const struct fake_dns *d);

#endif
