/* SPDX-License-Identifier: BSD-2-Clause
 *
 * hop.h - destination domains and their next hops.
 *
 * Private to delivery; part of delivery_priv.h. Role: worker.
 */
#ifndef DELIVERY_HOP_H
#define DELIVERY_HOP_H

#include <stdbool.h>
#include <stdint.h>

#include "delivery/found.h"
#include "delivery/list.h"

struct delivery;

struct hop {
	uint32_t number;  /* of its key */
	uint32_t version; /* counts changes of `addresses` */
	uint32_t host_count;
	uint32_t address_count;
	uint64_t expires_ns; /* of `addresses` */
	char *hosts[MX_HOSTS_MAX];
	struct hop_address addresses[HOP_ADDRESSES_MAX]; /* best first */
};

enum domain_state { DOMAIN_UNKNOWN = 0, DOMAIN_ROUTED, DOMAIN_UNROUTABLE };

struct domain {
	char *name;
	uint32_t number;
	uint32_t provider;
	uint8_t state;     /* enum domain_state */
	bool asking;       /* a query is under way, or in line */
	bool suspect;      /* of `asking`: it failed before */
	bool renew;        /* the query's answer is not wanted any more */
	bool permanent;    /* of DOMAIN_UNROUTABLE */
	uint32_t failures; /* temporary ones in a row */
	uint64_t expires_ns;
	uint64_t waiting; /* bit (source % 64): wants to hear */
	/* An answer with a TTL of 0 is good for those that waited for it. */
	uint64_t granted;     /* bit (source % 64): may use it once */
	uint64_t answered_ns; /* when; grants end soon after */
	uint64_t used_ns;     /* turn in which a grant is being used */
	struct hop *hop;
	char why[160];         /* of DOMAIN_UNROUTABLE */
	struct link tell_link; /* unroutable() or connect_failed() is owed */
	bool owes_failure;     /* the latter, of `failed_source` */
	uint32_t failed_source;
	uint64_t told_ns;     /* not to be told of failed hosts again before */
	struct link ask_link; /* in line for a query */
};

/* route.c */
/* What was found out is not used any more, nor what is being asked. */
void domain_forget(struct domain *dom);
int domain_set(struct delivery *d, uint32_t number, const char *name,
	       uint32_t provider);
struct domain *domain_find(const struct delivery *d, uint32_t number);
/* The hop to use now; NULL: not known (a query runs, or unroutable() will be
 * called). */
struct hop *domain_hop(struct delivery *d, struct domain *dom, uint32_t source);
/* A connection could not be made; the owner has been told, or will be of the
 * second: its hosts are in back-off because of others. */
void domain_failure_told(struct delivery *d, struct domain *dom);
void domain_failure_tell(struct delivery *d, struct domain *dom,
			 uint32_t source);
/* Asks DNS if what is known has expired; the owner is told. */
void domain_ask(struct delivery *d, struct domain *dom);
void domains_ask(struct delivery *d); /* starts queries that are due */
void domains_tell(struct delivery *d);
void domains_destroy(struct delivery *d);

/* hop.c */
struct hop *hop_get(struct delivery *d, const char *key, size_t len);
int hop_set(struct hop *h, char *const *hosts, uint32_t host_count,
	    const struct hop_address *addresses, uint32_t count,
	    uint64_t expires_ns);
bool hop_has(const struct hop *h, const struct addr *a);
void hops_destroy(struct delivery *d);

#endif
