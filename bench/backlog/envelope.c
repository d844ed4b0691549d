/* SPDX-License-Identifier: BSD-2-Clause
 *
 * envelope.c - sender, recipients and arrival of a generated message.
 *
 * Called by message_make(). No state, no allocation.
 * A campus incident: most mail is of many users, but three hijacked accounts
 * hold a quarter of it; 5 % have the null sender; 5 % have 2 to 20 recipients.
 */
#include <stdio.h>
#include <string.h>

#include "backlog/message_priv.h"
#include "sluice/assert.h"

#define USERS        20000
#define RCPT_USERS   200000
#define CLIENT_HOSTS 4000

static const char *const sender_domains[] = {
	"campus.test", "students.campus.test", "alumni.campus.test",
	"lists.campus.test"};
static const char *const hijacked[] = {"k.weber", "m.rossi", "j.smith"};
static const char *const given[] = {"anna", "ben",  "carla", "dan",
				    "eva",  "finn", "greta", "hugo"};
static const char *const family[] = {"adler", "bauer", "costa",  "dubois",
				     "evans", "fuchs", "garcia", "huber"};

#define COUNT(a) (sizeof(a) / sizeof(*(a)))

static void sender_pick(struct random_state *r, struct message *m)
{
	uint64_t dice = random_below(r, 100);
	unsigned user = (unsigned)random_below(r, USERS);

	m->account[0] = 0;
	m->sender[0] = 0;
	m->client = user % CLIENT_HOSTS;
	if (dice < 5)
		return;
	if (dice < 30) {
		const char *name = hijacked[random_below(r, COUNT(hijacked))];

		/* Hijacked: the account is one, the address often forged. */
		snprintf(m->account, sizeof(m->account), "%s", name);
		if (dice < 15)
			snprintf(m->sender, sizeof(m->sender),
				 "u%05u@campus.test", user);
		else
			snprintf(m->sender, sizeof(m->sender),
				 "%s@students.campus.test", name);
		m->client = CLIENT_HOSTS + (unsigned)random_below(r, 8);
		return;
	}
	snprintf(m->account, sizeof(m->account), "u%05u", user);
	snprintf(m->sender, sizeof(m->sender), "u%05u@%s", user,
		 sender_domains[user % COUNT(sender_domains)]);
}

static void rcpt_make(struct random_state *r, const char *domain,
		      char out[MESSAGE_ADDRESS_BYTES])
{
	unsigned user = (unsigned)random_below(r, RCPT_USERS);
	const char *first = given[user % COUNT(given)];
	const char *last = family[user / COUNT(given) % COUNT(family)];

	switch (user % 5) {
	case 0:
		snprintf(out, MESSAGE_ADDRESS_BYTES, "%s.%s%u@%s", first, last,
			 user, domain);
		break;
	case 1:
		snprintf(out, MESSAGE_ADDRESS_BYTES, "%s+campus%u@%s", first,
			 user, domain);
		break;
	default:
		snprintf(out, MESSAGE_ADDRESS_BYTES, "%s%u@%s", last, user,
			 domain);
		break;
	}
}

static bool rcpt_is_there(const struct message *m, const char *address)
{
	for (uint32_t i = 0; i < m->rcpt_count; i++)
		if (strcmp(m->rcpts[i], address) == 0)
			return true;
	for (uint32_t i = 0; i < m->done_count; i++)
		if (strcmp(m->done[i], address) == 0)
			return true;
	return false;
}

static void rcpts_pick(const struct message_generator *g,
		       struct random_state *r, struct message *m)
{
	uint32_t domain = profile_pick(g->profile, r);
	bool several = random_percent(r, 5) && !g->options.plain;
	bool mixed = several && random_percent(r, 40);
	uint32_t want = several ? 2 + (uint32_t)random_below(r, 19) : 1;
	uint32_t done = several && random_percent(r, 15)
				? 1 + (uint32_t)random_below(r, 3)
				: 0;

	m->rcpt_count = 0;
	m->done_count = 0;
	while (m->rcpt_count + m->done_count < want + done) {
		bool rest = m->rcpt_count == want;
		char address[MESSAGE_ADDRESS_BYTES];

		if (mixed && random_percent(r, 60))
			domain = profile_pick(g->profile, r);
		rcpt_make(r, profile_domain(g->profile, domain), address);
		if (rcpt_is_there(m, address))
			continue;
		if (rest)
			memcpy(m->done[m->done_count++], address,
			       sizeof(address));
		else
			memcpy(m->rcpts[m->rcpt_count++], address,
			       sizeof(address));
	}
	sluice_assert(m->rcpt_count <= MESSAGE_RCPTS_MAX);
	sluice_assert(m->done_count <= MESSAGE_DONE_MAX);
}

void envelope_make(const struct message_generator *g, struct random_state *r,
		   struct message *m)
{
	const struct message_options *o = &g->options;

	m->arrival_s = o->now_s;
	if (o->spread_s)
		m->arrival_s -= (uint32_t)random_below(r, o->spread_s);
	m->arrival_us = (uint32_t)random_below(r, 1000000);
	sender_pick(r, m);
	rcpts_pick(g, r, m);
}
